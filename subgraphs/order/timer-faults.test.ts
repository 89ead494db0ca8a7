import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Database, Transaction } from '../../shared/database/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { until } from '../../tests/until.js';
import { MINUTE, paymentOf, TimerBed, TIMES } from './timer-testing.js';

const onMysql = process.env['TEST_DATABASE'] === 'mysql';

let bed: TimerBed;
beforeEach(async () => {
  bed = await TimerBed.open();
});
afterEach(() => bed.dispose());

test('an order that fails holds up no other, and is tried again', async () => {
  const ids = await bed.orders(120);
  const bad = [ids[3] ?? '', ids[77] ?? ''];
  const sound = new Map<string, string>();
  for (const id of bad) {
    sound.set(id, await bed.rawState(id));
    await bed.setRawState(id, '{ not');
  }
  const { worker, metrics } = await bed.newProcess();
  await worker.start();
  bed.clock = bed.begun + 10 * MINUTE;
  await until(async () => {
    const stories = await bed.stories();
    return ids.every((id) => stories.get(id)?.length === (bad.includes(id) ? 1 : 2));
  });
  await until(async () => {
    const timers = await bed.timers();
    return bad.every((id) => timers.get(id) === 'REMINDER_1 at 11');
  });
  const { values } = await metrics.timersFired.get();
  expect(values.find(({ labels }) => labels.outcome === 'failed')).toMatchObject({ value: 2 });
  for (const [id, state] of sound) await bed.setRawState(id, state);
  bed.clock += MINUTE;
  for (const id of bad) await until(() => bed.tells(id, ['created', 'payment_reminder 1']));
});

test('an order without a timer that fails holds up no other, whether that one has a timer or not', async () => {
  const [bad = '', without = '', due = ''] = await bed.orders(3);
  await bed.database.transaction((tx) => tx.execute('DELETE FROM timers WHERE order_id <> ?', [due]));
  await bed.setRawState(bad, '{ not');
  bed.clock = bed.begun + 10 * MINUTE;
  const { worker } = await bed.newProcess();
  await worker.start();
  await until(async () => {
    expect(await bed.timers()).toEqual(
      new Map([
        [bad, 'START at 11'],
        [without, 'REMINDER_2 at 20'],
        [due, 'REMINDER_2 at 20'],
      ]),
    );
    return true;
  });
});

test('a look for orders without a timer that takes its time holds up no timers, and is over when the worker has stopped', async () => {
  const [without = '', due = ''] = await bed.orders(2);
  await bed.database.transaction((tx) => tx.execute('DELETE FROM timers WHERE order_id = ?', [without]));
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { database } = bed;
  const slow = standIn(database, {
    read: async (sql, params) => {
      if (sql.includes('LEFT JOIN')) await held;
      return database.read(sql, params);
    },
  });
  const { worker } = await bed.newProcess(slow);
  bed.clock = bed.begun + 10 * MINUTE;
  await worker.start();
  await until(() => bed.tells(due, ['created', 'payment_reminder 1']));
  bed.clock = bed.begun + 20 * MINUTE;
  await until(() => bed.tells(due, ['created', 'payment_reminder 1', 'payment_reminder 2']));
  let stopped = false;
  const stopping = worker.stop().then(() => (stopped = true));
  await new Promise(setImmediate);
  expect(stopped).toBe(false);
  release();
  await stopping;
});

/** The database, but for some of what it does. */
const standIn = (database: Database, other: Partial<Database>): Database => ({
  dialect: database.dialect,
  dataSource: database.dataSource,
  transaction: (work) => database.transaction(work),
  read: (sql, params) => database.read(sql, params),
  migrate: () => database.migrate(),
  tryLock: (name) => database.tryLock(name),
  close: () => Promise.resolve(),
  ...other,
});

/** Lets so many statements through, and then is cut off. */
function dying(tx: Transaction, statements: number): Transaction {
  let left = statements;
  const step = <A extends readonly unknown[], T>(statement: (...all: A) => Promise<T>) => {
    return (...all: A): Promise<T> => {
      left -= 1;
      return left < 0 ? Promise.reject(new EngineUnavailable('database')) : statement(...all);
    };
  };
  const write = <A extends readonly unknown[]>(statement: (...all: A) => void) => {
    return (...all: A): void => {
      left -= 1;
      if (left < 0) throw new EngineUnavailable('database');
      statement(...all);
    };
  };
  return {
    query: step(tx.query.bind(tx)) as Transaction['query'],
    execute: step(tx.execute.bind(tx)),
    insert: step(tx.insert.bind(tx)),
    upsert: step(tx.upsert.bind(tx)),
    insertNew: step(tx.insertNew.bind(tx)),
    lock: step(tx.lock.bind(tx)) as Transaction['lock'],
    tryLock: step(tx.tryLock.bind(tx)) as Transaction['tryLock'],
    deferred: {
      insert: write(tx.deferred.insert),
      upsert: write(tx.deferred.upsert),
      execute: write(tx.deferred.execute),
    },
    afterCommit: (callback) => tx.afterCommit(callback),
  };
}

test('dying between any two steps changes nothing and loses nothing', async () => {
  const [reminded = '', expired = ''] = await bed.orders(2);
  await bed.database.transaction((tx) => tx.execute("UPDATE timers SET kind = 'EXPIRY' WHERE order_id = ?", [expired]));
  bed.clock = bed.begun + 10 * MINUTE;
  // One whose timer is followed by another, and one whose timer is the last.
  const store = bed.storeOf({ ...TIMES, reminders: [10 * MINUTE] });
  const ending = bed.storeOf({ ...TIMES, reminders: [], expiry: 10 * MINUTE });
  const look = async () => ({ stories: await bed.stories(), timers: await bed.timers() });
  const before = await look();
  let deaths = 0;
  for (let steps = 0; ; steps += 1) {
    const died = await bed.database
      .transaction(async (tx) => {
        const mortal = dying(tx, steps);
        await store.fire(mortal, [reminded], bed.clock, 100);
        await ending.fire(mortal, [expired], bed.clock, 100);
      })
      .then(() => false)
      .catch((error: unknown) => {
        if (error instanceof EngineUnavailable) return true;
        throw error;
      });
    if (!died) break;
    deaths += 1;
    expect(await look()).toEqual(before);
  }
  // Of each: orders and timers read, orders, events and timers written.
  expect(deaths).toBeGreaterThanOrEqual(10);
  const stories = new Map([
    [reminded, ['created', 'payment_reminder 1']],
    [expired, ['created', 'canceled']],
  ]);
  expect(await look()).toEqual({ stories, timers: new Map([[reminded, 'EXPIRY at 60']]) });
  // As after a commit whose answer was lost: what was done is found done.
  expect(await bed.fire([reminded, expired])).toEqual([]);
});

test('what could not be done while the database was away is done when it is back; until then the worker says how late it is', async () => {
  const [id = ''] = await bed.orders(1);
  const { database } = bed;
  let away = true;
  const flaky = standIn(database, {
    transaction: (work) => {
      if (!away) return database.transaction(work);
      return Promise.reject(new EngineUnavailable('database'));
    },
  });
  const { worker, metrics } = await bed.newProcess(flaky);
  const lateSeconds = async () => (await metrics.timersLateSeconds.get()).values[0]?.value;
  bed.clock = bed.begun + 13 * MINUTE;
  await worker.start();
  await until(async () => (await lateSeconds()) === 180);
  expect(await worker.checks()).toEqual([
    { name: 'timers', ok: true, detail: 'The oldest timer of an order is 3m late.' },
  ]);
  expect(await bed.story(id)).toEqual(['created']);
  away = false;
  await until(() => bed.tells(id, ['created', 'payment_reminder 1']));
  await until(async () => (await lateSeconds()) === 0);
  expect(await worker.checks()).toEqual([{ name: 'timers', ok: true }]);
});

test('no more orders are taken at a time than asked for', async () => {
  const ids = await bed.orders(5);
  bed.clock = bed.begun + 10 * MINUTE;
  const first = (await bed.fire(ids, 3)).map(({ orderId }) => orderId);
  expect(first).toHaveLength(3);
  const left = ids.filter((id) => !first.includes(id));
  expect((await bed.fire(left, 3)).map(({ orderId }) => orderId).sort()).toEqual(left.sort());
});

(onMysql ? test : test.skip)('an order that somebody is changing is left to the next look', async () => {
  const [held = '', free = ''] = await bed.orders(2);
  bed.clock = bed.begun + 10 * MINUTE;
  const rival = (await bed.newProcess()).database;
  await rival.transaction(async (tx) => {
    await tx.lock('orders', 'id', [held]);
    expect((await bed.fire([held, free])).map(({ orderId }) => orderId)).toEqual([free]);
  });
  expect((await bed.fire([held, free])).map(({ orderId }) => orderId)).toEqual([held]);
});

test('the payment and the end of an order in the same instant: one of the two, as a whole, every time', async () => {
  const ids = await bed.orders(onMysql ? 300 : 90);
  await Promise.all(ids.map((id) => bed.pay(id)));
  bed.clock = bed.begun + 60 * MINUTE;
  const rival = (await bed.newProcess()).database;
  for (let from = 0; from < ids.length; from += 30) {
    const some = ids.slice(from, from + 30);
    const reported = some.map((orderId) => {
      const report = { type: 'paymentCompleted', paymentId: paymentOf(orderId), reference: null } as const;
      return { orderId, report: { ...report, at: bed.clock }, traceparent: null };
    });
    // From both ends, so that they meet somewhere.
    const paying = async (): Promise<void> => {
      for (let at = 0; at < reported.length; at += 5) {
        await rival.transaction((tx) => bed.store.report(tx, reported.slice(at, at + 5)));
      }
    };
    const expiring = async (): Promise<void> => {
      for (let at = some.length; at > 0; at -= 5) await bed.fire(some.slice(at - 5, at));
    };
    await Promise.all([paying(), expiring()]);
  }
  const stories = await bed.stories();
  const ends = new Map<string, number>();
  for (const id of ids) {
    const { status, cancelReason, version } = await bed.order(id);
    ends.set(status, (ends.get(status) ?? 0) + 1);
    expect([status, cancelReason, stories.get(id)?.at(-1), version]).toEqual(
      status === 'PAID' ? ['PAID', null, 'paid', 4] : ['CANCELED', 'PAYMENT_EXPIRED', 'canceled', 4],
    );
  }
  expect([...ends.keys()].sort()).toEqual(['CANCELED', 'PAID']);
  // Paid orders wait for their next step, the others for nothing.
  expect((await bed.timers()).size).toBe(ends.get('PAID'));
}, 120_000);
