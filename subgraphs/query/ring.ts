import type { DocumentStore } from '../../shared/document-store/port.js';
import type { Batch, EventLog, StoredRecord, Tail } from '../../shared/event-log/port.js';
import { isSnapshot, TOPICS, type Topic } from '../../shared/events/catalogue.js';
import { fromRecord, InvalidEvent, type AnyEvent } from '../../shared/events/event.js';
import type { Logger } from '../../shared/observability/logger.js';
import { formatCursor, type Cursor } from './cursor.js';
import { TIMELINE, type TimelineDoc } from './views.js';

/** How many changes of each partition are kept at hand for whoever resumes. */
export const RING_CAPACITY = 1_000;

/** How long to wait between looks at how far it has come, when starting. */
const POLL_MS = 5;

/** How far the clocks of processes may be apart, in milliseconds. */
const CLOCKS_MS = 5_000;

/** One event as subscribers see it. */
export interface Change<T> {
  /** The aggregate. */
  readonly id: string;
  readonly version: number;
  readonly item: T;
  /** Who wants to hear of it: see RingSpec. */
  readonly keys: readonly string[];
  readonly partition: number;
  readonly offset: number;
  /** When it was appended, milliseconds since the epoch. */
  readonly appendedAt: number;
  /** Trace context of the event; null: nobody's trace led to it. */
  readonly traceparent: string | null;
  /** The ring's positions right behind it. */
  readonly next: readonly number[];
}

export interface RingSpec<T> {
  readonly topic: Topic;
  /** Of the log, see its port; absent where subscribers shall hear of every change at once. */
  readonly paceMs?: number;
  /** What is kept of an event, and under which keys listeners find it. */
  readonly read: (event: AnyEvent) => { readonly item: T; readonly keys: readonly string[] };
}

export interface RingDeps {
  readonly eventLog: EventLog;
  readonly documents: Pick<DocumentStore, 'getMany'>;
  readonly log: Logger;
}

type Listener<T> = (change: Change<T>) => void;

/**
 * The recent changes of one topic, in memory, fed by a tail of the log. Every process of the query API has its own, so
 * that a subscription can be served, and resumed, by any of them.
 *
 * What the relay appended twice is passed on once, so an aggregate's versions only rise here. Of what the ring has
 * forgotten the timeline tells whether it was there before. (Only a timeline that is away, or behind by more than the
 * ring holds, would let such a repeat pass; a relay repeats no more than its last two batches, which the ring still has.)
 */
export class Ring<T> {
  private readonly kept: Change<T>[][];
  private readonly byKey = new Map<string, Set<Change<T>>>();
  private readonly versions = new Map<string, number>();
  private readonly listeners = new Map<string, Set<Listener<T>>>();
  private readonly nextOffsets: number[];
  private readonly firstOffsets: number[];
  private tail: Tail | undefined;

  constructor(
    private readonly spec: RingSpec<T>,
    private readonly deps: RingDeps,
    private readonly capacity = RING_CAPACITY,
  ) {
    const { partitions } = TOPICS[spec.topic];
    this.kept = Array.from({ length: partitions }, () => []);
    this.nextOffsets = Array.from({ length: partitions }, () => 0);
    this.firstOffsets = [...this.nextOffsets];
  }

  get topic(): Topic {
    return this.spec.topic;
  }

  get logId(): string {
    return this.deps.eventLog.logId;
  }

  get partitions(): number {
    return this.kept.length;
  }

  /** Per partition, the offset of the next record it has not met. */
  get next(): readonly number[] {
    return this.nextOffsets;
  }

  /** Per partition, the offset from which on it has everything. */
  get first(): readonly number[] {
    return this.firstOffsets;
  }

  /** Whether anybody listens: for tests of cleaning up. */
  get listening(): number {
    return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  /** Resolves once the newest records of every partition are here. */
  async start(): Promise<void> {
    const { eventLog, log } = this.deps;
    const { topic, paceMs } = this.spec;
    this.tail = await eventLog.tail({
      topics: [topic],
      ...(paceMs !== undefined && { paceMs }),
      from: { last: this.capacity },
      onBatch: (batch) => this.take(batch),
      onError: (error) => log.warn({ err: error, topic }, 'following the log is interrupted'),
    });
    for (const [partition, offset] of this.tail.started.get(topic) ?? []) this.beginAt(partition, offset);
    const ends = await this.logRange('next');
    while (!covers(this.nextOffsets, ends)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }

  async stop(): Promise<void> {
    await this.tail?.stop();
  }

  /** Per partition, the first offset that the log still has, or the next one it will give. */
  async logRange(side: 'first' | 'next'): Promise<readonly number[]> {
    const offsets = this.nextOffsets.map(() => 0);
    for (const range of await this.deps.eventLog.ranges(this.topic)) offsets[range.partition] = range[side];
    return offsets;
  }

  /** Hears of every change with this key from now on. Answers the function that ends it. */
  listen(key: string, listener: Listener<T>): () => void {
    const others = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, others.add(listener));
    return () => {
      others.delete(listener);
      if (others.size === 0) this.listeners.delete(key);
    };
  }

  /** The kept changes with this key, oldest first. */
  recent(key: string): Change<T>[] {
    return [...(this.byKey.get(key) ?? [])];
  }

  /** The last kept change with this key. */
  newest(key: string): T | undefined {
    return this.recent(key).at(-1)?.item;
  }

  /** When the record there was appended, milliseconds since the epoch; undefined when it is not at hand. */
  appendedAt(partition: number, offset: number): number | undefined {
    if (offset < (this.firstOffsets[partition] ?? 0)) return undefined;
    return this.kept[partition]?.find((change) => change.offset >= offset)?.appendedAt;
  }

  /** A cursor for whoever has been told everything up to these positions but the snapshots due. */
  cursor(next: readonly number[], due: Cursor['due'] = null): string {
    return formatCursor({ log: this.logId, topic: this.topic, next, due });
  }

  /** The first record may be here before the log has said where it is. */
  private beginAt(partition: number, offset: number): void {
    if (this.nextOffsets[partition] !== 0) return;
    this.nextOffsets[partition] = offset;
    this.firstOffsets[partition] = offset;
  }

  private async take({ partition, records }: Batch): Promise<void> {
    const [first] = records;
    if (first === undefined) return;
    this.beginAt(partition, first.offset);
    const next = this.nextOffsets[partition] ?? 0;
    const met = records
      // The log itself repeats some after an interruption.
      .filter(({ offset }) => offset >= next)
      .map((record) => ({ offset: record.offset, appendedAt: record.timestamp, event: readEvent(record) }));
    const repeats = await this.repeats(partition, met);
    const forgotten: Change<T>[] = [];
    for (const { offset, appendedAt, event } of met) {
      this.nextOffsets[partition] = offset + 1;
      if (event === null || repeats.has(offset)) continue;
      const { subject: id, sequence: version } = event;
      if (version <= (this.versions.get(id) ?? 0)) continue;
      this.versions.set(id, version);
      const next = [...this.nextOffsets];
      const { traceparent } = event;
      const change = { ...this.spec.read(event), id, version, partition, offset, appendedAt, traceparent, next };
      const oldest = this.keep(change);
      if (oldest !== undefined) forgotten.push(oldest);
    }
    // Only now, so that whatever was known when `repeats` asked is known throughout the batch.
    for (const { id, version } of forgotten) {
      if (this.versions.get(id) === version) this.versions.delete(id);
    }
  }

  /** Offsets of events that the relay appended again, long after: the timeline has them at a lower offset. */
  private async repeats(
    partition: number,
    met: readonly { readonly offset: number; readonly event: AnyEvent | null }[],
  ): Promise<ReadonlySet<number>> {
    const repeated = new Set<number>();
    if (this.firstOffsets[partition] === 0) return repeated;
    // What happened later than its oldest record was appended it has all met: nearly everything, and that saves asking.
    const since = (this.kept[partition]?.[0]?.appendedAt ?? Infinity) + CLOCKS_MS;
    const doubtful = met.flatMap(({ offset, event }) =>
      event === null || this.versions.has(event.subject) || event.time > since ? [] : [{ offset, id: event.id }],
    );
    if (doubtful.length === 0) return repeated;
    try {
      const ids = doubtful.map(({ id }) => id);
      const entries = await this.deps.documents.getMany<TimelineDoc>(TIMELINE, ids);
      for (const { offset, id } of doubtful) {
        const entry = entries.get(id)?.doc;
        if (entry?.log === this.logId && entry.offset < offset) repeated.add(offset);
      }
    } catch (error) {
      this.deps.log.warn({ err: error, topic: this.topic }, 'the timeline cannot be asked for repeated events');
    }
    return repeated;
  }

  /** Answers what it forgets for it. */
  private keep(change: Change<T>): Change<T> | undefined {
    const row = this.kept[change.partition] ?? [];
    row.push(change);
    for (const key of change.keys) {
      const others = this.byKey.get(key) ?? new Set();
      this.byKey.set(key, others.add(change));
    }
    const oldest = row.length > this.capacity ? row.shift() : undefined;
    if (oldest !== undefined) this.forget(oldest);
    for (const key of change.keys) {
      for (const listener of this.listeners.get(key) ?? []) listener(change);
    }
    return oldest;
  }

  private forget(change: Change<T>): void {
    this.firstOffsets[change.partition] = change.offset + 1;
    for (const key of change.keys) {
      const others = this.byKey.get(key);
      others?.delete(change);
      if (others?.size === 0) this.byKey.delete(key);
    }
  }
}

/** Whether positions reach others in every partition. */
export const covers = (positions: readonly number[], others: readonly number[]): boolean =>
  others.every((offset, partition) => (positions[partition] ?? 0) >= offset);

/** Null for what nobody is told of: snapshots, in which nothing happened, and what cannot be read. */
function readEvent(record: StoredRecord): AnyEvent | null {
  if (isSnapshot(record.headers['ce_type'] ?? '')) return null;
  try {
    return fromRecord(record);
  } catch (error) {
    // The projector parks it.
    if (error instanceof InvalidEvent) return null;
    throw error;
  }
}
