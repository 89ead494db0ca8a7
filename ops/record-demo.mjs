/**
 * `npm run record:demo`: makes the README's picture of `tributary demo` from what it really writes. Starts the whole system
 * in an empty folder on free ports, with reminders after seconds; plays the demo once, so that the process is warm, and
 * once more for the picture. Argument: the file, docs/images/demo.svg unless told.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ansiToSvg } from './ansi-svg.mjs';

const [file = 'docs/images/demo.svg'] = process.argv.slice(2);

const PORTS = ['GATEWAY', 'USER', 'PRODUCT', 'ORDER', 'BALANCE', 'QUERY', 'REST'].map((name) => `${name}_PORT`);
/** As wide as it writes where there is no terminal. */
const COLUMNS = 90;

/** Ports that nobody listens on, held until all are known. */
async function freePorts(names) {
  const servers = await Promise.all(
    names.map(
      () =>
        new Promise((resolve, reject) => {
          const server = createServer().once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const settings = Object.fromEntries(names.map((name, at) => [name, String(servers[at].address().port)]));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return settings;
}

/** Starts the built program; `written` is what has come on standard output. */
function start(args, env) {
  const child = spawn(process.execPath, ['dist/main.js', ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const one = { child, written: '', exit: new Promise((resolve) => child.once('close', resolve)) };
  child.stdout.setEncoding('utf8').on('data', (chunk) => (one.written += chunk));
  return one;
}

/** Resolves when the system serves. */
function ready(system) {
  return new Promise((resolve, reject) => {
    system.child.stdout.on('data', () => {
      if (system.written.includes('Tributary is ready')) resolve();
    });
    void system.exit.then((code) => reject(new Error(`The system ended with ${code}:\n${system.written}`)));
  });
}

const folder = mkdtempSync(join(tmpdir(), 'tributary-record-'));
const env = {
  PATH: process.env.PATH,
  ...(await freePorts(PORTS)),
  DATA_DIR: folder,
  LOG_LEVEL: 'warn',
  ORDER_REMINDERS: '2s',
  ORDER_EXPIRY: '1m',
  FORCE_COLOR: '1',
};
const system = start([], env);
try {
  await ready(system);
  for (const turn of ['to get warm', 'for the picture']) {
    const demo = start(['demo'], env);
    const code = await demo.exit;
    if (code !== 0) throw new Error(`The demo ended with ${code} ${turn}:\n${demo.written}`);
    if (turn === 'for the picture') {
      const title = 'What tributary demo writes: every step of an order, and what each service did in it';
      writeFileSync(file, ansiToSvg(demo.written, { command: 'tributary demo', title, columns: COLUMNS }));
    }
  }
  console.log(`${file} is made.`);
} finally {
  system.child.kill('SIGTERM');
  await system.exit;
  rmSync(folder, { recursive: true, force: true });
}
