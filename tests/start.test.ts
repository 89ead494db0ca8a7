import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import {
  buildApp,
  PORT_VARIABLES,
  portSettings,
  startApp,
  startProcess,
  type AppProcess,
  type PortSettings,
} from './process.js';
import { until } from './until.js';

/** As the issue has it: Ctrl-C ends it within this time. */
const DRAIN_MS = 5_000;

const app = buildApp();
const root = mkdtempSync(join(tmpdir(), 'tributary-start-'));
const processes: AppProcess[] = [];
let folders = 0;

const newFolder = (): string => join(root, String((folders += 1)));

function start(settings: Readonly<Record<string, string>>): AppProcess {
  const process = startApp(app, settings);
  processes.push(process);
  return process;
}

afterEach(async () => {
  for (const process of processes.splice(0)) await process.end('SIGKILL');
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  app.remove();
});

async function graphql<T>(ports: PortSettings, query: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${ports.GATEWAY_PORT}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = (await response.json()) as { readonly data: T; readonly errors?: unknown };
  expect(errors).toBeUndefined();
  return data;
}

const lines = (process: AppProcess): string[] => process.output().trim().split('\n');

describe('the data', () => {
  const COUNTS = `{
    users { totalCount } products { totalCount } orders { totalCount nodes { id version status } }
    eva: account(id: "d6a41403-bbd0-11ee-8a24-0242ac120003") { version transactions { totalCount } }
  }`;
  const EVERYTHING = {
    users: { totalCount: 6 },
    products: { totalCount: 25 },
    orders: { totalCount: 4 },
    eva: { version: 2, transactions: { totalCount: 1 } },
  };

  test('demo data is loaded once, and what was written is there after a restart', async () => {
    const ports = await portSettings();
    const settings = { ...ports, DATA_DIR: newFolder(), LOG_LEVEL: 'warn' };
    const balance = async (id: string): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${ports.REST_PORT}/balances/${id}`);
      return response.text();
    };

    const first = start(settings);
    await first.ready;
    await until(async () => {
      expect(await graphql(ports, COUNTS)).toMatchObject(EVERYTHING);
      return true;
    });
    const statuses = await until(async () => {
      const { orders } = await graphql<{ orders: { nodes: { status: string }[] } }>(ports, COUNTS);
      const found = orders.nodes.map(({ status }) => status).sort();
      return !found.includes('PENDING') && found;
    });
    expect(statuses).toEqual(['AWAITING_PAYMENT', 'CANCELED', 'COMPLETED', 'PAID']);
    expect(await balance('d6a41403-bbd0-11ee-8a24-0242ac120003')).toContain('"balance":800.00,');
    expect(await balance('d6a41504-bbd0-11ee-8a24-0242ac120003')).toContain('"balance":1200.00,');
    const phone = `{ products(filter: { search: "iphone" }) { nodes { name price stock available } } }`;
    expect(await graphql(ports, phone)).toEqual({
      products: { nodes: [{ name: 'iPhone 15', price: '5999.99', stock: 10, available: 10 }] },
    });
    const before = await graphql(ports, COUNTS);
    await graphql(
      ports,
      `
        mutation {
          createProduct(input: { name: "Kept", price: "1.00", stock: 1 }) {
            product {
              id
            }
          }
        }
      `,
    );
    expect(await first.end('SIGTERM')).toEqual({ code: 0, signal: null });

    await start(settings).ready;
    const after = await graphql<typeof before>(ports, COUNTS);
    expect(after).toEqual({ ...(before as object), products: { totalCount: 26 } });
    const kept = `{ products(filter: { search: "kept" }) { nodes { name } } }`;
    expect(await graphql(ports, kept)).toEqual({ products: { nodes: [{ name: 'Kept' }] } });
  });

  test('without demo data it starts empty', async () => {
    const ports = await portSettings();
    await start({ ...ports, DATA_DIR: newFolder(), DEMO_DATA: 'off', LOG_LEVEL: 'warn' }).ready;
    const counts = `{ users { totalCount } products { totalCount } orders { totalCount } }`;
    const none = { totalCount: 0 };
    expect(await graphql(ports, counts)).toEqual({ users: none, products: none, orders: none });
  });
});

test('the summary has every address, and each of them answers', async () => {
  const ports = await portSettings();
  const settings = { ...ports, DATA_DIR: newFolder() };
  const process = start(settings);
  await process.ready;
  await until(() => process.output().includes('└'));
  const box = lines(process).filter((line) => /^[┌│└]/.test(line));
  expect(new Set(box.map((line) => line.length)).size).toBe(1);
  const text = box.join('\n');
  const gateway = `127.0.0.1:${ports.GATEWAY_PORT}`;
  for (const path of ['/graphql', '/graphiql', '/live', '/inbox', '/readyz']) {
    expect(text).toContain(`http://${gateway}${path} `);
    const page = await fetch(`http://${gateway}${path}`, { headers: { accept: 'text/html,application/json' } });
    expect(page.status).toBe(200);
  }
  expect(text).toContain(`ws://${gateway}/graphql `);
  expect(text).toContain(`http://127.0.0.1:${ports.REST_PORT}/balances/{account_id}`);
  expect(text).toContain(settings.DATA_DIR);
  expect(text).toContain('demo administrator');
  expect(text).toContain('Ctrl-C');
  const query = /Try +(\{.*\}) +│/.exec(text)?.[1] ?? '';
  await until(async () => {
    expect(await graphql(ports, query)).toMatchObject({ products: { nodes: [{ name: 'iPhone 15' }] } });
    return true;
  });
});

describe('the end', () => {
  /** A client of each kind that would rather stay. */
  async function occupy(ports: PortSettings): Promise<{ release(): Promise<void> }> {
    const url = `127.0.0.1:${ports.GATEWAY_PORT}`;
    const client = createClient({ url: `ws://${url}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 });
    const messages: unknown[] = [];
    const query = `subscription { balanceChanged(accountId: "00000000-0000-8000-8000-000000000001") { kind cursor } }`;
    client.subscribe(
      { query },
      { next: (message) => messages.push(message), error: () => undefined, complete: () => undefined },
    );
    const agent = new Agent({ keepAlive: true });
    await new Promise((done) => get(`http://${url}/livez`, { agent }, (response) => response.resume().on('end', done)));
    await until(() => messages.length > 0);
    return {
      async release() {
        agent.destroy();
        await client.dispose();
      },
    };
  }

  test.each([
    ['one SIGINT', ['SIGINT']],
    ['two SIGINTs within 100 ms, as from npm', ['SIGINT', 'SIGINT']],
    ['a SIGTERM', ['SIGTERM']],
  ] as const)('%s drains and exits 0 within 5 s, whoever is connected', async (_, signals) => {
    const ports = await portSettings();
    const process = start({ ...ports, DATA_DIR: newFolder(), DEMO_DATA: 'off', LOG_LEVEL: 'warn' });
    await process.ready;
    const clients = await occupy(ports);
    const asked = performance.now();
    for (const [index, signal] of signals.entries()) {
      if (index > 0) await delay(60);
      process.child.kill(signal);
    }
    expect(await process.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - asked).toBeLessThan(DRAIN_MS);
    await clients.release();
  });

  /** Ctrl-C on a terminal reaches the whole foreground group: npm, its shell and the system. */
  const hasTerminal = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;

  (hasTerminal ? test : test.skip)('Ctrl-C at npm start on a terminal (needs script of util-linux)', async () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } };
    const folder = newFolder();
    mkdirSync(folder);
    const own = scripts.start.replace('dist/main.js', resolve(app.main));
    expect(own).not.toBe(scripts.start);
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts: { start: own } }));

    const ports = await portSettings();
    const settings = { ...ports, DATA_DIR: newFolder(), TERM: 'xterm' };
    // Without exec, the shell in which script runs it may die of the same Ctrl-C and hide how npm ended.
    const terminal = ['-qec', 'exec npm start', '/dev/null'];
    const process = startProcess('script', terminal, settings, { cwd: folder, input: true });
    processes.push(process);
    await process.ready;
    await until(() => process.output().includes('└'));
    const clients = await occupy(ports);
    const asked = performance.now();
    process.child.stdin?.write('\x03');
    expect((await process.exit).code).toBe(0);
    expect(performance.now() - asked).toBeLessThan(DRAIN_MS);
    expect(process.output()).not.toMatch(/npm (error|ERR)/);
    await clients.release();
  });
});

describe('mistakes at the start', () => {
  test.each(PORT_VARIABLES)('%s in use is told in one line that names port and variable', async (variable) => {
    const settings = { ...(await portSettings()), DATA_DIR: newFolder(), DEMO_DATA: 'off' };
    const other = createServer();
    await new Promise<void>((done) => other.listen(Number(settings[variable]), '127.0.0.1', done));
    const process = start({ ...settings, LOG_LEVEL: 'warn' });
    expect(await process.exit).toEqual({ code: 2, signal: null });
    expect(lines(process)).toEqual([`Port ${settings[variable]} is in use. Set ${variable} to another one.`]);
    await new Promise((done) => other.close(done));
  });

  test('a data folder in use is told in one line', async () => {
    const settings = { DATA_DIR: newFolder(), DEMO_DATA: 'off', LOG_LEVEL: 'warn' };
    await start({ ...(await portSettings()), ...settings }).ready;
    const second = start({ ...(await portSettings()), ...settings });
    expect(await second.exit).toEqual({ code: 2, signal: null });
    expect(lines(second)).toEqual([expect.stringMatching(/^Another Tributary is using .*DATA_DIR/)]);
  });

  test('a data folder that cannot be used is told in one line', async () => {
    const file = join(root, 'a-file');
    writeFileSync(file, '');
    const process = start({ ...(await portSettings()), DATA_DIR: join(file, 'data') });
    expect(await process.exit).toEqual({ code: 2, signal: null });
    expect(lines(process)).toEqual([expect.stringMatching(/^The data folder .*a-file.*data cannot be used.*DATA_DIR/)]);
  });

  test('a host that others can reach is refused in one line', async () => {
    const process = start({ ...(await portSettings()), DATA_DIR: newFolder(), HOST: '0.0.0.0', LOG_LEVEL: 'warn' });
    expect(await process.exit).toEqual({ code: 2, signal: null });
    expect(lines(process)).toEqual([expect.stringContaining('HOST: must be 127.0.0.1')]);
  });

  test('wrong settings are told all at once, a line each', async () => {
    const wrong = {
      MYSQL_URL: 'mysql://localhost',
      GATEWAY_PORT: 'four',
      REST_PORT: '70000',
      HOST: '127.0.0.1',
      LOG_LEVEL: 'loud',
      AUTH_MODE: 'none',
    };
    const process = start({ ...wrong, DATA_DIR: newFolder() });
    expect(await process.exit).toEqual({ code: 2, signal: null });
    const named = lines(process).map((line) => line.split(':')[0]);
    expect(named).toEqual([
      'MYSQL_URL',
      'KAFKA_BROKERS',
      'MONGO_URL',
      'GATEWAY_PORT',
      'REST_PORT',
      'AUTH_MODE',
      'LOG_LEVEL',
    ]);
    for (const line of lines(process)) expect(line).toContain('for example ');
  });
});
