import mysql, { type Connection, type Pool, type PoolConnection, type PoolOptions } from 'mysql2';
import type { Logger } from '../observability/logger.js';

/**
 * A process that is frozen in the middle of a transaction holds its rows, and everybody who wants them, for as long as the
 * server believes in its connection: so many seconds without a statement. No transaction of ours waits for anything else.
 */
const SILENCE_S = 15;

/**
 * What sessions are for. `statements`: each is committed by itself. `transactions`: the first statement begins one, which
 * lasts until COMMIT or ROLLBACK, so that nothing has to be sent to begin it.
 */
export type SessionKind = 'statements' | 'transactions';

/**
 * Said once per connection, whatever the server's defaults are. READ COMMITTED: on REPEATABLE READ half of the transactions
 * that lock a missing row and insert it deadlock. The modes: strict, and a backslash escapes, as the driver takes for granted.
 */
const settings = (kind: SessionKind): readonly string[] => [
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  `SET SESSION autocommit = ${kind === 'statements' ? 1 : 0}, innodb_lock_wait_timeout = 10, wait_timeout = ${SILENCE_S},
   time_zone = '+00:00', sql_mode =
   'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`,
];

/** Every pooled connection of a database. One whose session cannot be set up is destroyed, and carries nothing. */
export class Sessions {
  private readonly open = new Set<PoolConnection>();
  private readonly prepared = new WeakMap<PoolConnection, Promise<void>>();

  constructor(private readonly log: Logger | undefined) {}

  pool(kind: SessionKind, options: PoolOptions): Pool {
    const pool = mysql.createPool(options);
    pool.on('connection', (connection: PoolConnection & { readonly stream: NodeJS.EventEmitter }) => {
      this.open.add(connection);
      connection.stream.once('close', () => this.open.delete(connection));
      connection.on('error', () => undefined);
      const prepared = prepare(connection, kind).catch((error: unknown) => {
        this.log?.warn({ err: error }, 'a MySQL session could not be set up');
        connection.destroy();
        throw error;
      });
      prepared.catch(() => undefined);
      this.prepared.set(connection, prepared);
    });
    return pool;
  }

  /** A connection of one of these pools, its session set up. Rejects with the driver's error. */
  async connect(pool: Pool): Promise<PoolConnection> {
    const connection = await new Promise<PoolConnection>((resolve, reject) => {
      pool.getConnection((error, made) => {
        // With an error there is no connection, whatever the types say.
        if (error === null) resolve(made);
        else reject(error);
      });
    });
    await this.prepared.get(connection);
    return connection;
  }

  destroy(): void {
    for (const connection of this.open) connection.destroy();
  }
}

/** Sets a session up, without waiting between statements. Whatever is sent on the connection next follows them. */
export async function prepare(connection: Connection, kind: SessionKind): Promise<void> {
  const answers = settings(kind).map(
    (sql) =>
      new Promise<void>((resolve, reject) => {
        connection.query(sql, (error) => (error === null ? resolve() : reject(error)));
      }),
  );
  await Promise.all(answers);
}
