import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Libsql from 'libsql';

export type Bindable = string | number | bigint | boolean | null | undefined;

export interface RunResult {
  readonly changes: number;
  readonly lastInsertRowid: number;
}

/**
 * A prepared statement that cannot abort the process: libsql panics on a bound boolean or a lone object and throws on a
 * lone null, so values are always handed over as ONE array, booleans as 0 and 1, undefined as null.
 * `iterate` is not offered: leaving it early keeps a read lock.
 */
export class SafeStatement {
  constructor(private readonly inner: Libsql.Statement) {}

  /** Whether it answers rows. TypeORM asks. */
  get reader(): boolean {
    return this.inner.reader;
  }

  run(...values: readonly Bindable[]): RunResult {
    return this.inner.run(bindable(values)) as unknown as RunResult;
  }

  all(...values: readonly Bindable[]): unknown[] {
    return this.inner.all(bindable(values));
  }

  get(...values: readonly Bindable[]): unknown {
    return this.all(...values)[0];
  }
}

function bindable(values: readonly Bindable[]): (string | number | bigint | null)[] {
  return values.map((value) => {
    if (typeof value === 'boolean') return value ? 1 : 0;
    if (value === undefined || value === null) return null;
    if (typeof value === 'object') throw new TypeError('A value bound to SQL must be a string, a number or null.');
    return value;
  });
}

/** libsql's connection with safe statements; also handed to TypeORM as its `better-sqlite3` driver. */
export class SafeDatabase extends Libsql {
  override prepare(sql: string): never {
    // The declared type is libsql's own statement; callers in this project use `statement`.
    return new SafeStatement(super.prepare(sql)) as never;
  }

  statement(sql: string): SafeStatement {
    return this.prepare(sql);
  }

  /** libsql's own `pragma` binds wrongly through a wrapped statement. */
  override pragma(source: string): unknown[] {
    return this.statement(`PRAGMA ${source}`).all();
  }
}

/**
 * WAL for readers beside the writer. NORMAL leaves the fsync of a commit to Durability, which does not block. A checkpoint
 * does block, so it comes after 16 MB instead of 4: the same pages are then written less often.
 */
export const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = NORMAL',
  'wal_autocheckpoint = 4000',
  'busy_timeout = 5000',
  'temp_store = MEMORY',
] as const;

/** Opens (and creates) a database file. Commits survive a crash of the process; for power cuts see Durability. */
export function openSqlite(file: string): SafeDatabase {
  mkdirSync(dirname(file), { recursive: true });
  const db = new SafeDatabase(file);
  for (const pragma of PRAGMAS) db.pragma(pragma);
  return db;
}

/** Whether an error says that a unique key is already there. */
export function isUniqueViolation(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_UNIQUE';
}
