import { randomUUID } from 'node:crypto';
import { Durability } from '../libsql/durability.js';
import { openSqlite, type SafeDatabase, type SafeStatement } from '../libsql/libsql.js';
import type { LogRecord, StoredRecord, TopicSpec } from './port.js';
import type { Reader } from './reader.js';

/** Newest records of a partition kept in memory, so that the many groups which follow its end never read the file. */
const REMEMBERED_RECORDS = 128;
const REMEMBERED_CHARS = 256 * 1024;

/** Rows deleted in one transaction by retention: a few milliseconds of the event loop. */
const DELETE_CHUNK = 1_000;

const SCHEMA_VERSION = 1;

/**
 * `seq` keeps the table append-only whatever partitions a transaction touches: clustered by partition, the same writes
 * took twice the time.
 */
const SCHEMA = `
  CREATE TABLE meta (log_id TEXT NOT NULL);
  CREATE TABLE topics (name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_ms INTEGER NOT NULL);
  CREATE TABLE partitions (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL REFERENCES topics (name), number INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, number)
  );
  CREATE TABLE records (
    seq INTEGER PRIMARY KEY, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    key TEXT, value TEXT NOT NULL, headers TEXT NOT NULL, UNIQUE (partition, "offset")
  );
  CREATE TABLE offsets (
    "group" TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY ("group", partition)
  ) WITHOUT ROWID;
`;

/** What the process knows of a partition; readers see nothing from `next` on. */
export class Partition {
  /** Whoever wants to be woken by an append. */
  readonly readers = new Set<Reader>();
  /** Where the next record is written: ahead of `next` by what is not yet on disk. */
  written: number;
  private recent: StoredRecord[] = [];
  private recentChars = 0;

  constructor(
    readonly id: number,
    readonly topic: string,
    readonly number: number,
    public first: number,
    public next: number,
  ) {
    this.written = next;
  }

  /** Shows a record to readers, the one at `next`. */
  publish(record: StoredRecord): void {
    this.next = record.offset + 1;
    this.recent.push(record);
    this.recentChars += record.value.length;
    if (this.recent.length > REMEMBERED_RECORDS || this.recentChars > REMEMBERED_CHARS) {
      // Half at a time, so that the cost per record stays constant.
      for (const old of this.recent.splice(0, Math.ceil(this.recent.length / 2))) this.recentChars -= old.value.length;
    }
  }

  /** Records from `position` on, or null when the file has to be asked. */
  recall(position: number, limit: number): readonly StoredRecord[] | null {
    const index = position - (this.next - this.recent.length);
    return index < 0 ? null : this.recent.slice(index, index + limit);
  }
}

export interface Topic {
  readonly name: string;
  readonly partitions: readonly Partition[];
  readonly retentionMs: number;
}

export interface Placed {
  readonly partition: Partition;
  readonly record: LogRecord;
}

interface RecordRow {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string;
  readonly headers: string;
}

/** The file of the embedded event log: every method is one synchronous, atomic step, on disk once `settled` resolves. */
export class LogFile {
  readonly logId: string;
  private readonly db: SafeDatabase;
  private readonly durability: Durability;
  /** A second connection whose commits nobody waits for: a position lost in a power cut only makes records repeat. */
  private readonly positions: SafeDatabase;
  private readonly topics = new Map<string, Topic>();
  private readonly insertRecord: SafeStatement;
  private readonly selectRecords: SafeStatement;
  private readonly upsertPosition: SafeStatement;

  constructor(file: string, onFailure?: (error: Error) => void) {
    this.db = openSqlite(file);
    this.durability = new Durability(file, { onFailure });
    this.migrate();
    this.positions = openSqlite(file);
    this.logId = (this.db.statement('SELECT log_id FROM meta').get() as { log_id: string }).log_id;
    this.insertRecord = this.db.statement(
      'INSERT INTO records (partition, "offset", timestamp, key, value, headers) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.selectRecords = this.db.statement(
      'SELECT "offset", timestamp, key, value, headers FROM records WHERE partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?',
    );
    this.upsertPosition = this.positions.statement(
      'INSERT INTO offsets ("group", partition, next) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next',
    );
    this.load();
  }

  topic(name: string): Topic | undefined {
    return this.topics.get(name);
  }

  allTopics(): Iterable<Topic> {
    return this.topics.values();
  }

  /** Creates missing topics and takes over changed retentions; partitions of what is there stay as they are. */
  ensureTopics(specs: readonly TopicSpec[]): void {
    const changed = specs.filter((spec) => this.topics.get(spec.name)?.retentionMs !== spec.retentionMs);
    if (changed.length === 0) return;
    this.transaction(() => {
      const upsert = this.db.statement(
        'INSERT INTO topics VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET retention_ms = excluded.retention_ms',
      );
      const partition = this.db.statement(
        'INSERT INTO partitions (topic, number) VALUES (?, ?) ON CONFLICT DO NOTHING',
      );
      for (const spec of changed) {
        upsert.run(spec.name, spec.partitions, spec.retentionMs);
        if (this.topics.has(spec.name)) continue;
        for (let number = 0; number < spec.partitions; number++) partition.run(spec.name, number);
      }
    });
    this.load();
  }

  /** Appends in one transaction. Answers the step that shows the records to readers, to be taken once it is settled. */
  write(placed: readonly Placed[], timestamp: number): () => void {
    const stored: StoredRecord[] = [];
    const ends = new Map<Partition, number>();
    this.transaction(() => {
      for (const { partition, record } of placed) {
        const offset = ends.get(partition) ?? partition.written;
        ends.set(partition, offset + 1);
        const headers = { ...record.headers };
        const { key, value } = record;
        this.insertRecord.run(partition.id, offset, timestamp, key, value, JSON.stringify(headers));
        stored.push({ topic: partition.topic, key, value, headers, partition: partition.number, offset, timestamp });
      }
    });
    for (const [partition, end] of ends) partition.written = end;
    return () => {
      for (const [index, { partition }] of placed.entries()) partition.publish(stored[index] as StoredRecord);
    };
  }

  /** Resolves when every step so far is on disk. */
  settled(): Promise<void> {
    return this.durability.settled();
  }

  /** Up to `limit` records from `position` on, which must not lie before the partition's first. */
  read(partition: Partition, position: number, limit: number): readonly StoredRecord[] {
    const remembered = partition.recall(position, limit);
    if (remembered) return remembered;
    // Behind `next` there may be records that a power cut can still take back, and with them their offsets.
    const visible = Math.min(limit, partition.next - position);
    const rows = this.selectRecords.all(partition.id, position, visible) as RecordRow[];
    return rows.map(({ offset, timestamp, key, value, headers }) => ({
      topic: partition.topic,
      key,
      value,
      headers: JSON.parse(headers) as Record<string, string>,
      partition: partition.number,
      offset,
      timestamp,
    }));
  }

  /**
   * Deletes some of the records older than `cutoff` (milliseconds since the epoch) from the front of a partition.
   * Answers whether there may be more. The new first offset is stored with it, since an emptied partition must not
   * number its records from zero again.
   */
  dropOlder(partition: Partition, cutoff: number): boolean {
    if (partition.first === partition.next) return false;
    // Mostly there is nothing to drop, which one row tells.
    const oldest = this.db
      .statement('SELECT timestamp FROM records WHERE partition = ? AND "offset" = ?')
      .get(partition.id, partition.first) as { timestamp: number } | undefined;
    if (oldest !== undefined && oldest.timestamp >= cutoff) return false;
    const front = this.db
      .statement(
        'SELECT "offset", timestamp FROM records WHERE partition = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?',
      )
      .all(partition.id, partition.first, DELETE_CHUNK) as { offset: number; timestamp: number }[];
    const keep = front.find((row) => row.timestamp >= cutoff);
    const first = keep ? keep.offset : partition.first + front.length;
    if (first === partition.first) return false;
    this.transaction(() => {
      this.db.statement('DELETE FROM records WHERE partition = ? AND "offset" < ?').run(partition.id, first);
      this.db.statement('UPDATE partitions SET first = ? WHERE id = ?').run(first, partition.id);
    });
    partition.first = first;
    return keep === undefined && first < partition.next;
  }

  /** Where each partition of a topic ends in the file by now, whoever has written there: by its number. */
  endsNow(topic: string): Map<number, number> {
    const rows = this.db
      .statement(
        `SELECT number, COALESCE((SELECT max("offset") + 1 FROM records WHERE partition = p.id), first) AS next
         FROM partitions p WHERE topic = ?`,
      )
      .all(topic) as { number: number; next: number }[];
    return new Map(rows.map(({ number, next }) => [number, next]));
  }

  /** Where a group reads next, by partition id; partitions it never committed are absent. */
  positionsOf(group: string): Map<number, number> {
    const rows = this.positions.statement('SELECT partition, next FROM offsets WHERE "group" = ?').all(group);
    return new Map((rows as { partition: number; next: number }[]).map((row) => [row.partition, row.next]));
  }

  storePositions(
    moved: Iterable<{ readonly group: string; readonly partition: Partition; readonly next: number }>,
  ): void {
    inTransaction(this.positions, () => {
      for (const { group, partition, next } of moved) this.upsertPosition.run(group, partition.id, next);
    });
  }

  close(): void {
    this.positions.close();
    this.db.close();
    this.durability.close();
  }

  private transaction(work: () => void): void {
    this.durability.assertSound();
    inTransaction(this.db, work);
    this.durability.committed();
  }

  private migrate(): void {
    const [row] = this.db.pragma('user_version') as { user_version: number }[];
    if (row?.user_version === SCHEMA_VERSION) return;
    if (row?.user_version !== 0) throw new Error('The event log was written by a newer version of Tributary.');
    this.transaction(() => {
      this.db.exec(SCHEMA);
      this.db.statement('INSERT INTO meta VALUES (?)').run(randomUUID());
      this.db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    });
  }

  /** Takes topics and the ends of their partitions into memory; partitions already known keep their object. */
  private load(): void {
    const specs = this.db.statement('SELECT name, retention_ms FROM topics').all() as {
      name: string;
      retention_ms: number;
    }[];
    const select = this.db.statement(
      `SELECT id, number, first, (SELECT max("offset") FROM records WHERE partition = p.id) AS last
       FROM partitions p WHERE topic = ? ORDER BY number`,
    );
    for (const { name, retention_ms: retentionMs } of specs) {
      const known = this.topics.get(name)?.partitions;
      const partitions =
        known ??
        (select.all(name) as { id: number; number: number; first: number; last: number | null }[]).map(
          ({ id, number, first, last }) => new Partition(id, name, number, first, last === null ? first : last + 1),
        );
      this.topics.set(name, { name, partitions, retentionMs });
    }
  }
}

function inTransaction(db: SafeDatabase, work: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    work();
    db.exec('COMMIT');
  } catch (error) {
    // Some failures (a full disk) have rolled back by themselves.
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
