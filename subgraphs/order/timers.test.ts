import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { MINUTE, NEVER, TimerBed, TIMES } from './timer-testing.js';

const DAY = 86_400_000;

let bed: TimerBed;
beforeEach(async () => {
  bed = await TimerBed.open();
});
afterEach(() => bed.dispose());

describe('an order’s timer', () => {
  test('comes with the order, stays while it is being paid, and goes with the payment', async () => {
    const byPeople = bed.storeOf({ ...TIMES, processing: null });
    const [id = ''] = await bed.orders(1, byPeople);
    expect(await bed.timers()).toEqual(new Map([[id, 'REMINDER_1 at 10']]));
    bed.clock += MINUTE;
    await bed.pay(id);
    expect(await bed.timers()).toEqual(new Map([[id, 'REMINDER_1 at 10']]));
    await bed.moneyArrives(id, byPeople);
    expect(await bed.timers()).toEqual(new Map());
  });

  test('goes with a cancel, and with stock that is not there', async () => {
    const [canceled = '', rejected = ''] = await bed.orders(2);
    await bed.change(canceled, { type: 'cancel', reason: 'late' });
    const report = { type: 'stockRejected', at: bed.clock } as const;
    await bed.database.transaction((tx) => bed.store.report(tx, [{ orderId: rejected, report, traceparent: null }]));
    expect(await bed.timers()).toEqual(new Map());
  });

  test('is followed by that of the next step, and by none at the end', async () => {
    const [id = ''] = await bed.orders(1);
    await bed.pay(id);
    await bed.moneyArrives(id);
    expect(await bed.timers()).toEqual(new Map([[id, 'PROCESSING at 5']]));
    bed.clock += MINUTE;
    await bed.change(id, { type: 'startProcessing' });
    expect(await bed.timers()).toEqual(new Map([[id, 'COMPLETION at 6']]));
    await bed.change(id, { type: 'complete' });
    expect(await bed.timers()).toEqual(new Map());
  });

  test('is not there for orders that the clock does nothing to', async () => {
    await bed.orders(1, bed.storeOf(NEVER));
    expect(await bed.timers()).toEqual(new Map());
  });
});

test('the worker reminds, cancels, and moves paid orders on, each in its time', async () => {
  const [unpaid = '', paid = ''] = await bed.orders(2);
  const { worker, metrics } = await bed.newProcess();
  await worker.start();
  await bed.pay(paid);
  await bed.moneyArrives(paid);
  bed.clock = bed.begun + 5 * MINUTE;
  await until(() => bed.tells(paid, ['created', 'awaiting_payment', 'payment_requested', 'paid', 'processing']));
  bed.clock = bed.begun + 10 * MINUTE;
  await until(() => bed.tells(unpaid, ['created', 'payment_reminder 1']));
  await until(async () => (await bed.order(paid)).status === 'COMPLETED');
  bed.clock = bed.begun + 20 * MINUTE;
  await until(() => bed.tells(unpaid, ['created', 'payment_reminder 1', 'payment_reminder 2']));
  bed.clock = bed.begun + 60 * MINUTE;
  await until(() => bed.tells(unpaid, ['created', 'payment_reminder 1', 'payment_reminder 2', 'canceled']));
  expect(await bed.order(unpaid)).toMatchObject({ status: 'CANCELED', cancelReason: 'PAYMENT_EXPIRED' });
  expect(await bed.timers()).toEqual(new Map());
  await worker.stop();
  const { values } = await metrics.timersFired.get();
  expect(values.map(({ labels, value }) => `${labels.kind} ${labels.outcome} ${value}`).sort()).toEqual([
    'COMPLETION acted 1',
    'EXPIRY acted 1',
    'PROCESSING acted 1',
    'REMINDER acted 2',
  ]);
});

test('after a downtime only the latest reminder is sent', async () => {
  const [id = ''] = await bed.orders(1);
  bed.clock = bed.begun + 35 * MINUTE;
  const { worker } = await bed.newProcess();
  await worker.start();
  await until(() => bed.tells(id, ['created', 'payment_reminder 2']));
  await until(async () => (await bed.timers()).get(id) === 'EXPIRY at 60');
});

test('each thing that is due happens once, with several workers and hundreds of orders', async () => {
  const ids = await bed.orders(350);
  const processes = [await bed.newProcess(), await bed.newProcess(), await bed.newProcess()];
  for (const { worker } of processes) await worker.start();
  bed.clock = bed.begun + 10 * MINUTE;
  await until(async () => [...(await bed.stories()).values()].every((story) => story.length === 2));
  bed.clock = bed.begun + 60 * MINUTE;
  await until(async () => (await bed.timers()).size === 0);
  const stories = await bed.stories();
  for (const id of ids) expect(stories.get(id)).toEqual(['created', 'payment_reminder 1', 'canceled']);
});

test('what has been due for longest comes first, however young the order', async () => {
  const ids = await bed.orders(300);
  const first = ids.sort().slice(-100);
  await bed.database.transaction((tx) =>
    tx.execute('UPDATE timers SET due_at = due_at - 1 WHERE order_id >= ?', [first[0] ?? '']),
  );
  bed.clock = bed.begun + 10 * MINUTE;
  const { worker } = await bed.newProcess();
  await worker.start();
  await until(async () => [...(await bed.stories()).values()].every((story) => story.length === 2));
  const rows = await bed.database.read<{ aggregate_id: string }>(
    'SELECT aggregate_id FROM outbox WHERE version = 2 ORDER BY id LIMIT 100',
  );
  expect(rows.map(({ aggregate_id: id }) => id).sort()).toEqual(first);
});

test('a clock that is set back delays, one that is set forward hurries, and neither repeats or loses anything', async () => {
  const [id = ''] = await bed.orders(1);
  const { worker } = await bed.newProcess();
  await worker.start();
  bed.clock = bed.begun + 10 * MINUTE;
  await until(() => bed.tells(id, ['created', 'payment_reminder 1']));
  bed.clock = bed.begun - DAY;
  const [later = ''] = await bed.orders(1);
  await bed.change(id, { type: 'stockReserved' });
  bed.clock = bed.begun - DAY + 10 * MINUTE;
  await until(() => bed.tells(later, ['created', 'payment_reminder 1']));
  expect(await bed.story(id)).toEqual(['created', 'payment_reminder 1', 'awaiting_payment']);
  bed.clock = bed.begun + DAY;
  await until(() => bed.tells(id, ['created', 'payment_reminder 1', 'awaiting_payment', 'canceled']));
  await until(() => bed.tells(later, ['created', 'payment_reminder 1', 'canceled']));
});

describe('orders that are older than their timers', () => {
  test('get them from the migration', async () => {
    const upgrade = await bed.beforeTimers();
    const ids = new Map<string, string>();
    for (const status of ['PENDING', 'PAID', 'COMPLETED', 'CANCELED']) {
      const id = newId();
      ids.set(status, id);
      const [version, at] = [1, bed.begun];
      const history = [{ version, status, at, reason: null }];
      const about = { id, version, userId: 'u', status, items: [], total: 1, payment: null, cancelReason: null };
      const state = JSON.stringify({ ...about, history, deleted: false, createdAt: at, updatedAt: at });
      const row = { id, version, user_id: 'u', status, state, created_at: at, updated_at: at };
      await bed.database.transaction((tx) => tx.insert('orders', [row]));
    }
    await upgrade();
    expect([...(await bed.timers()).values()]).toEqual(['START at 0', 'START at 0']);
    bed.clock += MINUTE;
    expect(await bed.fire([...ids.values()])).toHaveLength(2);
    expect(await bed.timers()).toEqual(
      new Map([
        [ids.get('PENDING'), 'REMINDER_1 at 10'],
        [ids.get('PAID'), 'PROCESSING at 5'],
      ]),
    );
    expect(await bed.stories()).toEqual(new Map());
  });

  test('get them from a worker that starts, whenever in the last day they were made; the others keep theirs', async () => {
    const made = async (minutes: number, count: number): Promise<string[]> => {
      bed.clock = bed.begun + minutes * MINUTE;
      return bed.orders(count);
    };
    const expired = await made(-23 * 60, 2);
    const older = await made(-15, 2);
    const [own = '', canceled = '', ...young] = await made(0, 600);
    bed.clock += MINUTE;
    await bed.change(canceled, { type: 'cancel', reason: 'late' });
    await bed.database.transaction(async (tx) => {
      await tx.execute('DELETE FROM timers WHERE order_id <> ?', [own]);
      await tx.execute("UPDATE timers SET kind = 'REMINDER_2' WHERE order_id = ?", [own]);
    });
    const { worker } = await bed.newProcess();
    await worker.start();
    const timers = new Map([
      ...older.map((id) => [id, 'REMINDER_2 at 5'] as const),
      [own, 'REMINDER_2 at 10'] as const,
      ...young.map((id) => [id, 'REMINDER_1 at 10'] as const),
    ]);
    await until(async () => {
      expect(await bed.timers()).toEqual(timers);
      return true;
    });
    for (const id of expired) expect(await bed.story(id)).toEqual(['created', 'canceled']);
  });

  test('stay with people where the step was off when they got there', async () => {
    const byPeople = bed.storeOf({ ...TIMES, processing: null });
    bed.clock -= 30 * MINUTE;
    const [paid = ''] = await bed.orders(1, byPeople);
    await bed.pay(paid);
    await bed.moneyArrives(paid, byPeople);
    bed.clock = bed.begun;
    const [unpaid = ''] = await bed.orders(1, bed.storeOf(NEVER));
    bed.clock += MINUTE;
    const { worker } = await bed.newProcess();
    await worker.start();
    await until(async () => (await bed.timers()).get(unpaid) === 'REMINDER_1 at 10');
    // It was looked for first.
    expect(await bed.timers()).toEqual(new Map([[unpaid, 'REMINDER_1 at 10']]));
    expect((await bed.order(paid)).status).toBe('PAID');
  });
});
