import type { Database } from '../database/port.js';
import { madeAt } from '../ids/ids.js';

/** Published rows stay an hour, and are then deleted within minutes: what is older than this has been forgotten. */
const UNPURGED_MS = 3_900_000;

/** Rows kept back, by topic and aggregate. */
export interface SetAside {
  readonly topic: string;
  /** Null for records that belong to no aggregate: dead letters. */
  readonly aggregateId: string | null;
  readonly rows: number;
  /** Why the log took none of it: of the first row that was refused; null where all of them follow a row that is gone. */
  readonly refused: string | null;
}

export interface OutboxStatus {
  /** Rows not yet published, those set aside not among them. */
  readonly waiting: number;
  /** Milliseconds since the oldest of them was written; null where there is none. */
  readonly oldestMs: number | null;
  readonly setAside: readonly SetAside[];
  /**
   * Whether some relay holds the lock; null where that cannot be seen from outside: the locks of embedded databases are
   * known within their process only.
   */
  readonly led: boolean | null;
  /** Published rows that a relay should have deleted by now. */
  readonly unpurged: number;
}

export interface StatusOptions {
  /** Name of the database, `tributary_order`, which names the relay's lock. */
  readonly name: string;
  readonly database: Database;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Whether the tables of messaging are there: a database that no process has prepared yet has nothing in it. */
export async function isPrepared(database: Database): Promise<boolean> {
  const tables =
    database.dialect === 'sqlite'
      ? "sqlite_master WHERE type = 'table' AND name = 'outbox'"
      : "information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'outbox'";
  return (await database.read(`SELECT 1 AS found FROM ${tables}`)).length > 0;
}

/** Looks into an outbox from outside; changes nothing. The database is prepared. */
export async function outboxStatus({ name, database, now }: StatusOptions): Promise<OutboxStatus> {
  const [counted] = await database.read<{ waiting: number }>(
    'SELECT COUNT(*) AS waiting FROM outbox WHERE published_at IS NULL AND set_aside = 0',
  );
  const [oldest] = await database.read<{ event_id: string }>(
    'SELECT event_id FROM outbox WHERE published_at IS NULL AND set_aside = 0 ORDER BY id LIMIT 1',
  );
  const aside = await database.read<{ topic: string; aggregate_id: string | null; how_many: number; first: number }>(
    `SELECT topic, aggregate_id, COUNT(*) AS how_many, MIN(CASE WHEN refused IS NULL THEN NULL ELSE id END) AS first
     FROM outbox WHERE published_at IS NULL AND set_aside = 1 GROUP BY topic, aggregate_id ORDER BY topic, aggregate_id`,
  );
  const setAside: SetAside[] = [];
  for (const { topic, aggregate_id, how_many, first } of aside) {
    const [row] = await database.read<{ refused: string | null }>('SELECT refused FROM outbox WHERE id = ?', [first]);
    setAside.push({ topic, aggregateId: aggregate_id, rows: how_many, refused: row?.refused ?? null });
  }
  const [purge] = await database.read<{ unpurged: number }>(
    'SELECT COUNT(*) AS unpurged FROM outbox WHERE published_at < ?',
    [now - UNPURGED_MS],
  );
  const made = oldest === undefined ? null : madeAt(oldest.event_id);
  return {
    waiting: counted?.waiting ?? 0,
    oldestMs: made === null ? null : Math.max(0, now - made),
    setAside,
    led: database.dialect === 'sqlite' ? null : await isLed(database, name),
    unpurged: purge?.unpurged ?? 0,
  };
}

async function isLed(database: Database, name: string): Promise<boolean> {
  const lock = await database.tryLock(`${name}.relay`);
  await lock?.release();
  return lock === null;
}

/**
 * Lets the relay send rows again that were set aside: all, those of a topic, or those of one of its aggregates. They keep
 * their order; one that is refused again is set aside again. Answers how many there were. Safe to repeat.
 */
export async function retrySetAside(database: Database, topic?: string, aggregateId?: string): Promise<number> {
  const conditions = ['published_at IS NULL', 'set_aside = 1'];
  const params: string[] = [];
  if (topic !== undefined) {
    conditions.push('topic = ?');
    params.push(topic);
  }
  if (aggregateId !== undefined) {
    conditions.push('aggregate_id = ?');
    params.push(aggregateId);
  }
  // One statement, so that no row of an aggregate is sent while an earlier one is still kept back.
  return database.transaction((tx) =>
    tx.execute(`UPDATE outbox SET set_aside = 0, refused = NULL WHERE ${conditions.join(' AND ')}`, params),
  );
}
