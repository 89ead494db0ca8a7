import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PROCESS_NAMES, type ProcessName } from '../app/processes.js';
import { cuttable } from './cuttable.js';
import { FLEET_SECRET, startFleet, type Fleet } from './fleet.js';
import { playMainFlow } from './main-flow.js';
import { openNamespace } from './namespace.js';
import { freePorts } from './ports.js';
import { buildApp, portSettings, startProcess, type AppProcess } from './process.js';
import { until } from './until.js';

const CLEAN = { code: 0, signal: null };

const app = buildApp();
const namespace = openNamespace();
const settings: Readonly<Record<string, string>> = {
  ...namespace.settings,
  AUTH_MODE: 'demo',
  DEMO_DATA: 'off',
  LOG_LEVEL: 'info',
};
const command = (...args: readonly string[]): AppProcess =>
  startProcess(process.execPath, [app.main, ...args], settings);

let fleet: Fleet;
/** A second gateway, over the second APIs. */
let second: AppProcess;
let secondUrl: string;

beforeAll(async () => {
  const setup = command('setup');
  expect({ ...(await setup.exit), output: setup.output() }).toMatchObject(CLEAN);
  const copies = Object.fromEntries(PROCESS_NAMES.map((name) => [name, name === 'gateway' ? 1 : 2]));
  fleet = await startFleet({ app, settings, copies });
  const [port] = await freePorts(1);
  secondUrl = `http://127.0.0.1:${port}`;
  const urls = (['user', 'product', 'order', 'balance', 'query'] as const).map(
    (name) => [`${name.toUpperCase()}_URL`, fleet.member(`${name}-api`, 2).url] as const,
  );
  second = startProcess(process.execPath, [app.main, 'run', 'gateway'], {
    ...settings,
    ...Object.fromEntries(urls),
    IDENTITY_SECRET: FLEET_SECRET,
    GATEWAY_PORT: String(port),
  });
  await fleet.ready();
  await until(async () => (await fetch(`${secondUrl}/readyz`)).ok, { timeoutMs: 60_000 });
}, 240_000);

afterAll(async () => {
  await second.end('SIGKILL');
  await fleet.kill();
  await namespace.dispose();
  app.remove();
}, 60_000);

test('setup may be repeated beside a running system and then changes nothing', async () => {
  const again = command('setup');
  expect(await again.exit).toEqual(CLEAN);
  const said = again.output().split('\n');
  expect(said.filter((line) => line.startsWith('database')).every((line) => line.endsWith('(up to date)'))).toBe(true);
  expect(said).toContain('topic       orders (partitions: 12, kept for 30 days)');
  expect(said).toContain('topic       balances.dlq (partitions: 1, kept for 30 days)');
});

test.each(PROCESS_NAMES)('%s tells that it lives, what it depends on, and its metrics', async (name) => {
  const { url } = fleet.member(name);
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return { status: response.status, body: await response.text() };
  };
  expect(JSON.parse((await get('/livez')).body)).toEqual({ service: name, status: 'ok' });
  const { status, body } = await get('/readyz');
  const { checks } = JSON.parse(body) as { checks: { name: string; ok: boolean }[] };
  expect({ status, failed: checks.filter(({ ok }) => !ok) }).toEqual({ status: 200, failed: [] });
  expect(checks.map((check) => check.name)).toEqual(expect.arrayContaining(dependencies(name)));
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/metrics')).body).toContain('process_resident_memory_bytes');
});

function dependencies(name: ProcessName): string[] {
  if (name === 'gateway') return ['user', 'product', 'order', 'balance', 'query'];
  if (name === 'query-api') return ['listener', 'document store', 'event log'];
  if (name === 'projector') return ['started', 'document store', 'event log'];
  if (name.endsWith('-api')) return ['listener', 'database'];
  return ['started', 'database', 'event log', `tributary_${name.replace('-worker', '')} relay`];
}

test('two of each at once serve the same graph, and subscribers see each change once', async () => {
  const { gateway, rest } = fleet;
  await Promise.all([playMainFlow({ gateway, rest }), playMainFlow({ gateway: secondUrl, rest })]);
}, 120_000);

test('one of each may go while the others work on: it drains, leaves and exits with 0', async () => {
  const { gateway, rest, members } = fleet;
  const leaving = members.filter(({ name }) => name.endsWith(' 2'));
  const work = playMainFlow({ gateway, rest });
  const exits = await Promise.all([...leaving, second].map((one) => one.end('SIGTERM')));
  expect(exits).toEqual(exits.map(() => CLEAN));
  await work;
  await playMainFlow({ gateway, rest });
}, 120_000);

test('a server that is away holds up the start, and later makes a process unready, until it is there', async () => {
  const url = new URL(settings['MYSQL_URL'] ?? '');
  const [ownPort = 0, way = 0] = await freePorts(2);
  const mysql = cuttable(way, { host: url.hostname, port: Number(url.port || 3306) });
  url.host = `127.0.0.1:${way}`;
  const process = startProcess(globalThis.process.execPath, [app.main, 'run', 'order-worker'], {
    ...settings,
    MYSQL_URL: url.href,
    IDENTITY_SECRET: FLEET_SECRET,
    ORDER_WORKER_PORT: String(ownPort),
  });
  const status = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${ownPort}${path}`)).status;
  try {
    await until(() => process.output().includes('MySQL cannot be reached yet; waiting for it'));
    await mysql.mend();
    await until(async () => (await status('/readyz')) === 200);
    await mysql.cut();
    await until(async () => (await status('/readyz')) === 503);
    expect(await status('/livez')).toBe(200);
    await mysql.mend();
    await until(async () => (await status('/readyz')) === 200);
    expect(await process.end('SIGTERM')).toEqual(CLEAN);
  } finally {
    await process.end('SIGKILL');
    await mysql.cut();
  }
}, 120_000);

test('a port that another process has is told with the setting that changes it, and everything is given back', async () => {
  const { port } = new URL(fleet.member('order-worker').url);
  const process = startProcess(globalThis.process.execPath, [app.main, 'run', 'order-worker'], {
    ...settings,
    IDENTITY_SECRET: FLEET_SECRET,
    ORDER_WORKER_PORT: port,
  });
  expect(await process.exit).toEqual({ code: 2, signal: null });
  expect(process.output()).toContain(`Port ${port} is in use. Set ORDER_WORKER_PORT to another one.`);
});

test('demo data is loaded beside the workers, once', async () => {
  const first = command('demo-data');
  expect({ ...(await first.exit), output: first.output() }).toMatchObject(CLEAN);
  expect(first.output()).toContain('The demo data is loaded.');
  const again = command('demo-data');
  expect(await again.exit).toEqual(CLEAN);
  expect(again.output()).toContain('The demo data was there already.');
}, 60_000);

test('all stop when they are told to, and none has logged an error', async () => {
  const staying = fleet.members.filter(({ name }) => !name.endsWith(' 2'));
  const exits = await Promise.all(staying.map(async (one) => ({ name: one.name, ...(await one.end('SIGTERM')) })));
  expect(exits).toEqual(staying.map(({ name }) => ({ name, ...CLEAN })));
  const errors = fleet
    .output()
    .split('\n')
    .filter((line) => /"level":[56]0/.test(line));
  expect(errors).toEqual([]);
}, 30_000);

test('all of it in one process runs on servers too, and its summary names them without secrets', async () => {
  const ports = await portSettings();
  const all = startProcess(process.execPath, [app.main], { ...settings, ...ports, DEMO_DATA: 'on', LOG_LEVEL: 'warn' });
  await all.ready;
  await until(() => all.output().includes('└'));
  const { MYSQL_URL = '', KAFKA_BROKERS = '' } = namespace.settings;
  expect(all.output()).toContain(`mysql://${new URL(MYSQL_URL).host} `);
  expect(all.output()).toContain(`kafka://${KAFKA_BROKERS} `);
  expect(all.output()).toContain(`Namespace     ${namespace.name} `);
  await playMainFlow({
    gateway: `http://127.0.0.1:${ports.GATEWAY_PORT}`,
    rest: `http://127.0.0.1:${ports.REST_PORT}`,
  });
  expect(await all.end('SIGTERM')).toEqual(CLEAN);
}, 120_000);
