import { notFound, validationError } from '../../shared/errors/errors.js';
import type { Condition, Versioned } from '../../shared/document-store/port.js';
import type { Topic } from '../../shared/events/catalogue.js';
import type { AccountState, OrderState, ProductState, TransactionState } from '../../shared/events/states.js';
import { noteCause } from '../../shared/graphql/cause.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { requireAccess, requireAdmin, requireUser } from '../../shared/identity/identity.js';
import { parseId } from '../../shared/ids/ids.js';
import type { QueryDeps } from '../../shared/service/service.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { byPlace, type Due, type Place } from './cursor.js';
import { follow, followed, MAX_MISSED, type Message, type Snapshot, type Source } from './follow.js';
import type { Resolvers } from './generated/schema-types.js';
import { isOpen, openOrders } from './lists.js';
import { Mailbox, MAILBOX_LIMIT } from './mailbox.js';
import { isDeleted, type ReadsOf } from './reads.js';
import { Ring, RING_CAPACITY, type Change } from './ring.js';
import type { AccountDoc } from './views.js';
import { ForeignFollower, ownCursor } from './wallet-core-follow.js';

/** Open orders that a subscription by user begins with: the newest. */
const MAX_SNAPSHOTS = 100;

/** Every order changes a product. Who watches one is shown the latest state, not each of them. */
const STOCK_PACE_MS = 50;

/** An order changes twice within some 20 ms, and others beside it. */
const ORDERS_PACE_MS = 5;

interface AccountChange {
  readonly account: AccountDoc;
  readonly transaction: TransactionState | null;
}

/** How much is kept for subscribers. */
export interface Limits {
  /** Changes of each partition at hand. */
  readonly ring: number;
  /** Changes that wait for one slow subscriber. */
  readonly waiting: number;
  /** Missed events that are delivered one by one. */
  readonly missed: number;
}

const LIMITS: Limits = { ring: RING_CAPACITY, waiting: MAILBOX_LIMIT, missed: MAX_MISSED };

export interface SubscriptionDeps extends Pick<QueryDeps, 'eventLog' | 'documents' | 'log' | 'metrics'> {
  readonly projectionWaitMs: number;
  readonly readsOf: ReadsOf;
  readonly limits?: Limits;
  /** Who keeps the accounts; this system when absent. */
  readonly walletCore?: WalletCoreMode;
}

export interface Subscriptions {
  readonly resolvers: Pick<Resolvers, 'Subscription'>;
  /** Resolves once the newest changes are at hand. */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  /** When a record was appended, milliseconds since the epoch, if it is at hand. */
  readonly appendedAt: (topic: Topic, partition: number, offset: number) => number | undefined;
  /** Open listeners, for tests. */
  readonly listening: () => number;
}

/** The subscriptions of the graph, on rings of the topics orders, products and accounts. */
export function createSubscriptions(deps: SubscriptionDeps): Subscriptions {
  const { documents, log, metrics, projectionWaitMs, readsOf, limits = LIMITS, walletCore = 'own' } = deps;
  const orders = new Ring<OrderState>(
    {
      topic: 'orders',
      paceMs: ORDERS_PACE_MS,
      read({ data }) {
        const { order } = data as { order: OrderState };
        return { item: order, keys: [EVERYTHING, orderKey(order.id), userKey(order.userId)] };
      },
    },
    deps,
    limits.ring,
  );
  const products = new Ring<ProductState>(
    {
      topic: 'products',
      paceMs: STOCK_PACE_MS,
      read({ data }) {
        const { product } = data as { product: ProductState };
        return { item: product, keys: [product.id] };
      },
    },
    deps,
    limits.ring,
  );
  const accounts = new Ring<AccountChange>(
    {
      topic: 'accounts',
      read({ data }) {
        const change = accountChange(data);
        return { item: change, keys: [change.account.id] };
      },
    },
    deps,
    limits.ring,
  );
  const rings = [orders, products, accounts];
  const foreign = new ForeignFollower(deps);

  const shared = {
    documents,
    log,
    metrics,
    waitMs: projectionWaitMs,
    maxWaiting: limits.waiting,
    maxMissed: limits.missed,
  };
  const orderSource: Source<OrderState> = {
    ...shared,
    ring: orders,
    fromTimeline: ({ data }) => (data as { order: OrderState }).order,
    isChange: isStatusChange,
    place: placeOf,
  };
  const accountSource: Source<AccountChange> = {
    ...shared,
    ring: accounts,
    fromTimeline: ({ data }) => accountChange(data),
    isChange: ({ transaction }) => transaction !== null,
    place: ({ account }) => [account.createdAt, account.id],
  };

  const allOrders = (after: string | null) => {
    if (after !== null) {
      throw validationError('after', 'All orders at once are live only; name an order or a user to resume.');
    }
    return follow(orderSource, {
      field: 'orderStatusChanged',
      key: EVERYTHING,
      inTimeline: [],
      view: async () => [],
      snapshots: null,
      after,
    });
  };

  const ordersOf = (userId: string, after: string | null) =>
    follow(orderSource, {
      field: 'orderStatusChanged',
      key: userKey(userId),
      inTimeline: [{ field: 'userId', is: { eq: userId } }],
      async view(due) {
        // Twice as many as are sent: some that the view still has for open may be closed by now.
        const found = await documents.find<OrderState>('orders', openOrders(userId, 2 * MAX_SNAPSHOTS, span(due)));
        return found.map(snapshotOf);
      },
      snapshots: newestOpen,
      after,
    });

  const oneOrder = (id: string, after: string | null) =>
    follow(orderSource, {
      field: 'orderStatusChanged',
      key: orderKey(id),
      inTimeline: [{ field: 'subject', is: { eq: id } }],
      view: async () => versioned(await documents.get<OrderState>('orders', id)),
      snapshots: (newest) => newest.filter(({ item }) => !item.deleted),
      after,
    });

  const oneAccount = (id: string, after: string | null) =>
    follow(accountSource, {
      field: 'balanceChanged',
      key: id,
      inTimeline: [{ field: 'subject', is: { eq: id } }],
      async view() {
        const found = versioned(await documents.get<AccountDoc>('accounts', id));
        return found.map((one) => ({ ...one, item: { account: one.item, transaction: null } }));
      },
      snapshots: (newest) => newest,
      after,
    });

  /** As the ring has it, the newest first to know, or else as the view has it; an id just made elsewhere is waited for. */
  const orderOf = async (context: RequestContext, id: string): Promise<OrderState> =>
    existing(orders.newest(orderKey(id)) ?? (await readsOf(context).linked('orders', id)), 'order', id);
  const productOf = async (context: RequestContext, id: string): Promise<ProductState> =>
    existing(products.newest(id) ?? (await readsOf(context).linked('products', id)), 'product', id);
  const accountOf = async (context: RequestContext, id: string): Promise<AccountDoc> =>
    existing(accounts.newest(id)?.account ?? (await readsOf(context).linked('accounts', id)), 'account', id);

  return {
    async start() {
      await Promise.all([...rings, foreign].map((one) => one.start()));
    },
    async stop() {
      await Promise.all([...rings, foreign].map((one) => one.stop()));
    },
    appendedAt: (topic, partition, offset) => rings.find((ring) => ring.topic === topic)?.appendedAt(partition, offset),
    listening: () => [...rings, foreign].reduce((sum, one) => sum + one.listening, 0),
    resolvers: {
      Subscription: {
        orderStatusChanged: {
          async subscribe(_, { orderId, userId, after = null }, context) {
            const { identity } = context;
            if (orderId != null && userId != null) {
              throw validationError('userId', 'Name an order or a user, not both.');
            }
            if (orderId != null) {
              const id = parseId(orderId, 'orderId');
              requireUser(identity);
              const order = await orderOf(context, id);
              requireAccess(identity, order.userId);
              return guarded(oneOrder(id, after));
            }
            if (userId != null) {
              const id = parseId(userId, 'userId');
              requireAccess(identity, id);
              if (identity.userId !== id) existing(await readsOf(context).linked('users', id), 'user', id);
              return guarded(ordersOf(id, after));
            }
            requireAdmin(identity);
            return guarded(allOrders(after));
          },
          resolve(guardedMessage: Guarded<Message<OrderState>>, _: object, context: RequestContext) {
            readsOf.renew(context);
            const message = opened(guardedMessage);
            if (message.item !== null) requireAccess(context.identity, message.item.userId);
            note(context, 'orderStatusChanged', message);
            return toOrderMessage(message);
          },
        },

        stockChanged: {
          async subscribe(_, { productId }, context) {
            const id = parseId(productId, 'productId');
            await productOf(context, id);
            return guarded(latest(products, id));
          },
          resolve(message: Guarded<Change<ProductState>>, _: object, context: RequestContext) {
            readsOf.renew(context);
            const change = opened(message);
            noteCause(context, 'stockChanged', change);
            const product = change.item;
            return product.deleted ? null : product;
          },
        },

        balanceChanged: {
          async subscribe(_, { accountId, after = null }, context) {
            const id = parseId(accountId, 'accountId');
            requireUser(context.identity);
            const account = await accountOf(context, id);
            requireAccess(context.identity, account.userId);
            const isForeign = walletCore === 'external' || account.origin === 'foreign';
            if (isForeign) return guarded(foreign.follow(id, after));
            return guarded(oneAccount(id, ownCursor(after)));
          },
          resolve(guardedMessage: Guarded<Message<AccountChange>>, _: object, context: RequestContext) {
            readsOf.renew(context);
            const message = opened(guardedMessage);
            if (message.item !== null) requireAccess(context.identity, message.item.account.userId);
            note(context, 'balanceChanged', message);
            return toAccountMessage(message);
          },
        },
      },
    },
  };
}

/** @throws AppError NOT_FOUND field `<what>Id`, when it is deleted too */
function existing<D extends object>(found: D | null | undefined, what: string, id: string): D {
  if (found == null || isDeleted(found)) throw notFound(what, id, `${what}Id`);
  return found;
}

/** Keys of the ring of orders. */
const EVERYTHING = '*';
const orderKey = (id: string): string => `order:${id}`;
const userKey = (id: string): string => `user:${id}`;

function accountChange(data: unknown): AccountChange {
  const { account, transaction } = data as { account: AccountState; transaction?: TransactionState };
  return { account, transaction: transaction ?? null };
}

/** Every entry of an order's history is told of once; what changes without one, a payment under way, is not. */
const isStatusChange = (order: OrderState): boolean => order.history.at(-1)?.version === order.version;

const snapshotOf = <T>({ id, version, doc }: Versioned<T>): Snapshot<T> => ({ id, version, item: doc });

const versioned = <T>(found: Versioned<T> | null): readonly Snapshot<T>[] =>
  found === null ? [] : [snapshotOf(found)];

const placeOf = ({ createdAt, id }: OrderState): Place => [createdAt, id];

/** When the orders that are due were made. */
const span = (due: Due | null): Condition => (due === null ? {} : { gte: due.upTo[0], lte: due.after[0] });

function newestOpen(orders: readonly Snapshot<OrderState>[]): readonly Snapshot<OrderState>[] {
  return orders
    .filter(({ item }) => isOpen(item))
    .sort((a, b) => byPlace(placeOf(a.item), placeOf(b.item)))
    .slice(0, MAX_SNAPSHOTS);
}

/** The states a slow subscriber missed do not matter here: only the newest of what waits is sent. */
function latest(ring: Ring<ProductState>, id: string): AsyncIterableIterator<Change<ProductState>> {
  const mailbox = new Mailbox<Change<ProductState>>(1);
  const leave = ring.listen(id, (change) => {
    mailbox.reset();
    mailbox.push(change);
  });
  return followed(mailbox, leave, async function* () {
    while (!mailbox.closed) {
      await mailbox.arrival();
      yield* mailbox.drain();
    }
  });
}

/** Snapshots and gaps are set off by whoever subscribes. */
function note(context: RequestContext, field: string, message: Message<unknown>): void {
  if ('cause' in message) noteCause(context, field, message.cause);
}

function toOrderMessage({ kind, cursor, item: order }: Message<OrderState>) {
  if (order === null) return { kind, cursor, order: null, status: null, previousStatus: null, reason: null, at: null };
  const entry = order.history.at(-1);
  return {
    kind,
    cursor,
    order,
    status: order.status,
    previousStatus: order.history.at(-2)?.status ?? null,
    reason: entry?.reason ?? null,
    at: entry?.at ?? order.updatedAt,
  };
}

function toAccountMessage({ kind, cursor, item }: Message<AccountChange>) {
  return {
    kind,
    cursor,
    account: item?.account ?? null,
    balance: item?.account.balance ?? null,
    // A snapshot says what is there, whatever led to it.
    transaction: kind === 'CHANGE' ? item.transaction : null,
    at: item?.account.updatedAt ?? null,
  };
}

/** A message, or the error that ended the subscription. */
type Guarded<T> = { readonly message: T } | { readonly error: unknown };

/**
 * A source that throws would take the whole socket with it, and everybody else's subscriptions on it; an error that is
 * the last message ends this one only.
 */
function guarded<T>(source: AsyncIterableIterator<T>): AsyncIterableIterator<Guarded<T>> {
  let failed = false;
  return {
    async next() {
      if (failed) return { done: true, value: undefined };
      try {
        const result = await source.next();
        return result.done === true
          ? { done: true, value: undefined }
          : { done: false, value: { message: result.value } };
      } catch (error) {
        failed = true;
        return { done: false, value: { error } };
      }
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function opened<T>(guarded: Guarded<T>): T {
  if ('error' in guarded) throw guarded.error;
  return guarded.message;
}
