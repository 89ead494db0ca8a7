import { setTimeout as pause } from 'node:timers/promises';
import type { AdvisoryLock, Database } from '../database/port.js';
import { placeholders } from '../database/port.js';
import { lockChunks } from '../database/sql.js';
import { EngineUnavailable } from '../errors/errors.js';
import { RecordRefused, type EventLog, type LogRecord } from '../event-log/port.js';
import { madeAt } from '../ids/ids.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import { eventAttributes } from '../observability/trace.js';
import { failureOf, tracer, type Span } from '../observability/tracing.js';
import type { Check } from '../service/service.js';
import type { Outbox } from './outbox.js';
import { purgeBefore } from './purge.js';
import { ERROR_LENGTH } from './tables.js';
import { Waker } from './waker.js';

/** Most rows in one append. */
const BATCH = 500;

/** Pause after a failure: doubles from the first to the last. A commit does not cut it short. */
const FIRST_BACKOFF_MS = 50;
const LAST_BACKOFF_MS = 2_000;

/** How often a relay that does not lead asks for the lock, and how often the leader counts what is left. */
const STANDBY_MS = 1_000;
const STATS_MS = 5_000;
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

interface OutboxRow {
  readonly id: number;
  readonly event_id: string;
  readonly topic: string;
  readonly record_key: string | null;
  readonly aggregate_id: string | null;
  readonly payload: string;
  readonly headers: string;
}

/** What a look at the table came to. */
interface Found {
  readonly rows: readonly OutboxRow[];
  /** A whole batch was there, so there may be another. */
  readonly more: boolean;
}

class OutboxRelay implements Relay {
  private readonly waker = new Waker();
  private readonly stopping = new AbortController();
  private readonly poll: PollSchedule;
  private readonly labels: { readonly database: string };
  /** Rows being sent, and those in the log that are not yet marked: not to be read again. */
  private readonly taken = new Set<number>();
  private readonly published = new Set<number>();
  private marking: Promise<void> = Promise.resolve();
  /** The last look at the table. */
  private reading: Promise<readonly { readonly id: number }[]> = Promise.resolve([]);
  private markTimer: NodeJS.Timeout | null = null;
  private purging: Promise<void> = Promise.resolve();
  private running: Promise<void> | null = null;
  private stopListening: (() => void) | null = null;
  private backoff = 0;
  private trouble: string | null = null;
  /** Another one leads, so what this one met before is over. */
  private standsBy = false;
  private setAside = 0;
  /** Rows that commits in this process told of and that no look has met yet. */
  private announced = 0;
  /** When a row was found that nobody had announced: where there is one there are more. */
  private lastFound = -Infinity;
  private lastStats = -Infinity;
  private lastPurge = -Infinity;

  constructor(private readonly options: RelayOptions) {
    this.poll = options.poll ?? POLL[options.database.dialect];
    this.labels = { database: options.name };
  }

  async start(): Promise<void> {
    if (this.running || this.stopped) return;
    this.stopListening = this.options.outbox.onAppended((rows) => {
      this.announced += rows;
      this.waker.wake();
    });
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.stopListening?.();
    this.waker.wake();
    await this.running;
    await this.mark();
    await this.purging;
  }

  async checks(): Promise<readonly Check[]> {
    const name = `${this.options.name} relay`;
    if (this.trouble !== null && !this.standsBy)
      return [{ name, ok: false, detail: 'Publishing is interrupted; nothing is lost.' }];
    if (this.setAside > 0) return [{ name, ok: true, detail: `${this.setAside} rows set aside` }];
    return [{ name, ok: true }];
  }

  async drain(): Promise<void> {
    const { database } = this.options;
    const [newest] = await database.read<{ id: number | null }>('SELECT MAX(id) AS id FROM outbox');
    const left = 'SELECT id FROM outbox WHERE published_at IS NULL AND set_aside = 0 AND id <= ? LIMIT 1';
    while ((await database.read(left, [newest?.id ?? 0])).length > 0) {
      if (this.stopped) throw new Error('The relay stopped with rows left to publish.');
      this.waker.wake();
      await this.mark();
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

  /** Whoever leads tells the numbers; old ones told beside them would raise alarms. */
  private async standBy(): Promise<void> {
    const { outboxDepth, outboxSetAside, outboxOldestSeconds } = this.options.metrics;
    for (const gauge of [outboxDepth, outboxSetAside, outboxOldestSeconds]) gauge.remove(this.labels);
    await this.rest(STANDBY_MS);
  }

  /** Publishes until stopped or until the lock is lost; throws what stands in the way. */
  private async lead(lock: AdvisoryLock): Promise<void> {
    await this.count();
    while (!this.stopped) {
      this.waker.clear();
      if (!(await this.publish(lock))) return;
      this.recovered();
      if (performance.now() - this.lastStats > STATS_MS) {
        // With nothing to send nobody would ask.
        if (!(await lock.isHeld())) return;
        await this.count();
      }
      this.purge();
      const { busyMs, busyForMs, idleMs } = this.poll;
      await this.waker.sleep(performance.now() - this.lastFound < busyForMs ? busyMs : idleMs);
    }
  }

  /** Marks what was sent, so that the next leader does not repeat it, and lets go of the lock. */
  private async abdicate(lock: AdvisoryLock): Promise<void> {
    await this.mark();
    try {
      await lock.release();
    } catch (error) {
      // The connection that held it is gone, and the lock with it.
      this.options.log.debug({ err: error, relay: this.options.name }, 'relay lock lost');
    }
  }

  /** Sends what there is, reading the next rows meanwhile if there are many; false when the lock is lost. */
  private async publish(lock: AdvisoryLock): Promise<boolean> {
    let { rows, more } = await this.read();
    while ((rows.length > 0 || more) && !this.stopped) {
      // Only now: a look that finds nothing is all that an idle relay costs.
      if (!(await lock.isHeld())) return false;
      // Both are awaited whatever happens: an append that outlived the lock could overtake the next leader's.
      const [sent, next] = await Promise.allSettled([this.send(rows), more ? this.read() : NOTHING]);
      if (sent.status === 'rejected') throw sent.reason;
      if (next.status === 'rejected') throw next.reason;
      // What was read meanwhile may have to wait behind what was refused.
      ({ rows, more } = sent.value === 'refused' ? await this.read() : next.value);
    }
    return true;
  }

  /** The next rows, oldest first. Never "newer than the last": ids are given before commits, so a lower one may follow. */
  private async read(): Promise<Found> {
    const { database } = this.options;
    // Before the rows: a lane that is sent again in between still counts as stuck, and its later rows do not get ahead.
    const stuck = this.setAside === 0 ? NO_LANES : await this.stuckLanes();
    const known = this.announced;
    // In steps, so that a few prepared statements serve.
    const limit = BATCH * Math.ceil((BATCH + this.taken.size) / BATCH);
    // The index alone answers this, also for what is sent and not yet marked.
    this.reading = database.read<{ id: number }>(
      `SELECT id FROM outbox WHERE published_at IS NULL AND set_aside = 0 ORDER BY id LIMIT ${limit}`,
    );
    const unpublished = await this.reading;
    const ids = unpublished.flatMap(({ id }) => (this.taken.has(id) ? [] : [id])).slice(0, BATCH);
    if (ids.length > this.announced) this.lastFound = performance.now();
    // Those known before the look were met by it or earlier.
    this.announced = Math.min(this.announced - known, Math.max(0, this.announced - ids.length));
    const fresh: OutboxRow[] = [];
    for (const chunk of lockChunks(ids, 512)) {
      const columns = 'id, event_id, topic, record_key, aggregate_id, payload, headers';
      const sql = `SELECT ${columns} FROM outbox WHERE id IN (${placeholders(chunk.length)}) ORDER BY id`;
      fresh.push(...(await database.read<OutboxRow>(sql, chunk)));
    }
    return { rows: stuck.size === 0 ? fresh : await this.withoutFollowers(fresh, stuck), more: ids.length === BATCH };
  }

  /** Lanes with rows set aside, and the first of those rows. */
  private async stuckLanes(): Promise<ReadonlyMap<string, number>> {
    const stuck = await this.options.database.read<{ id: number; topic: string; aggregate_id: string }>(
      `SELECT MIN(id) AS id, topic, aggregate_id FROM outbox
       WHERE published_at IS NULL AND set_aside = 1 AND aggregate_id IS NOT NULL GROUP BY topic, aggregate_id`,
    );
    return new Map(stuck.map((row) => [laneOf(row), row.id]));
  }

  /** Sets aside the rows that must not overtake one that was refused, and answers the others. */
  private async withoutFollowers(rows: readonly OutboxRow[], lanes: ReadonlyMap<string, number>): Promise<OutboxRow[]> {
    const isFollower = (row: OutboxRow): boolean => row.aggregate_id !== null && lanes.has(laneOf(row));
    const followers = rows.filter(isFollower);
    if (followers.length === 0) return [...rows];
    this.setAside += await this.options.database.transaction(async (tx) => {
      // Somebody may just be sending a lane again: who follows nobody any more is read again, behind those before it.
      const first = await tx.lock<{ id: number; set_aside: number }>(
        'outbox',
        'id',
        followers.map((row) => lanes.get(laneOf(row)) ?? row.id),
      );
      const still = new Set(first.filter((row) => row.set_aside === 1).map((row) => row.id));
      const ids = followers.filter((row) => still.has(lanes.get(laneOf(row)) ?? row.id)).map((row) => row.id);
      for (const chunk of lockChunks(ids, 512)) {
        await tx.execute(`UPDATE outbox SET set_aside = 1 WHERE id IN (${placeholders(chunk.length)})`, chunk);
      }
      return ids.length;
    });
    return rows.filter((row) => !isFollower(row));
  }

  /** Appends rows, setting aside those that the log refuses. Throws, with nothing taken, when the log is away. */
  private async send(rows: readonly OutboxRow[]): Promise<'sent' | 'refused'> {
    for (const { id } of rows) this.taken.add(id);
    let left = rows;
    try {
      while (left.length > 0) {
        const refusal = await this.append(left);
        if (!refusal) break;
        await this.setRowAside(refusal.row, refusal.reason);
        // Nothing of that append counts. The followers are set aside in the table, and will not be read again.
        left = left.filter((row) => row !== refusal.row && !isLaterOf(refusal.row, row));
      }
    } catch (error) {
      for (const { id } of rows) this.taken.delete(id);
      throw error;
    }
    for (const { id } of rows) this.taken.delete(id);
    for (const { id } of left) {
      this.taken.add(id);
      this.published.add(id);
    }
    this.options.metrics.eventsPublished.inc(this.labels, left.length);
    this.markSoon();
    return left.length < rows.length ? 'refused' : 'sent';
  }

  private async append(rows: readonly OutboxRow[]): Promise<{ row: OutboxRow; reason: string } | null> {
    const spans: Span[] = [];
    const records = rows.map((row) => published(recordOf(row), spans));
    try {
      await this.options.eventLog.append(records);
      for (const span of spans) span.end();
      return null;
    } catch (error) {
      for (const span of spans) span.end(failureOf(error));
      if (!(error instanceof RecordRefused)) throw error;
      const row = rows[records.indexOf(error.record)];
      if (!row) throw error;
      return { row, reason: error.message };
    }
  }

  private async setRowAside(row: OutboxRow, reason: string): Promise<void> {
    const { database, log, name } = this.options;
    const refused = Array.from(reason).slice(0, ERROR_LENGTH).join('');
    await database.transaction(async (tx) => {
      await tx.execute('UPDATE outbox SET set_aside = 1, refused = ? WHERE id = ?', [refused, row.id]);
      if (row.aggregate_id === null) return;
      await tx.execute(
        `UPDATE outbox SET set_aside = 1
         WHERE topic = ? AND aggregate_id = ? AND id > ? AND published_at IS NULL AND set_aside = 0`,
        [row.topic, row.aggregate_id, row.id],
      );
    });
    log.error(
      { relay: name, outboxId: row.id, topic: row.topic, aggregateId: row.aggregate_id, eventId: row.event_id, reason },
      'event refused by the log; set aside with the later ones of its aggregate',
    );
    await this.count();
  }

  private markSoon(): void {
    if (this.published.size >= BATCH) void this.mark();
    else this.markTimer ??= setTimeout(() => void this.mark(), this.options.markDelayMs ?? 250);
  }

  /** Marks what is in the log by now. Never rejects: what could not be marked stays taken and is marked later. */
  private mark(): Promise<void> {
    if (this.markTimer) clearTimeout(this.markTimer);
    this.markTimer = null;
    this.marking = this.marking.then(async () => {
      const ids = [...this.published];
      if (ids.length === 0) return;
      const { database, now, log, name } = this.options;
      try {
        await database.transaction(async (tx) => {
          for (const chunk of lockChunks(ids, 512)) {
            const sql = `UPDATE outbox SET published_at = ? WHERE id IN (${placeholders(chunk.length)})`;
            await tx.execute(sql, [now(), ...chunk]);
          }
        });
        for (const id of ids) this.published.delete(id);
        // A look that began before the commit still sees these rows as unpublished, and must find them taken.
        await this.reading.catch(() => undefined);
        for (const id of ids) this.taken.delete(id);
      } catch (error) {
        log.warn({ err: error, relay: name, rows: ids.length }, 'published events could not be marked; trying again');
        if (!this.stopped) this.markTimer ??= setTimeout(() => void this.mark(), STANDBY_MS);
      }
    });
    return this.marking;
  }

  private async count(): Promise<void> {
    const { database, metrics, now } = this.options;
    // The oldest is the first by id: MIN(event_id) would take a full scan.
    const [counted] = await database.read<{ waiting: number; aside: number | null }>(
      'SELECT COUNT(*) AS waiting, SUM(set_aside) AS aside FROM outbox WHERE published_at IS NULL',
    );
    const [oldest] = await database.read<{ event_id: string }>(
      'SELECT event_id FROM outbox WHERE published_at IS NULL ORDER BY set_aside, id LIMIT 1',
    );
    this.setAside = counted?.aside ?? 0;
    const since = oldest ? madeAt(oldest.event_id) : null;
    metrics.outboxDepth.set(this.labels, Math.max(0, (counted?.waiting ?? 0) - this.published.size));
    metrics.outboxSetAside.set(this.labels, this.setAside);
    metrics.outboxOldestSeconds.set(this.labels, since === null ? 0 : Math.max(0, (now() - since) / 1_000));
    this.lastStats = performance.now();
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
    if (this.stopped || performance.now() - this.lastStats <= STATS_MS) return;
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
const NO_LANES: ReadonlyMap<string, number> = new Map();

const laneOf = (row: { readonly topic: string; readonly aggregate_id: string | null }): string =>
  `${row.topic} ${row.aggregate_id}`;

const isLaterOf = (refused: OutboxRow, row: OutboxRow): boolean =>
  refused.aggregate_id !== null && laneOf(refused) === laneOf(row) && row.id > refused.id;

const recordOf = (row: OutboxRow): LogRecord => ({
  topic: row.topic,
  key: row.record_key,
  value: row.payload,
  headers: JSON.parse(row.headers) as Record<string, string>,
});

/** The record with a span of its own for parent of whatever its consumers do; as it is where nobody traces it. */
function published(record: LogRecord, spans: Span[]): LogRecord {
  const { topic, headers } = record;
  const { traceparent, ce_type = '', ce_id = '' } = headers;
  if (tracer === undefined || traceparent === undefined) return record;
  const span = tracer.start(`publish ${topic}`, 'producer', traceparent, {
    'messaging.operation.type': 'send',
    ...eventAttributes(topic, ce_type, ce_id),
  });
  spans.push(span);
  return { ...record, headers: { ...headers, traceparent: span.traceparent } };
}
