import type { DataSource, MigrationInterface } from 'typeorm';

export type SqlValue = string | number | boolean | null;
export type Row = Record<string, string | number | null>;

/** A row to be written: a value for every column that is named. */
export type InsertRow = Readonly<Record<string, SqlValue>>;

/** Writes whose answer nobody waits for: see `Transaction.deferred`. */
export interface DeferredWrites {
  insert(table: string, rows: readonly InsertRow[]): void;
  upsert(table: string, key: readonly string[], rows: readonly InsertRow[]): void;
  execute(sql: string, params?: readonly SqlValue[]): void;
}

/**
 * One transaction. Placeholders are `?` on both dialects; numbers come back as numbers, JSON columns as text.
 * Nothing but this database may be awaited while it is open. Statements that are asked for in one turn, by `Promise.all`,
 * run in their order and travel together; when one of them fails, the transaction is over. Writes of more than a megabyte
 * take several statements, and are asked for alone.
 */
export interface Transaction {
  /** Rows of a SELECT. */
  query<R = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]>;
  /** INSERT, UPDATE or DELETE; answers how many rows it touched; an UPDATE counts the rows it matched, changed or not. */
  execute(sql: string, params?: readonly SqlValue[]): Promise<number>;
  /**
   * Inserts all rows, which have the same columns, or none. A duplicate key is `CONFLICT` (with the engine's error as
   * cause) and leaves the transaction usable, unless it travelled with others; so it is for the other three ways to write.
   */
  insert(table: string, rows: readonly InsertRow[]): Promise<void>;
  /** INSERT, or update every column but the key where the key exists. */
  upsert(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<void>;
  /**
   * INSERT, leaving rows whose key (or another unique value) exists untouched; answers how many were new. Waits for a
   * concurrent twin to commit or roll back, and holds every row it met, new or not, until the end of the transaction.
   */
  insertNew(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<number>;
  /** `SELECT * … WHERE column IN (ids) ORDER BY column`, locking the rows until the end of the transaction, in id order. */
  lock<R = Row>(table: string, column: string, ids: readonly (string | number)[]): Promise<R[]>;
  /** As `lock`, but waits for nobody: passes over rows that another transaction holds, and locks the first `most` of the others, by id. */
  tryLock<R = Row>(table: string, column: string, ids: readonly (string | number)[], most: number): Promise<R[]>;
  /**
   * Writes that take effect in their order before the next statement that is awaited, or before the commit, and save the
   * round trip of their own. One that fails, or whose next statement fails, takes the transaction with it: from then on
   * every statement throws that error, and so does the transaction, unless `work` throws one of its own.
   */
  readonly deferred: DeferredWrites;
  /** Runs after the commit, never after a rollback. For waking workers; a throw is reported and changes nothing. */
  afterCommit(callback: () => void): void;
}

/**
 * A subgraph's own database. Contract (contract.ts):
 * - `transaction` is atomic and durable once its promise resolves; a throw inside rolls everything back and is rethrown.
 * - Deadlocks, lock time-outs and connections lost before the commit repeat `work` from its start, so `work` has no effect
 *   outside `tx`. Once the commit was sent nothing is repeated: without an answer it is `EngineUnavailable`, done or not.
 * - `transaction` is not called inside another one's `work`: it would wait for itself.
 * - `read` sees only what is committed, and waits for no transaction.
 * - A database that cannot be reached rejects with `EngineUnavailable`.
 */
export interface Database {
  readonly dialect: 'sqlite' | 'mysql';
  /** TypeORM's data source, for migrations and entities. */
  readonly dataSource: DataSource;
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  read<R = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]>;
  /** Runs pending migrations; safe to call from many processes at once. */
  migrate(): Promise<void>;
  /**
   * Holds the named lock while the connection lasts; resolves to a release function, or null if another
   * holder has it. `isHeld` must be asked before every write that depends on it. Embedded: holders are of this process.
   * The name belongs to this database: the same name in another one is another lock.
   */
  tryLock(name: string): Promise<AdvisoryLock | null>;
  close(): Promise<void>;
}

export interface AdvisoryLock {
  /** Whether the lock is still ours; checks the connection that holds it. */
  isHeld(): Promise<boolean>;
  /** Rows of a SELECT, and with them the answer that the lock was ours after they were read; null if it is not any more. */
  read<R = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[] | null>;
  release(): Promise<void>;
}

export interface DatabaseOptions {
  /** Name of the database: `tributary_order`. */
  readonly name: string;
  readonly migrations: readonly (new () => MigrationInterface)[];
}

/** Repeats of `?` for an IN list: `placeholders(3)` is `?, ?, ?`. */
export const placeholders = (count: number): string => Array.from({ length: count }, () => '?').join(', ');
