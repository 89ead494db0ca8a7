/**
 * The tools for what failed, as people use them: commands in a process of their own, beside the running system, on the
 * same files.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Database } from '../shared/database/port.js';
import { DeadLetters } from '../shared/dead-letters/dead-letters.js';
import { DocumentLetters } from '../shared/dead-letters/documents.js';
import type { LetterHead, Selection } from '../shared/dead-letters/letter.js';
import { RowLetters } from '../shared/dead-letters/rows.js';
import type { LogRecord } from '../shared/event-log/port.js';
import { newId } from '../shared/ids/ids.js';
import { buildApp, startProcess, type BuiltApp } from './process.js';
import { Shop } from './shop.js';
import { startTestSystem, type TestSystem } from './system.js';
import { until } from './until.js';

let app: BuiltApp;
let system: TestSystem;
let shop: Shop;

beforeAll(() => {
  app = buildApp();
});

afterAll(() => app.remove());

beforeEach(async () => {
  system = await startTestSystem();
  shop = new Shop(system);
});

afterEach(() => system.dispose());

const database = (subgraph: string): Database => system.databases.get(`tributary_${subgraph}`) as Database;

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** Runs `tributary` beside the system. There is no terminal, so that nobody can be asked. */
async function tributary(...args: readonly string[]): Promise<Ran> {
  const { engines } = system.config;
  if (engines.kind !== 'embedded') throw new Error('These tests run on files.');
  const child = startProcess(process.execPath, [app.main, ...args], { DATA_DIR: engines.dataDir });
  const { code } = await child.exit;
  return { code, output: child.output() };
}

async function listed(...args: readonly string[]): Promise<LetterHead[]> {
  const { output } = await tributary('dlq', 'list', '--json', ...args);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LetterHead);
}

/** How many there are, asked without a process. */
async function total(selection: Partial<Selection> = {}): Promise<number> {
  const rows = [...system.databases].map(
    ([name, one]) =>
      new RowLetters({ name: name.replace('tributary_', ''), open: () => Promise.resolve(one), now: Date.now }),
  );
  const documents = new DocumentLetters(() => Promise.resolve(system.engines.documents));
  const letters = new DeadLetters({ sources: [...rows, documents], now: Date.now });
  return (await letters.survey({ state: 'dead', ...selection }, 1)).total;
}

/** Breaks what the subgraph writes to a table, until the answered function is called. */
async function broken(subgraph: string, table: string, why: string): Promise<() => Promise<unknown>> {
  const sql = (text: string) => database(subgraph).transaction((tx) => tx.execute(text));
  await sql(`CREATE TRIGGER broken BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, '${why}'); END`);
  return () => sql('DROP TRIGGER broken');
}

/** Waits until so many rows are dead, without the pauses between attempts. */
const dead = (subgraph: string, count: number): Promise<unknown> =>
  until(async () => {
    await database(subgraph).transaction((tx) => tx.execute("UPDATE parked SET due_at = 0 WHERE state = 'WAITING'"));
    const rows = await database(subgraph).read("SELECT id FROM parked WHERE state = 'DEAD'");
    return rows.length === count;
  });

/** What happened to an order, as the timeline tells it, of one topic. */
async function told(orderId: string, topic: string): Promise<string[]> {
  const found = await system.engines.documents.find<{ type: string; topic: string; offset: number }>('timeline', {
    filter: [{ field: 'subject', is: { eq: orderId } }],
    sort: { field: 'at', direction: 'asc' },
    limit: 100,
  });
  return found
    .filter(({ doc }) => doc.topic === topic)
    .sort((a, b) => a.doc.offset - b.doc.offset)
    .map(({ doc }) => doc.type);
}

test('when the cause is gone, what failed is sent back in the order of its key and has its effect once', async () => {
  const user = await shop.user();
  const product = await shop.product({ stock: 10 });
  const repair = await broken('product', 'reservations', 'the disk quota is used up');
  const order = await shop.order(user.id, [product.id, 3]);
  await shop.cancel(order.id);
  const other = await shop.order(user.id, [product.id, 2]);
  await dead('product', 3);

  const { code, output } = await tributary('dlq', 'list');
  expect(code).toBe(0);
  expect(output).toMatch(/^3 dead letters\.$/m);
  expect(output).toContain('the disk quota is used up');
  const heads = await listed('--consumer', 'product.reservations');
  expect(heads.map(({ type }) => type).sort()).toEqual(['order.canceled', 'order.created', 'order.created']);
  expect(heads.every(({ attempts, state }) => attempts === 6 && state === 'DEAD')).toBe(true);
  const first = heads.find(({ key, type }) => key === order.id && type === 'order.created')?.id ?? '';
  const shown = (await tributary('dlq', 'show', first)).output;
  expect(shown).toContain(`"id": "${order.id}"`);
  expect(shown).toContain('Others of its key are dead too, 0 before it and 1 after it.');

  await repair();
  expect(await tributary('dlq', 'redrive', '--key', order.id, '--dry-run')).toMatchObject({
    code: 0,
    output: expect.stringContaining('It would send back 2 dead letters; nothing was changed.'),
  });
  const [one, again] = await Promise.all([
    tributary('dlq', 'redrive', '--all', '--yes'),
    tributary('dlq', 'redrive', ...heads.map(({ id }) => id)),
  ]);
  expect([one.code, again.code]).toEqual([0, 0]);
  await shop.reaches(other.id, 'AWAITING_PAYMENT');
  await until(async () => (await told(order.id, 'stock')).length === 2);
  expect(await told(order.id, 'stock')).toEqual(['stock.reserved', 'stock.released']);
  expect(await told(other.id, 'stock')).toEqual(['stock.reserved']);
  expect(await total({ state: 'all' })).toBe(0);
  expect(await tributary('dlq', 'redrive', first)).toMatchObject({ code: 0 });
  const [stock] = await database('product').read('SELECT stock, reserved FROM products WHERE id = ?', [product.id]);
  expect(stock).toEqual({ stock: 10, reserved: 2 });
});

test('more than a hundred are neither sent back nor dropped unless somebody says so', async () => {
  const id = newId();
  const poison: LogRecord[] = Array.from({ length: 60 }, (_, at) => ({
    topic: 'users',
    key: id,
    value: `not JSON ${at}`,
    headers: { ce_type: 'user.created' },
  }));
  await system.engines.eventLog.append(poison);
  // Every consumer of the topic has them.
  const all = 60 * 4;
  await until(async () => (await total()) === all);
  const consumers = new Set((await listed()).map(({ consumer }) => consumer));
  expect([...consumers].sort()).toEqual(['balance.users', 'order.users', 'query.timeline', 'query.views']);

  for (const command of ['redrive', 'drop']) {
    expect(await tributary('dlq', command, '--topic', 'users')).toMatchObject({
      code: 2,
      output: expect.stringContaining('Nothing was changed.'),
    });
  }
  for (const mistake of ['redrive', 'redrive users:x:y', 'drop --all --topic users', 'list --older-than yesterday']) {
    expect(await tributary('dlq', ...mistake.split(' '))).toMatchObject({ code: 2 });
  }
  expect(await total()).toBe(all);

  // What nobody can read comes back dead, by every consumer's own judgement.
  expect(await tributary('dlq', 'redrive', '--all', '--yes')).toMatchObject({ code: 0 });
  await until(async () => (await total()) === all);
  expect(await tributary('dlq', 'drop', '--consumer', 'query.views')).toMatchObject({ code: 0 });
  expect(await tributary('dlq', 'drop', '--all', '--yes')).toMatchObject({
    output: expect.stringContaining(`${all - 60} dead letters dropped`),
  });
  expect(await tributary('dlq', 'list', '--state', 'all')).toEqual({ code: 0, output: 'No parked messages.\n' });
  // And nothing was hurt by all this.
  await shop.user();
});

test('the outbox is told fine or stuck by its exit code, and what was set aside is sent again', async () => {
  const fine = await tributary('outbox', 'status');
  expect(fine.output).toContain('Nothing is stuck.');
  expect(fine.code).toBe(0);
  const user = await shop.user();
  const row = "UPDATE outbox SET published_at = NULL, set_aside = 1, refused = 'too large' WHERE aggregate_id = ?";
  await until(async () => {
    const [published] = await database('user').read('SELECT id FROM outbox WHERE published_at IS NOT NULL');
    return published;
  });
  await database('user').transaction((tx) => tx.execute(row, [user.id]));

  const stuck = await tributary('outbox', 'status');
  expect(stuck.code).toBe(1);
  expect(stuck.output).toContain('Stuck: tributary_user.');
  expect(stuck.output).toContain(`1 row of users ${user.id}`);
  expect((await tributary('outbox', 'retry')).code).toBe(2);
  expect((await tributary('outbox', 'retry', 'users', newId())).output).toContain('Nothing of that is set aside.');
  expect((await tributary('outbox', 'retry', 'users', user.id)).output).toContain('1 row will be sent again');
  await until(async () => {
    const left = await database('user').read('SELECT id FROM outbox WHERE published_at IS NULL');
    return left.length === 0;
  });
  expect((await tributary('outbox', 'status')).code).toBe(0);
  const lines = (await tributary('outbox', 'status', '--json')).output.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { database: 'tributary_user', reachable: true, stuck: false, waiting: 0, setAside: [] },
    { database: 'tributary_product' },
    { database: 'tributary_order' },
    { database: 'tributary_balance' },
  ]);
});

test('the system goes on while another process writes to its files', async () => {
  const user = await shop.user();
  const product = await shop.product({ stock: 1_000 });
  const poison = { topic: 'orders', key: 'poison', headers: { ce_type: 'order.created' } };
  await system.engines.eventLog.append(Array.from({ length: 80 }, (_, at) => ({ ...poison, value: `${at}` })));
  await until(async () => (await total({ topic: 'orders' })) >= 160);
  let tools = true;
  const redriving = (async () => {
    for (let round = 0; round < 3; round++) {
      const { code, output } = await tributary('dlq', 'redrive', '--topic', 'orders', '--yes');
      if (code !== 0) throw new Error(output);
    }
    tools = false;
  })();
  const orders: string[] = [];
  while (tools) {
    const { id } = await shop.order(user.id, [product.id, 1]);
    orders.push(id);
    await shop.reaches(id, 'AWAITING_PAYMENT');
  }
  await redriving;
  for (const id of orders) expect(await told(id, 'stock')).toEqual(['stock.reserved']);
  const [row] = await database('product').read<{ reserved: number }>('SELECT reserved FROM products WHERE id = ?', [
    product.id,
  ]);
  expect(row?.reserved).toBe(orders.length);
});
