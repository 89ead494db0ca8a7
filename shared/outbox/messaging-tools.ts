import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../database/columns.js';
import type { DatabaseEngine } from '../database/contract.js';
import type { AdvisoryLock, Database } from '../database/port.js';
import { testDatabases } from '../database/testing.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { AnyNewEvent } from '../events/event.js';
import { topicSpecs } from '../events/catalogue.js';
import { RecordRefused, type Batch, type EventLog, type LogRecord, type StoredRecord } from '../event-log/port.js';
import { openSqliteEventLog } from '../event-log/sqlite.js';
import { newId } from '../ids/ids.js';
import { createMetrics } from '../observability/metrics.js';
import { silentLogger } from '../observability/logger.js';
import { Outbox } from './outbox.js';
import { createRelay, type Relay, type RelayOptions } from './relay.js';
import { createMessagingTables } from './tables.js';

/** A subgraph's tables, and one on which tests see which effects happened, in which order. */
class Tables1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await createMessagingTables(runner);
    const c = columnsFor(runner);
    await createTable(runner, 'effects', [c.bigserial('id'), c.key('subject'), c.integer('sequence')], {});
  }

  async down(): Promise<void> {
    // Never undone.
  }
}

/** The real engines, with the faults that tests inject into the log. */
export class FaultyLog implements EventLog {
  away = false;
  /** Records are appended, but the caller never hears of it: as if the process died in between. */
  deaf = false;
  refuses: (record: LogRecord) => boolean = () => false;
  appends = 0;

  constructor(private readonly inner: EventLog) {}

  get logId(): string {
    return this.inner.logId;
  }

  async append(records: readonly LogRecord[]): Promise<void> {
    this.appends++;
    if (this.away) throw new EngineUnavailable('event log');
    const refused = records.find(this.refuses);
    if (refused) throw new RecordRefused(refused, 'Not this one.');
    await this.inner.append(records);
    if (this.deaf) throw new EngineUnavailable('event log');
  }

  ensureTopics: EventLog['ensureTopics'] = (topics) => this.inner.ensureTopics(topics);
  subscribe: EventLog['subscribe'] = (options) => this.inner.subscribe(options);
  tail: EventLog['tail'] = (options) => this.inner.tail(options);
  ranges: EventLog['ranges'] = (topic) => this.inner.ranges(topic);
  enforceRetention: EventLog['enforceRetention'] = (now) => this.inner.enforceRetention(now);
  close: EventLog['close'] = () => this.inner.close();
}

/** The real database, which tells what a relay asks of it and whose lock can be taken away. */
export class WatchedDatabase implements Database {
  reads = 0;
  /** How often somebody asked whether the lock is still his. */
  asked = 0;
  lock: AdvisoryLock | null = null;

  constructor(private readonly inner: Database) {}

  get dialect(): Database['dialect'] {
    return this.inner.dialect;
  }

  get dataSource(): Database['dataSource'] {
    return this.inner.dataSource;
  }

  read: Database['read'] = (sql, params) => {
    this.reads++;
    return this.inner.read(sql, params);
  };

  async tryLock(name: string): Promise<AdvisoryLock | null> {
    const lock = (this.lock = await this.inner.tryLock(name));
    if (lock === null) return null;
    const isHeld = (): Promise<boolean> => {
      this.asked++;
      return lock.isHeld();
    };
    const read: AdvisoryLock['read'] = (sql, params) => {
      this.reads++;
      return lock.read(sql, params);
    };
    return { isHeld, read, release: () => lock.release() };
  }

  transaction: Database['transaction'] = (work) => this.inner.transaction(work);
  migrate: Database['migrate'] = () => this.inner.migrate();
  close: Database['close'] = () => this.inner.close();
}

/** A database with the messaging tables, a log with every topic, and an outbox, in a folder of their own. */
export class Bench {
  readonly log: FaultyLog;
  readonly metrics = createMetrics();
  readonly outbox = new Outbox('tributary/test', Date.now);
  private readonly tails: StoredRecord[] = [];

  private constructor(
    private readonly folder: string,
    private readonly databases: DatabaseEngine,
    readonly database: Database,
    log: EventLog,
  ) {
    this.log = new FaultyLog(log);
  }

  static async open(): Promise<Bench> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-messaging-'));
    const databases = await testDatabases();
    const database = await databases.open({ name: 'test', migrations: [Tables1700000000000] });
    await database.migrate();
    const bench = new Bench(folder, databases, database, openSqliteEventLog({ file: join(folder, 'log.sqlite') }));
    await bench.log.ensureTopics(topicSpecs());
    const topics = topicSpecs().map(({ name }) => name);
    await bench.log.tail({ topics, from: 'start', onBatch: ({ records }: Batch) => void bench.tails.push(...records) });
    return bench;
  }

  async close(): Promise<void> {
    await this.log.close();
    await this.database.close();
    await this.databases.dispose();
    await rm(this.folder, { recursive: true });
  }

  relay(options: Partial<RelayOptions> = {}): Relay {
    return createRelay({
      name: 'test',
      database: this.database,
      outbox: this.outbox,
      eventLog: this.log,
      log: silentLogger(),
      metrics: this.metrics,
      now: Date.now,
      markDelayMs: 5,
      ...options,
    });
  }

  /** Commits events, as a command would. */
  commit(...events: readonly AnyNewEvent[]): Promise<void> {
    return this.database.transaction(async (tx) => this.outbox.append(tx, events));
  }

  /** What the log holds of a topic, in the order of its partitions. */
  records(topic: string): readonly StoredRecord[] {
    return this.tails.filter((record) => record.topic === topic);
  }

  /** Versions in the log per user, in order, repeats included. */
  versions(): Record<string, number[]> {
    const versions: Record<string, number[]> = {};
    for (const { key, headers } of this.records('users'))
      (versions[String(key)] ??= []).push(Number(headers['ce_sequence']));
    return versions;
  }

  async count(sql: string): Promise<number> {
    const [row] = await this.database.read<{ n: number }>(`SELECT COUNT(*) AS n FROM ${sql}`);
    return row?.n ?? 0;
  }
}

/** An event of the catalogue: `subject`'s change to version `sequence`. */
export const userEvent = (subject: string, sequence: number): AnyNewEvent => ({
  type: sequence === 1 ? 'user.created' : 'user.updated',
  subject,
  sequence,
  data: {
    user: {
      id: subject,
      version: sequence,
      name: 'Ana',
      email: 'ana@example.com',
      role: 'USER',
      locale: 'EN',
      verified: true,
      deleted: false,
      createdAt: 1,
      updatedAt: sequence,
    },
  },
});

/** The record a subgraph's relay would append, with an event id of its own. */
export function userRecord(subject: string, sequence: number, id = newId()): LogRecord {
  const { type, data } = userEvent(subject, sequence);
  return {
    topic: 'users',
    key: subject,
    value: JSON.stringify(data),
    headers: {
      ce_specversion: '1.0',
      ce_id: id,
      ce_type: type,
      ce_source: 'tributary/user',
      ce_subject: subject,
      ce_time: '2026-01-01T00:00:00.000Z',
      ce_sequence: String(sequence),
      'content-type': 'application/json',
    },
  };
}
