import { setTimeout as pause } from 'node:timers/promises';
import mysql, { type Connection, type ConnectionOptions, type Pool, type PoolOptions } from 'mysql2';
import { DataSource } from 'typeorm';
import type { TlsOptions } from '../config/tls.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { Logger } from '../observability/logger.js';
import { Interrupted, isUnknownDatabase, translated, unreachable } from './mysql-errors.js';
import { lockName, takeLock, type MysqlLock } from './mysql-lock.js';
import { ConnectionPool, type Lease } from './mysql-pool.js';
import { Sessions } from './mysql-session.js';
import { rowsOf, run } from './mysql-statements.js';
import { CommitUnknown, MysqlTransaction } from './mysql-transaction.js';
import type { AdvisoryLock, Database, DatabaseOptions, Row, SqlValue, Transaction } from './port.js';

export interface MysqlDatabaseOptions extends DatabaseOptions {
  /** `mysql://user:password@host:3306`. Over TLS the host is a name: certificates are not checked against addresses. */
  readonly url: string;
  /** Set before the name of the database: `test` makes `test_tributary_order`. */
  readonly namespace?: string;
  readonly tls?: TlsOptions;
  /** Connections at most, 2 at least; 10 when absent. Locks and migrations have one of their own each. */
  readonly poolSize?: number;
  readonly log?: Logger;
}

/** How long work is begun again after deadlocks and lost connections, in milliseconds. */
const REPEAT_MS = 30_000;

/** Pause before work is begun again: a random part of this, which doubles up to the last. */
const FIRST_PAUSE_MS = 4;
const LAST_PAUSE_MS = 250;

/** How long a connection may take to be made, in milliseconds. */
const CONNECT_MS = 5_000;

/** An unused connection is closed after this, in milliseconds: before the server does it. */
const IDLE_MS = 10_000;

/** How long `close` waits for the server, in milliseconds. */
const CLOSE_MS = 2_000;

/** How long `migrate` waits for another process that migrates, in seconds. */
const MIGRATION_WAIT_S = 300;

/**
 * How many of a pool's connections are for single statements; the others are for transactions. Apart, so that a read beside a
 * transaction finds one even when every transaction waits for such a read.
 */
const forStatements = (size: number): number => Math.max(1, Math.floor(size * 0.3));

/**
 * Opens a database of a MySQL server (8.0 and later; MariaDB 10.6 and later), creating it where there is none and this user
 * may. Tables appear with `migrate()`.
 *
 * A COMMIT whose answer is lost rejects with `EngineUnavailable`: the work may or may not have been committed, and is not
 * repeated. Work that goes on colliding with others for half a minute is `EngineUnavailable` too.
 * Rejects with `EngineUnavailable` when the server cannot be reached or refuses the user; the cause says which.
 */
export async function openMysqlDatabase(options: MysqlDatabaseOptions): Promise<Database> {
  const server = connectionOptions(options);
  const { namespace = '', name } = options;
  const database = (namespace === '' ? name : `${namespace}_${name}`).replaceAll('-', '_');
  const title = `${server.host}:${server.port}`;
  const sessions = new Sessions(options.log);
  const size = Math.max(2, options.poolSize ?? 10);
  const reads = forStatements(size);
  const limits = (most: number) =>
    // One more than are let in: the driver closes unused connections only where it may keep fewer than it may make. On the
    // pool for statements it is for what goes through `dataSource`: migrations.
    ({ connectionLimit: most + 1, maxIdle: most, idleTimeout: IDLE_MS }) satisfies PoolOptions;
  const open = async (): Promise<DataSource> => {
    const dataSource = new DataSource({
      type: 'mysql',
      driver: { createPool: (driverOptions: PoolOptions) => sessions.pool('statements', driverOptions) },
      database,
      migrations: [...options.migrations],
      logging: false,
      extra: { ...server, ...limits(reads) },
    });
    return dataSource.initialize();
  };
  try {
    const dataSource = await open().catch(async (error: unknown) => {
      if (!isUnknownDatabase(error)) throw error;
      await createDatabase(server, database);
      options.log?.info({ database }, 'database created');
      return open();
    });
    const { pool } = dataSource.driver as unknown as { readonly pool: Pool };
    const writers = sessions.pool('transactions', {
      ...server,
      database,
      // A transaction sends several in one packet; every value in them is written by the driver.
      multipleStatements: true,
      ...limits(size - reads),
    });
    const pools = {
      statements: new ConnectionPool(pool, reads, sessions, title),
      transactions: new ConnectionPool(writers, size - reads, sessions, title),
    };
    return new MysqlDatabase(database, dataSource, pools, sessions, {
      connect: () => connect(server, database).catch((error: unknown) => Promise.reject(unreachable(title, error))),
      log: options.log,
    });
  } catch (error) {
    throw error instanceof EngineUnavailable ? error : unreachable(title, error);
  }
}

/** What the driver needs to know of the server; all but the database's name. */
function connectionOptions({ url, tls }: MysqlDatabaseOptions) {
  // Not with the value in the message: it may hold a password.
  if (!URL.canParse(url)) throw new TypeError('The URL of the MySQL server is not a URL.');
  const { hostname, port, username, password } = new URL(url);
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 3306 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    charset: 'utf8mb4',
    timezone: 'Z',
    connectTimeout: CONNECT_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    // FOUND_ROWS would count every row that `insertNew` passes over as a new one.
    flags: ['-FOUND_ROWS'],
    // Numbers where they are exact, text where not: see rowsOf.
    supportBigNumbers: true,
    bigNumberStrings: false,
    jsonStrings: true,
    ...(tls && { ssl: { ...tls, verifyIdentity: tls.rejectUnauthorized !== false } }),
  } satisfies ConnectionOptions;
}

type ServerOptions = ReturnType<typeof connectionOptions>;

async function connect(server: ServerOptions, database?: string): Promise<Connection> {
  // What is read under a lock travels with the question whether it is still held.
  const options = { ...server, multipleStatements: true };
  const connection = mysql.createConnection({ ...options, ...(database !== undefined && { database }) });
  // Somebody has to listen; who uses the connection hears of its end by the statement in hand.
  connection.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())));
  return connection;
}

async function createDatabase(server: ServerOptions, database: string): Promise<void> {
  const connection = await connect(server);
  try {
    await run(connection, `CREATE DATABASE IF NOT EXISTS \`${database}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  } catch (error) {
    const why = error instanceof Interrupted ? error.cause : error;
    throw new Error(`there is no database ${database}, and it could not be created: ${String(why)}`, { cause: error });
  } finally {
    connection.end();
  }
}

interface Pools {
  readonly statements: ConnectionPool;
  readonly transactions: ConnectionPool;
}

interface Tools {
  /** A connection outside the pool. */
  readonly connect: () => Promise<Connection>;
  readonly log: Logger | undefined;
}

/** A transaction that was committed, or one to begin again. */
type Attempt<T> =
  | { readonly committed: true; readonly result: T; readonly callbacks: readonly (() => void)[] }
  | { readonly committed: false; readonly reason: Interrupted };

class MysqlDatabase implements Database {
  readonly dialect = 'mysql';
  private readonly locks = new Set<MysqlLock>();
  private busy = 0;
  private whenIdle: (() => void) | undefined;
  private closing: Promise<void> | undefined;
  private closed = false;

  constructor(
    private readonly name: string,
    readonly dataSource: DataSource,
    private readonly pools: Pools,
    private readonly sessions: Sessions,
    private readonly tools: Tools,
  ) {}

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const { result, callbacks } = await this.whileOpen(() => this.untilCommitted(work));
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
    for (let attempt = 0; ; attempt++) {
      // Also while closing: a transaction under way may read beside itself.
      if (this.closed) throw this.away();
      const lease = await this.pools.statements.lease();
      try {
        const rows = await rowsOf(lease.connection, sql, params);
        lease.give();
        return rows as R[];
      } catch (error) {
        lease.give(error);
        // Connections may have died while nobody used them, all of them when the server was restarted.
        if (!(error instanceof Interrupted && error.repeatable) || attempt > this.pools.statements.size) throw error;
      }
    }
  }

  migrate(): Promise<void> {
    // MySQL commits after every statement that changes a table, so there is no transaction around a migration. What makes
    // it safe is that one process runs at a time, and that each step may be repeated: see createTable.
    return this.whileOpen(async () => {
      const lock = await this.lock('migrations', MIGRATION_WAIT_S);
      if (!lock) throw new EngineUnavailable('database', new Error(`Another process is migrating ${this.name}.`));
      try {
        await this.dataSource.runMigrations({ transaction: 'none' });
      } catch (error) {
        throw translated(error);
      } finally {
        await this.unlock(lock);
      }
    });
  }

  async tryLock(name: string): Promise<AdvisoryLock | null> {
    this.assertOpen();
    // A look on the pool first: whoever stands by asks every second, and a connection costs more.
    const [row] = await this.read<{ free: number | null }>('SELECT IS_FREE_LOCK(?) AS free', [
      lockName(this.name, name),
    ]);
    if (row?.free === 0) return null;
    const lock = await this.lock(name, 0);
    if (!lock) return null;
    return {
      isHeld: () => lock.isHeld(),
      read: (sql, params) => lock.read(sql, params),
      release: () => this.unlock(lock),
    };
  }

  /** Waits for the transactions that were asked for before; later ones reject. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    if (this.busy > 0) await new Promise<void>((resolve) => (this.whenIdle = resolve));
    this.closed = true;
    await Promise.all([...this.locks].map((lock) => this.unlock(lock)));
    // Says goodbye, unless the server does not answer.
    const timer = setTimeout(() => this.sessions.destroy(), CLOSE_MS);
    await Promise.all([this.pools.transactions.end(), this.dataSource.destroy().catch(() => undefined)]);
    clearTimeout(timer);
  }

  private async untilCommitted<T>(work: (tx: Transaction) => Promise<T>): Promise<Attempt<T> & { committed: true }> {
    const deadline = performance.now() + REPEAT_MS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)) {
      const attempt = await this.attempt(work);
      if (attempt.committed) return attempt;
      const { reason } = attempt;
      if (performance.now() > deadline) throw reason;
      this.tools.log?.debug({ err: reason.cause, database: this.name }, 'transaction begins again');
      await pause(Math.random() * pauseMs);
    }
  }

  private async attempt<T>(work: (tx: Transaction) => Promise<T>): Promise<Attempt<T>> {
    const lease = await this.pools.transactions.lease();
    const tx = new MysqlTransaction(lease.connection);
    try {
      const result = await work(tx);
      await tx.commit();
      lease.give();
      return { committed: true, result, callbacks: tx.callbacks };
    } catch (error) {
      if (error instanceof CommitUnknown) {
        lease.drop();
        throw new EngineUnavailable('database', error);
      }
      await tx.abandon();
      const { failure } = tx;
      await this.rollback(lease, failure);
      if (failure === undefined) throw error;
      if (!failure.repeatable) throw failure;
      return { committed: false, reason: failure };
    }
  }

  /** Never throws: when the connection is gone, so is the transaction. */
  private async rollback(lease: Lease, failure: Interrupted | undefined): Promise<void> {
    if (failure?.lost === true) {
      lease.drop();
      return;
    }
    try {
      await run(lease.connection, 'ROLLBACK');
      lease.give();
    } catch {
      lease.drop();
    }
  }

  private async lock(name: string, waitSeconds: number): Promise<MysqlLock | null> {
    const connection = await this.tools.connect();
    const lock = await takeLock(connection, lockName(this.name, name), waitSeconds);
    if (lock) this.locks.add(lock);
    return lock;
  }

  private async unlock(lock: MysqlLock): Promise<void> {
    this.locks.delete(lock);
    await lock.release();
  }

  private async whileOpen<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen();
    this.busy++;
    try {
      return await work();
    } finally {
      if (--this.busy === 0) this.whenIdle?.();
    }
  }

  private assertOpen(): void {
    if (this.closing) throw this.away();
  }

  private away(): EngineUnavailable {
    return new EngineUnavailable('database', new Error(`${this.name} is closed.`));
  }
}
