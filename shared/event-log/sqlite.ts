import { randomInt } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import { EngineUnavailable } from '../errors/errors.js';
import { Delivery, singly } from './delivery.js';
import { Group, Member } from './group.js';
import { LogFile, type Partition, type Placed, type Topic } from './log-file.js';
import { partitionOf } from './murmur2.js';
import {
  RecordRefused,
  type EventLog,
  type LogRecord,
  type PartitionRange,
  type SubscribeOptions,
  type Subscription,
  type Tail,
  type TailOptions,
  type TopicSpec,
} from './port.js';
import { Reader } from './reader.js';

export interface SqliteEventLogOptions {
  /** Made, with its folder, when it is not there. One process at a time. */
  readonly file: string;
  /** Milliseconds since the epoch, for the records' timestamps. */
  readonly clock?: () => number;
  /** How long a partition that shall move to another member waits for the batch in hand; 30 s when absent. */
  readonly rebalanceTimeoutMs?: number;
  /** Hears of a failed fsync, after which this process appends no more: see Durability. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/** Largest record: key, value and headers in bytes, as Kafka's default. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** Appends that wait for the same commit share it, up to this many records: some 40 ms of the event loop. */
const MAX_COMMIT_RECORDS = 1_000;

/** Positions are written this long after the first of them moved. A crash within it repeats that much. */
const STORE_POSITIONS_AFTER_MS = 20;
const STORE_POSITIONS_RETRY_MS = 1_000;

const TAIL_BATCH = 500;

interface PendingAppend {
  readonly placed: readonly Placed[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface MovedPosition {
  readonly group: string;
  readonly partition: Partition;
  readonly next: number;
}

/** Opens the embedded event log: the port's contract in one SQLite file. */
export const openSqliteEventLog = (options: SqliteEventLogOptions): SqliteEventLog => new SqliteEventLog(options);

/**
 * The event log of one process. Appends of the same moment share one transaction; readers are woken by it and find new
 * records in memory. Groups divide partitions among the subscriptions of this process.
 */
export class SqliteEventLog implements EventLog {
  readonly logId: string;
  private readonly file: LogFile;
  private readonly clock: () => number;
  private readonly rebalanceTimeoutMs: number;
  private readonly groups = new Map<string, Group>();
  private readonly open = new Set<{ stop(): Promise<void> }>();
  private readonly turns = new Map<Topic['name'], number>();
  private pending: PendingAppend[] = [];
  /** Shows what was written, in that order, as soon as it is on disk. */
  private publishing: Promise<void> = Promise.resolve();
  private moved = new Map<string, MovedPosition>();
  private storeTimer: NodeJS.Timeout | null = null;
  private closing: Promise<void> | null = null;
  private closed = false;

  constructor({ file, clock = Date.now, rebalanceTimeoutMs = 30_000, onFailure }: SqliteEventLogOptions) {
    this.file = new LogFile(file, onFailure);
    this.logId = this.file.logId;
    this.clock = clock;
    this.rebalanceTimeoutMs = rebalanceTimeoutMs;
  }

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.assertOpen();
    this.file.ensureTopics(topics);
    await this.file.settled();
  }

  async append(records: readonly LogRecord[]): Promise<void> {
    this.assertOpen();
    if (records.length === 0) return;
    const placed = records.map((record) => ({ record, partition: this.place(record) }));
    await new Promise<void>((resolve, reject) => {
      this.pending.push({ placed, resolve, reject });
      if (this.pending.length === 1) setImmediate(() => this.commitPending());
    });
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    this.assertOpen(this.closing !== null);
    const topics = [...new Set(options.topics)].map((name) => this.topic(name));
    const group = this.group(options.group);
    const member = new Member(options);
    group.join(member);
    const subscription: Subscription = {
      stop: async () => {
        await group.leave(member);
        this.open.delete(subscription);
        this.storePositions();
      },
      lag: async () =>
        topics.flatMap(({ name, partitions }) =>
          partitions.map((partition) => ({
            topic: name,
            partition: partition.number,
            lag: partition.next - group.position(partition),
          })),
        ),
    };
    this.open.add(subscription);
    return subscription;
  }

  async tail({ topics, from, onBatch, onError }: TailOptions): Promise<Tail> {
    this.assertOpen(this.closing !== null);
    const partitions = [...new Set(topics)].flatMap((name) => this.topic(name).partitions);
    const started = new Map<string, Map<number, number>>(topics.map((name) => [name, new Map()]));
    const readers = partitions.map((partition) => {
      const position = tailPosition(partition, from);
      started.get(partition.topic)?.set(partition.number, position);
      const delivery = new Delivery({ maxBatch: TAIL_BATCH, onBatches: singly(onBatch), onError });
      return new Reader({ file: this.file, partition, from: position, delivery, onError, onHandled: () => true });
    });
    const tail: Tail = {
      started,
      stop: async () => {
        await Promise.all(readers.map((reader) => reader.leave()));
        this.open.delete(tail);
      },
    };
    this.open.add(tail);
    return tail;
  }

  async ranges(topic: string): Promise<readonly PartitionRange[]> {
    this.assertOpen();
    return this.topic(topic).partitions.map(({ number, first, next }) => ({ partition: number, first, next }));
  }

  async enforceRetention(now: number): Promise<void> {
    for (const { partitions, retentionMs } of this.file.allTopics()) {
      for (const partition of partitions) {
        while (!this.closed && this.file.dropOlder(partition, now - retentionMs)) await breathe();
        await breathe();
      }
    }
  }

  /** Stops every subscription and tail, waiting for the batches in hand, writes what is pending and lets go of the file. */
  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async shut(): Promise<void> {
    try {
      await Promise.allSettled([...this.open].map((reader) => reader.stop()));
      while (this.pending.length > 0) this.commitPending();
      await this.publishing;
      this.storePositions();
    } finally {
      this.closed = true;
      if (this.storeTimer) clearTimeout(this.storeTimer);
      this.file.close();
    }
  }

  private commitPending(): void {
    const calls: PendingAppend[] = [];
    const placed: Placed[] = [];
    while (this.pending[calls.length] && placed.length < MAX_COMMIT_RECORDS) {
      const call = this.pending[calls.length] as PendingAppend;
      calls.push(call);
      for (const one of call.placed) placed.push(one);
    }
    this.pending = this.pending.slice(calls.length);
    if (this.pending.length > 0) setImmediate(() => this.commitPending());
    if (calls.length === 0) return;
    let show: () => void;
    try {
      show = this.file.write(placed, this.clock());
    } catch (error) {
      for (const call of calls) call.reject(new EngineUnavailable('event log', error));
      return;
    }
    const failure = this.file.settled().then(
      () => null,
      (error: unknown) => new EngineUnavailable('event log', error),
    );
    this.publishing = this.publishing.then(async () => {
      const lost = await failure;
      if (lost !== null) {
        for (const call of calls) call.reject(lost);
        return;
      }
      show();
      for (const call of calls) call.resolve();
      for (const partition of new Set(placed.map((one) => one.partition))) {
        for (const reader of partition.readers) reader.wake();
      }
    });
  }

  private place(record: LogRecord): Partition {
    const topic = this.file.topic(record.topic);
    if (!topic) throw new RecordRefused(record, `There is no topic ${record.topic}.`);
    if (bytesOf(record) > MAX_RECORD_BYTES) {
      throw new RecordRefused(record, `A record of ${record.topic} is larger than ${MAX_RECORD_BYTES} bytes.`);
    }
    // libsql cuts a string at NUL: better no record than half of one.
    if (record.value.includes('\0') || record.key?.includes('\0')) {
      throw new RecordRefused(record, `A record of ${record.topic} has a NUL character in its key or value.`);
    }
    const count = topic.partitions.length;
    const number = record.key === null ? this.turn(topic.name) % count : partitionOf(record.key, count);
    return topic.partitions[number] as Partition;
  }

  /** Records without a key go round, from anywhere, so that restarts do not fill the first partition. */
  private turn(topic: string): number {
    const turn = (this.turns.get(topic) ?? randomInt(1_000)) + 1;
    this.turns.set(topic, turn);
    return turn;
  }

  private topic(name: string): Topic {
    const topic = this.file.topic(name);
    if (!topic) throw new Error(`There is no topic ${name}; ensureTopics makes it.`);
    return topic;
  }

  private group(name: string): Group {
    let group = this.groups.get(name);
    if (!group) {
      const { file, rebalanceTimeoutMs } = this;
      const onCommit = (partition: Partition, next: number): void => this.move({ group: name, partition, next });
      group = new Group({ name, file, rebalanceTimeoutMs, onCommit });
      this.groups.set(name, group);
    }
    return group;
  }

  private move(position: MovedPosition): void {
    this.moved.set(`${position.partition.id} ${position.group}`, position);
    this.storeTimer ??= setTimeout(() => this.storeOrRetry(), STORE_POSITIONS_AFTER_MS);
  }

  private storeOrRetry(): void {
    this.storeTimer = null;
    try {
      this.storePositions();
    } catch {
      // The positions stay in memory and are tried again; were the process to die, their records would repeat.
      this.storeTimer = setTimeout(() => this.storeOrRetry(), STORE_POSITIONS_RETRY_MS);
    }
  }

  private storePositions(): void {
    if (this.moved.size === 0) return;
    this.file.storePositions(this.moved.values());
    this.moved.clear();
  }

  /** While closing, handlers that finish their batch may still append; nothing new begins to read. */
  private assertOpen(closed = this.closed): void {
    if (closed) throw new EngineUnavailable('event log', new Error('The event log is closed.'));
  }
}

/** Within the records there are; an offset beyond the end begins at the end. */
function tailPosition({ topic, number, first, next }: Partition, from: TailOptions['from']): number {
  if (from === 'end') return next;
  if (from === 'start') return first;
  const wanted = typeof from === 'function' ? from(topic, number) : next - from.last;
  return Math.min(Math.max(wanted, first), next);
}

function bytesOf({ key, value, headers }: LogRecord): number {
  let bytes = Buffer.byteLength(value) + (key === null ? 0 : Buffer.byteLength(key));
  for (const [name, text] of Object.entries(headers)) bytes += Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}
