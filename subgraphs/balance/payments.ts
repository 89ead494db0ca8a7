/**
 * The payment book of an order: every attempt to collect its total, and what became of the money. Its events may come
 * twice and crossed. However they come, each attempt takes money at most once, and of a canceled order's money nothing
 * is kept.
 */
import { assertNever } from '../../shared/errors/errors.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import type { PaymentAttempt, PaymentMethod } from '../../shared/events/states.js';

export type { PaymentMethod } from '../../shared/events/states.js';

/** Why an attempt failed that no ledger and no provider was asked for. */
export const ORDER_CANCELED = 'ORDER_CANCELED';
export const ALREADY_PAID = 'ALREADY_PAID';

export interface Attempt extends PaymentAttempt {
  /** Whether a refund is under way; for ourselves only. */
  readonly refunding: boolean;
}

/** As kept. Version 0: nothing was published of it yet. */
export interface PaymentBook {
  readonly orderId: string;
  readonly version: number;
  readonly attempts: readonly Attempt[];
  /** Whether the order is canceled: the tombstone that a late request or capture finds. */
  readonly closed: boolean;
  readonly updatedAt: number;
}

export interface NewAttempt {
  readonly paymentId: string;
  readonly method: PaymentMethod;
  readonly accountId: string | null;
  /** Cents, the order's total. */
  readonly amount: number;
}

/** What the order asks for, and what the ledger or the provider answers. Repeats and late answers change nothing. */
export type PaymentCommand =
  | { readonly type: 'request'; readonly orderId: string; readonly attempt: NewAttempt; readonly at: number }
  /** The money was taken, from the wallet or by the provider. */
  | { readonly type: 'approve'; readonly paymentId: string; readonly reference: string | null; readonly at: number }
  /** No money was taken, and none will be for this attempt. */
  | { readonly type: 'decline'; readonly paymentId: string; readonly reason: string; readonly at: number }
  /** The money is back. */
  | { readonly type: 'confirmRefund'; readonly paymentId: string; readonly at: number }
  | { readonly type: 'cancel'; readonly orderId: string; readonly at: number };

/** Those named in the catalogue are published and raise the version; the others are between us and our collectors. */
export type PaymentEvent =
  | { readonly type: 'attempted'; readonly orderId: string; readonly attempt: NewAttempt; readonly at: number }
  /** To do: take the money. */
  | { readonly type: 'chargeRequested'; readonly paymentId: string; readonly at: number }
  /** To do: give the money back. */
  | {
      readonly type: 'refundRequested';
      readonly paymentId: string;
      readonly reference: string | null;
      readonly at: number;
    }
  | { readonly type: 'closed'; readonly orderId: string; readonly at: number }
  | {
      readonly type: 'payment.completed';
      readonly paymentId: string;
      readonly reference: string | null;
      readonly at: number;
    }
  | {
      readonly type: 'payment.failed';
      readonly paymentId: string;
      /** VOIDED: by a cancel, before any money was known to have moved. */
      readonly status: 'FAILED' | 'VOIDED';
      readonly reason: string;
      readonly at: number;
    }
  | { readonly type: 'payment.refunded'; readonly paymentId: string; readonly at: number };

/** The events a command leads to. Never refuses: what is late or repeated leads to none. */
export function decide(book: PaymentBook | null, command: PaymentCommand): PaymentEvent[] {
  const { at } = command;
  switch (command.type) {
    case 'request':
      return decideRequest(book, command);
    case 'approve': {
      const { paymentId, reference } = command;
      const attempt = find(book, paymentId);
      if (attempt?.status === 'REQUESTED') return [{ type: 'payment.completed', paymentId, reference, at }];
      // The cancel came while the provider was at it.
      if (attempt?.status === 'VOIDED' && !attempt.refunding) {
        return [{ type: 'refundRequested', paymentId, reference, at }];
      }
      return [];
    }
    case 'decline': {
      const { paymentId, reason } = command;
      const open = find(book, paymentId)?.status === 'REQUESTED';
      return open ? [{ type: 'payment.failed', paymentId, status: 'FAILED', reason, at }] : [];
    }
    case 'confirmRefund': {
      const { paymentId } = command;
      const attempt = find(book, paymentId);
      const due = attempt !== undefined && attempt.refunding && attempt.status !== 'REFUNDED';
      return due ? [{ type: 'payment.refunded', paymentId, at }] : [];
    }
    case 'cancel':
      if (book?.closed === true) return [];
      return [
        { type: 'closed', orderId: command.orderId, at },
        ...(book?.attempts ?? []).flatMap((one) => undo(one, at)),
      ];
    default:
      return assertNever(command);
  }
}

function decideRequest(book: PaymentBook | null, command: PaymentCommand & { type: 'request' }): PaymentEvent[] {
  const { orderId, attempt, at } = command;
  const { paymentId } = attempt;
  if (find(book, paymentId) !== undefined) return [];
  const attempted: PaymentEvent = { type: 'attempted', orderId, attempt, at };
  if (book?.closed === true) {
    return [attempted, { type: 'payment.failed', paymentId, status: 'VOIDED', reason: ORDER_CANCELED, at }];
  }
  // The order has one attempt open at a time; should it ever have two, it is still paid once.
  if (book?.attempts.some(({ status }) => status === 'REQUESTED' || status === 'COMPLETED') === true) {
    return [attempted, { type: 'payment.failed', paymentId, status: 'FAILED', reason: ALREADY_PAID, at }];
  }
  return attempt.amount === 0
    ? [attempted, { type: 'payment.completed', paymentId, reference: null, at }]
    : [attempted, { type: 'chargeRequested', paymentId, at }];
}

/** What a cancel does to an attempt. */
function undo({ paymentId, status, amount, reference }: Attempt, at: number): PaymentEvent[] {
  switch (status) {
    case 'REQUESTED':
      return [{ type: 'payment.failed', paymentId, status: 'VOIDED', reason: ORDER_CANCELED, at }];
    case 'COMPLETED':
      return amount === 0
        ? [{ type: 'payment.refunded', paymentId, at }]
        : [{ type: 'refundRequested', paymentId, reference, at }];
    case 'FAILED':
    case 'VOIDED':
    case 'REFUNDED':
      return [];
    default:
      return assertNever(status);
  }
}

const find = (book: PaymentBook | null, paymentId: string): Attempt | undefined =>
  book?.attempts.find((attempt) => attempt.paymentId === paymentId);

/** The attempt that an event is about. */
export function attemptOf(book: PaymentBook, paymentId: string): Attempt {
  const attempt = find(book, paymentId);
  if (attempt === undefined) throw new Error(`order ${book.orderId} has no payment ${paymentId}`);
  return attempt;
}

/** The book after an event. */
export function evolve(book: PaymentBook | null, event: PaymentEvent): PaymentBook {
  if (event.type === 'attempted' || event.type === 'closed') {
    const { orderId, at } = event;
    const known = book ?? { orderId, version: 0, attempts: [], closed: false, updatedAt: at };
    if (event.type === 'closed') return { ...known, closed: true, updatedAt: later(known, at) };
    const attempt = { ...event.attempt, status: 'REQUESTED', reference: null, reason: null, refunding: false } as const;
    return { ...known, attempts: [...known.attempts, attempt], updatedAt: later(known, at) };
  }
  if (book === null) throw new Error(`${event.type} of an order that nobody tried to pay`);
  const change = (changes: Partial<Attempt>): PaymentBook => ({
    ...book,
    version: book.version + (isPublished(event) ? 1 : 0),
    attempts: book.attempts.map((one) => (one.paymentId === event.paymentId ? { ...one, ...changes } : one)),
    updatedAt: later(book, event.at),
  });

  switch (event.type) {
    case 'chargeRequested':
      return book;
    case 'refundRequested':
      return change({ refunding: true, reference: event.reference });
    case 'payment.completed':
      return change({ status: 'COMPLETED', reference: event.reference });
    case 'payment.failed':
      return change({ status: event.status, reason: event.reason });
    case 'payment.refunded':
      return change({ status: 'REFUNDED', refunding: false });
    default:
      return assertNever(event);
  }
}

/** Clocks of several machines differ a little; a book's own times never run backwards. */
const later = (book: PaymentBook, at: number): number => Math.max(book.updatedAt, at);

type Published = Extract<PaymentEvent, { type: `payment.${string}` }>;

const isPublished = (event: PaymentEvent): event is Published => event.type.startsWith('payment.');

export interface Outcome {
  readonly book: PaymentBook | null;
  readonly happened: readonly PaymentEvent[];
  /** What the world is to hear. */
  readonly published: readonly AnyNewEvent[];
}

/** Decides and applies: the book afterwards, what is left to do, and what is to be published. */
export function apply(before: PaymentBook | null, command: PaymentCommand): Outcome {
  const published: AnyNewEvent[] = [];
  const happened = decide(before, command);
  let book = before;
  for (const event of happened) {
    book = evolve(book, event);
    if (isPublished(event)) published.push(publish(book, event));
  }
  return { book, happened, published };
}

function publish({ orderId, version, attempts, updatedAt }: PaymentBook, { type, paymentId }: Published): AnyNewEvent {
  const payments = {
    orderId,
    version,
    attempts: attempts.map(({ refunding: _, ...attempt }) => attempt),
    updatedAt,
  };
  return { type, subject: orderId, sequence: version, data: { payments, paymentId } };
}
