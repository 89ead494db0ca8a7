import { placeholders, type AdvisoryLock, type Database } from '../database/port.js';
import { lockChunks } from '../database/sql.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { Logger } from '../observability/logger.js';
import type { OutboxRow } from './row.js';

/** Most rows in one append. */
const BATCH = 500;

/** Most rows that are sent and not yet marked: each is named by every look. */
const MOST_UNMARKED = 4_096;

/** Until rows are marked as published, and after a failure until it is tried again. */
const MARK_DELAY_MS = 250;
const MARK_AGAIN_MS = 1_000;

/** What a look at the table came to. */
export interface Found {
  readonly rows: readonly OutboxRow[];
  /** A whole batch was there, so there may be another. */
  readonly more: boolean;
}

export interface UnpublishedOptions {
  /** Of the relay, for the log. */
  readonly name: string;
  readonly database: Database;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly markDelayMs?: number | undefined;
  /** Aborted when the relay stops: from then on nothing is tried again. */
  readonly stopping: AbortSignal;
}

/** The rows that a relay has still to publish, and those that it has published and not yet marked in the table. */
export class UnpublishedRows {
  /** Rows being sent, and those in the log that are not yet marked: not to be read again. */
  private readonly taken = new Set<number>();
  private readonly published = new Set<number>();
  private marking: Promise<void> = Promise.resolve();
  private markTimer: NodeJS.Timeout | null = null;
  /** Rows that commits in this process told of and that no look has met yet. */
  private announced = 0;
  /** When a row was found that nobody had announced: where there is one there are more. */
  private foundAt = -Infinity;

  constructor(private readonly options: UnpublishedOptions) {}

  /** A commit in this process has added so many. */
  announce(rows: number): void {
    this.announced += rows;
  }

  /** Whether rows that nobody announced were found within so many milliseconds. */
  foundWithin(milliseconds: number): boolean {
    return performance.now() - this.foundAt < milliseconds;
  }

  /** In the log, and not yet marked. */
  get unmarked(): number {
    return this.published.size;
  }

  /**
   * The next rows, oldest first, and with them the answer that the lock is ours; null if it is not. Never "newer than the
   * last": ids are given before commits, so a lower one may follow.
   */
  async read(lock: AdvisoryLock): Promise<Found | null> {
    if (this.taken.size > MOST_UNMARKED) await this.mark();
    // What cannot be marked is repeated after a crash: no more of that.
    if (this.taken.size > MOST_UNMARKED) {
      throw new EngineUnavailable('database', new Error('What is published cannot be marked as published.'));
    }
    const known = this.announced;
    // Filled up, so that a few prepared statements serve.
    const [taken = []] = lockChunks([...this.taken], 2 * MOST_UNMARKED);
    const rows = await lock.read<OutboxRow>(
      // Plus nothing: else MySQL makes a range of every gap in the list.
      `SELECT id, event_id, topic, record_key, aggregate_id, payload, headers FROM outbox
       WHERE published_at IS NULL AND set_aside = 0
         ${taken.length === 0 ? '' : `AND id + 0 NOT IN (${placeholders(taken.length)})`}
       ORDER BY id LIMIT ${BATCH}`,
      taken,
    );
    if (rows === null) return null;
    if (rows.length > this.announced) this.foundAt = performance.now();
    // Those known before the look were met by it or earlier.
    this.announced = Math.min(this.announced - known, Math.max(0, this.announced - rows.length));
    return { rows, more: rows.length === BATCH };
  }

  /** They are being sent. */
  take(rows: readonly OutboxRow[]): void {
    for (const { id } of rows) this.taken.add(id);
  }

  /** They are not being sent any more. */
  giveBack(rows: readonly OutboxRow[]): void {
    for (const { id } of rows) this.taken.delete(id);
  }

  /** They are in the log, and will be marked soon. */
  sent(rows: readonly OutboxRow[]): void {
    for (const { id } of rows) {
      this.taken.add(id);
      this.published.add(id);
    }
    if (this.published.size >= BATCH) void this.mark();
    else this.markAfter(this.options.markDelayMs ?? MARK_DELAY_MS);
  }

  /** Marks what is in the log by now. Never rejects: what could not be marked stays taken and is marked later. */
  mark(): Promise<void> {
    if (this.markTimer) clearTimeout(this.markTimer);
    this.markTimer = null;
    this.marking = this.marking.then(async () => {
      const ids = [...this.published];
      if (ids.length === 0) return;
      const { database, now, log, name, stopping } = this.options;
      try {
        await database.transaction(async (tx) => {
          for (const chunk of lockChunks(ids, 512)) {
            const sql = `UPDATE outbox SET published_at = ? WHERE id IN (${placeholders(chunk.length)})`;
            await tx.execute(sql, [now(), ...chunk]);
          }
        });
        // A look that began before the commit names them all the same.
        for (const id of ids) {
          this.published.delete(id);
          this.taken.delete(id);
        }
      } catch (error) {
        log.warn({ err: error, relay: name, rows: ids.length }, 'published events could not be marked; trying again');
        if (!stopping.aborted) this.markAfter(MARK_AGAIN_MS);
      }
    });
    return this.marking;
  }

  private markAfter(milliseconds: number): void {
    this.markTimer ??= setTimeout(() => void this.mark(), milliseconds);
  }
}
