import { notFound, validationError } from '../../shared/errors/errors.js';
import type { Versioned } from '../../shared/document-store/port.js';
import type { AnyEvent } from '../../shared/events/event.js';
import type { AccountState, OrderState, ProductState, TransactionState } from '../../shared/events/states.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { requireAccess, requireAdmin, requireUser } from '../../shared/identity/identity.js';
import { isYoung, parseId } from '../../shared/ids/ids.js';
import type { QueryDeps } from '../../shared/service/service.js';
import { follow, followed, type Message, type Snapshot, type Source } from './follow.js';
import type { Resolvers } from './generated/schema-types.js';
import { Mailbox } from './mailbox.js';
import { Ring, type Change } from './ring.js';
import { isOpen, openOrders } from './lists.js';
import { isDeleted, type AggregateView, type ReadsOf } from './reads.js';
import type { TimelineDoc } from './views.js';
import type { Waiter } from './waiter.js';

/** Open orders that a subscription by user begins with: the newest. */
const MAX_SNAPSHOTS = 100;

interface AccountChange {
  readonly account: AccountState;
  readonly transaction: TransactionState | null;
}

export interface SubscriptionDeps extends Pick<QueryDeps, 'eventLog' | 'documents' | 'log' | 'metrics' | 'now'> {
  readonly waiter: Waiter;
  readonly projectionWaitMs: number;
  readonly readsOf: ReadsOf;
}

interface Sought<D, T> {
  readonly view: AggregateView;
  readonly what: string;
  readonly id: string;
  /** The argument at fault when there is none. */
  readonly field: string;
  readonly ring: Ring<T>;
  readonly key: string;
  readonly stateOf: (item: T) => D;
}

export interface Subscriptions {
  readonly resolvers: Pick<Resolvers, 'Subscription'>;
  /** Resolves once the newest changes are at hand. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Open listeners, for tests. */
  listening(): number;
}

/** The subscriptions of the graph, on rings of the topics orders, products and accounts. */
export function createSubscriptions(deps: SubscriptionDeps): Subscriptions {
  const { eventLog, documents, log, metrics, projectionWaitMs, readsOf } = deps;
  const orders = new Ring<OrderState>(
    {
      topic: 'orders',
      read({ subject, sequence, data }) {
        const { order } = data as { order: OrderState };
        return {
          id: subject,
          version: sequence,
          item: order,
          keys: [EVERYTHING, orderKey(subject), userKey(order.userId)],
        };
      },
    },
    eventLog,
    log,
  );
  const products = new Ring<ProductState>(
    {
      topic: 'products',
      read: ({ subject, sequence, data }) => ({
        id: subject,
        version: sequence,
        item: (data as { product: ProductState }).product,
        keys: [subject],
      }),
    },
    eventLog,
    log,
  );
  const accounts = new Ring<AccountChange>(
    {
      topic: 'accounts',
      read: ({ subject, sequence, data }) => ({
        id: subject,
        version: sequence,
        item: accountChange(data),
        keys: [subject],
      }),
    },
    eventLog,
    log,
  );
  const shared = { eventLog, documents, log, metrics, waitMs: projectionWaitMs };
  const orderSource: Source<OrderState> = {
    ...shared,
    ring: orders,
    fromTimeline: ({ data }) => (data as { order: OrderState }).order,
    isChange: isStatusChange,
  };
  const accountSource: Source<AccountChange> = {
    ...shared,
    ring: accounts,
    fromTimeline: ({ data }: TimelineDoc) => accountChange(data as AnyEvent['data']),
    isChange: ({ transaction }) => transaction !== null,
  };

  /** The document, the ring's where the view lags behind; an id just made elsewhere is waited for. */
  const existing = async <D extends object, T>({
    view,
    what,
    id,
    field,
    ring,
    key,
    stateOf,
  }: Sought<D, T>): Promise<D> => {
    const recent = ring.recent(key).at(-1);
    const known = recent === undefined ? null : stateOf(recent.item);
    const waitMs = isYoung(id, deps.now()) ? projectionWaitMs : 0;
    const doc =
      known ?? ((await documents.get<D>(view, id)) ?? (await deps.waiter.waitFor<D>(view, id, 1, waitMs)))?.doc;
    if (doc === undefined || isDeleted(doc)) throw notFound(what, id, field);
    return doc;
  };

  return {
    start: async () => {
      await Promise.all([orders.start(), products.start(), accounts.start()]);
    },
    stop: async () => {
      await Promise.all([orders.stop(), products.stop(), accounts.stop()]);
    },
    listening: () => orders.listening + products.listening + accounts.listening,
    resolvers: {
      Subscription: {
        orderStatusChanged: {
          async subscribe(_, { orderId, userId, after = null }, { identity }) {
            if (orderId != null && userId != null)
              throw validationError('userId', 'Name an order or a user, not both.');
            if (orderId != null) {
              const id = parseId(orderId, 'orderId');
              requireUser(identity);
              const order = await existing({
                view: 'orders',
                what: 'order',
                id,
                field: 'orderId',
                ring: orders,
                key: orderKey(id),
                stateOf: (state) => state,
              });
              requireAccess(identity, order.userId);
              return guarded(
                follow(orderSource, {
                  field: 'orderStatusChanged',
                  key: orderKey(id),
                  inTimeline: [{ field: 'subject', is: { eq: id } }],
                  view: async () => versioned(await documents.get<OrderState>('orders', id)),
                  snapshots: (newest) => newest,
                  after,
                }),
              );
            }
            if (userId != null) {
              const id = parseId(userId, 'userId');
              requireAccess(identity, id);
              return guarded(
                follow(orderSource, {
                  field: 'orderStatusChanged',
                  key: userKey(id),
                  inTimeline: [{ field: 'userId', is: { eq: id } }],
                  view: () =>
                    documents
                      .find<OrderState>('orders', openOrders(id, MAX_SNAPSHOTS))
                      .then((found) => found.map(snapshotOf)),
                  snapshots: newestOpen,
                  after,
                }),
              );
            }
            requireAdmin(identity);
            if (after !== null)
              throw validationError('after', 'All orders at once are live only; name an order or a user to resume.');
            return guarded(
              follow(orderSource, {
                field: 'orderStatusChanged',
                key: EVERYTHING,
                inTimeline: [],
                view: async () => [],
                snapshots: null,
                after,
              }),
            );
          },
          resolve(message: Guarded<Message<OrderState>>, _: object, context: RequestContext) {
            readsOf.renew(context);
            return toOrderMessage(opened(message));
          },
        },

        stockChanged: {
          async subscribe(_, { productId }) {
            const id = parseId(productId, 'productId');
            await existing({
              view: 'products',
              what: 'product',
              id,
              field: 'productId',
              ring: products,
              key: id,
              stateOf: (state) => state,
            });
            return guarded(latest(products, id));
          },
          resolve(message: Guarded<ProductState>, _: object, context: RequestContext) {
            readsOf.renew(context);
            const product = opened(message);
            return product.deleted ? null : product;
          },
        },

        balanceChanged: {
          async subscribe(_, { accountId, after = null }, { identity }) {
            const id = parseId(accountId, 'accountId');
            requireUser(identity);
            const account = await existing({
              view: 'accounts',
              what: 'account',
              id,
              field: 'accountId',
              ring: accounts,
              key: id,
              stateOf: (item) => item.account,
            });
            requireAccess(identity, account.userId);
            return guarded(
              follow(accountSource, {
                field: 'balanceChanged',
                key: id,
                inTimeline: [{ field: 'subject', is: { eq: id } }],
                view: async () =>
                  versioned(await documents.get<AccountState>('accounts', id)).map((one) => ({
                    ...one,
                    item: { account: one.item, transaction: null },
                  })),
                snapshots: (newest) => newest,
                after,
              }),
            );
          },
          resolve(message: Guarded<Message<AccountChange>>, _: object, context: RequestContext) {
            readsOf.renew(context);
            return toAccountMessage(opened(message));
          },
        },
      },
    },
  };
}

/** Keys of the ring of orders. */
const EVERYTHING = '*';
const orderKey = (id: string): string => `order:${id}`;
const userKey = (id: string): string => `user:${id}`;

function accountChange(data: AnyEvent['data']): AccountChange {
  const { account, transaction } = data as { account: AccountState; transaction?: TransactionState };
  return { account, transaction: transaction ?? null };
}

/** Every entry of an order's history is told of once; what changes without one, a payment under way, is not. */
const isStatusChange = (order: OrderState): boolean => order.history.at(-1)?.version === order.version;

const snapshotOf = <T>({ id, version, doc }: Versioned<T>): Snapshot<T> => ({ id, version, item: doc });

const versioned = <T>(found: Versioned<T> | null): readonly Snapshot<T>[] =>
  found === null ? [] : [snapshotOf(found)];

function newestOpen(orders: readonly Snapshot<OrderState>[]): readonly Snapshot<OrderState>[] {
  return orders
    .filter(({ item }) => isOpen(item))
    .sort((a, b) => b.item.createdAt - a.item.createdAt || (a.id < b.id ? 1 : -1))
    .slice(0, MAX_SNAPSHOTS);
}

/** The states a slow subscriber missed do not matter here: only the newest of what waits is sent. */
function latest(ring: Ring<ProductState>, id: string): AsyncIterableIterator<ProductState> {
  const mailbox = new Mailbox<Change<ProductState>>();
  const leave = ring.listen(id, (change) => {
    mailbox.reset();
    mailbox.push(change);
  });
  return followed(mailbox, leave, async function* () {
    while (!mailbox.closed) {
      await mailbox.arrival();
      for (const { item } of mailbox.drain()) yield item;
    }
  });
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
    transaction: item?.transaction ?? null,
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
