/**
 * Docker Compose itself, without Docker: where there is no `docker compose`, its binary is built from the Go module
 * proxy, once, into the user's cache. `compose config` needs no engine; everything else talks to the one in DOCKER_HOST.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const VERSION = 'v2.32.4';
const MODULE = 'github.com/docker/compose/v2/cmd';

const succeeds = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** Whether a Docker engine answers on this machine. */
export const hasDocker = () => succeeds('docker', ['info']) && succeeds('docker', ['compose', 'version']);

/** The folder for what is neither of the repository nor of a package manager. */
export const cacheFolder = () => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tributary', 'compose');

/**
 * The command that is Docker Compose here, as its first words: `['docker', 'compose']` or the path of the binary.
 * @throws Error when it is not there and cannot be built
 */
export function composeCommand() {
  if (succeeds('docker', ['compose', 'version'])) return ['docker', 'compose'];
  const binary = join(cacheFolder(), `docker-compose-${VERSION}`);
  if (existsSync(binary)) return [binary];
  console.log(`Building Docker Compose ${VERSION} (a few minutes, once) …`);
  mkdirSync(cacheFolder(), { recursive: true });
  const folder = mkdtempSync(join(cacheFolder(), 'build-'));
  try {
    const { status, error } = spawnSync('go', ['install', `${MODULE}@${VERSION}`], {
      env: { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) throw new Error(`Docker Compose could not be built; it needs Go. ${error?.message ?? ''}`.trim());
    // Only a whole binary ever has the name.
    renameSync(join(folder, 'cmd'), binary);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return [binary];
}
