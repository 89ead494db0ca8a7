/** What the clock does to an order, and when. Pure: the order, the settings and the time come in as data. */
import type { OrderTimes } from '../../shared/config/order-times.js';
import type { OrderState } from '../../shared/events/states.js';
import { isUnpaid, type OrderCommand } from './order.js';

/** `START` looks at an order for the first time: at one that is older than the clock. */
export type TimerKind = 'START' | `REMINDER_${number}` | 'EXPIRY' | 'PROCESSING' | 'COMPLETION';

/** The next thing that the clock will do to an order. */
export interface Timer {
  readonly kind: TimerKind;
  /** Milliseconds since the epoch. */
  readonly dueAt: number;
}

/** What is done when a timer is due. */
export interface Tick {
  /** Null where nothing is to be done by now. */
  readonly command: OrderCommand | null;
  /** The timer after it, later than now; for an order that stays in its stage. */
  readonly next: Timer | null;
}

/** The clock deals with an order stage by stage: entering one sets its timer, leaving one ends it. */
export type Stage = 'UNPAID' | 'PAID' | 'PROCESSING' | 'OVER';

export function stageOf(order: OrderState): Stage {
  if (isUnpaid(order)) return 'UNPAID';
  return order.status === 'PAID' || order.status === 'PROCESSING' ? order.status : 'OVER';
}

/** The timer of an order that has none yet; null if the clock does nothing to it. Reminders that were due by `now` are past. */
export function firstTimer(order: OrderState, times: OrderTimes, now: number): Timer | null {
  switch (stageOf(order)) {
    case 'UNPAID':
      return nextWhileUnpaid(order, times, 1, now);
    case 'PAID':
      return after(order, 'PROCESSING', times.processing);
    case 'PROCESSING':
      return after(order, 'COMPLETION', times.completion);
    case 'OVER':
      return null;
  }
}

/**
 * What becomes of an order whose timer of that kind is due. The settings of now count, not those of when it was set. Of
 * several reminders that were missed the latest is sent, and none of those before the timer's own: they were dealt with.
 */
export function tick(order: OrderState, kind: TimerKind, times: OrderTimes, now: number): Tick {
  if (stageOf(order) !== 'UNPAID') {
    const timer = firstTimer(order, times, now);
    if (timer === null || timer.dueAt > now) return { command: null, next: timer };
    return { command: { type: timer.kind === 'PROCESSING' ? 'startProcessing' : 'complete', at: now }, next: null };
  }
  const expiresAt = expiryOf(order, times);
  if (expiresAt !== null && expiresAt <= now) return { command: { type: 'expire', at: now }, next: null };
  const own = reminderIn(kind);
  if (own === null) return { command: null, next: nextWhileUnpaid(order, times, 1, now) };
  const number = times.reminders.findLastIndex((delay) => order.createdAt + delay <= now) + 1;
  if (number < own) return { command: null, next: nextWhileUnpaid(order, times, own, now) };
  return {
    command: { type: 'remind', reminder: { number, expiresAt }, at: now },
    next: nextWhileUnpaid(order, times, number + 1, now),
  };
}

/** The first reminder still to come, `from` or a later one, or else the expiry. */
function nextWhileUnpaid(order: OrderState, times: OrderTimes, from: number, now: number): Timer | null {
  const index = times.reminders.findIndex((delay, at) => at + 1 >= from && order.createdAt + delay > now);
  const delay = times.reminders[index];
  if (delay !== undefined) return { kind: `REMINDER_${index + 1}`, dueAt: order.createdAt + delay };
  const expiresAt = expiryOf(order, times);
  return expiresAt === null ? null : { kind: 'EXPIRY', dueAt: expiresAt };
}

const expiryOf = ({ createdAt }: OrderState, { expiry }: OrderTimes): number | null =>
  expiry === null ? null : createdAt + expiry;

/** So long after the order got its status. */
const after = ({ history, updatedAt }: OrderState, kind: TimerKind, delay: number | null): Timer | null =>
  delay === null ? null : { kind, dueAt: (history.at(-1)?.at ?? updatedAt) + delay };

const reminderIn = (kind: TimerKind): number | null => {
  const [, number] = /^REMINDER_(\d+)$/.exec(kind) ?? [];
  return number === undefined ? null : Number(number);
};
