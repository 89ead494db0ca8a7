import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../shared/database/port.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import type { DocumentStore } from '../../shared/document-store/port.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import type { OrderState } from '../../shared/events/states.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { Bench } from '../../shared/outbox/messaging-tools.js';
import type { Relay } from '../../shared/outbox/relay.js';
import type { SnapshotSource } from '../../shared/outbox/snapshots.js';
import type { Service } from '../../shared/service/service.js';
import { until } from '../../tests/until.js';
import { collectionOf, generationsOf, readGenerations, withGenerations } from './generations.js';
import { createProjector } from './projector.js';
import type { RebuildDeps, RebuildTiming } from './rebuild.js';
import { order } from './testbed.js';
import { COLLECTIONS, VIEWS, VIEWS_GROUP, watermark } from './views.js';

/** Fast enough for tests to make many rebuilds. */
export const TIMING: RebuildTiming = { leaseMs: 40, graceMs: 100, beatMs: 20, watchMs: 300, pollMs: 10, checkMs: 300 };

/** A write side that only keeps orders, with a relay, and a read side of two projectors. */
export class RebuildBench {
  readonly orders = new Map<string, OrderState>();
  private readonly running: (Service | Relay)[] = [];

  private constructor(
    private readonly folder: string,
    readonly bench: Bench,
    readonly documents: DocumentStore,
  ) {}

  static async open(): Promise<RebuildBench> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-rebuild-'));
    const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
    await withGenerations(documents).ensureCollections(COLLECTIONS);
    const bench = await Bench.open();
    const opened = new RebuildBench(folder, bench, documents);
    const relay = bench.relay({ poll: { busyMs: 5, busyForMs: 0, idleMs: 5 } });
    await relay.start();
    opened.running.push(relay);
    for (let count = 0; count < 2; count++) await opened.startProjector();
    return opened;
  }

  async startProjector(): Promise<Service> {
    const { documents } = this;
    const shared = {
      eventLog: this.bench.log,
      documents,
      log: silentLogger(),
      metrics: createMetrics(),
      now: Date.now,
    };
    const projector = createProjector({ ...shared, timing: TIMING });
    this.running.push(projector);
    await projector.start();
    return projector;
  }

  /** A command: the new state and its event, in one transaction. */
  async save(state: Partial<OrderState> = {}): Promise<OrderState> {
    const saved = order(state);
    this.orders.set(saved.id, saved);
    await this.bench.commit(orderEvent(saved.version === 1 ? 'order.created' : 'order.paid', saved));
    return saved;
  }

  /** An order's next version. */
  change(id: string): Promise<OrderState> {
    const before = this.orders.get(id);
    return this.save({ ...before, id, version: (before?.version ?? 0) + 1 });
  }

  /** Resolves once the views have everything that was committed before. */
  async caughtUp(): Promise<void> {
    const { bench, documents } = this;
    await until(async () => (await bench.count('outbox WHERE published_at IS NULL')) === 0);
    await until(async () => {
      const reached = await watermark(documents, bench.log.logId, VIEWS_GROUP, 'orders');
      const ranges = await bench.log.ranges('orders');
      return ranges.every(({ partition, next, first }) => next <= Math.max(first, reached.get(partition) ?? 0));
    });
  }

  /** Drops every record of the log, as retention does in time. */
  cutLog(): Promise<void> {
    return this.bench.log.enforceRetention(Date.now() + 365 * 86_400_000);
  }

  deps(more: Partial<RebuildDeps> = {}): RebuildDeps {
    const { bench, documents } = this;
    const { database, outbox } = bench;
    const none: SnapshotSource = { count: async () => 0, page: async () => [] };
    const sources = VIEWS.map((view) => [
      view,
      { database, outbox, snapshots: view === 'orders' ? this.snapshots() : none },
    ]);
    const made = Object.fromEntries(sources) as RebuildDeps['sources'];
    return { documents, eventLog: bench.log, sources: made, now: Date.now, timing: TIMING, ...more };
  }

  /** What readers see, by id: versions. */
  async seen(): Promise<ReadonlyMap<string, number>> {
    return this.versionsIn(collectionOf('orders', await this.generation()));
  }

  async versionsIn(collection: string): Promise<ReadonlyMap<string, number>> {
    const found = await this.documents.find(collection, { sort: { field: 'id', direction: 'asc' }, limit: 100_000 });
    return new Map(found.map(({ id, version }) => [id, version]));
  }

  versions(): ReadonlyMap<string, number> {
    return new Map([...this.orders.values()].map(({ id, version }) => [id, version] as const).sort(byId));
  }

  async generation(): Promise<number> {
    return generationsOf(await readGenerations(this.documents), 'orders').current;
  }

  async close(): Promise<void> {
    for (const one of this.running.reverse()) await one.stop();
    await this.bench.close();
    await this.documents.close();
    await rm(this.folder, { recursive: true });
  }

  private snapshots(): SnapshotSource {
    return {
      count: async () => this.orders.size,
      page: async (_: Database, after, limit) =>
        [...this.orders.values()]
          .filter(({ id }) => id > after)
          .sort((a, b) => byId([a.id], [b.id]))
          .slice(0, limit)
          .map((state) => ({ id: state.id, event: orderEvent('order.snapshot', state) })),
    };
  }
}

const byId = ([a]: readonly [string, ...unknown[]], [b]: readonly [string, ...unknown[]]): number => (a < b ? -1 : 1);

const orderEvent = (type: 'order.created' | 'order.paid' | 'order.snapshot', state: OrderState): AnyNewEvent => ({
  type,
  subject: state.id,
  sequence: state.version,
  data: { order: state },
});

/** A process that dies at its n-th call of anything, before or after it has had its effect; nothing works from then on. */
export class Mortal {
  calls = 0;

  constructor(
    private readonly dies: number,
    private readonly moment: 'before' | 'after',
  ) {}

  get dead(): boolean {
    return this.calls >= this.dies;
  }

  of<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (inner, name) => {
        const member: unknown = Reflect.get(inner, name, inner);
        if (typeof member !== 'function') return member;
        return async (...args: readonly unknown[]): Promise<unknown> => {
          if (this.dead) throw new Killed();
          this.calls += 1;
          if (this.dead && this.moment === 'before') throw new Killed();
          const result: unknown = await Reflect.apply(member, inner, args);
          if (this.dead) throw new Killed();
          return result;
        };
      },
    });
  }
}

export class Killed extends Error {
  override readonly name = 'Killed';
}
