import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const HIVE_VERSION = '2.14.2';
/** Its own range lets in a version that it does not work with. */
const OVERRIDES = { '@graphql-tools/batch-execute': '10.2.0' };

/**
 * The folder of Hive Gateway, installed there when it is not: outside of the repository, since only benchmarks want it.
 * `TRIBUTARY_HIVE` names another folder.
 * @throws Error that says what npm said
 */
export function hiveFolder(): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const folder = process.env['TRIBUTARY_HIVE'] ?? join(cache, 'tributary', `hive-gateway-${HIVE_VERSION}`);
  if (existsSync(binaryIn(folder))) return folder;
  console.log(`Installing Hive Gateway ${HIVE_VERSION} into ${folder} …`);
  mkdirSync(folder, { recursive: true });
  const dependencies = { '@graphql-hive/gateway': HIVE_VERSION };
  const manifest = { private: true, type: 'module', dependencies, overrides: OVERRIDES };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const { status, stderr } = spawnSync('npm', ['install', '--no-audit', '--no-fund'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0 || !existsSync(binaryIn(folder))) {
    throw new Error(`Hive Gateway ${HIVE_VERSION} cannot be installed, so it is left out:\n${stderr.slice(-1_000)}`);
  }
  return folder;
}

export const binaryIn = (folder: string): string => join(folder, 'node_modules', '.bin', 'hive-gateway');
