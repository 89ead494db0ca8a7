import type { LogFile } from '../../shared/event-log/log-file.js';

/** A topic as it is. */
export interface TopicView {
  readonly partitions: number;
  /** Milliseconds; null for ever, undefined where that cannot be seen. */
  readonly retentionMs: number | null | undefined;
  /** What only brokers have; null on files, and where it cannot be seen. */
  readonly broker: {
    readonly cleanup: string;
    /** Bytes per partition after which records are dropped whatever their age; null for no limit. */
    readonly retentionBytes: number | null;
    readonly minInSync: number;
    /** Copies of the partition that has fewest. */
    readonly copies: number;
    /** Those of them that are up to date, of the partition that has fewest. */
    readonly inSync: number;
  } | null;
}

/** How far a group is in one partition. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  /** What it reads next. */
  readonly position: number;
  /** What the next record will get. */
  readonly next: number;
}

export interface GroupView {
  /** Whether it has ever read, or reads now. */
  readonly known: boolean;
  /** How many take part; null where that cannot be seen. */
  readonly members: number | null;
  readonly places: readonly Place[];
}

/** What the doctor asks of an event log. */
export interface LogView {
  /** How many brokers there are; null on files. */
  readonly brokers: number | null;
  /** Whether a topic appears when somebody merely asks for it; null where that cannot be seen. */
  readonly autoCreates: boolean | null;
  /** Null while nobody has named it. */
  logId(): Promise<string | null>;
  topics(): Promise<ReadonlyMap<string, TopicView>>;
  /** Where each partition of a topic ends at this moment. */
  ends(topic: string): Promise<ReadonlyMap<number, number>>;
  /** `topics` are there. */
  group(name: string, topics: readonly string[]): Promise<GroupView>;
  /** How long the record at a place has lain there, in milliseconds, or how long at least; null where there is none. */
  age(place: Place, now: number): Promise<number | null>;
  /** By how much the newest records of these topics bear times after `now`, in milliseconds; 0 if none does. */
  ahead(topics: readonly string[], now: number): Promise<number>;
  close(): Promise<void>;
}

/** The embedded log. */
export class FileView implements LogView {
  readonly brokers = null;
  readonly autoCreates = null;

  constructor(private readonly file: LogFile) {}

  async logId(): Promise<string> {
    return this.file.logId;
  }

  async topics(): Promise<ReadonlyMap<string, TopicView>> {
    return new Map(
      [...this.file.allTopics()].map(({ name, partitions, retentionMs }) => [
        name,
        { partitions: partitions.length, retentionMs, broker: null },
      ]),
    );
  }

  async ends(topic: string): Promise<ReadonlyMap<number, number>> {
    return this.file.endsNow(topic);
  }

  async group(name: string, topics: readonly string[]): Promise<GroupView> {
    const positions = this.file.positionsOf(name);
    const places = topics.flatMap((topic) =>
      (this.file.topic(topic)?.partitions ?? []).map(({ id, number, first, next }) => ({
        topic,
        partition: number,
        position: Math.max(positions.get(id) ?? first, first),
        next,
      })),
    );
    return { known: positions.size > 0, members: null, places };
  }

  async age({ topic, partition, position }: Place, now: number): Promise<number | null> {
    const found = this.file.topic(topic)?.partitions[partition];
    const [record] = found === undefined ? [] : this.file.read(found, position, 1);
    return record === undefined ? null : Math.max(0, now - record.timestamp);
  }

  async ahead(topics: readonly string[], now: number): Promise<number> {
    const newest = topics
      .flatMap((topic) => this.file.topic(topic)?.partitions ?? [])
      .flatMap((partition) =>
        partition.next > partition.first ? this.file.read(partition, partition.next - 1, 1) : [],
      );
    return Math.max(0, ...newest.map(({ timestamp }) => timestamp - now));
  }

  async close(): Promise<void> {
    this.file.close();
  }
}
