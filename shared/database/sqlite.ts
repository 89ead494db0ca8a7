import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DataSource } from 'typeorm';
import { EngineUnavailable } from '../errors/errors.js';
import { Durability } from '../libsql/durability.js';
import { openSqlite, PRAGMAS, SafeDatabase } from '../libsql/libsql.js';
import type {
  AdvisoryLock,
  Database,
  DatabaseOptions,
  DeferredWrites,
  InsertRow,
  Row,
  SqlValue,
  Transaction,
} from './port.js';
import { columnsOf, insertNewSql, insertSql, lockChunks, lockSql, upsertSql, valuesOf } from './sql.js';
import { Connection, translated } from './sqlite-connection.js';

export interface SqliteDatabaseOptions extends DatabaseOptions {
  /**
   * Path of the database file; folders are made. One process at a time runs on it. Another may write beside it now and
   * then, as tools do: whoever comes second waits up to five seconds, and stands still meanwhile.
   */
  readonly file: string;
  /** Hears of a failed fsync, after which this process writes no more: see Durability. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/**
 * Opens the embedded database, creating the file where there is none. Tables appear with `migrate()`.
 *
 * Transactions of this process on the same file take turns, first come first served, whichever handle they come from.
 * `transaction` must therefore not be called inside the work of another one: it would wait for itself.
 * `dataSource` shares the connection of the transactions: what is sent through it outside of migrations sees and joins
 * whatever transaction is open. Use `read` and `transaction`.
 * Rejects with `EngineUnavailable` when the file cannot be opened.
 */
export async function openSqliteDatabase(options: SqliteDatabaseOptions): Promise<Database> {
  const file = resolve(options.file);
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw new EngineUnavailable('database', error);
  }
  const dataSource = new DataSource({
    type: 'better-sqlite3',
    database: file,
    driver: SafeDatabase,
    prepareDatabase: (db: SafeDatabase) => {
      for (const pragma of PRAGMAS) db.pragma(pragma);
    },
    migrations: [...options.migrations],
    logging: false,
  });
  try {
    await dataSource.initialize();
    const writer = (dataSource.driver as unknown as { readonly databaseConnection: SafeDatabase }).databaseConnection;
    const reader = openSqlite(file);
    reader.pragma('query_only = 1');
    const connections = { writer: new Connection(writer), reader: new Connection(reader) };
    return new SqliteDatabase(
      options.name,
      dataSource,
      connections,
      new Durability(file, { onFailure: options.onFailure }),
      fileOf(file),
    );
  } catch (error) {
    if (dataSource.isInitialized) await dataSource.destroy();
    throw translated(error);
  }
}

class SqliteDatabase implements Database {
  readonly dialect = 'sqlite';
  private closing: Promise<void> | undefined;
  private closed = false;
  private readonly writer: Connection;
  private readonly reader: Connection;

  constructor(
    private readonly name: string,
    readonly dataSource: DataSource,
    connections: { readonly writer: Connection; readonly reader: Connection },
    private readonly durability: Durability,
    private readonly file: SharedFile,
  ) {
    this.writer = connections.writer;
    this.reader = connections.reader;
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    this.assertOpen();
    const { result, callbacks } = await this.file.turn(() => this.run(work));
    // The next transaction is under way by now. This one may have read what others have not yet on disk either.
    await this.onDisk();
    for (const callback of callbacks) {
      try {
        callback();
      } catch (error) {
        // The rows are committed: the caller must hear of success, whatever waking a worker came to.
        process.emitWarning(`A callback after a commit to ${this.name} threw: ${String(error)}`);
      }
    }
    return result;
  }

  async read<R = Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    // Also while closing: a transaction under way may read beside itself.
    if (this.closed) throw this.away();
    const rows = this.reader.all(sql, params) as R[];
    // What a power cut could still take back is not shown: the relay would publish it.
    if (!this.durability.isSettled) await this.onDisk();
    return rows;
  }

  async migrate(): Promise<void> {
    this.assertOpen();
    await this.file.turn(async () => {
      // TypeORM would begin a deferred transaction after looking what is pending: two processes could both find the same.
      this.writer.pragma('foreign_keys = OFF');
      this.writer.begin();
      try {
        await this.dataSource.runMigrations({ transaction: 'none' });
        this.writer.commit();
        this.durability.committed();
      } catch (error) {
        this.writer.rollback();
        throw translated(error);
      } finally {
        this.writer.pragma('foreign_keys = ON');
        this.writer.forget();
        this.reader.forget();
      }
    });
    await this.onDisk();
  }

  async tryLock(name: string): Promise<AdvisoryLock | null> {
    this.assertOpen();
    const { locks } = this.file;
    if (locks.has(name)) return null;
    locks.set(name, this);
    let released = false;
    const isHeld = (): boolean => !released && locks.get(name) === this;
    return {
      isHeld: async () => isHeld(),
      read: async <R>(sql: string, params?: readonly SqlValue[]) => {
        const rows = isHeld() ? await this.read<R>(sql, params) : null;
        return isHeld() ? rows : null;
      },
      release: async () => {
        if (!released && locks.get(name) === this) locks.delete(name);
        released = true;
      },
    };
  }

  /** Waits for the transactions that were asked for before; later ones reject. */
  close(): Promise<void> {
    this.closing ??= this.file.turn(async () => {
      this.closed = true;
      await this.durability.settled().catch(() => undefined); // whoever waits for it hears of a failure
      for (const [name, holder] of this.file.locks) if (holder === this) this.file.locks.delete(name);
      this.reader.close();
      this.writer.forget();
      await this.dataSource.destroy();
      this.durability.close();
    });
    return this.closing;
  }

  private async run<T>(work: (tx: Transaction) => Promise<T>): Promise<Committed<T>> {
    this.assertSound();
    this.writer.begin();
    const tx = new SqliteTransaction(this.writer);
    try {
      const result = await work(tx);
      tx.end();
      this.writer.commit();
      if (tx.wrote) this.durability.committed();
      return { result, callbacks: tx.callbacks };
    } catch (error) {
      tx.close();
      this.writer.rollback();
      throw error;
    }
  }

  private assertSound(): void {
    try {
      this.durability.assertSound();
    } catch (error) {
      throw new EngineUnavailable('database', error);
    }
  }

  private async onDisk(): Promise<void> {
    try {
      await this.durability.settled();
    } catch (error) {
      throw new EngineUnavailable('database', error);
    }
  }

  private assertOpen(): void {
    if (this.closing) throw this.away();
  }

  private away(): EngineUnavailable {
    return new EngineUnavailable('database', new Error(`${this.name} is closed.`));
  }
}

interface Committed<T> {
  readonly result: T;
  readonly callbacks: readonly (() => void)[];
}

interface Packet {
  statements: number;
  failure?: { readonly error: unknown };
}

class SqliteTransaction implements Transaction {
  readonly callbacks: (() => void)[] = [];
  wrote = false;
  readonly deferred: DeferredWrites = {
    insert: (table, rows) => this.defer(() => this.write(rows, (columns) => insertSql('sqlite', table, columns, 1))),
    upsert: (table, key, rows) =>
      this.defer(() => this.write(rows, (columns) => upsertSql('sqlite', table, key, columns, 1))),
    execute: (sql, params = []) => this.defer(() => this.run(sql, params)),
  };
  private open = true;
  private deferring = false;
  /** Why nothing of this can be committed any more. */
  private doom: { readonly error: unknown } | undefined;
  /** What a server would have got in one packet, up to now. */
  private packet: Packet | undefined;

  constructor(private readonly connection: Connection) {}

  async query<R = Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return this.guarded(() => this.connection.all(sql, params)) as R[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.run(sql, params);
  }

  async insert(table: string, rows: readonly InsertRow[]): Promise<void> {
    this.write(rows, (columns) => insertSql('sqlite', table, columns, 1));
  }

  async upsert(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<void> {
    this.write(rows, (columns) => upsertSql('sqlite', table, key, columns, 1));
  }

  async insertNew(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<number> {
    return this.write(rows, (columns) => insertNewSql('sqlite', table, key, columns, 1));
  }

  async lock<R = Row>(table: string, column: string, ids: readonly (string | number)[]): Promise<R[]> {
    // The whole file is locked by BEGIN IMMEDIATE.
    const chunks = lockChunks(ids).map((chunk) =>
      this.guarded(() => this.connection.all(lockSql('sqlite', table, column, chunk.length), chunk)),
    );
    return (chunks.length === 1 ? chunks[0] : chunks.flat()) as R[];
  }

  async tryLock<R = Row>(table: string, column: string, ids: readonly (string | number)[], most: number): Promise<R[]> {
    // Nobody else holds anything while this transaction is open.
    return (await this.lock<R>(table, column, ids)).slice(0, most);
  }

  afterCommit(callback: () => void): void {
    this.assertOpen();
    this.callbacks.push(callback);
  }

  /** No statement after this; throws if the engine gave up on the transaction, also where `work` swallowed that. */
  end(): void {
    this.close();
    if (this.doom !== undefined) throw this.doom.error;
  }

  close(): void {
    this.open = false;
  }

  /** Deferred writes travel with what follows them, the others with what is asked for in the same turn. */
  private board(): Packet {
    const packet = (this.packet ??= { statements: 0 });
    packet.statements += 1;
    if (!this.deferring) {
      queueMicrotask(() => {
        if (this.packet === packet) this.packet = undefined;
      });
    }
    return packet;
  }

  private run(sql: string, params: readonly SqlValue[]): number {
    this.wrote = true;
    return this.guarded(() => this.connection.run(sql, params));
  }

  /** At once, since there is no way to save; its error is for whoever comes next, as on a server. */
  private defer(write: () => number): void {
    this.assertOpen();
    this.deferring = true;
    try {
      write();
    } catch (error) {
      // Rows that are no rows are the caller's mistake, and known at once.
      if (error instanceof TypeError) throw error;
      this.doom ??= { error };
    } finally {
      this.deferring = false;
    }
  }

  /**
   * Row by row with one cached statement: nearly as fast as long VALUES lists, and no limit on parameters.
   * All rows or none, also for a caller that catches the error and goes on.
   */
  private write(rows: readonly InsertRow[], text: (columns: readonly string[]) => string): number {
    if (rows.length === 0) return 0;
    this.wrote = true;
    const columns = columnsOf(rows);
    const sql = text(columns);
    return this.guarded(() => {
      if (rows.length === 1) return this.connection.run(sql, valuesOf(rows[0] as InsertRow, columns));
      this.connection.run('SAVEPOINT rows_written', []);
      let changed = 0;
      try {
        for (const row of rows) changed += this.connection.run(sql, valuesOf(row, columns));
      } catch (error) {
        if (this.connection.inTransaction) {
          this.connection.run('ROLLBACK TO rows_written', []);
          this.connection.run('RELEASE rows_written', []);
        }
        throw error;
      }
      this.connection.run('RELEASE rows_written', []);
      return changed;
    });
  }

  /**
   * On a full disk or a failed write SQLite may roll back by itself, and what `work` does next would commit on its own:
   * after such an error the transaction takes nothing more and cannot commit. Nor does it after an error of one of several
   * that would have travelled together, so that what holds here holds on a server.
   */
  private guarded<T>(action: () => T): T {
    this.assertOpen();
    const packet = this.board();
    if (packet.failure !== undefined) throw (this.doom ??= packet.failure).error;
    try {
      return action();
    } catch (error) {
      packet.failure = { error };
      if (packet.statements > 1 || error instanceof EngineUnavailable) this.doom ??= { error };
      throw error;
    }
  }

  private assertOpen(): void {
    if (!this.open) throw new Error('This transaction is over: a statement was not awaited inside it.');
    if (this.doom !== undefined) throw this.doom.error;
  }
}

/** How long turns may follow each other before timers and sockets get theirs, in milliseconds. */
const LONGEST_RUN = 5;

/** What the handles of one file share within the process: whose turn it is to write, and the named locks. */
class SharedFile {
  readonly locks = new Map<string, SqliteDatabase>();
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private runningSince = 0;

  /** Runs `work` after all that was asked for before it, whether that failed or not. */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.last;
    let done = (): void => undefined;
    this.last = new Promise<void>((resolveTurn) => (done = resolveTurn));
    if (this.waiting++ === 0) this.runningSince = performance.now();
    try {
      await before;
      // A long queue runs as microtasks only: without this a burst of commands would stop all input and output.
      if (performance.now() - this.runningSince > LONGEST_RUN) {
        await new Promise(setImmediate);
        this.runningSince = performance.now();
      }
      return await work();
    } finally {
      this.waiting--;
      done();
    }
  }
}

/** Never emptied: a process opens a handful of files. */
const files = new Map<string, SharedFile>();

function fileOf(path: string): SharedFile {
  const file = files.get(path) ?? new SharedFile();
  files.set(path, file);
  return file;
}
