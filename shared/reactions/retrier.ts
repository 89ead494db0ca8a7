import { placeholders, type Database } from '../database/port.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import { Waker } from '../outbox/waker.js';
import type { Consumer } from './consumer.js';
import { isAway, type ParkedRow } from './parked.js';

/** Longest sleep: what another process parked, or the dead-letter tool sent back, is found after this. */
const IDLE_MS = 2_000;

/** Pause after a failure of the database: doubles from the first to the last. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 2_000;

/** Lanes looked up at once. */
const LANES = 100;

/** While many are due, the gauges follow at least this often. */
const COUNT_MS = 1_000;

/** Rows that are first in their lane; those without a key queue behind nobody. */
const isFirst = `NOT EXISTS (SELECT 1 FROM parked e WHERE e.consumer = p.consumer AND e.record_key = p.record_key
  AND e.state = 'WAITING' AND e.id < p.id)`;

export interface RetrierOptions {
  readonly database: Database;
  readonly consumers: readonly Consumer[];
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
}

/**
 * Tries parked messages again when they are due: lane by lane (a consumer and a key), within a lane oldest first, so that
 * what queues behind a failing message goes on when that one succeeded or died. Several processes may do so at once:
 * a row is claimed in the transaction of its effect.
 */
export class Retrier {
  private readonly waker = new Waker();
  private readonly consumers: ReadonlyMap<string, Consumer>;
  private readonly ours: string;
  private running: Promise<void> | null = null;
  private stopped = false;
  private counted = -Infinity;

  constructor(private readonly options: RetrierOptions) {
    this.consumers = new Map(options.consumers.map((consumer) => [consumer.name, consumer]));
    this.ours = `p.state = 'WAITING' AND p.consumer IN (${placeholders(options.consumers.length)})`;
  }

  start(): void {
    if (this.options.consumers.length > 0) this.running ??= this.run();
  }

  wake(): void {
    this.waker.wake();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waker.wake();
    await this.running;
  }

  private async run(): Promise<void> {
    let pause = 0;
    while (!this.stopped) {
      this.waker.clear();
      let delay: number;
      try {
        await this.retryDue();
        await this.count();
        delay = await this.untilDue();
        pause = 0;
      } catch (error) {
        if (!isAway(error)) this.options.log.error({ err: error }, 'parked events could not be looked after');
        else if (pause === 0) this.options.log.warn({ err: error }, 'parked events wait for the database');
        delay = pause = Math.min(Math.max(pause * 2, FIRST_PAUSE_MS), LAST_PAUSE_MS);
      }
      await this.waker.sleep(delay);
    }
  }

  private async retryDue(): Promise<void> {
    const { database, now } = this.options;
    for (;;) {
      const due = await database.read<ParkedRow>(
        `SELECT p.* FROM parked p WHERE ${this.ours} AND p.due_at <= ? AND ${isFirst} ORDER BY p.due_at, p.id LIMIT ${LANES}`,
        [...this.consumers.keys(), now()],
      );
      for (const row of due) await this.retryLane(row);
      if (due.length === 0 || this.stopped) return;
      if (performance.now() - this.counted > COUNT_MS) await this.count();
    }
  }

  /** Works through a lane until it is empty or a message has to wait. */
  private async retryLane(first: ParkedRow): Promise<void> {
    let row: ParkedRow | undefined = first;
    while (row && row.due_at <= this.options.now() && !this.stopped) {
      const outcome = await this.consumers.get(row.consumer)?.retry(row);
      if (outcome === 'parked' || row.record_key === null) return;
      [row] = await this.options.database.read<ParkedRow>(
        `SELECT * FROM parked WHERE consumer = ? AND record_key = ? AND state = 'WAITING' ORDER BY id LIMIT 1`,
        [row.consumer, row.record_key],
      );
    }
  }

  /** Milliseconds to the next retry. */
  private async untilDue(): Promise<number> {
    const [next] = await this.options.database.read<{ due_at: number | null }>(
      `SELECT MIN(p.due_at) AS due_at FROM parked p WHERE ${this.ours} AND ${isFirst}`,
      [...this.consumers.keys()],
    );
    const dueAt = next?.due_at ?? Infinity;
    return Math.min(Math.max(dueAt - this.options.now(), 0), IDLE_MS);
  }

  private async count(): Promise<void> {
    const { database, metrics } = this.options;
    const rows = await database.read<{ consumer: string; state: string; messages: number }>(
      'SELECT consumer, state, COUNT(*) AS messages FROM parked GROUP BY consumer, state',
    );
    const count = (consumer: string, state: string): number =>
      rows.find((row) => row.consumer === consumer && row.state === state)?.messages ?? 0;
    for (const consumer of this.consumers.keys()) {
      metrics.parked.set({ consumer }, count(consumer, 'WAITING'));
      metrics.deadLetters.set({ consumer }, count(consumer, 'DEAD'));
    }
    this.counted = performance.now();
  }
}
