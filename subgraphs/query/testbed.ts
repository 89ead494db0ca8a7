import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { graphql, parse, type ExecutionResult } from 'graphql';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import { openSqliteEventLog } from '../../shared/event-log/sqlite.js';
import { CATALOGUE, topicSpecs, type EventData, type EventType, type Topic } from '../../shared/events/catalogue.js';
import { toRecord, type AnyEvent, type Event } from '../../shared/events/event.js';
import type {
  AccountState,
  OrderState,
  ProductState,
  TransactionState,
  UserState,
} from '../../shared/events/states.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { SCALARS } from '../../shared/graphql/scalars.js';
import type { Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { until } from '../../tests/until.js';
import { createProjector } from './projector.js';
import { createReadsOf } from './reads.js';
import { queryResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { COLLECTIONS, PROGRESS, TIMELINE_GROUP, VIEWS_GROUP, VIEW_TOPICS, type ProgressDoc } from './views.js';
import { Waiter } from './waiter.js';

/** For tests: the read side on real embedded stores, without network. */

export const ADMIN: Identity = { role: 'ADMIN', userId: newId() };
export const as = (userId: string): Identity => ({ role: 'USER', userId });

/** An instant long enough ago for ids made now to be the only young ones. */
export const PAST = Date.UTC(2026, 0, 31, 12);

export interface Answer {
  // What a test selects it knows better than a type could say.
  readonly data: Record<string, unknown> | null;
  /** Of the first error. */
  readonly error: { readonly code: unknown; readonly field: unknown; readonly details: unknown } | null;
}

/** A real store that tells of each call before it is made, and may refuse it. */
export function watched(
  documents: DocumentStore,
  before: (call: { readonly name: string; readonly args: readonly unknown[] }) => void,
): DocumentStore {
  const watch: ProxyHandler<DocumentStore> = {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== 'function') return member;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        before({ name: String(name), args });
        return Reflect.apply(member, target, args) as Promise<unknown>;
      };
    },
  };
  return new Proxy(documents, watch);
}

export interface Testbed {
  readonly eventLog: ReturnType<typeof openSqliteEventLog>;
  readonly documents: DocumentStore;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** A worker on the testbed's stores, not yet started; by default on the bare document store. */
  projector(documents?: DocumentStore): ReturnType<typeof createProjector>;
  publish(...events: readonly AnyEvent[]): Promise<void>;
  /** Resolves when every consumer has taken everything that was published until now. */
  caughtUp(): Promise<void>;
  ask(identity: Identity, query: string, variables?: Record<string, unknown>): Promise<Answer>;
  close(): Promise<void>;
}

export interface TestbedOptions {
  readonly projectionWaitMs?: number;
  /** What the resolvers read through: to count, to fail. */
  readonly wrap?: (documents: DocumentStore) => DocumentStore;
}

export async function openTestbed({ projectionWaitMs = 2_000, wrap }: TestbedOptions = {}): Promise<Testbed> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-query-'));
  const eventLog = openSqliteEventLog({ file: join(folder, 'log.sqlite') });
  await eventLog.ensureTopics(topicSpecs());
  const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
  await documents.ensureCollections(COLLECTIONS);
  const metrics = createMetrics();
  const seen = wrap?.(documents) ?? documents;
  const waiter = new Waiter(seen);
  const readsOf = createReadsOf({ documents: seen, waiter, now: Date.now, projectionWaitMs });
  const resolvers = queryResolvers({ documents: seen, readsOf });
  // The schema builder wants an index signature, which interfaces lack.
  const schema = buildSubgraphSchema([{ typeDefs: parse(typeDefs), resolvers: { ...SCALARS, ...resolvers } as never }]);

  return {
    eventLog,
    documents,
    metrics,
    projector: (into = documents) =>
      createProjector({ eventLog, documents: into, log: silentLogger(), metrics, now: Date.now }),
    publish: (...events) => eventLog.append(events.map(toRecord)),
    caughtUp: () => caughtUp(eventLog, documents),
    async ask(identity, query, variables = {}) {
      const contextValue: RequestContext = { identity, requestId: newId(), traceparent: null, log: silentLogger() };
      return answerOf(await graphql({ schema, source: query, contextValue, variableValues: variables }));
    },
    async close() {
      await waiter.close();
      await eventLog.close();
      await documents.close();
      await rm(folder, { recursive: true });
    },
  };
}

function answerOf({ data, errors }: ExecutionResult): Answer {
  const [first] = errors ?? [];
  if (first === undefined) return { data: data ?? null, error: null };
  const original = first.originalError as { code?: unknown; field?: unknown; details?: unknown } | undefined;
  if (original?.code === undefined) throw first;
  return { data: data ?? null, error: { code: original.code, field: original.field, details: original.details } };
}

/** Resolves when every consumer has taken everything that is in the log now. */
export async function caughtUp(eventLog: Testbed['eventLog'], documents: DocumentStore): Promise<void> {
  const topics = [...new Set(Object.values(CATALOGUE).map(({ topic }) => topic))];
  const wanted = await Promise.all(
    topics.map(async (topic) => (await eventLog.ranges(topic)).map((range) => ({ topic, ...range }))),
  );
  await until(async () => {
    const progress = await documents.find<ProgressDoc>(PROGRESS, {
      sort: { field: 'id', direction: 'asc' },
      limit: 10_000,
    });
    const reached = new Map(progress.map(({ doc }) => [`${doc.consumer} ${doc.topic} ${doc.partition}`, doc.next]));
    return wanted
      .flat()
      .every(({ topic, partition, next }) =>
        consumersOf(topic).every((consumer) => (reached.get(`${consumer} ${topic} ${partition}`) ?? 0) >= next),
      );
  });
}

const consumersOf = (topic: Topic): string[] => [TIMELINE_GROUP, ...(VIEW_TOPICS.includes(topic) ? [VIEWS_GROUP] : [])];

export function user(state: Partial<UserState> = {}): UserState {
  return {
    id: newId(),
    version: 1,
    name: 'João Silva',
    email: 'joao@example.com',
    role: 'USER',
    locale: 'EN',
    verified: false,
    deleted: false,
    createdAt: PAST,
    updatedAt: PAST,
    ...state,
  };
}

export function product(state: Partial<ProductState> = {}): ProductState {
  return {
    id: newId(),
    version: 1,
    name: 'iPhone 15',
    description: 'A telephone.',
    price: 599_999,
    stock: 10,
    reserved: 0,
    deleted: false,
    createdAt: PAST,
    updatedAt: PAST,
    ...state,
  };
}

export function order(state: Partial<OrderState> = {}): OrderState {
  const version = state.version ?? 1;
  const status = state.status ?? 'PENDING';
  return {
    id: newId(),
    version,
    userId: newId(),
    status,
    items: [{ productId: newId(), name: 'iPhone 15', quantity: 2, unitPrice: 599_999 }],
    total: 1_199_998,
    payment: null,
    cancelReason: null,
    history: [{ version, status, at: PAST, reason: null }],
    deleted: false,
    createdAt: PAST,
    updatedAt: PAST,
    ...state,
  };
}

export function account(state: Partial<AccountState> = {}): AccountState {
  return {
    id: newId(),
    version: 1,
    userId: newId(),
    kind: 'USER',
    balance: 0,
    createdAt: PAST,
    updatedAt: PAST,
    ...state,
  };
}

export function transaction(state: Partial<TransactionState> = {}): TransactionState {
  return {
    id: newId(),
    kind: 'TRANSFER',
    fromAccountId: newId(),
    toAccountId: newId(),
    amount: 10_000,
    createdAt: PAST,
    ...state,
  };
}

/** An event as an outbox would publish it; subject and version come from the state it carries, unless given. */
export function happened<T extends EventType>(
  type: T,
  data: EventData<T>,
  given: Partial<Pick<Event, 'id' | 'subject' | 'sequence' | 'time'>> = {},
): AnyEvent {
  const [state] = Object.values(data) as [{ id?: string; orderId?: string; version?: number }];
  return {
    id: newId(),
    source: `tributary/test`,
    time: PAST,
    traceparent: null,
    subject: state.id ?? state.orderId ?? newId(),
    sequence: state.version ?? 1,
    ...given,
    type,
    data,
  } as AnyEvent;
}
