import type { Pool, PoolConnection } from 'mysql2';
import { EngineUnavailable } from '../errors/errors.js';
import { Interrupted, unreachable } from './mysql-errors.js';

/** How long anything waits for a connection while all are in use, in milliseconds. */
const WAIT_MS = 10_000;

/** A connection in somebody's hands: ends with `give` or `drop`. */
export interface Lease {
  readonly connection: PoolConnection;
  /** For others to use; closes it when `error` says that it is gone. */
  give(error?: unknown): void;
  /** Closes it. */
  drop(): void;
}

/**
 * Connections of one database, `size` at most. Transactions get one less, so that a read beside a transaction finds one
 * even when every transaction waits for such a read. First come, first served.
 */
export class ConnectionPool {
  private readonly all: Gate;
  private readonly transactions: Gate;

  constructor(
    private readonly pool: Pool,
    readonly size: number,
    private readonly server: string,
  ) {
    this.all = new Gate(size);
    this.transactions = new Gate(size - 1);
  }

  forRead(): Promise<Lease> {
    return this.take([this.all]);
  }

  forTransaction(): Promise<Lease> {
    return this.take([this.transactions, this.all]);
  }

  private async take(gates: readonly Gate[]): Promise<Lease> {
    const passed: Gate[] = [];
    const leave = (): void => {
      for (const gate of passed.splice(0)) gate.leave();
    };
    try {
      for (const gate of gates) {
        await gate.enter();
        passed.push(gate);
      }
      const connection = await this.connect();
      const drop = (): void => {
        connection.destroy();
        leave();
      };
      const give = (error?: unknown): void => {
        if (error instanceof Interrupted && error.lost) return drop();
        connection.release();
        leave();
      };
      return { connection, give, drop };
    } catch (error) {
      leave();
      throw error;
    }
  }

  private connect(): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      this.pool.getConnection((error, connection) => {
        // With an error there is no connection, whatever the types say.
        if (error === null) resolve(connection);
        else reject(unreachable(this.server, error));
      });
    });
  }
}

/** Lets `limit` in at once, the others in the order in which they came. */
class Gate {
  private readonly waiting = new Set<() => void>();

  constructor(private free: number) {}

  async enter(): Promise<void> {
    if (this.free > 0) {
      this.free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const next = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.waiting.delete(next);
        reject(new EngineUnavailable('database', new Error(`No connection became free within ${WAIT_MS} ms.`)));
      }, WAIT_MS);
      this.waiting.add(next);
    });
  }

  leave(): void {
    for (const next of this.waiting) {
      this.waiting.delete(next);
      next();
      return;
    }
    this.free++;
  }
}
