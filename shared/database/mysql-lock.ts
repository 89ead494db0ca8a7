import { createHash } from 'node:crypto';
import type { Connection } from 'mysql2';
import { Interrupted } from './mysql-errors.js';
import { prepare } from './mysql-session.js';
import { rowsIn, rowsOf, send, statement, type Answer, type Statement } from './mysql-statements.js';
import type { AdvisoryLock, Row, SqlValue } from './port.js';

/**
 * A server keeps a lock for as long as it believes in the connection. Of a machine that vanished it hears nothing for
 * hours, so it is told to give up after IDLE_S seconds without a word, and gets one every HEARTBEAT_MS.
 */
const IDLE_S = 30;
const HEARTBEAT_MS = 10_000;

/** How long the server may take to say who holds a lock, in milliseconds; then it counts as lost. */
const ANSWER_MS = 5_000;

/** The same for rows that are read under a lock, which may be many and long. */
const READ_MS = 15_000;

/** Name of a lock on the server, which has one space of names for all databases and takes 64 characters. */
export function lockName(database: string, name: string): string {
  const full = `${database}.${name}`;
  return full.length <= 64 ? full : createHash('sha256').update(full).digest('hex');
}

/**
 * Takes the lock on a connection of its own, which is closed when there is none to be had or when it ends.
 * Waits `waitSeconds` for another holder; null if that was not enough.
 */
export async function takeLock(connection: Connection, name: string, waitSeconds: number): Promise<MysqlLock | null> {
  try {
    await prepare(connection, 'statements');
    await rowsOf(connection, `SET SESSION wait_timeout = ${IDLE_S}`);
    const sql = 'SELECT GET_LOCK(?, ?) AS taken';
    const [row] = await rowsOf(connection, sql, [name, waitSeconds], waitSeconds * 1_000 + ANSWER_MS);
    if ((row as { taken: number | null }).taken === 1) return new MysqlLock(connection, name);
  } catch (error) {
    connection.destroy();
    throw error;
  }
  connection.end();
  return null;
}

export class MysqlLock implements AdvisoryLock {
  private held = true;
  /** Reads under way: no need to talk to the server besides. */
  private reading = 0;
  private readonly heartbeat = setInterval(() => {
    if (this.reading === 0) void this.isHeld();
  }, HEARTBEAT_MS).unref();

  /** Asked with every look of a relay. */
  private readonly question: Statement;

  constructor(
    private readonly connection: Connection,
    private readonly name: string,
  ) {
    this.question = statement(connection, 'SELECT IS_USED_LOCK(?) = CONNECTION_ID() AS held', [name]);
    connection.on('error', () => this.lose());
    connection.on('end', () => this.lose());
  }

  async isHeld(): Promise<boolean> {
    if (!this.held) return false;
    try {
      const [held] = await send(this.connection, [this.question], { timeoutMs: ANSWER_MS });
      this.hear(held);
    } catch {
      this.lose();
    }
    return this.held;
  }

  async read<R = Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[] | null> {
    if (!this.held) return null;
    this.reading++;
    try {
      const look = statement(this.connection, sql, params);
      const [rows, held] = await send(this.connection, [look, this.question], { timeoutMs: READ_MS });
      this.hear(held);
      return this.held && rows !== undefined ? (rowsIn(rows) as R[]) : null;
    } catch (error) {
      if (!(error instanceof Interrupted && error.lost)) throw error;
      this.lose();
      return null;
    } finally {
      this.reading--;
    }
  }

  private hear(answer: Answer | undefined): void {
    const [row] = answer === undefined ? [] : rowsIn(answer);
    if ((row as { held: number | null } | undefined)?.held !== 1) this.lose();
  }

  /** Never throws: a lock whose connection is gone is free. */
  async release(): Promise<void> {
    if (!this.held) return;
    this.held = false;
    clearInterval(this.heartbeat);
    try {
      await rowsOf(this.connection, 'SELECT RELEASE_LOCK(?) AS released', [this.name], ANSWER_MS);
      this.connection.end();
    } catch {
      this.connection.destroy();
    }
  }

  private lose(): void {
    if (!this.held) return;
    this.held = false;
    clearInterval(this.heartbeat);
    this.connection.destroy();
  }
}
