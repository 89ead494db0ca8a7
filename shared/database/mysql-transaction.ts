import type { Connection } from 'mysql2';
import { Interrupted } from './mysql-errors.js';
import { rowsOf, run } from './mysql-statements.js';
import type { Row, SqlValue, Transaction } from './port.js';
import { columnsOf, insertNewSql, insertSql, lockChunks, lockSql, upsertSql, valuesOf, type InsertRow } from './sql.js';

/** Most text in one INSERT, in characters: far below what servers take in one packet (16 MB on MariaDB, 64 MB on MySQL). */
const CHUNK_CHARACTERS = 1_000_000;

/**
 * A transaction on a connection for transactions that nobody else uses: its first statement begins it. Committed and rolled
 * back by MysqlDatabase.
 */
export class MysqlTransaction implements Transaction {
  readonly callbacks: (() => void)[] = [];
  private open = true;
  private interruption: Interrupted | undefined;

  constructor(private readonly connection: Connection) {
    connection.on('error', this.lose);
  }

  /** Why the engine gave up on the transaction, if it did. */
  get failure(): Interrupted | undefined {
    return this.interruption;
  }

  query<R = Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return this.guarded(() => rowsOf(this.connection, sql, params)) as Promise<R[]>;
  }

  execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.guarded(() => run(this.connection, sql, params));
  }

  async insert(table: string, rows: readonly InsertRow[]): Promise<void> {
    await this.write(rows, (columns, count) => insertSql('mysql', table, columns, count));
  }

  async upsert(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<void> {
    await this.write(rows, (columns, count) => upsertSql('mysql', table, key, columns, count));
  }

  /** ON DUPLICATE KEY UPDATE locks the rows it meets, and does not count those that it leaves as they are. */
  async insertNew(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<number> {
    return this.write(rows, (columns, count) => insertNewSql('mysql', table, key, columns, count));
  }

  async lock<R = Row>(table: string, column: string, ids: readonly (string | number)[]): Promise<R[]> {
    const rows: R[] = [];
    for (const chunk of lockChunks(ids)) {
      rows.push(...(await this.query<R>(lockSql('mysql', table, column, chunk.length), chunk)));
    }
    return rows;
  }

  async tryLock<R = Row>(table: string, column: string, ids: readonly (string | number)[], most: number): Promise<R[]> {
    const rows: R[] = [];
    for (const chunk of lockChunks(ids)) {
      const left = most - rows.length;
      if (left <= 0) break;
      rows.push(...(await this.query<R>(lockSql('mysql', table, column, chunk.length, left), chunk)));
    }
    return rows;
  }

  afterCommit(callback: () => void): void {
    this.assertOpen();
    this.callbacks.push(callback);
  }

  /** No statement after this; throws if the engine gave up on the transaction, also where `work` swallowed that. */
  end(): void {
    this.close();
    if (this.interruption !== undefined) throw this.interruption;
  }

  close(): void {
    this.open = false;
    this.connection.off('error', this.lose);
  }

  /** The connection went while nothing was asked of it: a COMMIT will not even be sent. */
  private readonly lose = (error: unknown): void => {
    this.interruption ??= new Interrupted(error, true, true);
  };

  /** One statement is all or nothing by itself; several are within a savepoint, for a caller that goes on after an error. */
  private async write(
    rows: readonly InsertRow[],
    text: (columns: readonly string[], count: number) => string,
  ): Promise<number> {
    if (rows.length === 0) return 0;
    const columns = columnsOf(rows);
    const chunks = chunksOf(rows.map((row) => valuesOf(row, columns)));
    const insert = (chunk: readonly SqlValue[][]): Promise<number> =>
      this.execute(text(columns, chunk.length), chunk.flat());
    if (chunks.length === 1) return insert(chunks[0] ?? []);
    await this.execute('SAVEPOINT rows_written');
    let changed = 0;
    try {
      for (const chunk of chunks) changed += await insert(chunk);
    } catch (error) {
      if (this.interruption === undefined) await this.execute('ROLLBACK TO SAVEPOINT rows_written');
      throw error;
    }
    await this.execute('RELEASE SAVEPOINT rows_written');
    return changed;
  }

  /**
   * After a deadlock MySQL has rolled back, after a lost connection too, and what `work` does next would be committed on
   * its own: the transaction takes nothing more and cannot be committed.
   */
  private async guarded<T>(action: () => Promise<T>): Promise<T> {
    this.assertOpen();
    try {
      return await action();
    } catch (error) {
      if (error instanceof Interrupted) this.interruption ??= error;
      throw error;
    }
  }

  private assertOpen(): void {
    if (!this.open) throw new Error('This transaction is over: a statement was not awaited inside it.');
    if (this.interruption !== undefined) throw this.interruption;
  }
}

function chunksOf(rows: readonly SqlValue[][]): SqlValue[][][] {
  const chunks: SqlValue[][][] = [];
  let room = 0;
  for (const values of rows) {
    let size = 0;
    // Numbers, quotes and commas; what has to be escaped doubles at worst.
    for (const value of values) size += typeof value === 'string' ? 4 + value.length : 20;
    if (chunks.length === 0 || size > room) {
      chunks.push([]);
      room = CHUNK_CHARACTERS;
    }
    chunks[chunks.length - 1]?.push(values);
    room -= size;
  }
  return chunks;
}
