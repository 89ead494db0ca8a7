/** Runs the programs that install and prepare things. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';

const TAIL_LINES = 15;

/** The last lines of a log, for people. */
export function tail(file, lines = TAIL_LINES) {
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-lines)
    .map((line) => `    ${line}`)
    .join('\n');
}

/**
 * Runs a program, its output at the end of `log`.
 * @throws Error with the last lines of the log when it fails; the signal's reason when that is aborted, the program killed
 */
export function run([command, ...args], { log, cwd, env, signal }) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const output = openSync(log, 'a');
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', output, output] });
    closeSync(output);
    const abort = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', abort, { once: true });
    child.on('error', reject);
    child.on('exit', (code, killer) => {
      signal?.removeEventListener('abort', abort);
      if (signal?.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else reject(new Error(`A program failed (${killer ?? `exit code ${code}`}). The end of ${log}:\n${tail(log)}`));
    });
  });
}

/**
 * A program in a process namespace of its own: it and everything it started die with the program that runs it, so that an
 * installation which was cut off does not go on by itself.
 */
export const contained = (command) => [
  ...['setpriv', '--pdeathsig', 'KILL'],
  ...['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
  ...command,
];

const ENTER = `
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/mnt"
root=$1
user=$3
shift 3
exec chroot --userspec="$user:$user" "$root" "$@"
`;

/**
 * A program in the Debian of folder `root`, as one of its users, with the folder `mnt` at /mnt. /proc, /dev and /mnt are
 * mounted for this program only: they vanish with it, and whoever deletes the folder cannot reach through them.
 */
export const inside = ({ root, mnt, user = 'root' }, command) => [
  ...['unshare', '--mount', '--', 'sh', '-ec', ENTER, 'sh', root, mnt, user],
  ...command,
];
