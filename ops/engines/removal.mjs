/** Deleting folders that may hold a system: never under somebody's feet, never through a mount. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { usersOf } from './processes.mjs';

/** Where something is mounted in the folder or below it, deepest first. `mountinfo` is the kernel's own list. */
export function mountsUnder(folder, mountinfo) {
  return mountinfo
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ')[4].replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8))))
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}

const mountsNow = (folder) => mountsUnder(folder, readFileSync('/proc/self/mountinfo', 'utf8'));

/** @throws Error when a process works in it, or something mounted there cannot be unmounted; then nothing is deleted */
export function removeFolder(folder) {
  if (!existsSync(folder)) return;
  const users = usersOf(folder);
  if (users.length > 0) throw new Error(`${folder} is in use and stays: ${users.join(', ')}.`);
  for (const mount of mountsNow(folder)) execFileSync('umount', ['--', mount]);
  const left = mountsNow(folder);
  if (left.length > 0) throw new Error(`${folder} stays: ${left.join(', ')} cannot be unmounted.`);
  execFileSync('rm', ['-rf', '--one-file-system', '--', folder]);
}
