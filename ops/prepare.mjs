/**
 * Installs and builds what is missing or stale, and says nothing when there is nothing to do. Runs before anything is
 * installed, so it imports only Node. `--install-only` leaves dist/ alone.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { BUILD_STAMP, sourceStamp } from './stamp.mjs';

const OLDEST_NODE = [20, 19];
const INSTALL_STAMP = 'node_modules/.tributary-stamp';

const read = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

const fail = (message) => {
  console.error(message);
  process.exit(1);
};

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  fail(`Tributary needs Node ${OLDEST_NODE.join('.')} or later; this is ${process.versions.node}.`);
}

const lock = read('package-lock.json');
const installStamp = createHash('sha256').update(`${lock} ${process.platform} ${process.arch}`).digest('hex');
if (read(INSTALL_STAMP) !== installStamp) {
  if (!isInstalled()) install();
  writeFileSync(INSTALL_STAMP, installStamp);
}

if (!process.argv.includes('--install-only') && read(BUILD_STAMP) !== sourceStamp()) {
  console.log('Building dist/ …');
  const { status } = spawnSync(process.execPath, ['ops/build.mjs'], { stdio: 'inherit' });
  if (status !== 0) fail('The build failed.');
}

/** Whether npm has already put there what the lock file says, without our knowing: `npm ci` by hand, for one. */
function isInstalled() {
  const there = read('node_modules/.package-lock.json');
  if (there === undefined || lock === undefined) return false;
  const installed = JSON.parse(there).packages;
  const mayBeAbsent = ({ optional = false, extraneous = false }) => optional || extraneous;
  return Object.entries(JSON.parse(lock).packages).every(
    ([path, wanted]) =>
      path === '' || (path in installed ? installed[path].version === wanted.version : mayBeAbsent(wanted)),
  );
}

/** `npm ci`, also from inside `npm start`, whose own settings must not leak into it. */
function install() {
  console.log('Installing packages (about a minute) …');
  const kept =
    /^npm_config_(?:registry|.*:registry|ca|cafile|strict_ssl|(?:https?_?|no)?_?proxy|noproxy|cache|userconfig)$/i;
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name) || kept.test(name)),
  );
  const npm = process.env.npm_execpath;
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const options = { env, stdio: ['ignore', 'inherit', 'inherit'] };
  const { status, error } =
    npm === undefined
      ? spawnSync('npm', args, { ...options, shell: process.platform === 'win32' })
      : spawnSync(process.execPath, [npm, ...args], options);
  if (error !== undefined) fail(`npm could not be run: ${error.message}`);
  if (status !== 0) fail('npm ci failed; see above.');
}
