/** What has to be on the machine, and what to do where it is not. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A machine cannot run the engines as it is; the message has a line per thing that is missing. */
export class RequirementsMissing extends Error {
  name = 'RequirementsMissing';
}

/** Debian's packages of the programs that are needed. Go is not here: where it is missing, the folder with Debian has it. */
const PACKAGES = {
  java: 'default-jre-headless',
  mvn: 'maven',
  debootstrap: 'debootstrap',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  chroot: 'coreutils',
};

const runs = (command, args) => spawnSync(command, args, { stdio: 'ignore', timeout: 5_000 }).status === 0;

/** The programs of `PACKAGES` that this machine lacks, of those that are needed. */
export const missingPrograms = (needed, path = process.env.PATH ?? '') =>
  needed.filter((program) => !path.split(':').some((folder) => folder !== '' && existsSync(`${folder}/${program}`)));

export const packagesOf = (programs) => [...new Set(programs.map((program) => PACKAGES[program]))];

export const thisMachine = () => ({
  platform: process.platform,
  root: process.getuid?.() === 0,
  apt: existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get'),
  docker: () => runs('docker', ['info']),
});

/**
 * What keeps this machine from running the engines, a line each, and the other way where there is one; empty when nothing
 * does. `missing` are programs; apt-get installs them where it is there.
 */
export function obstacles({ platform, root, apt, docker }, missing) {
  const lines = [];
  if (platform !== 'linux') lines.push(`Linux is needed: this is ${platform}.`);
  else if (!root) {
    lines.push('root is needed: MySQL and PostgreSQL run in a Debian folder of their own. Try: sudo npm run engines');
  }
  if (platform === 'linux' && !apt) {
    const how = (program) => `${program} is missing: install it (on Debian it is in ${PACKAGES[program]}).`;
    lines.push(...missing.map(how));
  }
  if (lines.length === 0) return [];
  const other = docker()
    ? 'Docker answers on this machine: `docker compose up` runs Tributary on the same engines.'
    : 'The other way is Docker, which does not answer here: with it, `docker compose up` runs Tributary on the same engines.';
  return [...lines, other];
}
