/** The order subgraph on engines of its own in a temporary folder, for its tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../shared/config/config.js';
import type { Database } from '../../shared/database/port.js';
import { testDatabases } from '../../shared/database/testing.js';
import type { EventLog } from '../../shared/event-log/port.js';
import { openSqliteEventLog } from '../../shared/event-log/sqlite.js';
import { topicSpecs } from '../../shared/events/catalogue.js';
import { fromRecord, toRecord, type AnyEvent, type AnyNewEvent } from '../../shared/events/event.js';
import type { AccountState, OrderState, ProductState, UserState } from '../../shared/events/states.js';
import { GRAPHQL_PATH } from '../../shared/graphql/server.js';
import { IDENTITY_HEADER, signIdentity, type Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { buildOrder } from './app.js';
import { Replicas } from './replicas.js';
import { OrderStore } from './store.js';

const SECRET = 'a secret that only gateway and subgraphs of this test know';

export const admin: Identity = { role: 'ADMIN', userId: '0190a000-0000-7000-8000-000000000001' };
export const user = (userId: string): Identity => ({ role: 'USER', userId });

export const productState = (product: Partial<ProductState> & { id: string }): ProductState => ({
  version: 1,
  name: 'Phone',
  description: '',
  price: 599_999,
  stock: 10,
  reserved: 0,
  deleted: false,
  createdAt: 1,
  updatedAt: 1,
  ...product,
});

export const userState = (one: Partial<UserState> & { id: string }): UserState => ({
  version: 1,
  name: 'Ana',
  email: 'ana@example.com',
  role: 'USER',
  locale: 'EN',
  verified: true,
  deleted: false,
  createdAt: 1,
  updatedAt: 1,
  ...one,
});

export const accountState = (account: Partial<AccountState> & { id: string }): AccountState => ({
  version: 1,
  userId: null,
  kind: 'USER',
  balance: 0,
  createdAt: 1,
  updatedAt: 1,
  ...account,
});

export interface Answer {
  readonly data?: Record<string, never> | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions: { readonly code: string; readonly field?: string; readonly version?: number };
  }[];
}

export type OrderTestbed = Awaited<ReturnType<typeof startOrder>>;

interface StartOptions {
  readonly worker: boolean;
  /** By their environment variables. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts the API, and the worker too if asked; without it nothing is published and nothing reacts. */
export async function startOrder({ worker, settings }: StartOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-order-'));
  const eventLog = openSqliteEventLog({ file: join(folder, 'event-log.sqlite') });
  await eventLog.ensureTopics(topicSpecs());
  const databases = await testDatabases();
  const opened: Database[] = [];
  const subgraph = await buildOrder({
    config: readConfig({ DATA_DIR: folder, ORDER_PORT: '0', ...settings }),
    identitySecret: SECRET,
    log: silentLogger(),
    metrics: createMetrics(),
    now: Date.now,
    eventLog,
    openDatabase: async (options) => {
      const database = await databases.open(options);
      opened.push(database);
      return database;
    },
  });
  const database = opened[0] as Database;
  if (worker) await subgraph.worker.start();
  await subgraph.api.start();

  const graphql = async (query: string, variables: object, identity: Identity): Promise<Answer> => {
    const response = await fetch(`${subgraph.api.url}${GRAPHQL_PATH}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [IDENTITY_HEADER]: signIdentity(identity, 'order', SECRET, Date.now()),
      },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as Answer;
  };

  return {
    database,
    eventLog,
    graphql,
    /** Beside the subgraph's own, for setting up what a test begins with. */
    store: new OrderStore(new Outbox('tributary/order', Date.now), readConfig({}).orderTimes),
    replicas: new Replicas(database, Date.now),
    /** The orders a mutation changes, and all it would leave behind. */
    contents: async () => ({
      orders: await database.read('SELECT * FROM orders ORDER BY id'),
      outbox: await database.read('SELECT topic, aggregate_id, version FROM outbox ORDER BY id'),
      keys: await database.read('SELECT * FROM idempotency_keys ORDER BY idempotency_key'),
    }),
    order: async (id: string): Promise<OrderState> => {
      const [row] = await database.read<{ state: string }>('SELECT state FROM orders WHERE id = ?', [id]);
      return JSON.parse(row?.state ?? 'null') as OrderState;
    },
    /** Puts events of other subgraphs into the log; the same `id` makes it a repeat. */
    publish: (event: AnyNewEvent, id = newId()): Promise<void> =>
      eventLog.append([toRecord({ ...event, id, source: 'tributary/test', time: Date.now(), traceparent: null })]),
    async stop(): Promise<void> {
      await subgraph.api.stop();
      await subgraph.worker.stop();
      await subgraph.close();
      await eventLog.close();
      await databases.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Everything in the log about an order, as the order subgraph published it, in the log's order. */
export async function published(eventLog: EventLog, orderId: string): Promise<AnyEvent[]> {
  const events: AnyEvent[] = [];
  const wanted = (await eventLog.ranges('orders')).filter(({ next, first }) => next > first);
  const missing = new Map(wanted.map(({ partition, next }) => [partition, next]));
  await new Promise<void>((resolve, reject) => {
    if (missing.size === 0) return resolve();
    const tail = eventLog.tail({
      topics: ['orders'],
      from: 'start',
      onBatch: ({ partition, records }) => {
        for (const record of records) if (record.key === orderId) events.push(fromRecord(record));
        if ((records.at(-1)?.offset ?? -1) + 1 >= (missing.get(partition) ?? 0)) missing.delete(partition);
        if (missing.size === 0) tail.then((open) => open.stop()).then(resolve, reject);
      },
      onError: reject,
    });
    tail.catch(reject);
  });
  return events;
}
