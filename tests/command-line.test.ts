import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { freePorts } from './ports.js';
import { buildApp, portSettings, startProcess, type AppProcess } from './process.js';
import { until } from './until.js';

const app = buildApp();
const root = mkdtempSync(join(tmpdir(), 'tributary-command-line-'));
const processes: AppProcess[] = [];

afterEach(async () => {
  for (const process of processes.splice(0)) await process.end('SIGKILL');
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  app.remove();
});

function tributary(args: readonly string[], settings: Readonly<Record<string, string>> = {}): AppProcess {
  const process = startProcess(globalThis.process.execPath, [app.main, ...args], {
    DATA_DIR: join(root, 'nothing'),
    ENGINES_DIR: join(root, 'no-engines'),
    ...settings,
  });
  processes.push(process);
  return process;
}

/** How a command ended, and the lines it wrote. */
async function outcome(args: readonly string[], settings?: Readonly<Record<string, string>>) {
  const process = tributary(args, settings);
  const { code } = await process.exit;
  return { code, lines: process.output().trim().split('\n') };
}

/** Nobody listens on port 1. */
const AWAY = {
  MYSQL_URL: 'mysql://shop:s3cret@127.0.0.1:1',
  KAFKA_BROKERS: '127.0.0.1:1',
  MONGO_URL: 'mongodb://shop:s3cret@127.0.0.1:1',
  IDENTITY_SECRET: 'known to the processes of this test',
};

test('--help names every command, --version tells the version', async () => {
  const help = await outcome(['--help']);
  expect(help.code).toBe(0);
  for (const command of ['run', 'setup', 'demo-data', 'admin', 'doctor', 'dlq', 'outbox', 'projections']) {
    expect(help.lines).toContainEqual(expect.stringMatching(new RegExp(`^  ${command} `)));
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  expect(await outcome(['--version'])).toEqual({ code: 0, lines: [version] });
});

test.each([
  [['orders'], "error: unknown command 'orders'"],
  [['--engine'], "error: unknown option '--engine'"],
  [['run', 'orders'], 'There is no process orders. There are: gateway, '],
  [['run', 'all', 'gateway'], 'all stands alone'],
  [['demo-data'], 'With embedded engines Tributary loads the demo data itself'],
  [['dlq', 'list'], `There is no data in ${join(root, 'nothing')} yet. Start Tributary first`],
  [
    ['--engines'],
    `No engines run here: ${join(root, 'no-engines', 'engines.env')} is not there. Start them with: npm run engines`,
  ],
])('%j is a mistake that is told in a line, with exit code 2', async (args, line) => {
  const { code, lines } = await outcome(args);
  expect(code).toBe(2);
  expect(lines[0]).toContain(line);
});

test('a process apart is refused on embedded engines and without a common secret, a line each', async () => {
  const { code, lines } = await outcome(['run', 'order-worker']);
  expect(code).toBe(2);
  expect(lines).toEqual([
    expect.stringMatching(
      /^MYSQL_URL, KAFKA_BROKERS, MONGO_URL: are missing\. Embedded engines serve one process only/,
    ),
    expect.stringMatching(/^IDENTITY_SECRET: is missing\./),
  ]);
});

test('setup has nothing to do on embedded engines', async () => {
  expect(await outcome(['setup'])).toEqual({ code: 0, lines: [expect.stringContaining('Nothing to set up')] });
});

describe('with servers', () => {
  test('a server that is away is waited for, then the process ends with 3 and a line that names it', async () => {
    const { code, lines } = await outcome(['run', 'user-api'], { ...AWAY, START_TIMEOUT_MS: '3000' });
    expect(code).toBe(3);
    expect(lines[0]).toContain('MySQL cannot be reached yet; waiting for it');
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(
        /^MySQL at mysql:\/\/127\.0\.0\.1:1 cannot be reached: connect ECONNREFUSED .+\. Start it, or change MYSQL_URL\.$/,
      ),
    ]);
    expect(lines.join('\n')).not.toContain('s3cret');
  });

  test('a signal ends the wait for a server, with 0', async () => {
    const process = tributary(['run', 'user-api'], AWAY);
    await until(() => process.output().includes('waiting for it'));
    expect(await process.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  test('a gateway starts while everything behind it is away, says so, and stops', async () => {
    const [port = 0, ...others] = await freePorts(6);
    const urls = ['USER_URL', 'PRODUCT_URL', 'ORDER_URL', 'BALANCE_URL', 'QUERY_URL'].map(
      (name, index) => [name, `http://127.0.0.1:${others[index]}`] as const,
    );
    const process = tributary(['run', 'gateway'], {
      ...AWAY,
      ...Object.fromEntries(urls),
      GATEWAY_PORT: String(port),
    });
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await until(async () => (await get('/livez')).ok);
    const ready = await get('/readyz');
    expect(ready.status).toBe(503);
    const { checks } = (await ready.json()) as { readonly checks: readonly { name: string; ok: boolean }[] };
    const named = (wanted: boolean) => checks.filter(({ ok }) => ok === wanted).map(({ name }) => name);
    expect(named(true)).toEqual(['supergraph']);
    expect(named(false).sort()).toEqual(['balance', 'order', 'product', 'query', 'user']);
    expect(await process.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  test('--engines takes the addresses that npm run engines has written', async () => {
    const folder = join(root, 'engines');
    mkdirSync(folder);
    const file = Object.entries(AWAY).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(folder, 'engines.env'), `# Written by a test.\n${file.join('')}`);
    const { code, lines } = await outcome(['run', 'user-api', '--engines'], {
      ENGINES_DIR: folder,
      START_TIMEOUT_MS: '0',
    });
    expect(code).toBe(3);
    expect(lines.at(-1)).toMatch(/^MySQL at mysql:\/\/127\.0\.0\.1:1 cannot be reached/);
  });
});

describe('beside a running system on embedded engines', () => {
  test('tools look at its data', async () => {
    const settings = { ...(await portSettings()), DATA_DIR: join(root, 'tools'), LOG_LEVEL: 'warn', DEMO_DATA: 'off' };
    const running = tributary([], settings);
    await running.ready;
    expect(await outcome(['dlq', 'list'], settings)).toEqual({ code: 0, lines: ['No dead letters.'] });
    const status = await outcome(['outbox', 'status'], settings);
    expect(status.code).toBe(0);
    for (const name of ['user', 'product', 'order', 'balance']) {
      expect(status.lines).toContainEqual(expect.stringMatching(new RegExp(`^tributary_${name} `)));
    }
    expect(await running.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  test('exposed in demo mode, it still refuses pages under names that are not its own', async () => {
    const ports = await portSettings();
    const settings = { ...ports, DATA_DIR: join(root, 'exposed'), LOG_LEVEL: 'warn', DEMO_DATA: 'off' };
    const process = tributary([], { ...settings, HOST: '0.0.0.0', DEMO_EXPOSED: 'on' });
    await process.ready;
    const statusFor = (name: string): Promise<number | undefined> => {
      const headers = { host: `${name}:${ports.GATEWAY_PORT}`, origin: `http://${name}:${ports.GATEWAY_PORT}` };
      const url = `http://127.0.0.1:${ports.GATEWAY_PORT}/graphiql`;
      return new Promise((resolve, reject) => {
        request(url, { headers }, (response) => response.resume().on('end', () => resolve(response.statusCode)))
          .on('error', reject)
          .end();
      });
    };
    expect(await statusFor('127.0.0.1')).toBe(200);
    // A name that somebody else has made to mean 127.0.0.1.
    expect(await statusFor('shop.example')).toBe(403);
    expect(process.output()).toContain('whoever reaches it is that administrator');
  });
});
