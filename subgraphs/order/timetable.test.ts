import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { OrderTimes } from '../../shared/config/order-times.js';
import type { OrderState } from '../../shared/events/states.js';
import { decide, evolve, type Attempt, type OrderEvent } from './order.js';
import { firstTimer, stageOf, tick, type TimerKind } from './timetable.js';

const H = 3_600_000;
const BEGUN = 1_000_000 * H;

const times: OrderTimes = { reminders: [4 * H, 12 * H, 22 * H], expiry: 24 * H, processing: null, completion: null };

const attempt: Attempt = { paymentId: 'p1', method: 'PIX', accountId: null };
const items = [{ productId: 'phone', name: 'Phone', quantity: 1, unitPrice: 100 }];
const created: OrderEvent = { type: 'order.created', id: 'o1', userId: 'u1', items, at: BEGUN };
const awaiting: OrderEvent = { type: 'order.awaiting_payment', at: BEGUN + 1 };
const requested: OrderEvent = { type: 'order.payment_requested', attempt, at: BEGUN + H };
const paid: OrderEvent = { type: 'order.paid', reference: 'r', at: BEGUN + 2 * H };
const processing: OrderEvent = { type: 'order.processing', at: BEGUN + 3 * H };
const canceled: OrderEvent = { type: 'order.canceled', reason: 'late', at: BEGUN + 3 * H };
const completed: OrderEvent = { type: 'order.completed', at: BEGUN + 5 * H };

/** `given(what happened).when(a timer, so many hours after the creation).then(what is done, and the timer after it)`. */
const given = (...events: readonly OrderEvent[]) => {
  const order = events.reduce<OrderState | null>(evolve, null) as OrderState;
  return {
    when: (kind: TimerKind, hours: number, settings: Partial<OrderTimes> = {}) => {
      const done = tick(order, kind, { ...times, ...settings }, BEGUN + hours * H);
      return {
        then: (command: object | null, next: readonly [TimerKind, number] | null): void => {
          if (command === null) expect(done.command).toBeNull();
          else expect(done.command).toMatchObject(command);
          expect(done.next).toEqual(next && { kind: next[0], dueAt: BEGUN + next[1] * H });
        },
      };
    },
    first: (hours: number, settings: Partial<OrderTimes> = {}) => {
      const timer = firstTimer(order, { ...times, ...settings }, BEGUN + hours * H);
      return timer && [timer.kind, (timer.dueAt - BEGUN) / H];
    },
  };
};

const remind = (number: number, expiresAfter: number | null = 24) => ({
  type: 'remind',
  reminder: { number, expiresAt: expiresAfter === null ? null : BEGUN + expiresAfter * H },
});
const expire = { type: 'expire' };

describe('while nobody has paid', () => {
  test('a new order is reminded of first, or expires if there are no reminders, or is left alone', () => {
    expect(given(created).first(0)).toEqual(['REMINDER_1', 4]);
    expect(given(created).first(0, { reminders: [] })).toEqual(['EXPIRY', 24]);
    expect(given(created).first(0, { expiry: null })).toEqual(['REMINDER_1', 4]);
    expect(given(created).first(0, { reminders: [], expiry: null })).toBeNull();
  });

  test('reminders follow each other, then comes the end', () => {
    given(created, awaiting).when('REMINDER_1', 4).then(remind(1), ['REMINDER_2', 12]);
    given(created, awaiting).when('REMINDER_2', 12).then(remind(2), ['REMINDER_3', 22]);
    given(created, awaiting).when('REMINDER_3', 22).then(remind(3), ['EXPIRY', 24]);
    given(created, awaiting).when('EXPIRY', 24).then(expire, null);
  });

  test('an order whose stock is not reserved yet is treated alike', () => {
    given(created).when('REMINDER_1', 4).then(remind(1), ['REMINDER_2', 12]);
    given(created).when('EXPIRY', 24).then(expire, null);
  });

  test('without an end reminders say so, and the last one is the last timer', () => {
    given(created).when('REMINDER_3', 22, { expiry: null }).then(remind(3, null), null);
  });

  test('of reminders that were missed the latest is sent', () => {
    given(created, awaiting).when('REMINDER_1', 13).then(remind(2), ['REMINDER_3', 22]);
    given(created, awaiting).when('REMINDER_1', 23.9).then(remind(3), ['EXPIRY', 24]);
  });

  test('an order that expired meanwhile is not reminded of', () => {
    given(created, awaiting).when('REMINDER_1', 24).then(expire, null);
    given(created, awaiting).when('REMINDER_2', 1_000).then(expire, null);
  });

  test('whoever is paying is not reminded, and may be later', () => {
    const order = [created, awaiting, requested].reduce<OrderState | null>(evolve, null) as OrderState;
    const { command, next } = tick(order, 'REMINDER_1', times, BEGUN + 4 * H);
    expect(command && decide(order, command)).toEqual([]);
    expect(next).toEqual({ kind: 'REMINDER_2', dueAt: BEGUN + 12 * H });
  });
});

describe('an order that is older than its timer', () => {
  test('gets what is still to come, and nothing of what is past but its end', () => {
    given(created).when('START', 0).then(null, ['REMINDER_1', 4]);
    given(created).when('START', 5).then(null, ['REMINDER_2', 12]);
    given(created).when('START', 23).then(null, ['EXPIRY', 24]);
    given(created).when('START', 30).then(expire, null);
    given(created, awaiting, requested, paid).when('START', 30).then(null, null);
  });
});

describe('settings that changed', () => {
  test('count from the next timer on', () => {
    given(created)
      .when('REMINDER_1', 4, { expiry: 3 * H })
      .then(expire, null);
    given(created)
      .when('EXPIRY', 24, { expiry: 48 * H })
      .then(null, ['EXPIRY', 48]);
    given(created).when('EXPIRY', 24, { expiry: null }).then(null, null);
    given(created)
      .when('EXPIRY', 24, { reminders: [4 * H, 30 * H], expiry: 48 * H })
      .then(null, ['REMINDER_2', 30]);
    given(created).when('REMINDER_2', 12, { reminders: [] }).then(null, ['EXPIRY', 24]);
  });

  test('send no reminder again that was sent', () => {
    given(created)
      .when('REMINDER_2', 12, { reminders: [4 * H, 20 * H] })
      .then(null, ['REMINDER_2', 20]);
    given(created)
      .when('REMINDER_2', 12, { reminders: [H, 2 * H, 3 * H, 20 * H] })
      .then(remind(3), ['REMINDER_4', 20]);
  });
});

describe('paid orders', () => {
  const own = { processing: 2 * H, completion: H };
  const isPaid = given(created, awaiting, requested, paid);
  const isProcessed = given(created, awaiting, requested, paid, processing);

  test('are left to people unless told otherwise', () => {
    expect(isPaid.first(2)).toBeNull();
    expect(isProcessed.first(3)).toBeNull();
    isPaid.when('EXPIRY', 24).then(null, null);
  });

  test('go on by themselves so long after the step before', () => {
    expect(isPaid.first(2, own)).toEqual(['PROCESSING', 4]);
    isPaid.when('PROCESSING', 4, own).then({ type: 'startProcessing' }, null);
    isPaid.when('PROCESSING', 3.5, own).then(null, ['PROCESSING', 4]);
    expect(isProcessed.first(3, own)).toEqual(['COMPLETION', 4]);
    isProcessed.when('COMPLETION', 4, own).then({ type: 'complete' }, null);
  });

  test('that an old timer finds in a later stage get that stage’s timer', () => {
    isPaid.when('REMINDER_2', 3, own).then(null, ['PROCESSING', 4]);
    isProcessed.when('PROCESSING', 3.5, own).then(null, ['COMPLETION', 4]);
  });
});

test('orders that are over are left alone, whatever timer they have', () => {
  for (const end of [
    [created, awaiting, requested, paid, processing, completed],
    [created, canceled],
  ]) {
    for (const kind of ['START', 'REMINDER_1', 'EXPIRY', 'PROCESSING', 'COMPLETION'] as const) {
      given(...end)
        .when(kind, 100, { processing: H, completion: H })
        .then(null, null);
    }
  }
});

test('however late and irregularly the clock is looked at, reminders rise, the end comes once and time passes', () => {
  const delays = fc.uniqueArray(fc.integer({ min: 1, max: 1_000 }), { maxLength: 6 });
  const looks = fc.array(fc.integer({ min: -200, max: 400 }), { maxLength: 30 });
  fc.assert(
    fc.property(delays, fc.option(fc.integer({ min: 1, max: 1_000 })), looks, (some, gap, jumps) => {
      const reminders = [...some].sort((a, b) => a - b);
      const settings = { ...times, reminders, expiry: gap === null ? null : (reminders.at(-1) ?? 0) + gap };
      let order = evolve(null, created);
      let timer = firstTimer(order, settings, BEGUN);
      const sent: number[] = [];
      let clock = BEGUN;
      // The clock is set back now and then; in the end it is late for everything.
      for (const jump of [...jumps, 10_000, 10_000]) {
        clock += jump;
        if (timer === null || timer.dueAt > clock) continue;
        const { command, next } = tick(order, timer.kind, settings, clock);
        if (next !== null) expect(next.dueAt).toBeGreaterThan(clock);
        for (const event of command === null ? [] : decide(order, command)) {
          if (event.type === 'order.payment_reminder') sent.push(event.reminder.number);
          order = evolve(order, event);
        }
        timer = stageOf(order) === 'UNPAID' ? next : firstTimer(order, settings, clock);
      }
      expect(timer).toBeNull();
      expect(sent).toEqual([...new Set(sent)].sort((a, b) => a - b));
      expect(order.status).toBe(settings.expiry === null ? 'PENDING' : 'CANCELED');
      if (settings.expiry === null && reminders.length > 0) expect(sent.at(-1)).toBe(reminders.length);
    }),
    { numRuns: 300 },
  );
});
