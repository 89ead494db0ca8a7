import { setImmediate as breath } from 'node:timers/promises';
import type { OrderTimes } from '../../shared/config/order-times.js';
import type { Database } from '../../shared/database/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { firstIdAt } from '../../shared/ids/ids.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { Waker } from '../../shared/outbox/waker.js';
import type { Check } from '../../shared/service/service.js';
import type { WorkerPart } from '../../shared/service/worker.js';
import { formatDuration } from '../../shared/time/duration.js';
import type { Fired, OrderStore } from './store.js';
import type { TimerKind } from './timetable.js';

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
 * How often unpaid orders without a timer are looked for, and how far back the first time: they come from processes of an
 * older version that still take orders, and from a time when nothing was set. In milliseconds.
 */
const SWEEP_MS = 3_600_000;
const SWEEP_AGAIN_MS = 60_000;
const FIRST_SWEEP_MS = 24 * 3_600_000;
const SWEEP_OVERLAP_MS = 600_000;

/** One statement looks at the orders of so long, in milliseconds, and finds at most so many. */
const SLICE_MS = 600_000;
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
  private nextSweep = -Infinity;
  private sweeping: Promise<void> = Promise.resolve();

  constructor(private readonly options: TimerWorkerOptions) {}

  start(): Promise<void> {
    if (!this.stopped) this.running ??= this.run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waker.wake();
    await this.running;
    await this.sweeping;
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
    this.sweepSometimes();
    const due = await database.read<Due>(
      `SELECT order_id, kind, due_at FROM timers WHERE due_at <= ? ORDER BY due_at LIMIT ${IN_SIGHT}`,
      [now()],
    );
    this.note(due[0] === undefined ? 0 : now() - due[0].due_at);
    // The oldest first; the others where all of those are in hand elsewhere.
    const handled = (await this.fire(due.slice(0, BATCH))) || (await this.fire(due.slice(BATCH)));
    await this.countSometimes();
    if (due.length > 0) return handled > 0 ? 0 : HELD_MS;
    const [next] = await database.read<{ due_at: number | null }>('SELECT MIN(due_at) AS due_at FROM timers');
    return Math.min(Math.max((next?.due_at ?? Infinity) - now(), 0), POLL_MS);
  }

  /** In halves when it fails, so that one order does not hold up the rest. Answers how many were dealt with. */
  private async fire(due: readonly Due[]): Promise<number> {
    const { database, store, now } = this.options;
    if (this.stopped || due.length === 0) return 0;
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

  /** Beside the loop, which it neither delays nor ends. */
  private sweepSometimes(): void {
    const began = performance.now();
    if (began < this.nextSweep) return;
    this.nextSweep = Infinity;
    this.sweeping = this.sweep(began - this.swept + SWEEP_OVERLAP_MS).then(
      () => {
        this.swept = began;
        this.nextSweep = began + SWEEP_MS;
      },
      (error: unknown) => {
        this.options.log.warn({ err: error }, 'orders without a timer cannot be looked for; trying again in a minute');
        this.nextSweep = performance.now() + SWEEP_AGAIN_MS;
      },
    );
  }

  /**
   * Gives timers to unpaid orders of the last so many milliseconds that have none. In slices of their ids, whose order is
   * that of their making, and without a look at the orders themselves: what becomes of them is judged when the timer is due.
   */
  private async sweep(since: number): Promise<void> {
    const { database, times, now } = this.options;
    // Without an expiry, nothing is to happen after the last reminder.
    const reach = times.expiry === null ? Math.max(0, ...times.reminders) : FIRST_SWEEP_MS;
    const end = now();
    for (let from = end - Math.min(since, FIRST_SWEEP_MS, reach); from < end; from += SLICE_MS) {
      let after = firstIdAt(from);
      let found = SWEEP_BATCH;
      while (found === SWEEP_BATCH) {
        if (this.stopped) return;
        const missing = await database.read<{ id: string }>(
          `SELECT o.id FROM orders o LEFT JOIN timers t ON t.order_id = o.id
           WHERE o.id > ? AND o.id < ? AND o.status IN ('PENDING', 'AWAITING_PAYMENT') AND t.order_id IS NULL
           ORDER BY o.id LIMIT ${SWEEP_BATCH}`,
          [after, firstIdAt(from + SLICE_MS)],
        );
        const rows = missing.map(({ id }) => ({ order_id: id, kind: 'START', due_at: now() }));
        if (rows.length > 0) await database.transaction((tx) => tx.insertNew('timers', ['order_id'], rows));
        found = missing.length;
        after = missing.at(-1)?.id ?? after;
        await breath();
      }
    }
  }
}

/** Reminders are one label, however many there are. */
const labelOf = (kind: TimerKind): string => kind.replace(/_\d+$/, '');
