/** Where engines and their data are. Nothing of it is in the repository. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The instance that `npm run engines` means unless told otherwise. */
export const DEFAULT_INSTANCE = 'default';

/** The folder of installation and data: ENGINES_DIR, or `tributary/engines` in the user's cache. */
export function cacheFolder(env = process.env) {
  if (env.ENGINES_DIR) return resolve(env.ENGINES_DIR);
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tributary', 'engines');
}

/**
 * The files of one instance: servers with data, ports and logs of their own.
 * @throws Error when the name cannot be the name of a folder
 */
export function instanceFolders(instance, env = process.env) {
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(instance)) {
    throw new Error(`"${instance}" is no name for an instance: lower-case letters, digits, - and _, 32 at most.`);
  }
  const cache = cacheFolder(env);
  const data = join(cache, 'data', instance);
  return {
    cache,
    data,
    state: join(data, 'state.json'),
    env: join(instance === DEFAULT_INSTANCE ? cache : data, 'engines.env'),
    log: (server) => join(data, `${server}.log`),
  };
}
