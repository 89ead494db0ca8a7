/** A record as it lies in the log: Kafka's shape, on every engine. */
export interface LogRecord {
  readonly topic: string;
  /** Decides the partition; null spreads. Records of one key stay in the order they were appended. */
  readonly key: string | null;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface StoredRecord extends LogRecord {
  readonly partition: number;
  /** Rises by one per record of the partition (on Kafka by more where foreign producers use transactions). */
  readonly offset: number;
  /** Milliseconds since the epoch, when it was appended. */
  readonly timestamp: number;
}

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
}

/** Records of one partition, in order, without gaps since the last batch of this member; one at least. */
export interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly StoredRecord[];
  /** The offset the next append to this partition will get, when the batch was read: lag = end - last offset - 1. */
  readonly endOffset: number;
  /**
   * True once another member waits for the partition (or has it) or the subscription is stopping. A handler that is far
   * from done leaves by throwing, which nobody hears of; one that resolves is committed if the partition is still its own.
   */
  isStale(): boolean;
}

/**
 * `paceMs`, for those who need not hear at once: where the log has to be asked for records, it is asked no sooner than so
 * many milliseconds after it last gave some, and what comes meanwhile comes together. After a silence nothing waits.
 */
interface Pace {
  readonly paceMs?: number;
}

export interface SubscribeOptions extends Pace {
  /** Permanent: renaming a group makes it read everything again. */
  readonly group: string;
  readonly topics: readonly string[];
  /** Most records in one call; 100 when absent. */
  readonly maxBatch?: number;
  /**
   * Gets what is at hand of all partitions of this member, a batch of each; one call at a time. When it resolves, their
   * offsets are going to be committed (at least once: after a crash the last second may come again). When it rejects,
   * nothing is committed and the same records come again after a pause that grows to 5 s, each partition in a call of its
   * own until that has resolved: a partition that cannot be handled holds up no other.
   */
  readonly onBatches: (batches: readonly Batch[]) => Promise<void>;
  /**
   * Awaited before offsets are committed, after the calls they come from: for what has to be stored by then, but need not
   * be at every call. While it rejects nothing is committed, and it is asked again, or those calls count as rejected.
   */
  readonly beforeCommit?: () => Promise<void>;
  /** Hears of every rejected call (unless stale), lost partition and lost connection (once until it is back). */
  readonly onError?: (error: unknown) => void;
}

export interface Subscription {
  /** Takes no further batch, lets what is in hand finish, commits it and leaves the group. */
  stop(): Promise<void>;
  /** Records the group has not yet committed, for every partition of this subscription's topics. */
  lag(): Promise<readonly { topic: string; partition: number; lag: number }[]>;
}

/** `next` positions of a topic: partition number to the offset to read next. */
export type Positions = ReadonlyMap<number, number>;

export interface TailOptions extends Pace {
  readonly topics: readonly string[];
  /**
   * Where to begin in a partition: at its end, at its first record, at most `last` records back, or at a given offset
   * (outside of what there is: at the nearest end).
   */
  readonly from: 'end' | 'start' | { readonly last: number } | ((topic: string, partition: number) => number);
  /** Called in order per partition; must not throw. A promise is awaited before that partition's next batch. */
  readonly onBatch: (batch: Batch) => void | Promise<void>;
  readonly onError?: (error: unknown) => void;
}

export interface Tail {
  /** Where each partition began, per topic: `started.get('orders')?.get(3)`. */
  readonly started: ReadonlyMap<string, Positions>;
  /** Takes no further batch; resolves when the handlers in hand have. */
  stop(): Promise<void>;
}

export interface PartitionRange {
  readonly partition: number;
  /** First offset still there (equal to `next` when empty). */
  readonly first: number;
  /** Offset of the next record. */
  readonly next: number;
}

/**
 * A partitioned, append-only log. Contract (contract.ts):
 * - `append` resolves when every record is durable; when it rejects, some, all or none are, so the caller appends again
 *   and readers meet repeats. Within one call and between awaited calls, records of one key keep their order.
 * - A group shares a topic's partitions among its members; a partition has one member at a time; positions survive
 *   restarts; a new group begins at the first record.
 * - An engine that cannot be reached rejects with `EngineUnavailable`; a record it will never take rejects with
 *   `RecordRefused`, and nothing of that call counts as appended.
 */
export interface EventLog {
  /** Identity of this log's content: changes when the log is made anew, so that old cursors are recognised. */
  readonly logId: string;
  /** Creates what is missing; never changes the partitions of what is there. */
  ensureTopics(topics: readonly TopicSpec[]): Promise<void>;
  append(records: readonly LogRecord[]): Promise<void>;
  /** Topics must exist. Resolves once the member takes part; partitions may reach it a little later. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Follows all partitions without a group and without committing. Resolves once positions are fixed: nothing appended later is missed. */
  tail(options: TailOptions): Promise<Tail>;
  ranges(topic: string): Promise<readonly PartitionRange[]>;
  /** Drops records older than the topics' retention. Kafka does this itself. */
  enforceRetention(now: number): Promise<void>;
  /** Stops every subscription and tail as their `stop` does, then lets go of the engine. */
  close(): Promise<void>;
}

/** The log will never accept this record (too large, bad topic). */
export class RecordRefused extends Error {
  override readonly name = 'RecordRefused';
  constructor(
    readonly record: LogRecord,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
