/** The rules of an order: what may happen to it, and what it is afterwards. No clock, no ids, no I/O: all comes in as data. */
import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { EventData } from '../../shared/events/catalogue.js';
import type { OrderItem, OrderPayment, OrderState, OrderStatus, PaymentMethod } from '../../shared/events/states.js';

/** A payment that somebody asked for. Each attempt has an id of its own; all payment events carry it. */
export interface Attempt {
  readonly paymentId: string;
  readonly method: PaymentMethod;
  /** The account to pay from, for WALLET only. */
  readonly accountId: string | null;
}

/** Which reminder to pay it is, from 1 on, and when the order will be canceled if nobody does; null: never. */
export type Reminder = EventData<'order.payment_reminder'>['reminder'];

/** What people ask for; refused with an AppError when it is not possible. */
export type OrderRequest =
  | {
      readonly type: 'create';
      readonly id: string;
      readonly userId: string;
      readonly items: readonly OrderItem[];
      readonly at: number;
    }
  | { readonly type: 'pay'; readonly attempt: Attempt; readonly at: number }
  | { readonly type: 'cancel'; readonly reason: string; readonly at: number }
  | { readonly type: 'startProcessing' | 'complete' | 'delete'; readonly at: number };

/** What stock and payments report; passed over when it is repeated, late or about something else. Never refused. */
export type OrderReport =
  | { readonly type: 'stockReserved' | 'stockRejected'; readonly at: number }
  | {
      readonly type: 'paymentCompleted';
      readonly paymentId: string;
      readonly reference: string | null;
      readonly at: number;
    }
  | { readonly type: 'paymentFailed'; readonly paymentId: string; readonly reason: string | null; readonly at: number }
  | { readonly type: 'paymentRefunded'; readonly paymentId: string; readonly at: number };

/** What it is time for; passed over where somebody has paid or canceled. Never refused. */
export type OrderTick =
  | { readonly type: 'remind'; readonly reminder: Reminder; readonly at: number }
  | { readonly type: 'expire'; readonly at: number };

export type OrderCommand = OrderRequest | OrderReport | OrderTick;

/** What happened; `at` is milliseconds since the epoch. The types are those of shared/events/catalogue.ts. */
export type OrderEvent =
  | {
      readonly type: 'order.created';
      readonly id: string;
      readonly userId: string;
      readonly items: readonly OrderItem[];
      readonly at: number;
    }
  | { readonly type: 'order.payment_kept' | 'order.payment_requested'; readonly attempt: Attempt; readonly at: number }
  | { readonly type: 'order.paid'; readonly reference: string | null; readonly at: number }
  | { readonly type: 'order.payment_failed'; readonly reason: string | null; readonly at: number }
  | { readonly type: 'order.canceled'; readonly reason: string; readonly at: number }
  | { readonly type: 'order.payment_reminder'; readonly reminder: Reminder; readonly at: number }
  | {
      readonly type:
        'order.awaiting_payment' | 'order.payment_refunded' | 'order.processing' | 'order.completed' | 'order.deleted';
      readonly at: number;
    };

/** The cancel reason of an order that could not be served. */
export const INSUFFICIENT_STOCK = 'INSUFFICIENT_STOCK';

/** The cancel reason of an order that nobody paid in time. */
export const PAYMENT_EXPIRED = 'PAYMENT_EXPIRED';

/** Each failure stays in the history, and an event carries all of it: this keeps events far below what the outbox takes. */
export const MAX_FAILED_PAYMENTS = 50;

const failedPayments = (order: OrderState): number =>
  order.history.filter(({ status }) => status === 'AWAITING_PAYMENT').length - 1;

/** Whether nobody has paid the order yet, and somebody still may. */
export const isUnpaid = ({ status }: OrderState): boolean => status === 'PENDING' || status === 'AWAITING_PAYMENT';

/** Whether an attempt may still bring money. */
export const isOpen = (payment: OrderPayment | null): boolean =>
  payment?.status === 'WAITING_FOR_STOCK' || payment?.status === 'REQUESTED';

/**
 * What a command makes happen to an order; null is one that does not exist yet.
 * @throws AppError NOT_FOUND, INVALID_STATE or CONFLICT for requests that are not possible. Reports and ticks never throw.
 */
export function decide(order: OrderState | null, command: OrderCommand): OrderEvent[] {
  switch (command.type) {
    case 'create': {
      if (order !== null) throw new AppError('CONFLICT', 'There is an order with this id.', { field: 'id' });
      const { id, userId, items, at } = command;
      return [{ type: 'order.created', id, userId, items, at }];
    }
    case 'pay':
    case 'cancel':
    case 'startProcessing':
    case 'complete':
    case 'delete':
      if (order === null || order.deleted) throw new AppError('NOT_FOUND', 'There is no such order.', { field: 'id' });
      return decideRequest(order, command);
    case 'remind':
    case 'expire':
      return order !== null && isUnpaid(order) ? decideTick(order, command) : [];
    default:
      return order === null ? [] : decideReport(order, command);
  }
}

function decideTick({ payment }: OrderState, tick: OrderTick): OrderEvent[] {
  const { at } = tick;
  switch (tick.type) {
    case 'remind':
      // Who is paying at this moment need not be told to.
      return isOpen(payment) ? [] : [{ type: 'order.payment_reminder', reminder: tick.reminder, at }];
    case 'expire':
      // An attempt that is under way ends with it; should it bring money all the same, the balance subgraph gives it back.
      return [{ type: 'order.canceled', reason: PAYMENT_EXPIRED, at }];
    default:
      return assertNever(tick);
  }
}

function decideRequest(order: OrderState, command: Exclude<OrderRequest, { type: 'create' }>): OrderEvent[] {
  const { at } = command;
  const only = (possible: boolean, what: string): void => {
    if (!possible)
      throw new AppError('INVALID_STATE', `An order that is ${order.status} cannot be ${what}.`, { field: 'id' });
  };
  switch (command.type) {
    case 'pay':
      only(isUnpaid(order), 'paid');
      if (isOpen(order.payment))
        throw new AppError('INVALID_STATE', 'A payment of this order is under way.', { field: 'id' });
      if (failedPayments(order) >= MAX_FAILED_PAYMENTS) {
        throw new AppError('INVALID_STATE', 'Too many payments of this order failed; cancel it and order anew.', {
          field: 'id',
        });
      }
      return [
        {
          type: order.status === 'PENDING' ? 'order.payment_kept' : 'order.payment_requested',
          attempt: command.attempt,
          at,
        },
      ];
    case 'cancel':
      only(isUnpaid(order) || order.status === 'PAID', 'canceled');
      return [{ type: 'order.canceled', reason: command.reason, at }];
    case 'startProcessing':
      only(order.status === 'PAID', 'processed');
      return [{ type: 'order.processing', at }];
    case 'complete':
      only(order.status === 'PROCESSING', 'completed');
      return [{ type: 'order.completed', at }];
    case 'delete':
      only(order.status === 'COMPLETED' || order.status === 'CANCELED', 'deleted');
      return [{ type: 'order.deleted', at }];
    default:
      return assertNever(command);
  }
}

function decideReport(order: OrderState, report: OrderReport): OrderEvent[] {
  const { payment } = order;
  const { at } = report;
  switch (report.type) {
    case 'stockReserved':
      // After a cancel the product subgraph gives the stock back by itself.
      if (order.status !== 'PENDING') return [];
      return payment?.status === 'WAITING_FOR_STOCK'
        ? [
            { type: 'order.awaiting_payment', at },
            { type: 'order.payment_requested', attempt: attemptOf(payment), at },
          ]
        : [{ type: 'order.awaiting_payment', at }];
    case 'stockRejected':
      return order.status === 'PENDING' ? [{ type: 'order.canceled', reason: INSUFFICIENT_STOCK, at }] : [];
    case 'paymentCompleted':
      // After a cancel the attempt is no longer open here, and the balance subgraph refunds by itself.
      return isCurrent(payment, report.paymentId) && payment?.status === 'REQUESTED'
        ? [{ type: 'order.paid', reference: report.reference, at }]
        : [];
    case 'paymentFailed':
      return isCurrent(payment, report.paymentId) && payment?.status === 'REQUESTED'
        ? [{ type: 'order.payment_failed', reason: report.reason, at }]
        : [];
    case 'paymentRefunded':
      // Deleted ones too: whoever reads the events is to know where the money went.
      return order.status === 'CANCELED' && isCurrent(payment, report.paymentId) && payment?.status !== 'REFUNDED'
        ? [{ type: 'order.payment_refunded', at }]
        : [];
    default:
      return assertNever(report);
  }
}

const isCurrent = (payment: OrderPayment | null, paymentId: string): boolean => payment?.paymentId === paymentId;

const attemptOf = ({ paymentId, method, accountId }: OrderPayment): Attempt => ({ paymentId, method, accountId });

/** The order after an event; its version is one higher. Events of an order that was not created are a mistake and throw. */
export function evolve(order: OrderState | null, event: OrderEvent): OrderState {
  if (event.type === 'order.created') {
    const { id, userId, at } = event;
    return {
      id,
      version: 1,
      userId,
      status: 'PENDING',
      items: [...event.items],
      total: totalOf(event.items),
      payment: null,
      cancelReason: null,
      history: [{ version: 1, status: 'PENDING', at, reason: null }],
      deleted: false,
      createdAt: at,
      updatedAt: at,
    };
  }
  if (order === null) throw new Error(`${event.type} of an order that was never created.`);
  // Clocks of several machines differ a little; an order's own times never run backwards.
  const at = Math.max(event.at, order.updatedAt);
  const next: OrderState = { ...order, version: order.version + 1, updatedAt: at };
  const reached = (status: OrderStatus, reason: string | null = null): OrderState => ({
    ...next,
    status,
    history: [...order.history, { version: next.version, status, at, reason }],
  });
  const paymentIs = (change: Partial<OrderPayment>): OrderPayment => {
    if (order.payment === null) throw new Error(`${event.type} of an order without a payment.`);
    return { ...order.payment, ...change };
  };
  switch (event.type) {
    case 'order.awaiting_payment':
      return reached('AWAITING_PAYMENT');
    case 'order.payment_kept':
      return { ...next, payment: { ...event.attempt, status: 'WAITING_FOR_STOCK', reference: null } };
    case 'order.payment_requested':
      return { ...next, payment: { ...event.attempt, status: 'REQUESTED', reference: null } };
    case 'order.paid':
      return { ...reached('PAID'), payment: paymentIs({ status: 'COMPLETED', reference: event.reference }) };
    case 'order.payment_failed':
      return { ...reached('AWAITING_PAYMENT', event.reason), payment: paymentIs({ status: 'FAILED' }) };
    case 'order.payment_reminder':
      return next;
    case 'order.payment_refunded':
      return { ...next, payment: paymentIs({ status: 'REFUNDED' }) };
    case 'order.canceled':
      return {
        ...reached('CANCELED', event.reason),
        cancelReason: event.reason,
        // The cancel ends an open attempt. Should it have brought money all the same, the refund is reported later.
        payment: isOpen(order.payment) ? paymentIs({ status: 'FAILED' }) : order.payment,
      };
    case 'order.processing':
      return reached('PROCESSING');
    case 'order.completed':
      return reached('COMPLETED');
    case 'order.deleted':
      return { ...next, deleted: true };
    default:
      return assertNever(event);
  }
}

/** Cents. With the limits of createOrder it stays an exact number. */
export const totalOf = (items: readonly OrderItem[]): number =>
  items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);

/** What an event of an order carries; `order` is the state after it. */
export const toData = (order: OrderState, event: OrderEvent): EventData<OrderEvent['type']> =>
  event.type === 'order.payment_reminder' ? { order, reminder: event.reminder } : { order };
