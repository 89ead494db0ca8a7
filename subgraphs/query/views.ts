import { PARKED, type ParkedDoc } from '../../shared/dead-letters/letter.js';
import type { CollectionSpec, DocumentStore } from '../../shared/document-store/port.js';
import { assertNever } from '../../shared/errors/errors.js';
import type { Positions, StoredRecord } from '../../shared/event-log/port.js';
import type { Topic } from '../../shared/events/catalogue.js';
import type { AnyEvent } from '../../shared/events/event.js';
import type {
  AccountState,
  OrderState,
  ProductState,
  TransactionState,
  UserState,
} from '../../shared/events/states.js';
import type { Check } from '../../shared/service/service.js';
import { searchWords } from '../../shared/validation/text.js';

/** `search` are the words a list is searched by, `sortName` the name as lists are sorted by it: without case and accents. */
export type UserDoc = UserState & { readonly search: readonly string[]; readonly sortName: string };
export type ProductDoc = ProductState & {
  readonly search: readonly string[];
  readonly sortName: string;
  /** Stored, because the filter `inStock` compares it. */
  readonly available: number;
};
export type OrderDoc = OrderState;
/** `origin` is set by readers where a foreign Wallet Core speaks for the account: see wallet-core-accounts.ts. */
export type AccountDoc = Omit<AccountState, 'kind'> & { readonly origin?: 'foreign' };
/** One per side of a transaction, so that an account's list is one equality and one sort, and its count is right. */
export type TransactionDoc = TransactionState & { readonly accountId: string };

/** Collections that repeat what the write side knows. A deleted aggregate keeps its document, with `deleted: true`. */
export interface Views {
  readonly users: UserDoc;
  readonly products: ProductDoc;
  readonly orders: OrderDoc;
  readonly accounts: AccountDoc;
  readonly transactions: TransactionDoc;
}

export type ViewName = keyof Views;

export const VIEWS = ['users', 'products', 'orders', 'accounts', 'transactions'] as const satisfies readonly ViewName[];

export const isView = (collection: string): collection is ViewName => (VIEWS as readonly string[]).includes(collection);

/**
 * What a foreign Wallet Core last said of an account, in version `offset + 1` of its record. No view: nothing here can
 * publish it again, so a rebuild leaves it alone.
 */
export interface ForeignAccountDoc {
  readonly id: string;
  /** Cents. */
  readonly balance: number;
  /** Version that the account had here when this was taken; 0: none. Whatever is newer here was said later. */
  readonly replaces: number;
  /** When it was first heard of. Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** An event as the log has it. */
export interface TimelineDoc {
  readonly type: AnyEvent['type'];
  readonly source: string;
  /** The aggregate. Stock and payments bear their order's id, so that one id gives an order's whole story. */
  readonly subject: string;
  readonly version: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Identity of the log: offsets of another one mean nothing here. */
  readonly log: string;
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  /** Whose order, account or record it is; null where the event does not say. */
  readonly userId: string | null;
  readonly data: unknown;
}

/** How far a consumer has come in a partition: everything before `next` is in its documents. */
export interface ProgressDoc {
  readonly log: string;
  readonly consumer: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

export const FOREIGN_ACCOUNTS = 'foreign_accounts';
export const TIMELINE = 'timeline';
export const PROGRESS = 'progress';
export { PARKED, type ParkedDoc };

/** Every index serves one shape of query: equalities first, then what it is sorted by. */
export const COLLECTIONS: readonly CollectionSpec[] = [
  { name: 'users', indexes: [{ fields: ['deleted', 'createdAt'] }, { fields: ['deleted', 'sortName'] }] },
  {
    name: 'products',
    indexes: [
      { fields: ['deleted', 'createdAt'] },
      { fields: ['deleted', 'sortName'] },
      { fields: ['deleted', 'price'] },
    ],
  },
  {
    name: 'orders',
    indexes: [
      { fields: ['deleted', 'createdAt'] },
      { fields: ['deleted', 'total'] },
      { fields: ['status', 'deleted', 'createdAt'] },
      // After the one by status: of two that fit a query alike SQLite takes the later, and one user's orders are few.
      { fields: ['userId', 'deleted', 'createdAt'] },
    ],
  },
  { name: 'accounts', indexes: [{ fields: ['userId', 'createdAt'] }] },
  { name: 'transactions', indexes: [{ fields: ['accountId', 'createdAt'] }] },
  { name: FOREIGN_ACCOUNTS, indexes: [] },
  {
    name: TIMELINE,
    indexes: [{ fields: ['subject', 'at'] }, { fields: ['userId', 'topic', 'partition', 'offset'] }],
  },
  { name: PROGRESS, indexes: [] },
  { name: PARKED, indexes: [{ fields: ['consumer', 'state', 'at'] }] },
];

/** Where the events of the views come from. On `balances`, ours only repeat what `accounts` says: it is read for the foreign ones. */
export const VIEW_TOPICS: readonly Topic[] = ['users', 'products', 'orders', 'accounts', 'balances'];

/** A document to be put, unless the same or a newer version is there. */
export interface Put {
  readonly collection: string;
  readonly id: string;
  readonly version: number;
  readonly doc: object;
}

function put<V extends ViewName>(collection: V, id: string, version: number, doc: Views[V]): Put {
  return { collection, id, version, doc };
}

/**
 * The documents that an event makes or renews. It needs nothing but the event, which carries the whole state, and the
 * newest version wins: whatever comes twice, late or in another order ends in the same documents.
 */
export function project(event: AnyEvent): readonly Put[] {
  switch (event.type) {
    case 'user.created':
    case 'user.updated':
    case 'user.verification_requested':
    case 'user.deleted':
    case 'user.snapshot': {
      const { user } = event.data;
      return [put('users', user.id, user.version, userDoc(user))];
    }
    case 'product.created':
    case 'product.updated':
    case 'product.deleted':
    case 'product.stock_changed':
    case 'product.snapshot': {
      const { product } = event.data;
      return [put('products', product.id, product.version, productDoc(product))];
    }
    case 'order.created':
    case 'order.awaiting_payment':
    case 'order.payment_kept':
    case 'order.payment_requested':
    case 'order.payment_refunded':
    case 'order.payment_failed':
    case 'order.payment_reminder':
    case 'order.paid':
    case 'order.processing':
    case 'order.completed':
    case 'order.canceled':
    case 'order.deleted':
    case 'order.snapshot': {
      const { order } = event.data;
      return [put('orders', order.id, order.version, order)];
    }
    case 'account.created':
    case 'account.snapshot': {
      const { account } = event.data;
      return [put('accounts', account.id, account.version, account)];
    }
    case 'account.balance_changed': {
      const { account, transaction } = event.data;
      // The other account's event makes the other side.
      return [put('accounts', account.id, account.version, account), sideOf(transaction, account.id)];
    }
    case 'transaction.snapshot': {
      const { transaction } = event.data;
      return [sideOf(transaction, transaction.fromAccountId), sideOf(transaction, transaction.toAccountId)];
    }
    case 'stock.reserved':
    case 'stock.rejected':
    case 'stock.released':
    case 'stock.consumed':
    case 'payment.completed':
    case 'payment.failed':
    case 'payment.refunded':
    case 'TransactionCreated':
    case 'BalanceUpdated':
      return [];
    default:
      return assertNever(event);
  }
}

/** A transaction in the list of one of its accounts. It never changes. */
const sideOf = (transaction: TransactionState, accountId: string): Put =>
  put('transactions', `${transaction.id}:${accountId}`, 1, { ...transaction, accountId });

const sortName = (name: string): string => searchWords(name).join(' ');

function userDoc(user: UserState): UserDoc {
  return { ...user, search: searchWords(`${user.name} ${user.email}`), sortName: sortName(user.name) };
}

function productDoc(product: ProductState): ProductDoc {
  return {
    ...product,
    search: searchWords(product.name),
    sortName: sortName(product.name),
    available: product.stock - product.reserved,
  };
}

/**
 * The event's entry in the timeline. Its version is always 1, so the first one put stays: a relay that appends an event
 * again puts it behind its first copy in the same partition, and partitions are read in order, so what stays is the
 * entry with the lowest offset.
 */
export function timelineEntry(event: AnyEvent, record: StoredRecord, logId: string): Put {
  const doc: TimelineDoc = {
    type: event.type,
    source: event.source,
    subject: event.subject,
    version: event.sequence,
    at: event.time,
    log: logId,
    topic: record.topic as Topic,
    partition: record.partition,
    offset: record.offset,
    userId: userOf(event),
    data: event.data,
  };
  return { collection: TIMELINE, id: event.id, version: 1, doc };
}

function userOf({ data }: AnyEvent): string | null {
  if ('user' in data) return data.user.id;
  if ('order' in data) return data.order.userId;
  if ('account' in data) return data.account.userId;
  return null;
}

/** A consumer's watermark. Its version is the offset itself, so a member that lags behind cannot move it back. */
export function progressOf(progress: ProgressDoc): Put {
  const { log, consumer, topic, partition, next } = progress;
  return { collection: PROGRESS, id: `${log}:${consumer}:${topic}:${partition}`, version: next, doc: progress };
}

/** Consumer groups. Permanent: under another name the whole log is read again. */
export const VIEWS_GROUP = 'query.views';
export const TIMELINE_GROUP = 'query.timeline';

/**
 * How far a consumer group has come on a topic: partition to the offset it will read next. What every event before it
 * makes is in the documents, or the record is parked. A partition without any record is absent.
 */
export async function watermark(
  documents: DocumentStore,
  logId: string,
  group: string,
  topic: Topic,
): Promise<Positions> {
  const found = await documents.find<ProgressDoc>(PROGRESS, {
    filter: [{ field: 'id', is: { prefix: `${logId}:${group}:${topic}:` } }],
    sort: { field: 'id', direction: 'asc' },
    limit: 10_000,
  });
  return new Map(found.map(({ doc }) => [doc.partition, doc.next]));
}

/** For /readyz of API and worker. */
export async function checkDocuments(documents: DocumentStore): Promise<Check> {
  const ok = await documents.ping().then(
    () => true,
    () => false,
  );
  return { name: 'document store', ok };
}
