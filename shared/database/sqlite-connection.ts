import { AppError, EngineUnavailable } from '../errors/errors.js';
import { isUniqueViolation, type SafeDatabase, type SafeStatement } from '../libsql/libsql.js';
import type { SqlValue } from './port.js';

/** Statements by their text. A prepare costs twice a lookup by primary key; the bound is for texts made at run time. */
const CACHED_STATEMENTS = 500;

/** One libsql connection with prepared statements and this project's errors. */
export class Connection {
  private readonly statements = new Map<string, SafeStatement>();

  constructor(private readonly db: SafeDatabase) {}

  all(sql: string, params: readonly SqlValue[]): unknown[] {
    try {
      return this.statement(sql).all(...params.map(bound));
    } catch (error) {
      throw translated(error);
    }
  }

  run(sql: string, params: readonly SqlValue[]): number {
    try {
      return this.statement(sql).run(...params.map(bound)).changes;
    } catch (error) {
      throw translated(error);
    }
  }

  begin(): void {
    this.exec('BEGIN IMMEDIATE');
  }

  commit(): void {
    this.exec('COMMIT');
  }

  /** Never throws: after some errors SQLite has rolled back by itself. */
  rollback(): void {
    try {
      if (this.db.inTransaction) this.db.exec('ROLLBACK');
    } catch (error) {
      process.emitWarning(`A rollback failed: ${String(error)}`);
    }
  }

  get inTransaction(): boolean {
    return this.db.inTransaction;
  }

  pragma(source: string): void {
    this.db.pragma(source);
  }

  /** Lets go of the prepared statements, which would otherwise keep the file open after `close`. */
  forget(): void {
    this.statements.clear();
  }

  close(): void {
    this.forget();
    this.db.close();
  }

  private exec(sql: string): void {
    try {
      this.db.exec(sql);
    } catch (error) {
      throw translated(error);
    }
  }

  private statement(sql: string): SafeStatement {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.db.statement(sql);
      if (this.statements.size >= CACHED_STATEMENTS) {
        for (const oldest of this.statements.keys()) {
          this.statements.delete(oldest);
          break;
        }
      }
      this.statements.set(sql, statement);
    }
    return statement;
  }
}

/** libsql binds numbers as REAL (5 in a text column would read `5.0`) and NaN as NULL, and cuts text at a NUL. */
function bound(value: SqlValue): string | number | bigint | boolean | null {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return BigInt(value);
    if (!Number.isFinite(value)) throw new TypeError(`${value} cannot be stored.`);
    return value;
  }
  if (typeof value === 'string' && value.includes('\0'))
    throw new AppError('VALIDATION', 'Text must not contain a NUL character.');
  return value;
}

/** Result codes of an engine that cannot do its work at present; extended codes begin with them. */
const AWAY = /^SQLITE_(BUSY|LOCKED|IOERR|FULL|CANTOPEN|NOMEM|PROTOCOL)/;

/** A duplicate becomes `CONFLICT`, an engine that is away `EngineUnavailable`, all else stays as it is. */
export function translated(error: unknown): unknown {
  if (error instanceof AppError) return error;
  if (isUniqueViolation(error))
    return new AppError('CONFLICT', 'There is one with the same key already.', { cause: error });
  const { code, driverError } = (error ?? {}) as { code?: unknown; driverError?: { code?: unknown } };
  const sqlite = code ?? driverError?.code;
  if (typeof sqlite === 'string' && AWAY.test(sqlite)) return new EngineUnavailable('database', error);
  return error;
}
