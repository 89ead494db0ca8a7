import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Transaction } from '../database/port.js';
import { AppError } from '../errors/errors.js';
import { ANONYMOUS, type Identity } from '../identity/identity.js';
import { silentLogger } from '../observability/logger.js';
import { Bench } from '../outbox/messaging-tools.js';
import { createCommands, type CommandContext, type Commands } from './commands.js';
import { hashOfInput, KEY_TTL_MS } from './idempotency.js';

let bench: Bench;
let commands: Commands;
let clock: number;

beforeEach(async () => {
  bench = await Bench.open();
  clock = 1_000_000;
  commands = createCommands({ database: bench.database, now: () => clock, log: silentLogger() });
});

afterEach(() => bench.close());

const as = (identity: Identity): CommandContext => ({
  identity,
  requestId: 'request',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  log: silentLogger(),
});
const ana = as({ role: 'USER', userId: 'ana' });

/** Leaves one row per run, and answers something new each time. */
async function work(tx: Transaction): Promise<{ id: string; version: number }> {
  await tx.insert('effects', [{ subject: 'x', sequence: 1 }]);
  const [row] = await tx.query<{ n: number }>('SELECT COUNT(*) AS n FROM effects');
  return { id: 'x', version: row?.n ?? 0 };
}

const create = (input: { name?: string; idempotencyKey?: string | null }, context = ana, mutation = 'create') =>
  commands.run(context, { mutation, input, work });

const effects = (): Promise<number> => bench.count('effects');
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const conflict = expect.objectContaining({ code: 'CONFLICT', field: 'idempotencyKey' });

test('20 concurrent twins run the work once and answer alike', async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => create({ name: 'a', idempotencyKey: 'k' })));
  expect(answers).toEqual(answers.map(() => ({ id: 'x', version: 1 })));
  expect(await effects()).toBe(1);
});

test('without a key every call runs', async () => {
  await create({ name: 'a' });
  await create({ name: 'a', idempotencyKey: null });
  expect(await effects()).toBe(2);
});

test('the same key with another input is CONFLICT and changes nothing', async () => {
  await create({ name: 'a', idempotencyKey: 'k' });
  expect(await failure(create({ name: 'b', idempotencyKey: 'k' }))).toEqual(conflict);
  expect(await effects()).toBe(1);
});

test('the order of fields and absent or null ones do not make another input; values, types and the order of lists do', () => {
  const hash = hashOfInput({ a: 1, b: { c: [1, 2], d: 'x' }, idempotencyKey: 'k' });
  const absent = { b: { d: 'x', c: [1, 2], e: undefined }, a: 1, f: undefined };
  expect(hashOfInput({ idempotencyKey: 'other', ...absent })).toBe(hash);
  expect(hashOfInput({ g: null, a: 1, b: { g: null, c: [1, 2], d: 'x' } })).toBe(hash);
  const others = [{ a: '1' }, { a: null }, { b: { c: [2, 1], d: 'x' } }, { b: { c: [1, 2, null], d: 'x' } }, { z: '' }];
  for (const other of others) expect(hashOfInput({ a: 1, b: { c: [1, 2], d: 'x' }, ...other })).not.toBe(hash);
});

test('a failure is not kept: the same key may succeed later', async () => {
  const refused = commands.run(ana, {
    mutation: 'create',
    input: { idempotencyKey: 'k' },
    work: async (tx) => {
      await work(tx);
      throw new AppError('INVALID_STATE', 'Not now.');
    },
  });
  expect(await failure(refused)).toMatchObject({ code: 'INVALID_STATE' });
  expect(await effects()).toBe(0);
  expect(await create({ idempotencyKey: 'k' })).toEqual({ id: 'x', version: 1 });
});

test('a key belongs to one actor and one mutation', async () => {
  await create({ idempotencyKey: 'k' });
  await create({ idempotencyKey: 'k' }, as({ role: 'USER', userId: 'bob' }));
  await create({ idempotencyKey: 'k' }, as(ANONYMOUS));
  await create({ idempotencyKey: 'k' }, ana, 'update');
  expect(await effects()).toBe(4);
});

test('keys are compared character by character', async () => {
  const keys = ['k', 'K', 'k ', ' k', 'ké', 'ke\u0301', '😀', '"k"', '\\', '字'.repeat(255)];
  for (const idempotencyKey of keys) await create({ idempotencyKey });
  expect(await effects()).toBe(keys.length);
  for (const idempotencyKey of keys) await create({ idempotencyKey });
  expect(await effects()).toBe(keys.length);
});

test.each(['', '  ', '\u00a0\u200b', 'x'.repeat(256), 'a\nb', 'a\0b', '\ud83d'])(
  'a key that cannot be kept is VALIDATION: %j',
  async (key) => {
    expect(await failure(create({ idempotencyKey: key }))).toMatchObject({
      code: 'VALIDATION',
      field: 'idempotencyKey',
    });
    expect(await effects()).toBe(0);
  },
);

test('an answer of nothing is kept as nothing', async () => {
  const silent = () => commands.run(ana, { mutation: 'quiet', input: { idempotencyKey: 'k' }, work: async () => null });
  expect([await silent(), await silent()]).toEqual([null, null]);
});

test('after seven days a key is new again, purged or not', async () => {
  await create({ name: 'a', idempotencyKey: 'k' });
  clock += KEY_TTL_MS;
  await create({ name: 'a', idempotencyKey: 'k' });
  expect(await effects()).toBe(1);
  clock += 1;
  await create({ name: 'b', idempotencyKey: 'k' });
  await create({ name: 'b', idempotencyKey: 'k' });
  expect(await effects()).toBe(2);
  clock += KEY_TTL_MS + 1;
  expect(await commands.purge()).toBe(1);
  expect(await bench.count('idempotency_keys')).toBe(0);
});
