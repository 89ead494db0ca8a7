import type { Batch, EventLog, StoredRecord, Tail } from '../../shared/event-log/port.js';
import { TOPICS, type Topic } from '../../shared/events/catalogue.js';
import { fromRecord, InvalidEvent, type AnyEvent } from '../../shared/events/event.js';
import type { Logger } from '../../shared/observability/logger.js';
import { formatCursor } from './cursor.js';

/** How many records of each partition are kept at hand for whoever resumes. */
export const RING_CAPACITY = 1_000;

/** How long to wait between looks at the log's end. */
const POLL_MS = 5;

/** One event as subscribers see it. */
export interface Change<T> {
  readonly id: string;
  readonly version: number;
  readonly item: T;
  /** Who wants to hear of it: see RingSpec. */
  readonly keys: readonly string[];
  readonly partition: number;
  readonly offset: number;
  /** Counts up over all partitions: the order in which this process met them. */
  readonly sequence: number;
  /** The ring's positions right behind it. */
  readonly next: readonly number[];
}

export interface RingSpec<T> {
  readonly topic: Topic;
  /** What is kept of an event. */
  readonly read: (event: AnyEvent) => {
    readonly id: string;
    readonly version: number;
    readonly item: T;
    readonly keys: readonly string[];
  };
}

type Listener<T> = (change: Change<T>) => void;

/**
 * The recent changes of one topic, in memory, fed by a tail of the log. Every process of the query API has its own, so
 * that a subscription can be served, and resumed, by any of them.
 *
 * What the relay appended twice is passed on once: an aggregate's version never goes back here.
 */
export class Ring<T> {
  private readonly kept: Change<T>[][];
  private readonly byKey = new Map<string, Set<Change<T>>>();
  private readonly versions = new Map<string, number>();
  private readonly listeners = new Map<string, Set<Listener<T>>>();
  private readonly nextOffsets: number[];
  private readonly firstOffsets: number[];
  private sequence = 0;
  private tail: Tail | undefined;

  constructor(
    private readonly spec: RingSpec<T>,
    private readonly eventLog: EventLog,
    private readonly log: Logger,
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
    return this.eventLog.logId;
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

  /** Resolves once the newest records of every partition are here. */
  async start(): Promise<void> {
    this.tail = await this.eventLog.tail({
      topics: [this.spec.topic],
      from: { last: this.capacity },
      onBatch: (batch) => this.take(batch),
      onError: (error) => this.log.warn({ err: error, topic: this.spec.topic }, 'following the log is interrupted'),
    });
    for (const [partition, offset] of this.tail.started.get(this.spec.topic) ?? []) {
      this.firstOffsets[partition] = offset;
      this.nextOffsets[partition] = Math.max(this.nextOffsets[partition] ?? 0, offset);
    }
    await this.caughtUp();
  }

  async stop(): Promise<void> {
    await this.tail?.stop();
  }

  /** Resolves when everything that was in the log at the call is here. */
  async caughtUp(): Promise<void> {
    const ends = await this.eventLog.ranges(this.spec.topic);
    while (ends.some(({ partition, next }) => (this.nextOffsets[partition] ?? 0) < next)) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
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

  /** A cursor for whoever has been told everything up to these positions. */
  cursor(next: readonly number[], partial = false): string {
    return formatCursor({ log: this.logId, topic: this.topic, next, partial });
  }

  /** Whether anybody listens: for tests of cleaning up. */
  get listening(): number {
    return [...this.listeners.values()].reduce((sum, set) => sum + set.size, 0);
  }

  private take({ partition, records }: Batch): void {
    for (const record of records) {
      // Repeated by the log after an interruption.
      if (record.offset < (this.nextOffsets[partition] ?? 0)) continue;
      this.nextOffsets[partition] = record.offset + 1;
      const event = this.read(record);
      if (event === null) continue;
      const known = this.spec.read(event);
      if (known.version <= (this.versions.get(known.id) ?? 0)) continue;
      this.versions.set(known.id, known.version);
      this.sequence += 1;
      this.keep({ ...known, partition, offset: record.offset, sequence: this.sequence, next: [...this.nextOffsets] });
    }
  }

  private read(record: StoredRecord): AnyEvent | null {
    try {
      return fromRecord(record);
    } catch (error) {
      // The projector parks it; nobody can be told what cannot be read.
      if (error instanceof InvalidEvent) return null;
      throw error;
    }
  }

  private keep(change: Change<T>): void {
    const row = this.kept[change.partition] ?? [];
    row.push(change);
    if (row.length > this.capacity) this.forget(row.shift());
    for (const key of change.keys) {
      const others = this.byKey.get(key) ?? new Set();
      this.byKey.set(key, others.add(change));
      for (const listener of this.listeners.get(key) ?? []) listener(change);
    }
  }

  private forget(change: Change<T> | undefined): void {
    if (change === undefined) return;
    this.firstOffsets[change.partition] = change.offset + 1;
    if (this.versions.get(change.id) === change.version) this.versions.delete(change.id);
    for (const key of change.keys) {
      const others = this.byKey.get(key);
      others?.delete(change);
      if (others?.size === 0) this.byKey.delete(key);
    }
  }
}
