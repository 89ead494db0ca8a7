import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { LogRecord } from '../event-log/port.js';
import { silentLogger } from '../observability/logger.js';
import { Bench, userRecord } from '../outbox/messaging-tools.js';
import { reaction } from '../reactions/reaction.js';
import { createReactionRunner, type ReactionRunner } from '../reactions/runner.js';
import { DeadLetters } from './dead-letters.js';
import type { Letter, Selection } from './letter.js';
import { RowLetters } from './rows.js';

const DEAD: Selection = { state: 'dead' };

let bench: Bench;
let runners: ReactionRunner[];
let letters: DeadLetters;
/** Why the consumer `counter` cannot handle anything; null: it can. */
let broken: Error | null;

beforeEach(async () => {
  bench = await Bench.open();
  runners = [];
  broken = new Error('the price list is missing');
  letters = new DeadLetters({ sources: [rowLetters()], now: Date.now });
});

afterEach(async () => {
  await Promise.all(runners.map((runner) => runner.stop()));
  await bench.close();
});

const rowLetters = () => new RowLetters({ name: 'test', open: () => Promise.resolve(bench.database), now: Date.now });

const reacting = (consumer: string, fails: () => Error | null) =>
  reaction({
    consumer,
    topics: ['users'],
    types: ['user.created', 'user.updated'],
    async handle(tx, events) {
      await tx.insert(
        'effects',
        events.map(({ subject, sequence }) => ({ subject: `${consumer} ${subject}`, sequence })),
      );
      const failure = fails();
      if (failure !== null) throw failure;
    },
  });

async function start(retryDelaysMs: readonly number[] = []): Promise<ReactionRunner> {
  const runner = createReactionRunner({
    database: bench.database,
    outbox: bench.outbox,
    eventLog: bench.log,
    reactions: [reacting('counter', () => broken), reacting('other', () => null)],
    log: silentLogger(),
    metrics: bench.metrics,
    now: Date.now,
    retryDelaysMs,
  });
  runners.push(runner);
  await runner.start();
  return runner;
}

/** The effects of a consumer in order, as `a1`. */
async function effects(consumer = 'counter'): Promise<string[]> {
  const rows = await bench.database.read<{ subject: string; sequence: number }>('SELECT * FROM effects ORDER BY id');
  return rows
    .filter(({ subject }) => subject.startsWith(`${consumer} `))
    .map(({ subject, sequence }) => `${subject.slice(consumer.length + 1)}${sequence}`);
}

/** Ids of the dead letters, oldest first within a key, once there are so many. */
const dead = (count: number): Promise<readonly string[]> =>
  until(async () => {
    const { ids } = await letters.survey(DEAD, 1);
    return ids.length === count && ids;
  });

const all = async (): Promise<Letter[]> => {
  const found: Letter[] = [];
  for await (const letter of rowLetters().letters('all')) found.push(letter);
  return found;
};

const gone = (): Promise<boolean> => until(async () => (await all()).length === 0);

const series = (subject: string, count: number): LogRecord[] =>
  Array.from({ length: count }, (_, index) => userRecord(subject, index + 1));

test('a letter that is sent back reaches the one consumer that failed, and has its effect once', async () => {
  await bench.log.append([userRecord('a', 1)]);
  await start();
  const ids = await dead(1);
  expect(await effects('other')).toEqual(['a1']);

  broken = null;
  expect(await letters.redrive(ids)).toEqual({ changed: 1, unchanged: 0, away: [] });
  await gone();
  expect(await effects('counter')).toEqual(['a1']);
  expect(await effects('other')).toEqual(['a1']);
});

test('letters of a key are handled in the order of the log, however they are named, garbage among them', async () => {
  const unreadable = { ...userRecord('a', 2), value: 'not JSON' };
  await bench.log.append([userRecord('a', 1), unreadable, userRecord('a', 3), userRecord('a', 4)]);
  await start();
  // The other consumer cannot read it either.
  const ids = await dead(5);
  expect((await all()).filter(({ consumer }) => consumer === 'counter').map(({ offset }) => offset)).toEqual([
    0, 1, 2, 3,
  ]);

  broken = null;
  await letters.redrive([...ids].reverse());
  await until(async () => (await effects()).length === 3);
  expect(await effects()).toEqual(['a1', 'a3', 'a4']);
  // What cannot be read is dead again, and holds up nobody.
  await dead(2);
});

test('what follows a letter that was sent back waits for it', async () => {
  await bench.log.append(series('a', 2));
  const runner = await start();
  const ids = await dead(2);
  await runner.stop();
  await letters.redrive(ids);
  await bench.log.append([userRecord('a', 3), userRecord('b', 1)]);
  broken = null;
  await start();
  await gone();
  expect((await effects()).filter((effect) => effect.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
});

test('sent back twice, at once and by several, and tried by several workers, an effect happens once', async () => {
  const subjects = Array.from({ length: 15 }, (_, index) => `k${index}-`);
  await bench.log.append(subjects.flatMap((subject) => series(subject, 2)));
  await start();
  await start();
  const ids = await dead(30);
  broken = null;
  const changes = await Promise.all([letters.redrive(ids), letters.redrive(ids), letters.redrive([...ids].reverse())]);
  await gone();
  await letters.redrive(ids);
  expect(changes.reduce((sum, { changed }) => sum + changed, 0)).toBe(30);
  expect([...(await effects())].sort()).toEqual(subjects.flatMap((subject) => [`${subject}1`, `${subject}2`]).sort());
});

test('ended half way and begun anew, nothing is lost, nothing is handled twice, and keys keep their order', async () => {
  const subjects = Array.from({ length: 25 }, (_, index) => `k${index}-`);
  for (let version = 1; version <= 10; version++) {
    await bench.log.append(subjects.map((subject) => userRecord(subject, version)));
  }
  const runner = await start();
  const ids = await dead(250);
  await runner.stop();
  const killed = letters.redrive(ids, (done) => {
    if (done === 200) throw new Error('killed');
  });
  await expect(killed).rejects.toThrow('killed');
  expect((await letters.survey({ state: 'waiting' }, 1)).total).toBe(200);

  broken = null;
  await start();
  expect(await letters.redrive(ids)).toMatchObject({ changed: 50 });
  await gone();
  for (const subject of subjects) {
    const own = (await effects()).filter((effect) => effect.startsWith(subject));
    expect(own).toEqual(Array.from({ length: 10 }, (_, index) => `${subject}${index + 1}`));
  }
});

test('a letter that fails again goes through all attempts again and is dead again, with another copy', async () => {
  const relay = bench.relay();
  await relay.start();
  await bench.log.append([userRecord('a', 1)]);
  await start([5, 5]);
  const [id = ''] = await dead(1);
  expect(await letters.find(id)).toMatchObject({ attempts: 3, error: 'Error: the price list is missing' });
  broken = new Error('the price list is empty');
  await letters.redrive([id]);
  await until(async () => (await letters.find(id))?.error === 'Error: the price list is empty');
  await dead(1);
  expect(await letters.find(id)).toMatchObject({ attempts: 3, state: 'DEAD' });
  await until(() => bench.records('users.dlq').length === 2);
  await relay.stop();
});

test('a dropped letter is gone for good, also when the log brings it again; its copy stays', async () => {
  const relay = bench.relay();
  await relay.start();
  const record = userRecord('a', 1);
  await bench.log.append([record]);
  await start();
  const ids = await dead(1);
  expect(await letters.drop(ids)).toEqual({ changed: 1, unchanged: 0, away: [] });
  expect(await letters.drop(ids)).toEqual({ changed: 0, unchanged: 1, away: [] });
  broken = null;
  await bench.log.append([record, userRecord('a', 2)]);
  await until(async () => (await effects()).length > 0);
  expect(await effects()).toEqual(['a2']);
  expect(await all()).toEqual([]);
  await until(() => bench.records('users.dlq').length === 1);
  await relay.stop();
});

test('what waits for its next attempt is neither sent back nor dropped', async () => {
  await bench.log.append([userRecord('a', 1)]);
  await start([3_600_000]);
  const [waiting] = await until(async () => {
    const found = await all();
    return found.length > 0 && found;
  });
  expect(waiting).toMatchObject({ id: 'test:1', state: 'WAITING', attempts: 1 });
  expect(await letters.redrive(['test:1', 'test:2'])).toEqual({ changed: 0, unchanged: 2, away: [] });
  expect(await letters.drop(['test:1'])).toMatchObject({ changed: 0 });
  expect(await all()).toEqual([waiting]);
});

test('the gauges follow what is sent back and what is dropped', async () => {
  await bench.log.append([userRecord('a', 1), userRecord('b', 1)]);
  await start();
  const ids = await dead(2);
  const gauge = async (): Promise<number | undefined> =>
    (await bench.metrics.deadLetters.get()).values.find(({ labels }) => labels.consumer === 'counter')?.value;
  await until(async () => (await gauge()) === 2);
  broken = null;
  await letters.redrive(ids.slice(0, 1));
  await letters.drop(ids.slice(1));
  await until(async () => (await gauge()) === 0);
});

test('a survey counts what is meant by kind of error, and shows the newest without their payloads', async () => {
  const bad = { ...userRecord('c', 1), value: '{"user":{"email":"secret@example.com"}}' };
  await bench.log.append([userRecord('a', 1), userRecord('a', 2), userRecord('b', 1), bad]);
  await start();
  await dead(5);
  const survey = await letters.survey(DEAD, 2);
  expect(survey).toMatchObject({ total: 5, away: [] });
  expect(survey.newest.length).toBe(2);
  expect(survey.groups[0]).toEqual({ consumer: 'counter', error: 'Error: the price list is missing', count: 3 });
  expect(survey.groups.slice(1).map(({ consumer, count }) => [consumer, count])).toEqual(
    expect.arrayContaining([
      ['counter', 1],
      ['other', 1],
    ]),
  );
  expect(JSON.stringify(survey)).not.toContain('secret');

  const total = async (selection: Partial<Selection>): Promise<number> =>
    (await letters.survey({ ...DEAD, ...selection }, 10)).total;
  expect(await total({ consumer: 'counter' })).toBe(4);
  expect(await total({ consumer: 'counter', error: 'PRICE list' })).toBe(3);
  expect(await total({ type: 'user.updated' })).toBe(1);
  expect(await total({ key: 'a' })).toBe(2);
  expect(await total({ topic: 'orders' })).toBe(0);
  expect(await total({ olderThanMs: 3_600_000 })).toBe(0);
  expect(await total({ newerThanMs: 3_600_000 })).toBe(5);
  expect(await total({ state: 'waiting' })).toBe(0);
});

test('what stands around a letter in its key is told', async () => {
  await bench.log.append([...series('a', 3), userRecord('b', 1)]);
  await start();
  const middle = await until(async () => {
    const { ids } = await letters.survey({ ...DEAD, key: 'a' }, 1);
    return ids.length === 3 && letters.find(ids[1] ?? '');
  });
  expect(await letters.surroundings(middle)).toEqual({ handled: false, deadBefore: 1, deadAfter: 1, waiting: 0 });
});

test('an engine that is away does not keep people from the letters of the others', async () => {
  await bench.log.append([userRecord('a', 1)]);
  await start();
  const ids = await dead(1);
  const away = (): Promise<never> => Promise.reject(new EngineUnavailable('database'));
  const some = new DeadLetters({
    sources: [new RowLetters({ name: 'gone', open: away, now: Date.now }), rowLetters()],
    now: Date.now,
  });
  expect(await some.survey(DEAD, 10)).toMatchObject({ total: 1, away: ['gone'] });
  broken = null;
  expect(await some.redrive(['gone:1', ...ids])).toEqual({ changed: 1, unchanged: 0, away: ['gone'] });
  const faulty = Object.assign(rowLetters(), { redrive: () => Promise.reject(new Error('a mistake of ours')) });
  await expect(new DeadLetters({ sources: [faulty], now: Date.now }).redrive(ids)).rejects.toThrow('mistake');
});
