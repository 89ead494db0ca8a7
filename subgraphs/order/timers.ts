import type { OrderTimes } from '../../shared/config/order-times.js';
import { placeholders, type Database } from '../../shared/database/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { firstIdAt } from '../../shared/ids/ids.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { Waker } from '../../shared/outbox/waker.js';
import type { Check } from '../../shared/service/service.js';
import type { WorkerPart } from '../../shared/service/worker.js';
import { formatDuration } from '../../shared/time/duration.js';
import type { Fired, OrderStore } from './store.js';
import { timedStages, type Stage, type TimerKind } from './timetable.js';

export interface TimerWorkerOptions {
  readonly database: Database;
  readonly store: OrderStore;
  readonly times: OrderTimes;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch; may jump in either direction. */
  readonly now: () => number;
}

/** Orders dealt with in one transaction, and due timers looked at for it: enough for several workers to find work beside each other. */
const BATCH = 100;
const IN_SIGHT = 400;

/** The clock is looked at this often, since it may have been set: milliseconds. */
const POLL_MS = 1_000;

/** How long to leave alone what another worker has in hand, in milliseconds. */
const HELD_MS = 50;

/** When an order whose timer failed is tried again, in milliseconds. */
const POSTPONE_MS = 60_000;

/** First and last pause while the database is away, in milliseconds. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 2_000;

/** How often pending timers are counted, in milliseconds. */
const COUNT_MS = 30_000;

/** Due for longer than this is late, and said in /readyz. */
const LATE_MS = 60_000;

/**
 * How often orders without a timer are looked for, and how far back the first time: they come from processes of an older
 * version that still take orders. In milliseconds.
 */
const SWEEP_MS = 3_600_000;
const FIRST_SWEEP_MS = 24 * 3_600_000;
const SWEEP_OVERLAP_MS = 600_000;
const SWEEP_BATCH = 500;

interface Due {
  readonly order_id: string;
  readonly kind: TimerKind;
  readonly due_at: number;
}

/**
 * Does to orders what the clock says: reminders, expiry, and the steps of paid orders that are to happen by themselves.
 * Several processes may do so at once: what is due is judged again with the order locked, so it happens once, and a crash
 * leaves it due. An order that fails is tried again after a minute and holds up no other.
 */
export class TimerWorker implements WorkerPart {
  private readonly waker = new Waker();
  private running: Promise<void> | null = null;
  private stopped = false;
  private lateMs = 0;
  /** By performance.now(), which nobody sets. */
  private counted = -Infinity;
  private swept = -Infinity;

  constructor(private readonly options: TimerWorkerOptions) {}

  start(): Promise<void> {
    if (!this.stopped) this.running ??= this.run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waker.wake();
    await this.running;
  }

  checks(): Promise<readonly Check[]> {
    const late = this.lateMs > LATE_MS;
    // Not a reason to take the worker out: what is late is caught up with.
    const detail = `The oldest timer of an order is ${formatDuration(this.lateMs)} late.`;
    return Promise.resolve([{ name: 'timers', ok: true, ...(late && { detail }) }]);
  }

  private async run(): Promise<void> {
    const { log } = this.options;
    let pause = 0;
    while (!this.stopped) {
      let delay: number;
      try {
        delay = await this.work();
        pause = 0;
      } catch (error) {
        if (!(error instanceof EngineUnavailable))
          log.error({ err: error }, 'the timers of orders cannot be looked at');
        else if (pause === 0) log.warn({ err: error }, 'the timers of orders wait for the database');
        delay = pause = Math.min(Math.max(pause * 2, FIRST_PAUSE_MS), LAST_PAUSE_MS);
      }
      await this.waker.sleep(delay);
    }
  }

  /** Answers how long to sleep, in milliseconds. */
  private async work(): Promise<number> {
    const { database, now } = this.options;
    const due = await database.read<Due>(
      `SELECT order_id, kind, due_at FROM timers WHERE due_at <= ? ORDER BY due_at LIMIT ${IN_SIGHT}`,
      [now()],
    );
    this.note(due[0] === undefined ? 0 : now() - due[0].due_at);
    const handled = due.length === 0 ? 0 : await this.fire(due);
    await this.countSometimes();
    await this.sweepSometimes();
    if (due.length > 0) return handled > 0 ? 0 : HELD_MS;
    const [next] = await database.read<{ due_at: number | null }>('SELECT MIN(due_at) AS due_at FROM timers');
    return Math.min(Math.max((next?.due_at ?? Infinity) - now(), 0), POLL_MS);
  }

  /** In halves when it fails, so that one order does not hold up the rest. Answers how many were dealt with. */
  private async fire(due: readonly Due[]): Promise<number> {
    const { database, store, now } = this.options;
    if (this.stopped) return 0;
    let fired: readonly Fired[];
    try {
      const orderIds = due.map(({ order_id: id }) => id);
      fired = await database.transaction((tx) => store.fire(tx, orderIds, now(), BATCH));
    } catch (error) {
      if (error instanceof EngineUnavailable) throw error;
      const [only] = due;
      if (only !== undefined && due.length === 1) return this.postpone(only, error);
      const half = Math.ceil(due.length / 2);
      return (await this.fire(due.slice(0, half))) + (await this.fire(due.slice(half)));
    }
    for (const one of fired) this.report(one);
    return fired.length;
  }

  private async postpone({ order_id: orderId, kind }: Due, error: unknown): Promise<number> {
    const { database, log, metrics, now } = this.options;
    log.error(
      { err: error, orderId, timer: kind },
      'what the clock was to do to an order failed; trying again in a minute',
    );
    metrics.timersFired.inc({ kind: labelOf(kind), outcome: 'failed' });
    return database.transaction((tx) =>
      tx.execute('UPDATE timers SET due_at = ? WHERE order_id = ? AND due_at <= ?', [
        now() + POSTPONE_MS,
        orderId,
        now(),
      ]),
    );
  }

  private report({ orderId, kind, acted }: Fired): void {
    const { log, metrics } = this.options;
    metrics.timersFired.inc({ kind: labelOf(kind), outcome: acted ? 'acted' : 'passed' });
    log.info({ orderId, timer: kind, acted }, 'timer');
  }

  private note(lateMs: number): void {
    this.lateMs = Math.max(0, lateMs);
    this.options.metrics.timersLateSeconds.set(this.lateMs / 1_000);
  }

  private async countSometimes(): Promise<void> {
    if (performance.now() - this.counted < COUNT_MS) return;
    const { database, metrics } = this.options;
    const [row] = await database.read<{ pending: number }>('SELECT COUNT(*) AS pending FROM timers');
    metrics.timersPending.set(row?.pending ?? 0);
    this.counted = performance.now();
  }

  /** A look at every order of the time since the last one, in the order of their ids, which is that of their making. */
  private async sweepSometimes(): Promise<void> {
    const began = performance.now();
    if (began - this.swept < SWEEP_MS) return;
    const { database, store, times, now } = this.options;
    const statuses = timedStages(times).flatMap((stage) => STATUSES[stage]);
    let from = firstIdAt(now() - Math.min(began - this.swept + SWEEP_OVERLAP_MS, FIRST_SWEEP_MS));
    while (statuses.length > 0 && !this.stopped) {
      const missing = await database.read<{ id: string }>(
        `SELECT o.id FROM orders o LEFT JOIN timers t ON t.order_id = o.id
         WHERE o.id > ? AND o.status IN (${placeholders(statuses.length)}) AND t.order_id IS NULL
         ORDER BY o.id LIMIT ${SWEEP_BATCH}`,
        [from, ...statuses],
      );
      const ids = missing.map(({ id }) => id);
      if (ids.length > 0) await database.transaction((tx) => store.setMissingTimers(tx, ids, now()));
      if (ids.length < SWEEP_BATCH) break;
      from = ids.at(-1) ?? from;
    }
    this.swept = began;
  }
}

/** Reminders are one label, however many there are. */
const labelOf = (kind: TimerKind): string => kind.replace(/_\d+$/, '');

const STATUSES: Readonly<Record<Stage, readonly string[]>> = {
  UNPAID: ['PENDING', 'AWAITING_PAYMENT'],
  PAID: ['PAID'],
  PROCESSING: ['PROCESSING'],
  OVER: [],
};
