import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import type { Transaction } from '../database/port.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { EventType } from '../events/catalogue.js';
import type { LogRecord } from '../event-log/port.js';
import { newId } from '../ids/ids.js';
import { silentLogger } from '../observability/logger.js';
import { Bench, userRecord } from '../outbox/messaging-tools.js';
import { reaction, type EventOf } from './reaction.js';
import { createReactionRunner, type ReactionRunner, type ReactionRunnerOptions } from './runner.js';

type Handled = EventOf<'user.created' | 'user.updated'>;

let bench: Bench;
let runners: ReactionRunner[];
/** Calls of the handler, by the versions it was given, failing ones too. */
let calls: string[][];
/** Says which events fail, and how. */
let fails: (event: Handled, tx: Transaction) => Error | null;

beforeEach(async () => {
  bench = await Bench.open();
  runners = [];
  calls = [];
  fails = () => null;
});

afterEach(async () => {
  await Promise.all(runners.map((runner) => runner.stop()));
  await bench.close();
});

const name = (event: { subject: string; sequence: number }): string => `${event.subject}${event.sequence}`;

const counter = reaction({
  consumer: 'counter',
  topics: ['users'],
  types: ['user.created', 'user.updated'] satisfies EventType[],
  async handle(tx, events) {
    calls.push(events.map(name));
    await tx.insert(
      'effects',
      events.map(({ subject, sequence }) => ({ subject, sequence })),
    );
    for (const event of events) {
      const error = fails(event, tx);
      if (error) throw error;
    }
  },
});

async function started(options: Partial<ReactionRunnerOptions> = {}): Promise<ReactionRunner> {
  const runner = createReactionRunner({
    database: bench.database,
    outbox: bench.outbox,
    eventLog: bench.log,
    reactions: [counter],
    log: silentLogger(),
    metrics: bench.metrics,
    now: Date.now,
    retryDelaysMs: [10, 10, 10, 10, 10],
    ...options,
  });
  runners.push(runner);
  await runner.start();
  return runner;
}

/** Effects that happened, in order, as `a1`. */
async function effects(subject?: string): Promise<string[]> {
  const rows = await bench.database.read<{ subject: string; sequence: number }>('SELECT * FROM effects ORDER BY id');
  return rows.map(name).filter((effect) => subject === undefined || effect.startsWith(subject));
}

const parked = () =>
  bench.database.read<{ record_key: string; attempt: number; state: string; error: string | null }>(
    'SELECT record_key, attempt, state, error FROM parked ORDER BY id',
  );

const outcomes = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await bench.metrics.eventsHandled.get()).values.map(({ labels, value }) => [String(labels.outcome), value]),
  );

test('an effect happens once, however often the event comes: in a batch, in later ones, after a restart', async () => {
  const [one, two, three] = [userRecord('a', 1), userRecord('a', 2), userRecord('a', 3)];
  await bench.log.append([one, two, one, one, two]);
  const first = await started();
  await until(async () => (await effects()).length === 2);
  await bench.log.append([two, one, two]);
  await first.stop();
  await started();
  await bench.log.append([one, three, two]);
  await until(async () => (await effects()).includes('a3'));
  await bench.log.append([three, three, userRecord('a', 4)]);
  await until(async () => (await effects()).includes('a4'));
  expect(await effects()).toEqual(['a1', 'a2', 'a3', 'a4']);
  expect((await outcomes())['handled']).toBe(4);
});

test('a batch is one transaction and one call', async () => {
  await bench.log.append(['1', '2', '3'].map((version) => userRecord('a', Number(version))));
  await started();
  await until(async () => (await effects()).length === 3);
  expect(calls).toEqual([['a1', 'a2', 'a3']]);
});

test('types that the reaction did not ask for are passed over, and their content is not even read', async () => {
  const other = { ...userRecord('a', 2), value: 'not JSON' };
  await bench.log.append([{ ...other, headers: { ...other.headers, ce_type: 'user.deleted' } }, userRecord('a', 1)]);
  await started();
  await until(async () => (await effects()).length === 1);
  expect(calls).toEqual([['a1']]);
  expect(await parked()).toEqual([]);
});

/** Keys that share a partition, so that their records come in one batch. */
async function neighbours(count: number): Promise<string[]> {
  const keys = Array.from({ length: count * 60 }, (_, index) => `k${index}-`);
  await bench.log.append(keys.map((key) => ({ topic: 'products.dlq', key, value: '', headers: {} })));
  await until(() => bench.records('products.dlq').length === keys.length);
  const home = bench.records('products.dlq')[0]?.partition;
  return bench
    .records('products.dlq')
    .flatMap(({ key, partition }) => (partition === home && key ? [key] : []))
    .slice(0, count);
}

test('one poisonous event in a batch does not stop the others', async () => {
  const [good, bad, fine] = (await neighbours(3)) as [string, string, string];
  fails = ({ subject }) => (subject === bad ? new Error('poison') : null);
  await bench.log.append([good, bad, fine].map((key) => userRecord(key, 1)));
  await started({ retryDelaysMs: [600_000] });
  await until(async () => (await parked()).length === 1);
  await until(async () => (await effects()).length === 2);
  expect(await effects()).toEqual([`${good}1`, `${fine}1`]);
  expect(await parked()).toEqual([{ record_key: bad, attempt: 1, state: 'WAITING', error: 'Error: poison' }]);
});

test('a failing event is tried after every delay of the ladder, then it is dead, with a copy that tells its story', async () => {
  fails = () => new Error('no\nway');
  const relay = bench.relay();
  await relay.start();
  const record = userRecord('a', 1);
  await bench.log.append([record]);
  const delays = [20, 40, 60, 80, 100];
  const began = Date.now();
  await started({ retryDelaysMs: delays });
  await until(() => bench.records('users.dlq').length === 1);
  expect(Date.now() - began).toBeGreaterThanOrEqual(300);
  expect(calls.length).toBe(6);
  expect(await effects()).toEqual([]);
  expect(await parked()).toEqual([{ record_key: 'a', attempt: 6, state: 'DEAD', error: 'Error: no way' }]);
  const original = bench.records('users')[0];
  expect(bench.records('users.dlq')[0]).toMatchObject({
    key: 'a',
    value: record.value,
    headers: {
      ...record.headers,
      'x-error': 'Error: no way',
      'x-attempts': '6',
      'x-original-topic': 'users',
      'x-original-partition': String(original?.partition),
      'x-original-offset': String(original?.offset),
      'x-consumer': 'counter',
    },
  });
  await until(async () => (await bench.metrics.deadLetters.get()).values[0]?.value === 1);

  // Dead is dead: a repeat from the log neither works nor makes a second copy.
  fails = () => null;
  await bench.log.append([record, userRecord('a', 2)]);
  await until(async () => (await effects()).length > 0);
  await relay.drain();
  expect(await effects()).toEqual(['a2']);
  expect(bench.records('users.dlq').length).toBe(1);
  await relay.stop();
});

test('what is at hand is handled in one transaction, whatever partitions it is from', async () => {
  await bench.log.append(Array.from({ length: 100 }, (_, index) => userRecord(`k${index}-`, 1)));
  await started();
  await until(async () => (await effects()).length === 100);
  expect(calls.length).toBe(1);
});

test('one event that fails among many takes no other with it, and is found in a few tries', async () => {
  fails = ({ subject }) => (subject === 'k40-' ? new Error('never') : null);
  await bench.log.append(Array.from({ length: 100 }, (_, index) => userRecord(`k${index}-`, 1)));
  await started({ retryDelaysMs: [600_000] });
  await until(async () => (await effects()).length === 99);
  await until(async () => (await parked()).length === 1);
  expect(await parked()).toMatchObject([{ record_key: 'k40-', attempt: 1, state: 'WAITING' }]);
  // Seven halvings, two tries each.
  expect(calls.length).toBeLessThanOrEqual(15);
});

test('events of a key keep their order behind a parked one, while other keys go on', async () => {
  let broken = true;
  fails = ({ subject, sequence }) => (broken && subject === 'a' && sequence === 1 ? new Error('not yet') : null);
  await started({ retryDelaysMs: Array.from({ length: 1_000 }, () => 5) });
  await bench.log.append([userRecord('a', 1), userRecord('a', 2)]);
  await until(async () => (await parked()).length === 2);
  await bench.log.append([userRecord('a', 3), userRecord('b', 1)]);
  await until(async () => (await effects()).includes('b1') && (await parked()).length === 3);
  await bench.log.append([userRecord('a', 4)]);
  broken = false;
  await until(async () => (await effects('a')).length === 4);
  await bench.log.append([userRecord('a', 5)]);
  await until(async () => (await effects('a')).length === 5);
  expect(await effects('a')).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
  expect(await parked()).toEqual([]);
});

test('what queued behind a dead event goes on', async () => {
  fails = ({ sequence }) => (sequence === 1 ? new Error('never') : null);
  await started();
  await bench.log.append([1, 2, 3].map((version) => userRecord('a', version)));
  await until(async () => (await effects()).length === 2);
  expect(await effects()).toEqual(['a2', 'a3']);
  expect(await parked()).toMatchObject([{ state: 'DEAD', attempt: 6 }]);
});

test('a parked event survives a restart, and a redelivered one is not parked twice', async () => {
  fails = () => new Error('not yet');
  const first = await started({ retryDelaysMs: [300] });
  const record = userRecord('a', 1);
  await bench.log.append([record, record]);
  await until(async () => (await parked()).length === 1);
  await first.stop();
  fails = () => null;
  await bench.log.append([record, record]);
  await started({ retryDelaysMs: [300] });
  await until(async () => (await effects()).length === 1);
  await bench.log.append([record, userRecord('a', 2)]);
  await until(async () => (await effects()).includes('a2'));
  expect(await effects()).toEqual(['a1', 'a2']);
  expect(await parked()).toEqual([]);
});

test('what can never be read is dead at once, with one copy, and holds up nobody', async () => {
  const relay = bench.relay();
  await relay.start();
  const valid = userRecord('a', 1);
  const garbage: LogRecord[] = [
    { ...valid, value: '{' },
    { ...valid, value: '{"user":{}}' },
    { ...valid, headers: {} },
    { ...valid, headers: { ...valid.headers, ce_type: 'user.exploded' } },
    { ...valid, key: 'k'.repeat(500), value: 'x'.repeat(600_000) },
  ];
  await bench.log.append([...garbage, ...garbage, valid]);
  await started();
  await until(async () => (await effects()).length === 1);
  await until(() => bench.records('users.dlq').length === garbage.length);
  await relay.drain();
  expect(await effects()).toEqual(['a1']);
  expect(
    bench
      .records('users.dlq')
      .map(({ value }) => value)
      .sort(),
  ).toEqual(garbage.map(({ value }) => value).sort());
  expect(bench.records('users.dlq').every(({ headers }) => headers['x-attempts'] === '1')).toBe(true);
  expect((await parked()).map(({ state }) => state)).toEqual(garbage.map(() => 'DEAD'));
  await relay.stop();
});

test('an engine that is away counts no attempt and kills nothing', async () => {
  let away = 3;
  fails = () => (away-- > 0 ? new Error('wrapped', { cause: new EngineUnavailable('database') }) : null);
  const runner = await started({ retryDelaysMs: [] });
  await bench.log.append([userRecord('a', 1)]);
  await until(() => calls.length === 2);
  expect((await runner.checks())[0]).toMatchObject({ name: 'counter', ok: false });
  await until(async () => (await effects()).length === 1);
  expect(await parked()).toEqual([]);
  await until(async () => (await runner.checks())[0]?.ok === true);
});

test('an engine that is away during a retry counts no attempt', async () => {
  fails = () => new Error('not yet');
  await started({ retryDelaysMs: [10, 600_000] });
  let away = true;
  await bench.log.append([userRecord('a', 1)]);
  await until(async () => {
    if ((await parked()).length === 0) return false;
    fails = () => (away ? new EngineUnavailable('database') : null);
    return true;
  });
  await until(() => calls.length >= 2);
  const attempts = (await parked())[0]?.attempt ?? 0;
  away = false;
  await until(async () => (await effects()).length === 1);
  expect(attempts).toBeLessThanOrEqual(2);
  expect(await parked()).toEqual([]);
});

test('foreign event ids are unique per source only, and may be of any length', async () => {
  const from = (source: string, id: string, key: string): LogRecord => {
    const record = userRecord(key, 1, id);
    return { ...record, headers: { ...record.headers, ce_source: source } };
  };
  const long = 'i'.repeat(300);
  await bench.log.append([
    from('x', '1', 'a'),
    from('y', '1', 'b'),
    from('x', '1', 'a'),
    from('x', long, 'c'),
    from('x', long, 'c'),
  ]);
  await started();
  await until(async () => (await effects()).length === 3);
  await bench.log.append([userRecord('a', 2)]);
  await until(async () => (await effects()).length === 4);
  expect((await effects()).sort()).toEqual(['a1', 'a2', 'b1', 'c1']);
});

test('events without a key are parked and retried each for itself', async () => {
  fails = ({ subject }) => (subject === 'a' ? new Error('never') : null);
  await started({ retryDelaysMs: [600_000] });
  await bench.log.append([{ ...userRecord('a', 1), key: null }]);
  await until(async () => (await parked()).length === 1);
  await bench.log.append(Array.from({ length: 12 }, (_, index) => ({ ...userRecord(`b`, index + 1), key: null })));
  await until(async () => (await effects()).length === 12);
});

test('two reactions hear of the same event, each once', async () => {
  const other = { ...counter, consumer: 'other' };
  await started({ reactions: [counter, other] });
  await bench.log.append([userRecord('a', 1)]);
  await until(async () => (await effects()).length === 2);
  expect(() => createReactionRunner({ ...runnerOptions(), reactions: [counter, counter] })).toThrow(
    /share a consumer name/,
  );
});

const runnerOptions = (): ReactionRunnerOptions => ({
  database: bench.database,
  outbox: bench.outbox,
  eventLog: bench.log,
  reactions: [],
  log: silentLogger(),
  metrics: bench.metrics,
  now: Date.now,
});

test('with failures everywhere every event has its effect exactly once and in the order of its key', async () => {
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}-`);
  const tries = new Map<string, number>();
  fails = (event) => {
    const count = (tries.get(name(event)) ?? 0) + 1;
    tries.set(name(event), count);
    if ([10, 40, 41, 90].includes(calls.length)) return new EngineUnavailable('database');
    return count <= 3 && event.sequence % 5 === 0 ? new Error('now and then') : null;
  };
  await started({ retryDelaysMs: [2, 2, 2, 2, 2, 2, 2, 2, 2, 2] });
  const sent: LogRecord[] = [];
  for (let version = 1; version <= 15; version++) {
    const records = keys.map((key) => userRecord(key, version, newId()));
    sent.push(...records);
    await bench.log.append([...records, ...sent.filter((_, index) => index % 11 === version % 11)]);
  }
  await until(async () => (await effects()).length >= keys.length * 15 && (await parked()).length === 0);
  for (const key of keys) {
    expect(await effects(key)).toEqual(Array.from({ length: 15 }, (_, index) => `${key}${index + 1}`));
  }
});
