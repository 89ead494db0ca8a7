import { existsSync } from 'node:fs';
import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import pack from '../../../package.json' with { type: 'json' };
import { NotChecked, ok, problem, warning, type Check, type Finding } from '../check.js';

const area = 'machine';

const MB = 1024 * 1024;
const GB = 1024 * MB;

/** Less room than this for the embedded engines is worth a word, or a stop. */
const LITTLE_ROOM = GB;
const NO_ROOM = 100 * MB;

const node: Check = {
  name: 'node',
  area,
  run: async () => [nodeFinding(process.versions.node)],
};

/** What is to be said of a version of Node. */
export function nodeFinding(version: string): Finding {
  const least = pack.engines.node.replace(/[^\d.]/g, '');
  if (isAtLeast(version, least)) return ok(`Node ${version}`);
  return problem(`Node ${version} is too old`, `Install Node ${least} or later.`);
}

function isAtLeast(version: string, least: string): boolean {
  const [has, needs] = [version, least].map((text) => text.split('.').map(Number));
  for (const [at, number] of (needs ?? []).entries()) {
    const own = has?.[at] ?? 0;
    if (own !== number) return own > number;
  }
  return true;
}

const folder: Check = {
  name: 'data folder',
  area,
  async run({ config }) {
    const { engines } = config;
    if (engines.kind === 'servers') throw new NotChecked('the data is on servers');
    const { dataDir } = engines;
    const nearest = nearestFolder(dataDir);
    if (!(await stat(nearest)).isDirectory()) return [problem(`${nearest} is no folder`, 'Set DATA_DIR to another.')];
    try {
      await access(nearest, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch {
      return [
        problem(`${nearest} cannot be written by this user`, 'Give it the right to, or set DATA_DIR to another.'),
      ];
    }
    const { bavail, bsize } = await statfs(nearest);
    return [
      existsSync(dataDir) ? ok(`${dataDir} can be written`) : ok(`${dataDir} will be made`),
      room(bavail * bsize),
    ];
  },
};

/** What is to be said of so many bytes that are free. */
export function room(bytes: number): Finding {
  const free = bytes < 10 * GB ? `${Math.floor(bytes / MB).toLocaleString('en')} MB` : `${Math.floor(bytes / GB)} GB`;
  const todo = 'Make room on that disk, or set DATA_DIR to another. A full disk refuses commands and loses nothing.';
  if (bytes < NO_ROOM) return problem(`only ${free} are free where the data is`, todo);
  if (bytes < LITTLE_ROOM) return warning(`only ${free} are free where the data is`, todo);
  return ok(`${free} are free where the data is`);
}

function nearestFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestFolder(dirname(path));
}

export const machine: readonly Check[] = [node, folder];
