/** Every event there is: its type, its topic and what it carries. docs/asyncapi.json is generated from this file. */
import { z } from 'zod';
import type { TopicSpec } from '../event-log/port.js';
import {
  accountState,
  orderState,
  paymentsState,
  productState,
  reservationState,
  transactionState,
  userState,
} from './states.js';

const DAY = 86_400_000;

/**
 * One topic per aggregate, so that the log itself keeps each aggregate's events in order. Partitions are fixed at
 * creation: raising them later would break the order of keys and the cursors of subscriptions.
 */
export const TOPICS = {
  users: { partitions: 12, keyed: true },
  products: { partitions: 12, keyed: true },
  stock: { partitions: 12, keyed: true },
  orders: { partitions: 12, keyed: true },
  payments: { partitions: 12, keyed: true },
  accounts: { partitions: 12, keyed: true },
  /** Wire format of the Full Cycle "Wallet Core": no key. */
  transactions: { partitions: 1, keyed: false },
  balances: { partitions: 1, keyed: false },
} as const;

export type Topic = keyof typeof TOPICS;

export const deadLetterTopic = (topic: string): string => `${topic}.dlq`;

/** Every topic with its dead-letter topic, as the log must have them. */
export function topicSpecs(retentionMs = 30 * DAY): TopicSpec[] {
  return Object.entries(TOPICS).flatMap(([name, { partitions }]) => [
    { name, partitions, retentionMs },
    { name: deadLetterTopic(name), partitions, retentionMs },
  ]);
}

const event = <T extends Topic, S extends z.ZodType>(topic: T, summary: string, schema: S) => ({
  topic,
  summary,
  schema,
});

/**
 * What is, told again at its version while views are rebuilt. Nothing happened, so nobody but the views takes notice:
 * reactions, timeline and subscriptions pass over it.
 */
const snapshot = <T extends Topic, S extends z.ZodType>(topic: T, summary: string, schema: S) =>
  event(topic, `Nothing happened: for views that are being rebuilt. ${summary}`, schema);

const user = z.object({ user: userState });
const product = z.object({ product: productState });
const stock = z.object({ reservation: reservationState });
const order = z.object({ order: orderState });
const payment = z.object({ payments: paymentsState, paymentId: z.string() });

/** Full Cycle's wallet reads and writes amounts and balances as JSON numbers in currency units, not cents. */
const units = z.number();

export const CATALOGUE = {
  'user.created': event('users', 'A user exists.', user),
  'user.updated': event('users', 'Name, e-mail, role or verification changed.', user),
  'user.verification_requested': event(
    'users',
    'Whoever reads mail at the address of a user is to confirm it; the id alone opens nothing.',
    user.extend({ verification: z.object({ id: z.string(), expiresAt: z.int().nonnegative() }) }),
  ),
  'user.deleted': event('users', 'A user is gone; personal data is cleared.', user),
  'user.snapshot': snapshot('users', 'A user as it is, deleted or not.', user),

  'product.created': event('products', 'A product can be ordered.', product),
  'product.updated': event('products', 'Name, description, price or stock was set.', product),
  'product.deleted': event('products', 'A product is no longer sold.', product),
  'product.stock_changed': event('products', 'Orders reserved, released or consumed stock.', product),
  'product.snapshot': snapshot('products', 'A product as it is, deleted or not.', product),

  'stock.reserved': event('stock', 'All items of an order are reserved.', stock),
  'stock.rejected': event('stock', 'An order cannot be served; nothing is reserved.', stock),
  'stock.released': event('stock', 'What an order had reserved is free again.', stock),
  'stock.consumed': event('stock', 'What an order had reserved has left the warehouse.', stock),

  'order.created': event('orders', 'A customer ordered; stock is not yet reserved.', order),
  'order.awaiting_payment': event('orders', 'The stock is reserved.', order),
  'order.payment_kept': event(
    'orders',
    'A payment was asked for and waits for the stock; nothing is to be collected yet.',
    order,
  ),
  'order.payment_requested': event('orders', 'A payment attempt is to be made now.', order),
  'order.payment_refunded': event('orders', 'The payment of a canceled order went back to the customer.', order),
  'order.payment_failed': event('orders', 'A payment attempt failed; another may follow.', order),
  'order.paid': event('orders', 'The money is there.', order),
  'order.payment_reminder': event(
    'orders',
    'Nobody has paid yet; the customer is to be reminded.',
    order.extend({
      /** Counts from 1; `expiresAt` is when the order is canceled unpaid, null if it never is. */
      reminder: z.object({ number: z.int().positive(), expiresAt: z.int().nonnegative().nullable() }),
    }),
  ),
  'order.processing': event('orders', 'The order is being prepared.', order),
  'order.completed': event('orders', 'The customer has the goods.', order),
  'order.canceled': event('orders', 'The order ended unfulfilled; the reason is in its history.', order),
  'order.deleted': event('orders', 'A finished order is no longer shown.', order),
  'order.snapshot': snapshot('orders', 'An order as it is, deleted or not.', order),

  'payment.completed': event('payments', 'A payment attempt succeeded.', payment),
  'payment.failed': event('payments', 'A payment attempt failed or was voided by a cancel.', payment),
  'payment.refunded': event('payments', 'A completed payment was given back.', payment),

  'account.created': event('accounts', 'An account exists, empty.', z.object({ account: accountState })),
  'account.balance_changed': event(
    'accounts',
    'A transaction moved money into or out of an account.',
    z.object({ account: accountState, transaction: transactionState }),
  ),
  'account.snapshot': snapshot('accounts', 'An account as it is.', z.object({ account: accountState })),
  'transaction.snapshot': snapshot(
    'accounts',
    'A transaction as it was made, under the account that the money came from.',
    z.object({ transaction: transactionState }),
  ),

  TransactionCreated: event(
    'transactions',
    'A transfer between two accounts, for readers of the Wallet Core format.',
    z.object({
      Name: z.literal('TransactionCreated'),
      Payload: z.object({ id: z.string(), account_id_from: z.string(), account_id_to: z.string(), amount: units }),
    }),
  ),
  BalanceUpdated: event(
    'balances',
    'Both balances after a transfer, for readers of the Wallet Core format.',
    z.object({
      Name: z.literal('BalanceUpdated'),
      Payload: z.object({
        account_id_from: z.string(),
        account_id_to: z.string(),
        balance_account_id_from: units,
        balance_account_id_to: units,
      }),
    }),
  ),
} as const;

export type EventType = keyof typeof CATALOGUE;
export type EventData<T extends EventType> = z.infer<(typeof CATALOGUE)[T]['schema']>;

export const isEventType = (type: string): type is EventType => Object.hasOwn(CATALOGUE, type);

export type SnapshotType = Extract<EventType, `${string}.snapshot`>;

/** See `snapshot` above. */
export const isSnapshot = (type: string): type is SnapshotType => isEventType(type) && type.endsWith('.snapshot');
