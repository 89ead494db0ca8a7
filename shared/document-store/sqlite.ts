import { AppError, EngineUnavailable } from '../errors/errors.js';
import { Durability } from '../libsql/durability.js';
import { openSqlite, type Bindable, type SafeDatabase, type SafeStatement } from '../libsql/libsql.js';
import { checkCollection, checkText, newestOf } from './input.js';
import type { CollectionSpec, DocumentStore, Filter, FindOptions, PerKeyOptions, Versioned } from './port.js';
import {
  countPerKeyQuery,
  countQuery,
  createIndex,
  createTable,
  findPerKeyQuery,
  findQueries,
  tableOf,
} from './sqlite-query.js';

/** Statements kept prepared. The code's own shapes of queries are far fewer; searches of many words must not pile up. */
const MAX_STATEMENTS = 256;
/** Waiting for a lock stops the whole process; besides it only a tool writes to the file, for a moment. */
const BUSY_MS = 1_000;
/** The file, not the data, is at fault: full or failing disk, a lock that another process holds. */
const AWAY = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|NOMEM)/;

interface Row {
  readonly id: string;
  readonly version: number;
  readonly doc: string;
}

/** One call of `putIfNewer`, waiting for the next commit. */
interface Put {
  readonly collection: string;
  readonly rows: readonly Row[];
  readonly resolve: (stored: ReadonlySet<string>) => void;
  readonly reject: (error: unknown) => void;
}

function documentOf<D>({ id, version, doc }: Row): Versioned<D> {
  return { id, version, doc: JSON.parse(doc) as D };
}

function translate(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && AWAY.test(code) ? new EngineUnavailable('document store', error) : error;
}

class SqliteDocumentStore implements DocumentStore {
  private readonly statements = new Map<string, SafeStatement>();
  private readonly known = new Set<string>();
  private waiting: Put[] = [];
  private closed = false;

  constructor(
    private readonly db: SafeDatabase,
    private readonly durability: Durability,
  ) {}

  ensureCollections(collections: readonly CollectionSpec[]): Promise<void> {
    return this.answer(() => {
      this.transaction(() => {
        for (const { name, indexes } of collections) {
          this.db.exec(createTable(name));
          for (const index of indexes) this.db.exec(createIndex(name, index));
        }
      });
      for (const { name } of collections) this.known.add(name);
    });
  }

  putIfNewer<D extends object>(collection: string, docs: readonly Versioned<D>[]): Promise<ReadonlySet<string>> {
    return new Promise((resolve, reject) => {
      this.checkOpen();
      checkCollection(collection);
      // Now, not at the commit: the caller may go on to change its objects.
      const rows = newestOf(docs).map(({ id, version, doc }) => ({ id, version, doc: JSON.stringify(doc) }));
      if (rows.length === 0) return resolve(new Set());
      if (this.waiting.length === 0) setImmediate(() => this.flush());
      this.waiting.push({ collection, rows, resolve, reject });
    });
  }

  get<D>(collection: string, id: string): Promise<Versioned<D> | null> {
    return this.answer(() => {
      checkText('id', id);
      const [row] = this.rows<Row>(collection, `SELECT id, version, doc FROM ${tableOf(collection)} WHERE id = ?`, [
        id,
      ]);
      return row === undefined ? null : documentOf<D>(row);
    });
  }

  getMany<D>(collection: string, ids: readonly string[]): Promise<ReadonlyMap<string, Versioned<D>>> {
    return this.answer(() => {
      for (const id of ids) checkText('id', id);
      const table = tableOf(collection);
      const sql = `SELECT id, version, doc FROM ${table} WHERE id IN (SELECT value FROM json_each(?))`;
      const found = this.rows<Row>(collection, sql, [JSON.stringify(ids)]);
      return new Map(found.map((row) => [row.id, documentOf<D>(row)]));
    });
  }

  find<D>(collection: string, options: FindOptions): Promise<readonly Versioned<D>[]> {
    return this.answer(() => {
      const found: Versioned<D>[] = [];
      for (const { sql, params } of findQueries(collection, options)) {
        const missing = options.limit - found.length;
        if (missing === 0) break;
        for (const row of this.rows<Row>(collection, sql, [...params, missing])) found.push(documentOf<D>(row));
      }
      return found;
    });
  }

  count(collection: string, filter?: Filter): Promise<number> {
    return this.answer(() => {
      const { sql, params } = countQuery(collection, filter);
      return this.rows<{ total: number }>(collection, sql, params)[0]?.total ?? 0;
    });
  }

  findPerKey<D>(
    collection: string,
    field: string,
    keys: readonly string[],
    options: PerKeyOptions,
  ): Promise<ReadonlyMap<string, readonly Versioned<D>[]>> {
    return this.answer(() => {
      const { sql, params } = findPerKeyQuery(collection, field, keys, options);
      const found = new Map(keys.map((key) => [key, new Array<Versioned<D>>()]));
      for (const row of this.rows<Row & { owner: string }>(collection, sql, params)) {
        found.get(row.owner)?.push(documentOf<D>(row));
      }
      return found;
    });
  }

  countPerKey(
    collection: string,
    field: string,
    keys: readonly string[],
    filter?: Filter,
  ): Promise<ReadonlyMap<string, number>> {
    return this.answer(() => {
      const { sql, params } = countPerKeyQuery(collection, field, keys, filter);
      const found = new Map(keys.map((key) => [key, 0]));
      for (const row of this.rows<{ owner: string; total: number }>(collection, sql, params)) {
        found.set(row.owner, row.total);
      }
      return found;
    });
  }

  remove(collection: string, ids: readonly string[]): Promise<void> {
    return this.answer(async () => {
      for (const id of ids) checkText('id', id);
      const table = tableOf(collection);
      this.flush();
      if (!this.isThere(collection)) return;
      const sql = `DELETE FROM ${table} WHERE id IN (SELECT value FROM json_each(?))`;
      this.transaction(() => this.statement(sql).run(JSON.stringify(ids)));
      this.durability.committed();
      await this.durability.settled();
    });
  }

  drop(collection: string): Promise<void> {
    return this.answer(async () => {
      const table = tableOf(collection);
      this.flush();
      this.known.delete(collection);
      this.db.exec(`DROP TABLE IF EXISTS ${table}`);
      this.durability.committed();
      await this.durability.settled();
    });
  }

  ping(): Promise<void> {
    return this.answer(() => {
      this.statement('SELECT 1').all();
    });
  }

  close(): Promise<void> {
    if (this.closed) return Promise.resolve();
    return this.answer(async () => {
      this.flush();
      this.closed = true;
      await this.durability.settled().catch(() => undefined); // whoever waits for it hears of a failure
      this.statements.clear();
      this.db.close();
      this.durability.close();
    });
  }

  /** Calls are one synchronous step each, so nothing reads in the middle of a transaction; throws become rejections. */
  private async answer<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      this.checkOpen();
      return await work();
    } catch (error) {
      throw translate(error);
    }
  }

  private checkOpen(): void {
    if (this.closed) throw new EngineUnavailable('document store', new Error('The store has been closed.'));
  }

  /** Commits what all callers of this turn of the event loop have put: one transaction for all of them. */
  private flush(): void {
    const puts = this.waiting;
    this.waiting = [];
    if (puts.length > 0) this.commit(puts);
  }

  private commit(puts: readonly Put[]): void {
    try {
      const stored = this.transaction(() => puts.map((put) => this.write(put)));
      this.durability.committed();
      void this.tell(puts, stored);
    } catch (error) {
      // Rolled back as a whole; one caller's trouble must not become the others'.
      if (puts.length > 1) for (const put of puts) this.commit([put]);
      else puts[0]?.reject(translate(error));
    }
  }

  /** Only what is on disk was stored: a consumer that hears of it commits its position. */
  private async tell(puts: readonly Put[], stored: readonly ReadonlySet<string>[]): Promise<void> {
    try {
      await this.durability.settled();
      puts.forEach((put, i) => put.resolve(stored[i] ?? new Set()));
    } catch (error) {
      for (const put of puts) put.reject(new EngineUnavailable('document store', error));
    }
  }

  private write({ collection, rows }: Put): Set<string> {
    // Looked for each time: another process may have dropped it.
    if (!this.isThere(collection)) this.db.exec(createTable(collection));
    // Row by row on one prepared statement: measured faster than multi-row values or unpacking a JSON parameter.
    const upsert = this.statement(
      `INSERT INTO ${tableOf(collection)} VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE ` +
        'SET version = excluded.version, doc = excluded.doc WHERE excluded.version > version',
    );
    const stored = rows.filter(({ id, version, doc }) => upsert.run(id, version, doc).changes > 0);
    return new Set(stored.map(({ id }) => id));
  }

  private transaction<T>(work: () => T): T {
    this.durability.assertSound();
    this.statement('BEGIN IMMEDIATE').run();
    try {
      const result = work();
      this.statement('COMMIT').run();
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  private rollback(): void {
    this.known.clear();
    try {
      this.db.exec('ROLLBACK');
    } catch {
      // A full disk makes SQLite roll back by itself; the error that led here is the one to tell.
    }
  }

  private isThere(collection: string): boolean {
    const sql = `SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?`;
    const found = this.statement(sql).all(collection).length > 0;
    if (found) this.known.add(collection);
    else this.known.delete(collection);
    return found;
  }

  /** A collection that is not there is empty, as on MongoDB. */
  private rows<R>(collection: string, sql: string, params: readonly Bindable[]): R[] {
    if (!this.known.has(collection) && !this.isThere(collection)) return [];
    try {
      return this.statement(sql).all(...params) as R[];
    } catch (error) {
      // What was known may have been dropped by another process.
      if (this.isThere(collection)) throw error;
      return [];
    }
  }

  private statement(sql: string): SafeStatement {
    const cached = this.statements.get(sql);
    if (cached !== undefined) return cached;
    const [oldest] = this.statements.keys();
    if (oldest !== undefined && this.statements.size >= MAX_STATEMENTS) this.statements.delete(oldest);
    const prepared = this.db.statement(sql);
    this.statements.set(sql, prepared);
    return prepared;
  }
}

export interface SqliteDocumentStoreOptions {
  readonly file: string;
  /** Hears of a failed fsync, after which this process stores no more: see Durability. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/**
 * The document store in one SQLite file, for one process and the tools beside it: a table per collection, indexes on
 * expressions over the JSON. A `putIfNewer` is all or nothing, and shares its transaction with the others of the same turn
 * of the event loop; what it stored is read at once, but it resolves only when that is on disk. Throws when the file cannot
 * be opened.
 */
export function openSqliteDocumentStore({ file, onFailure }: SqliteDocumentStoreOptions): DocumentStore {
  const db = openSqlite(file);
  db.pragma(`busy_timeout = ${BUSY_MS}`);
  return new SqliteDocumentStore(db, new Durability(file, { onFailure }));
}
