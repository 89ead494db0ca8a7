import type { Transaction } from '../../shared/database/port.js';
import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { PaymentAttempt } from '../../shared/events/states.js';
import type { Logger } from '../../shared/observability/logger.js';
import { reaction, type EventOf, type Reaction } from '../../shared/reactions/reaction.js';
import type { OrderReport } from './order.js';
import type { Replicas } from './replicas.js';
import type { OrderStore, Reported } from './store.js';

export interface ReactionDeps {
  readonly store: OrderStore;
  readonly replicas: Replicas;
  readonly log: Logger;
  readonly now: () => number;
}

type StockEvent = EventOf<'stock.reserved' | 'stock.rejected'>;
type PaymentEvent = EventOf<'payment.completed' | 'payment.failed' | 'payment.refunded'>;

/** Replicas: whoever needs a row that is not there yet waits for it, and most of what comes is of no interest here. */
const REPLICA_PACE_MS = 50;

/**
 * What orders do when stock and payments answer, and the replicas they decide by. The consumer names are permanent: a
 * new one would read all of history again.
 */
export function orderReactions({ store, replicas, log, now }: ReactionDeps): Reaction[] {
  const report = async (tx: Transaction, reports: readonly Reported[]): Promise<void> => {
    // Orders are written before anyone can answer them, so these answer nothing of ours; no retry would change that.
    for (const orderId of await store.report(tx, reports)) log.warn({ orderId }, 'an answer about an unknown order');
  };
  return [
    reaction({
      consumer: 'order.stock',
      topics: ['stock'],
      types: ['stock.reserved', 'stock.rejected'],
      handle: (tx, events) =>
        report(
          tx,
          events.map((event) => reported(event, stockReport(event, now()))),
        ),
    }),
    reaction({
      consumer: 'order.payments',
      topics: ['payments'],
      types: ['payment.completed', 'payment.failed', 'payment.refunded'],
      handle: (tx, events) =>
        report(
          tx,
          events.map((event) => reported(event, paymentReport(event, now()))),
        ),
    }),
    reaction({
      consumer: 'order.catalogue',
      topics: ['products'],
      paceMs: REPLICA_PACE_MS,
      // Not product.stock_changed: it changes nothing that is kept here, and there are many.
      types: ['product.created', 'product.updated', 'product.deleted'],
      handle: (tx, events) =>
        replicas.saveProducts(
          tx,
          events.map(({ data }) => data.product),
        ),
    }),
    reaction({
      consumer: 'order.users',
      topics: ['users'],
      paceMs: REPLICA_PACE_MS,
      types: ['user.created', 'user.updated', 'user.deleted'],
      handle: (tx, events) =>
        replicas.saveUsers(
          tx,
          events.map(({ data }) => data.user),
        ),
    }),
    reaction({
      consumer: 'order.accounts',
      topics: ['accounts'],
      paceMs: REPLICA_PACE_MS,
      // An account never changes hands.
      types: ['account.created'],
      handle: (tx, events) =>
        replicas.saveAccounts(
          tx,
          events.map(({ data }) => data.account),
        ),
    }),
  ] as Reaction[];
}

const reported = (event: StockEvent | PaymentEvent, report: OrderReport): Reported => ({
  orderId: event.subject,
  report,
  traceparent: event.traceparent,
});

const stockReport = ({ type }: StockEvent, at: number): OrderReport => ({
  type: type === 'stock.reserved' ? 'stockReserved' : 'stockRejected',
  at,
});

function paymentReport({ type, data }: PaymentEvent, at: number): OrderReport {
  const { paymentId } = data;
  const { reference, reason } = attemptOf(data);
  switch (type) {
    case 'payment.completed':
      return { type: 'paymentCompleted', paymentId, reference, at };
    case 'payment.failed':
      return { type: 'paymentFailed', paymentId, reason, at };
    case 'payment.refunded':
      return { type: 'paymentRefunded', paymentId, at };
    default:
      return assertNever(type);
  }
}

function attemptOf({ payments, paymentId }: PaymentEvent['data']): PaymentAttempt {
  const attempt = payments.attempts.find((one) => one.paymentId === paymentId);
  if (attempt === undefined)
    throw new AppError('INTERNAL', `A payment event names the attempt ${paymentId}, which it does not carry.`);
  return attempt;
}
