import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import { Bench, FaultyLog, userEvent, WatchedDatabase } from './messaging-tools.js';
import type { Relay } from './relay.js';

/** A poll that no test lives to see: what happens is due to a wake. */
const NEVER = { busyMs: 600_000, busyForMs: 0, idleMs: 600_000 };

let bench: Bench;
const relays: Relay[] = [];

beforeEach(async () => {
  bench = await Bench.open();
});

afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
  await bench.close();
});

async function started(options: Parameters<Bench['relay']>[0] = {}): Promise<Relay> {
  const relay = bench.relay(options);
  relays.push(relay);
  await relay.start();
  return relay;
}

const upTo = (version: number): number[] => Array.from({ length: version }, (_, index) => index + 1);

test('a commit wakes the relay; nothing polls', async () => {
  await started({ poll: NEVER });
  for (let version = 1; version <= 5; version++) {
    await bench.commit(userEvent('a', version));
    await until(() => bench.records('users').length === version);
  }
  expect(bench.versions()).toEqual({ a: upTo(5) });
});

test('events are published once, in order per aggregate, however commits and batches fall', async () => {
  const relay = await started({ poll: NEVER });
  const users = ['a', 'b', 'c', 'd', 'e'];
  for (let version = 1; version <= 40; version++) {
    await Promise.all(users.map((user) => bench.commit(userEvent(user, version))));
  }
  await relay.drain();
  await until(() => bench.records('users').length >= 200);
  expect(bench.versions()).toEqual(Object.fromEntries(users.map((user) => [user, upTo(40)])));
});

test('more rows than fit one batch are published in order', async () => {
  await bench.commit(...upTo(1_300).map((version) => userEvent('a', version)));
  const relay = await started();
  await relay.drain();
  await until(() => bench.records('users').length >= 1_300);
  expect(bench.versions()).toEqual({ a: upTo(1_300) });
});

test('rows without an announcement are found by polling', async () => {
  await started({ poll: { busyMs: 5, busyForMs: 1_000, idleMs: 5 } });
  await bench.database.transaction((tx) =>
    tx.insert('outbox', [
      { event_id: 'x', topic: 'users', record_key: 'k', aggregate_id: 'k', version: 1, payload: '{}', headers: '{}' },
    ]),
  );
  await until(() => bench.records('users').length === 1);
});

test('where nobody announced a row, closer looks follow', async () => {
  await started({ poll: { busyMs: 5, busyForMs: 600_000, idleMs: 600_000 } });
  const insert = (key: string): Promise<void> =>
    bench.database.transaction((tx) =>
      tx.insert('outbox', [
        { event_id: key, topic: 'users', record_key: key, aggregate_id: key, version: 1, payload: '{}', headers: '{}' },
      ]),
    );
  await insert('x');
  await bench.commit(userEvent('a', 1));
  await until(() => bench.records('users').length === 2);
  await insert('y');
  await until(() => bench.records('users').length === 3);
});

test('announced rows cost a look each: the relay does not look more often because of them', async () => {
  const database = new WatchedDatabase(bench.database);
  await started({ database, poll: { busyMs: 0, busyForMs: 600_000, idleMs: 600_000 }, markDelayMs: 600_000 });
  for (let version = 1; version <= 10; version++) {
    await bench.commit(userEvent('a', version));
    await until(() => bench.records('users').length === version);
  }
  // A look that finds something, and one that finds no more; and what is counted at the start.
  expect(database.reads).toBeLessThan(25);
});

test('a look says who leads, so nobody asks besides; what was read during a send has it asked again', async () => {
  const database = new WatchedDatabase(bench.database);
  await started({ database, poll: { busyMs: 1, busyForMs: 0, idleMs: 1 } });
  await bench.commit(userEvent('a', 1));
  await until(() => bench.records('users').length === 1);
  await until(() => database.reads > 30);
  expect(database.asked).toBe(0);
  await bench.commit(...Array.from({ length: 600 }, (_, index) => userEvent(`u${index}`, 1)));
  await until(() => bench.records('users').length === 601);
  expect(database.asked).toBeGreaterThan(0);
});

test('a leader that lost its lock without noticing sends nothing any more', async () => {
  const [mine, theirs] = [new WatchedDatabase(bench.database), new WatchedDatabase(bench.database)];
  const myLog = new FaultyLog(bench.log);
  const loser = await started({ database: mine, eventLog: myLog, poll: NEVER });
  await bench.commit(userEvent('a', 1));
  // Marked too: the successor repeats what is not.
  await loser.drain();
  const successor = await started({ database: theirs, poll: NEVER });
  await mine.lock?.release();
  await until(() => theirs.lock);
  for (let version = 2; version <= 5; version++) await bench.commit(userEvent('a', version));
  await successor.drain();
  await until(() => bench.records('users').length >= 5);
  expect(bench.versions()).toEqual({ a: [1, 2, 3, 4, 5] });
  expect(myLog.appends).toBe(1);
});

test('a log that is away loses nothing, repeats nothing and refuses nothing', async () => {
  bench.log.away = true;
  const relay = await started({ poll: NEVER });
  for (let version = 1; version <= 3; version++) await bench.commit(userEvent('a', version));
  await until(() => bench.log.appends >= 3);
  expect((await relay.checks())[0]).toMatchObject({ ok: false });
  expect(await bench.count('outbox WHERE published_at IS NULL AND set_aside = 0')).toBe(3);
  bench.log.away = false;
  await relay.drain();
  await until(() => bench.records('users').length >= 3);
  expect(bench.versions()).toEqual({ a: [1, 2, 3] });
  expect((await relay.checks())[0]).toMatchObject({ ok: true });
});

test('a refused row is set aside with the later ones of its aggregate, and the others flow', async () => {
  bench.log.refuses = ({ key, headers }) => key === 'bad' && headers['ce_sequence'] === '2';
  const relay = await started({ poll: NEVER });
  await bench.commit(
    userEvent('bad', 1),
    userEvent('bad', 2),
    userEvent('good', 1),
    userEvent('bad', 3),
    userEvent('good', 2),
  );
  await relay.drain();
  await bench.commit(userEvent('bad', 4), userEvent('good', 3));
  await relay.drain();
  await until(() => bench.records('users').length >= 4);
  expect(bench.versions()).toEqual({ bad: [1], good: [1, 2, 3] });
  const aside = 'SELECT version, refused FROM outbox WHERE published_at IS NULL AND set_aside = 1 ORDER BY id';
  expect(await bench.database.read(aside)).toEqual([
    { version: 2, refused: 'Not this one.' },
    { version: 3, refused: null },
    { version: 4, refused: null },
  ]);
  expect(await relay.checks()).toEqual([{ name: 'test relay', ok: true, detail: '3 rows set aside' }]);

  // A relay that starts later keeps to it, and rows sent back go out in order.
  await relay.stop();
  bench.log.refuses = () => false;
  const next = await started({ poll: NEVER });
  await bench.commit(userEvent('bad', 5));
  await next.drain();
  expect(bench.versions()).toEqual({ bad: [1], good: [1, 2, 3] });
  await bench.database.transaction((tx) => tx.execute(`UPDATE outbox SET set_aside = 0 WHERE aggregate_id = 'bad'`));
  await next.drain();
  await until(() => bench.records('users').length >= 8);
  expect(bench.versions()).toEqual({ bad: [1, 2, 3, 4, 5], good: [1, 2, 3] });
});

test('a crash between append and mark repeats rows and loses none', async () => {
  bench.log.deaf = true;
  const dying = await started({ poll: NEVER });
  await bench.commit(userEvent('a', 1), userEvent('a', 2), userEvent('b', 1));
  await until(() => bench.records('users').length >= 3);
  await dying.stop();
  expect(await bench.count('outbox WHERE published_at IS NULL')).toBe(3);
  bench.log.deaf = false;
  const before = bench.records('users').length;
  const relay = await started({ poll: NEVER });
  await bench.commit(userEvent('a', 3));
  await relay.drain();
  await until(() => bench.records('users').length >= before + 4);
  const { a = [], b = [] } = bench.versions();
  expect(a.slice(-3)).toEqual([1, 2, 3]);
  expect(b.at(-1)).toBe(1);
  expect(await bench.count('outbox WHERE published_at IS NULL')).toBe(0);
});

test('stopping marks what was published', async () => {
  const relay = await started({ poll: NEVER, markDelayMs: 600_000 });
  await bench.commit(userEvent('a', 1));
  await until(() => bench.records('users').length === 1);
  await relay.stop();
  expect(await bench.count('outbox WHERE published_at IS NULL')).toBe(0);
});

test('of two relays one publishes; the other takes over when it stops', async () => {
  const first = await started();
  const second = await started();
  await bench.commit(userEvent('a', 1));
  await first.drain();
  await first.stop();
  await bench.commit(userEvent('a', 2));
  await second.drain();
  await until(() => bench.records('users').length >= 2);
  expect(bench.versions()).toEqual({ a: [1, 2] });
});

test('the one that stands by is well, whatever it met before', async () => {
  bench.log.away = true;
  await bench.commit(userEvent('a', 1));
  const both = [await started(), await started()];
  const isWell = async (relay: Relay): Promise<boolean> => (await relay.checks()).every(({ ok }) => ok);
  for (const relay of both) await until(async () => !(await isWell(relay)));
  bench.log.away = false;
  for (const relay of both) await until(() => isWell(relay));
});

test('published rows are deleted after the retention, others never', async () => {
  bench.log.refuses = ({ key }) => key === 'bad';
  const relay = await started({ now: () => 1_000 });
  await bench.commit(userEvent('a', 1), userEvent('bad', 1), ...upTo(1_100).map((version) => userEvent('b', version)));
  await relay.drain();
  await relay.stop();
  await started({ retentionMs: 500, now: () => 2_000 });
  await until(async () => (await bench.count('outbox')) === 1);
  expect(await bench.database.read('SELECT aggregate_id FROM outbox')).toEqual([{ aggregate_id: 'bad' }]);
});

test('depth and age tell what is not published', async () => {
  bench.log.away = true;
  await bench.commit(userEvent('a', 1), userEvent('a', 2));
  const relay = await started({ now: () => Date.now() + 60_000 });
  const depth = async (): Promise<number | undefined> => (await bench.metrics.outboxDepth.get()).values[0]?.value;
  await until(async () => (await depth()) === 2);
  expect((await bench.metrics.outboxOldestSeconds.get()).values[0]?.value).toBeGreaterThanOrEqual(60);
  await relay.stop();
});
