import { parseDuration } from '../time/duration.js';

/** What happens to orders by the clock alone. All in milliseconds; null is never. */
export interface OrderTimes {
  /** When customers are reminded of an order that nobody has paid, after its creation; ascending, before `expiry`. */
  readonly reminders: readonly number[];
  /** When an order that nobody has paid is canceled, after its creation. */
  readonly expiry: number | null;
  /** When a paid order goes to PROCESSING by itself, after its payment. */
  readonly processing: number | null;
  /** When an order that is PROCESSING goes to COMPLETED by itself, after that. */
  readonly completion: number | null;
}

export interface OrderTimesEnvironment {
  readonly ORDER_REMINDERS: string;
  readonly ORDER_EXPIRY: string;
  readonly ORDER_PROCESSING_AFTER: string;
  readonly ORDER_COMPLETION_AFTER: string;
}

const OFF = 'off';
const MAX_REMINDERS = 20;

const delayOf = (value: string): number | null => (value === OFF ? null : parseDuration(value));
const delaysOf = (value: string): (number | null)[] => (value === OFF ? [] : value.split(',').map(parseDuration));

export function orderTimesOf(e: OrderTimesEnvironment): OrderTimes {
  return {
    reminders: delaysOf(e.ORDER_REMINDERS).filter((delay) => delay !== null),
    expiry: delayOf(e.ORDER_EXPIRY),
    processing: delayOf(e.ORDER_PROCESSING_AFTER),
    completion: delayOf(e.ORDER_COMPLETION_AFTER),
  };
}

/** What is wrong with a length of time that may be off; undefined when nothing is. */
export function wrongDelay(value: string): string | undefined {
  const delay = delayOf(value);
  if (value === OFF || (delay !== null && delay > 0)) return undefined;
  return 'must be off, or a number with s, m, h or d behind it, for example 24h';
}

/** What is wrong with ORDER_REMINDERS. */
export function wrongReminders(value: string): string | undefined {
  const delays = delaysOf(value);
  const sound = delays.every((delay, at) => delay !== null && delay > (delays[at - 1] ?? 0));
  if (sound && delays.length <= MAX_REMINDERS) return undefined;
  return `must be off, or up to ${MAX_REMINDERS} lengths of time, each longer than the one before, for example 4h,12h,22h`;
}

/** Reminders of an order that is canceled already would help nobody. */
export function wrongTimes(
  e: OrderTimesEnvironment,
): { readonly variable: string; readonly wrong: string } | undefined {
  const { reminders, expiry } = orderTimesOf(e);
  const last = reminders.at(-1);
  if (expiry === null || last === undefined || last < expiry) return undefined;
  return {
    variable: 'ORDER_REMINDERS',
    wrong: `must all come before ORDER_EXPIRY, ${e.ORDER_EXPIRY}; leave later ones out, or set ORDER_REMINDERS=off`,
  };
}
