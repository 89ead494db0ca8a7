import type { Database } from '../database/port.js';
import { madeAt } from '../ids/ids.js';
import type { Metrics } from '../observability/metrics.js';

/** How often a relay that leads counts what is left. */
const STATS_MS = 5_000;

export interface NumbersOptions {
  readonly name: string;
  readonly database: Database;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What a relay tells of its outbox in the metrics, while it leads. */
export class RelayNumbers {
  /** Rows kept back, as of the last count. */
  setAside = 0;
  private readonly labels: { readonly database: string };
  private counted = -Infinity;

  constructor(private readonly options: NumbersOptions) {
    this.labels = { database: options.name };
  }

  /** The last count is a while ago. */
  get stale(): boolean {
    return performance.now() - this.counted > STATS_MS;
  }

  published(rows: number): void {
    this.options.metrics.eventsPublished.inc(this.labels, rows);
  }

  /**
   * @param unmarked how many rows are in the log already, though the table does not say so yet. Asked after the table, so
   *   that those marked meanwhile are not subtracted twice.
   */
  async count(unmarked: () => number): Promise<void> {
    const { database, metrics, now } = this.options;
    // The oldest is the first by id: MIN(event_id) would take a full scan.
    const [counted] = await database.read<{ waiting: number; aside: number | null }>(
      'SELECT COUNT(*) AS waiting, SUM(set_aside) AS aside FROM outbox WHERE published_at IS NULL',
    );
    const waiting = Math.max(0, (counted?.waiting ?? 0) - unmarked());
    const [oldest] = await database.read<{ event_id: string }>(
      'SELECT event_id FROM outbox WHERE published_at IS NULL ORDER BY set_aside, id LIMIT 1',
    );
    this.setAside = counted?.aside ?? 0;
    const since = oldest ? madeAt(oldest.event_id) : null;
    metrics.outboxDepth.set(this.labels, waiting);
    metrics.outboxSetAside.set(this.labels, this.setAside);
    metrics.outboxOldestSeconds.set(this.labels, since === null ? 0 : Math.max(0, (now() - since) / 1_000));
    this.counted = performance.now();
  }

  /** Whoever leads tells the numbers; old ones told beside them would raise alarms. */
  forget(): void {
    const { outboxDepth, outboxSetAside, outboxOldestSeconds } = this.options.metrics;
    for (const gauge of [outboxDepth, outboxSetAside, outboxOldestSeconds]) gauge.remove(this.labels);
  }
}
