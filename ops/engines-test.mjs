/**
 * `npm run test:engines [-- jest's arguments]`: the tests that need real engines. Where KAFKA_BROKERS, MYSQL_URL and
 * MONGO_URL are not all given, it starts servers of its own for those that are missing, and removes them at the end; with
 * --keep they stay, and the next run finds them.
 * `npm run test:faults` adds --faults: the tests that kill and pause engines, always servers of its own.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { startEngines } from './engines/api.mjs';
import { cacheFolder } from './engines/folders.mjs';
import { withLock } from './engines/lock.mjs';
import { URLS } from './engines/state.mjs';

/** How long jest may take to end when asked to. */
const PATIENCE_MS = 10_000;

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) {
  process.on(name, () => interrupted.abort(Object.assign(new Error(`Stopped by ${name}.`), { signal: name })));
}
const { signal } = interrupted;
const print = (line) => console.log(line);

const args = process.argv.slice(2);
const keep = args.includes('--keep');
const faults = args.includes('--faults');
const kind = faults ? 'faults' : 'engines';
/** Tests and servers of their own kind: engine tests may run while others are being killed. */
const INSTANCE = faults ? 'faults' : 'test';
const jestArgs = [
  '--config',
  `jest.${kind}.config.mjs`,
  ...args.filter((arg) => !['--keep', '--faults'].includes(arg)),
];

/** jest's exit code. */
function runTests(urls) {
  return new Promise((resolve, reject) => {
    const command = [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
    ];
    const missing = Object.fromEntries(Object.entries(urls).filter(([name]) => faults || !process.env[name]));
    const env = { ...process.env, ...missing, TEST_ENGINES: 'servers' };
    const jest = spawn(process.execPath, [...command, ...jestArgs], { stdio: 'inherit', env });
    const stop = () => {
      jest.kill('SIGTERM');
      setTimeout(() => jest.kill('SIGKILL'), PATIENCE_MS).unref();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    jest.on('error', reject);
    jest.on('exit', (code) => resolve(code ?? 1));
  });
}

async function onOwnServers() {
  const engines = await startEngines({ instance: INSTANCE, report: print, signal });
  try {
    print(`Engines: ${Object.values(engines.names).join('; ')}`);
    return await runTests(engines.urls);
  } finally {
    if (keep) print(`They run on: npm run engines -- wipe --instance ${INSTANCE} ends them.`);
    else await engines.wipe();
  }
}

try {
  const given = URLS.filter((name) => process.env[name]);
  const busy = () => print('Other engine tests run; waiting for their end …');
  process.exitCode =
    given.length === URLS.length && !faults
      ? await runTests({})
      : await withLock(`${cacheFolder()} tests ${kind}`, { busy, signal }, onOwnServers);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
if (signal.aborted) process.exitCode = 128 + constants.signals[signal.reason.signal];
