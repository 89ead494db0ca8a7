/** Processes told apart by more than their number, since numbers are used again. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Servers get no more of the caller's environment than this: no proxies, no options for Java or Node. */
const SERVER_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  DO_NOT_TRACK: '1',
};

const POLL_MS = 20;

const attempt = (read) => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

/** State letter, parent and start time as Linux tells them; the name in parentheses may hold spaces and parentheses. */
export function parseStat(text) {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], parent: Number(fields[1]), started: fields[19] };
}

const statOf = (pid) => attempt(() => parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')));
const bootId = () => attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());

/** Who the process with this number is: number, start time and boot, together never used twice. Undefined when it is gone. */
export function identify(pid) {
  const stat = statOf(pid);
  if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
  return { pid, started: stat.started, boot: bootId() };
}

/** Whether the process is still there, and not another one with its number. */
export function isAlive(identity) {
  const now = identity === undefined ? undefined : identify(identity.pid);
  return now !== undefined && now.started === identity.started && now.boot === identity.boot;
}

export const isPaused = (identity) => isAlive(identity) && statOf(identity.pid)?.state === 'T';

/** Signals the process, unless it is gone. */
export function signal(identity, name) {
  if (isAlive(identity)) attempt(() => process.kill(identity.pid, name));
}

const pids = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name));

/** Everything that descends from the process, itself first. */
export function family(identity) {
  const parents = new Map(pids().map((pid) => [Number(pid), statOf(pid)?.parent]));
  const members = [identity.pid];
  for (const member of members) {
    for (const [pid, parent] of parents) if (parent === member) members.push(pid);
  }
  return [identity, ...members.slice(1).map(identify)].filter((each) => each !== undefined);
}

/** Whether it was gone before the time was up. */
export async function untilGone(identity, patienceMs) {
  const deadline = Date.now() + patienceMs;
  while (isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Asks the process to end, a paused one too, and kills it with its family when it has not after `patienceMs`. */
export async function end(identity, name = 'SIGTERM', patienceMs = 20_000) {
  signal(identity, name);
  signal(identity, 'SIGCONT');
  if (!(await untilGone(identity, patienceMs))) await kill(identity);
}

/** Kills the process and all that descends from it; answers when they are gone. */
export async function kill(identity) {
  if (!isAlive(identity)) return;
  const members = family(identity);
  for (const member of members) signal(member, 'SIGKILL');
  for (const member of members) {
    if (!(await untilGone(member, 10_000))) throw new Error(`Process ${member.pid} does not die.`);
  }
}

/** Starts a server that outlives this process; it writes to the end of `log`. @throws Error when there is no such program */
export function launch([command, ...args], log, cwd) {
  const output = openSync(log, 'a');
  try {
    const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', output, output], env: SERVER_ENV });
    child.on('error', () => undefined); // told below
    child.unref();
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity === undefined) throw new Error(`${command} could not be run.`);
    return identity;
  } finally {
    closeSync(output);
  }
}

/** Processes that have their root, working directory or program in the folder: it must not be deleted under them. */
export function usersOf(folder) {
  const inside = (path) => path === folder || path?.startsWith(`${folder}/`);
  return pids()
    .filter((pid) => ['root', 'cwd', 'exe'].some((link) => inside(attempt(() => readlinkSync(`/proc/${pid}/${link}`)))))
    .map((pid) => `${basename(attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? '?')} (${pid})`);
}
