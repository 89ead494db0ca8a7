import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from './toolbox.js';

type Env = Readonly<Record<string, string | undefined>>;

/** Where `npm run engines` writes how to reach the servers it has started. */
export function enginesFile(env: Env): string {
  const folder = env['ENGINES_DIR'] ?? '';
  if (folder !== '') return join(folder, 'engines.env');
  const cache = env['XDG_CACHE_HOME'] ?? '';
  return join(cache === '' ? join(homedir(), '.cache') : cache, 'tributary', 'engines', 'engines.env');
}

/**
 * The environment with what that file says, which wins: whoever writes --engines means those servers. They are there to try
 * things on, so the demo administrator is too, unless AUTH_MODE says otherwise.
 * @throws UserError where there is no such file
 */
export function withEngines(env: Env): Env {
  const file = enginesFile(env);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UserError(`No engines run here: ${file} is not there. Start them with: npm run engines`);
  }
  const lines = text.split('\n').filter((line) => /^\s*[A-Z]/.test(line));
  return { AUTH_MODE: 'demo', ...env, ...Object.fromEntries(lines.map(keyAndValue)) };
}

function keyAndValue(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}
