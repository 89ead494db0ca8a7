import { setTimeout as pause } from 'node:timers/promises';
import type { AdvisoryLock, Database } from '../database/port.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { EventLog } from '../event-log/port.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { Check } from '../service/service.js';
import { RelayNumbers } from './numbers.js';
import type { Outbox } from './outbox.js';
import { purgeBefore } from './purge.js';
import { isLaterOf, type OutboxRow } from './row.js';
import { appendRows, type Refusal } from './send.js';
import { isFollower, NO_LANES, setAside, setFollowersAside, stuckLanes } from './set-aside.js';
import { UnpublishedRows, type Found } from './unpublished.js';
import { Waker } from './waker.js';

/** Pause after a failure: doubles from the first to the last. A commit does not cut it short. */
const FIRST_BACKOFF_MS = 50;
const LAST_BACKOFF_MS = 2_000;

/** How often a relay that does not lead asks for the lock. */
const STANDBY_MS = 1_000;
const PURGE_MS = 60_000;

const HOUR = 3_600_000;

/** How often to look for rows that nobody announced, in milliseconds: those of other processes. */
export interface PollSchedule {
  /** Between looks until `busyForMs` after the last such row. */
  readonly busyMs: number;
  readonly busyForMs: number;
  /** Between looks afterwards. */
  readonly idleMs: number;
}

const POLL: Readonly<Record<Database['dialect'], PollSchedule>> = {
  mysql: { busyMs: 5, busyForMs: 1_000, idleMs: 100 },
  // One process: every commit is announced, and polling would only burn an idle machine's time.
  sqlite: { busyMs: 1_000, busyForMs: 0, idleMs: 1_000 },
};

export interface RelayOptions {
  /** Name of the database, `tributary_order`: names the lock, the metrics and the check. */
  readonly name: string;
  readonly database: Database;
  readonly outbox: Outbox;
  readonly eventLog: EventLog;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long published rows stay, in milliseconds; an hour when absent. */
  readonly retentionMs?: number;
  /** By the engine when absent: rarely on SQLite, every 5 to 100 ms on MySQL. */
  readonly poll?: PollSchedule;
  /**
   * Rows are marked as published this long after they were, in milliseconds (250 when absent), many in one transaction and
   * out of the way of what follows an event. A crash within it publishes them again.
   */
  readonly markDelayMs?: number;
}

export interface Relay {
  start(): Promise<void>;
  /** Ends after the append in hand. Safe to call twice. */
  stop(): Promise<void>;
  checks(): Promise<readonly Check[]>;
  /**
   * Resolves once every row committed before is in the log and marked, rows set aside excepted. Needs a relay that runs,
   * here or elsewhere; waits as long as the log is away.
   */
  drain(): Promise<void>;
}

/**
 * Publishes the outbox of one database to the event log, at least once, and in order per aggregate. Of the processes that
 * run one, the holder of an advisory lock publishes and the others stand by. A crash between append and mark repeats
 * rows and loses none. A log that is away costs nothing but time. A row that the log refuses for good is set aside with
 * the later rows of its aggregate, and the others go on; once the cause is gone, `tributary outbox retry` sends them again.
 */
export const createRelay = (options: RelayOptions): Relay => new OutboxRelay(options);

class OutboxRelay implements Relay {
  private readonly waker = new Waker();
  private readonly stopping = new AbortController();
  private readonly poll: PollSchedule;
  private readonly rows: UnpublishedRows;
  private readonly numbers: RelayNumbers;
  private purging: Promise<void> = Promise.resolve();
  private running: Promise<void> | null = null;
  private stopListening: (() => void) | null = null;
  private backoff = 0;
  private trouble: string | null = null;
  /** Another one leads, so what this one met before is over. */
  private standsBy = false;
  private lastPurge = -Infinity;

  constructor(private readonly options: RelayOptions) {
    this.poll = options.poll ?? POLL[options.database.dialect];
    this.rows = new UnpublishedRows({ ...options, stopping: this.stopping.signal });
    this.numbers = new RelayNumbers(options);
  }

  async start(): Promise<void> {
    if (this.running || this.stopped) return;
    this.stopListening = this.options.outbox.onAppended((rows) => {
      this.rows.announce(rows);
      this.waker.wake();
    });
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.stopListening?.();
    this.waker.wake();
    await this.running;
    await this.rows.mark();
    await this.purging;
  }

  async checks(): Promise<readonly Check[]> {
    const name = `${this.options.name} relay`;
    if (this.trouble !== null && !this.standsBy)
      return [{ name, ok: false, detail: 'Publishing is interrupted; nothing is lost.' }];
    const { setAside: aside } = this.numbers;
    if (aside > 0) return [{ name, ok: true, detail: `${aside} rows set aside` }];
    return [{ name, ok: true }];
  }

  async drain(): Promise<void> {
    const { database } = this.options;
    const [newest] = await database.read<{ id: number | null }>('SELECT MAX(id) AS id FROM outbox');
    const left = 'SELECT id FROM outbox WHERE published_at IS NULL AND set_aside = 0 AND id <= ? LIMIT 1';
    while ((await database.read(left, [newest?.id ?? 0])).length > 0) {
      if (this.stopped) throw new Error('The relay stopped with rows left to publish.');
      this.waker.wake();
      await this.rows.mark();
      await pause(5);
    }
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async run(): Promise<void> {
    const { database, name } = this.options;
    while (!this.stopped) {
      try {
        const lock = await database.tryLock(`${name}.relay`);
        this.standsBy = lock === null;
        if (lock) await this.lead(lock).finally(() => this.abdicate(lock));
        else await this.standBy();
      } catch (error) {
        await this.recover(error);
      }
    }
  }

  private async standBy(): Promise<void> {
    this.numbers.forget();
    await this.rest(STANDBY_MS);
  }

  /** Publishes until stopped or until the lock is lost; throws what stands in the way. */
  private async lead(lock: AdvisoryLock): Promise<void> {
    await this.count();
    while (!this.stopped) {
      this.waker.clear();
      if (!(await this.publish(lock))) return;
      this.recovered();
      if (this.numbers.stale) await this.count();
      this.purge();
      const { busyMs, busyForMs, idleMs } = this.poll;
      await this.waker.sleep(this.rows.foundWithin(busyForMs) ? busyMs : idleMs);
    }
  }

  /** Marks what was sent, so that the next leader does not repeat it, and lets go of the lock. */
  private async abdicate(lock: AdvisoryLock): Promise<void> {
    await this.rows.mark();
    try {
      await lock.release();
    } catch (error) {
      // The connection that held it is gone, and the lock with it.
      this.options.log.debug({ err: error, relay: this.options.name }, 'relay lock lost');
    }
  }

  /** Sends what there is, reading the next rows meanwhile if there are many; false when the lock was lost. */
  private async publish(lock: AdvisoryLock): Promise<boolean> {
    let found = await this.read(lock);
    while (found !== null && (found.rows.length > 0 || found.more) && !this.stopped) {
      // Both are awaited whatever happens: an append that outlived the lock could overtake the next leader's.
      const [sent, next] = await Promise.allSettled([
        this.send(found.rows),
        found.more ? this.read(lock) : Promise.resolve(NOTHING),
      ]);
      if (sent.status === 'rejected') throw sent.reason;
      if (next.status === 'rejected') throw next.reason;
      // What was read meanwhile may have to wait behind what was refused.
      if (sent.value === 'refused') found = await this.read(lock);
      // Whoever reads leads; but that was said before the sending, which may have taken long.
      else if (next.value !== null && next.value.rows.length > 0 && !(await lock.isHeld())) found = null;
      else found = next.value;
    }
    return found !== null;
  }

  /** The next rows that need not wait behind one that was refused; null when the lock was lost. */
  private async read(lock: AdvisoryLock): Promise<Found | null> {
    const { database } = this.options;
    // Before the rows: a lane that is sent again in between still counts as stuck, and its later rows do not get ahead.
    const lanes = this.numbers.setAside === 0 ? NO_LANES : await stuckLanes(database);
    const found = await this.rows.read(lock);
    if (found === null) return null;
    const { rows, more } = found;
    const followers = rows.filter((row) => isFollower(row, lanes));
    if (followers.length === 0) return found;
    const aside = await setFollowersAside(database, followers, lanes);
    this.numbers.setAside += aside;
    // That may have taken long.
    if (!(await lock.isHeld())) return null;
    return { rows: rows.filter((row) => !isFollower(row, lanes)), more };
  }

  /** Appends rows, setting aside those that the log refuses. Throws, with nothing taken, when the log is away. */
  private async send(rows: readonly OutboxRow[]): Promise<'sent' | 'refused'> {
    this.rows.take(rows);
    let left = rows;
    try {
      while (left.length > 0) {
        const refusal = await appendRows(this.options.eventLog, left);
        if (!refusal) break;
        await this.setAside(refusal);
        // Nothing of that append counts. The followers are set aside in the table, and will not be read again.
        left = left.filter((row) => row !== refusal.row && !isLaterOf(refusal.row, row));
      }
    } finally {
      this.rows.giveBack(rows);
    }
    this.rows.sent(left);
    this.numbers.published(left.length);
    return left.length < rows.length ? 'refused' : 'sent';
  }

  private async setAside(refusal: Refusal): Promise<void> {
    const { database, log, name } = this.options;
    await setAside(database, refusal);
    const { row, reason } = refusal;
    log.error(
      { relay: name, outboxId: row.id, topic: row.topic, aggregateId: row.aggregate_id, eventId: row.event_id, reason },
      'event refused by the log; set aside with the later ones of its aggregate',
    );
    await this.count();
  }

  private count(): Promise<void> {
    return this.numbers.count(() => this.rows.unmarked);
  }

  /** Beside the publishing, once in a while. */
  private purge(): void {
    if (performance.now() - this.lastPurge < PURGE_MS) return;
    this.lastPurge = performance.now();
    const { database, now, retentionMs = HOUR, log, name } = this.options;
    this.purging = purgeBefore(database, 'outbox', 'published_at', now() - retentionMs).then(
      (rows) => {
        if (rows > 0) log.debug({ relay: name, rows }, 'published events deleted from the outbox');
      },
      (error: unknown) => log.warn({ err: error, relay: name }, 'published events could not be deleted; trying again'),
    );
  }

  private async recover(error: unknown): Promise<void> {
    const { log, name } = this.options;
    const away = error instanceof EngineUnavailable;
    const message = error instanceof Error ? error.message : String(error);
    if (this.trouble !== message) {
      log[away ? 'warn' : 'error']({ err: error, relay: name }, 'publishing is interrupted; nothing is lost');
    }
    this.trouble = message;
    this.standsBy = false;
    this.backoff = Math.min(Math.max(this.backoff * 2, FIRST_BACKOFF_MS), LAST_BACKOFF_MS);
    await this.rest(this.backoff);
    if (this.stopped || !this.numbers.stale) return;
    try {
      await this.count();
    } catch {
      // The database is what is away; the gauges keep their last value.
    }
  }

  private recovered(): void {
    if (this.trouble !== null) this.options.log.info({ relay: this.options.name }, 'publishing goes on');
    this.trouble = null;
    this.backoff = 0;
  }

  /** Sleeps, whatever is committed meanwhile; ends early only when stopping. */
  private async rest(milliseconds: number): Promise<void> {
    try {
      await pause(milliseconds, undefined, { signal: this.stopping.signal });
    } catch {
      // Aborted: the loop sees that it is stopping.
    }
  }
}

const NOTHING: Found = { rows: [], more: false };
