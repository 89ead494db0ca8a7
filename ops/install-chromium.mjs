/** Gets Debian's Chromium for the browser tests where there is none, as root with apt-get. */
import { spawnSync } from 'node:child_process';
import { findChromium, isProgram } from './chromium.mjs';

function fail(message) {
  console.error(message);
  process.exit(1);
}

function install() {
  const there = findChromium();
  if (there !== undefined) {
    console.log(`Chromium is there: ${there}`);
    return;
  }
  if (process.platform !== 'linux' || process.getuid() !== 0 || !isProgram('/usr/bin/apt-get')) {
    fail('There is no Chromium, and only root on Debian can be given one. Install it, or name one by CHROMIUM.');
  }
  console.log('Installing Chromium with apt-get (100 MB, about a minute) …');
  const apt = (...args) => {
    const options = {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    return spawnSync('apt-get', ['-y', '-q', '-o', 'DPkg::Lock::Timeout=300', ...args], options).status === 0;
  };
  apt('update'); // one broken source of many is no reason to stop
  if (!apt('install', '--no-install-recommends', 'chromium')) fail('apt-get could not install Chromium; see above.');
  const installed = findChromium();
  if (installed === undefined) fail('apt-get installed the package chromium, and there is still no Chromium.');
  console.log(`Chromium is installed: ${installed}`);
}

try {
  install();
} catch (error) {
  fail(error.message);
}
