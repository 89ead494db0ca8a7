import { join } from 'node:path';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse, subscribe, type ExecutionResult } from 'graphql';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import { partitionOf } from '../../shared/event-log/murmur2.js';
import { openSqliteEventLog } from '../../shared/event-log/sqlite.js';
import { TOPICS, topicSpecs } from '../../shared/events/catalogue.js';
import { toRecord, type AnyEvent } from '../../shared/events/event.js';
import type { AccountState, OrderState, OrderStatus, TransactionState } from '../../shared/events/states.js';
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
import { createSubscriptions, type Limits, type Subscriptions } from './subscriptions.js';
import { caughtUp, happened, PAST, transaction } from './testbed.js';
import { COLLECTIONS, PROGRESS, TIMELINE } from './views.js';
import { Waiter } from './waiter.js';

/** For tests: subscriptions on real embedded stores, which can be closed and opened again, without network. */

export const LARGE: Limits = { ring: 1_000, waiting: 1_000, missed: 10_000 };
/** A ring that forgets soon. */
export const SMALL: Limits = { ring: 3, waiting: 1_000, missed: 10_000 };

/** Holds back those who write until it is opened. */
export class Gate {
  private opened: Promise<void> = Promise.resolve();
  private resolve: () => void = () => undefined;
  private isOpen = true;

  shut(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.opened = new Promise((resolve) => (this.resolve = resolve));
  }

  open(): void {
    this.isOpen = true;
    this.resolve();
  }

  passed(): Promise<void> {
    return this.opened;
  }
}

export interface SubscribedOptions {
  readonly limits?: Limits;
  readonly projectionWaitMs?: number;
  /** What subscriptions read through. */
  readonly wrap?: (documents: DocumentStore) => DocumentStore;
}

export interface ReadSide {
  readonly eventLog: ReturnType<typeof openSqliteEventLog>;
  readonly documents: DocumentStore;
  readonly subscriptions: Subscriptions;
  /** What the projector's two consumers pass before they write. */
  readonly gates: { readonly views: Gate; readonly timeline: Gate };
  publish(...events: readonly AnyEvent[]): Promise<void>;
  /** Resolves when the projector has taken everything that was published until now. */
  caughtUp(): Promise<void>;
  subscribe(identity: Identity, query: string, variables?: Record<string, unknown>): Promise<Subscriber>;
  /** GAPs told until now, by reason. */
  gaps(): Promise<Record<string, number>>;
  /** Keeps the files. */
  close(): Promise<void>;
}

export async function openReadSide(
  folder: string,
  { limits = LARGE, projectionWaitMs = 2_000, wrap }: SubscribedOptions = {},
): Promise<ReadSide> {
  const eventLog = openSqliteEventLog({ file: join(folder, 'log.sqlite') });
  await eventLog.ensureTopics(topicSpecs());
  const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
  await documents.ensureCollections(COLLECTIONS);
  const metrics = createMetrics();
  const log = silentLogger();
  const gates = { views: new Gate(), timeline: new Gate() };
  const seen = wrap?.(documents) ?? documents;
  const waiter = new Waiter(seen);
  const readsOf = createReadsOf({ documents: seen, waiter, now: Date.now, projectionWaitMs });
  const subscriptions = createSubscriptions({
    eventLog,
    documents: seen,
    log,
    metrics,
    readsOf,
    projectionWaitMs,
    limits,
  });
  const resolvers = { ...SCALARS, ...queryResolvers({ documents: seen, readsOf }), ...subscriptions.resolvers };
  // The schema builder wants an index signature, which interfaces lack.
  const schema = buildSubgraphSchema([{ typeDefs: parse(typeDefs), resolvers: resolvers as never }]);
  const projector = createProjector({ eventLog, documents: gated(documents, gates), log, metrics, now: Date.now });
  await projector.start();
  await subscriptions.start();

  return {
    eventLog,
    documents,
    subscriptions,
    gates,
    publish: (...events) => eventLog.append(events.map(toRecord)),
    caughtUp: () => caughtUp(eventLog, documents),
    async subscribe(identity, query, variables = {}) {
      const contextValue: RequestContext = { identity, requestId: newId(), traceparent: null, log };
      const document = parse(query);
      const stream = await subscribe({ schema, document, contextValue, variableValues: variables });
      return new Subscriber(stream);
    },
    async gaps() {
      const { values } = await metrics.gaps.get();
      return Object.fromEntries(values.map(({ labels, value }) => [String(labels.reason), value]));
    },
    async close() {
      gates.views.open();
      gates.timeline.open();
      await subscriptions.stop();
      await projector.stop();
      await waiter.close();
      await eventLog.close();
      await documents.close();
    },
  };
}

/** The store with some of its functions replaced. */
export function overridden(documents: DocumentStore, functions: Partial<DocumentStore>): DocumentStore {
  return new Proxy(documents, {
    get(target, name) {
      const member: unknown = Reflect.get(functions, name) ?? Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

const gated = (documents: DocumentStore, gates: ReadSide['gates']): DocumentStore =>
  overridden(documents, {
    async putIfNewer(collection, docs) {
      // How far they have come is written after the rest.
      if (collection !== PROGRESS) await (collection === TIMELINE ? gates.timeline : gates.views).passed();
      return documents.putIfNewer(collection, docs);
    },
  });

/** What a test reads of a message; the fields its query selects are there. */
export interface Told {
  readonly kind: 'SNAPSHOT' | 'CHANGE' | 'GAP';
  readonly cursor: string;
  readonly order?: { readonly id: string; readonly version: number } | null;
  readonly [field: string]: unknown;
}

/** Takes what comes as fast as it comes, unless it was made `slow`. */
export class Subscriber {
  readonly results: ExecutionResult[] = [];
  ended = false;
  private readonly stream: AsyncGenerator<ExecutionResult> | null;
  private reading = false;

  constructor(stream: AsyncGenerator<ExecutionResult> | ExecutionResult) {
    this.stream = Symbol.asyncIterator in stream ? stream : null;
    if (Symbol.asyncIterator in stream) return;
    this.results.push(stream);
    this.ended = true;
  }

  /** Everything from here on. */
  flow(): this {
    if (this.reading || this.stream === null) return this;
    this.reading = true;
    void (async () => {
      while (!this.ended) await this.take();
    })();
    return this;
  }

  /** The next result, or undefined when it is over. */
  async take(): Promise<ExecutionResult | undefined> {
    const result = await this.stream?.next();
    if (result === undefined || result.done === true) {
      this.ended = true;
      return undefined;
    }
    this.results.push(result.value);
    return result.value;
  }

  /** The values of the one field. */
  get messages(): readonly Told[] {
    return this.results.map(({ data }) => Object.values(data ?? {})[0] as Told);
  }

  /** Kind, and version where there is an order: `SNAPSHOT 2`. */
  get story(): readonly string[] {
    return this.messages.map(({ kind, order }) => (order == null ? kind : `${kind} ${order.version}`));
  }

  get error(): { readonly code: unknown; readonly field: unknown } | undefined {
    const original = this.results.at(-1)?.errors?.[0]?.originalError as { code?: unknown; field?: unknown } | undefined;
    return original === undefined ? undefined : { code: original.code, field: original.field };
  }

  get cursor(): string {
    return this.messages.at(-1)?.cursor ?? '';
  }

  /** Resolves when it has been told exactly this; fails at once when it was told something else. */
  async tells(...story: readonly string[]): Promise<void> {
    this.flow();
    await until(() => this.results.length >= story.length || this.ended, {
      message: () => `${story.join(', ')}; there is ${this.story.join(', ')}`,
    });
    if (this.story.join(', ') !== story.join(', ')) throw new Error(`It was told ${this.story.join(', ')}.`);
  }

  async leave(): Promise<void> {
    await this.stream?.return(undefined);
  }
}

/** The order after its next change of status. */
export function moved(order: OrderState, status: OrderStatus, reason: string | null = null): OrderState {
  const version = order.version + 1;
  const at = PAST + version;
  return {
    ...order,
    version,
    status,
    updatedAt: at,
    history: [...order.history, { version, status, at, reason }],
  };
}

/** The order after something that is no change of status. */
export const touched = (order: OrderState): OrderState => ({ ...order, version: order.version + 1 });

/** An order's event, the same one for the same version; which type it has nobody asks. */
export const orderEvent = (order: OrderState): AnyEvent =>
  happened(
    order.version === 1 ? 'order.created' : 'order.processing',
    { order },
    { id: `${order.id}@${order.version}` },
  );

/** What an account's last movement did to it. */
export function paidIn(
  before: AccountState,
  amount: number,
): { readonly account: AccountState; readonly transaction: TransactionState } {
  const after = { ...before, version: before.version + 1, balance: before.balance + amount, updatedAt: PAST + 1 };
  return { account: after, transaction: transaction({ toAccountId: before.id, amount }) };
}

/** An id that the log puts into the same partition. */
export function neighbourOf(id: string): string {
  const { partitions } = TOPICS.orders;
  for (;;) {
    const other = newId();
    if (partitionOf(other, partitions) === partitionOf(id, partitions)) return other;
  }
}
