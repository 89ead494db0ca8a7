import type { Pool, PoolConnection } from 'mysql2';
import { EngineUnavailable } from '../errors/errors.js';
import { Interrupted, unreachable } from './mysql-errors.js';
import type { Sessions } from './mysql-session.js';

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

/** Connections of one kind to one database, `size` at most. First come, first served. */
export class ConnectionPool {
  private readonly gate: Gate;

  constructor(
    private readonly pool: Pool,
    readonly size: number,
    private readonly sessions: Sessions,
    private readonly server: string,
  ) {
    this.gate = new Gate(size);
  }

  /** @throws EngineUnavailable if there is none to be had. */
  async lease(): Promise<Lease> {
    await this.gate.enter();
    try {
      const connection = await this.sessions.connect(this.pool);
      const drop = (): void => {
        connection.destroy();
        this.gate.leave();
      };
      const give = (error?: unknown): void => {
        if (error instanceof Interrupted && error.lost) return drop();
        connection.release();
        this.gate.leave();
      };
      return { connection, give, drop };
    } catch (error) {
      this.gate.leave();
      throw unreachable(this.server, error);
    }
  }

  /** Says goodbye on every connection; never throws. */
  end(): Promise<void> {
    return new Promise((resolve) => this.pool.end(() => resolve()));
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
