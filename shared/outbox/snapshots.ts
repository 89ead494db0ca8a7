import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../database/port.js';
import { identifier } from '../database/sql.js';
import type { AnyNewEvent } from '../events/event.js';

/** One aggregate as it is, told again. */
export interface Snapshot {
  readonly id: string;
  readonly event: AnyNewEvent;
}

/** A write subgraph's way to tell all aggregates of a kind again, deleted ones too: for views that are rebuilt. */
export interface SnapshotSource {
  count(database: Database): Promise<number>;
  /** As last committed, in order of their ids, up to `limit` of those behind `after`; '' is before all. */
  page(database: Database, after: string, limit: number): Promise<readonly Snapshot[]>;
}

/** Snapshots of the rows of a table with a column `id`. */
export class RowSnapshots<R extends { readonly id: string }> implements SnapshotSource {
  constructor(
    private readonly table: string,
    private readonly toEvent: (row: R) => AnyNewEvent,
  ) {}

  async count(database: Database): Promise<number> {
    const [counted] = await database.read<{ n: number }>(`SELECT COUNT(*) AS n FROM ${this.tableOf(database)}`);
    return counted?.n ?? 0;
  }

  async page(database: Database, after: string, limit: number): Promise<readonly Snapshot[]> {
    const rows = await database.read<R>(
      `SELECT * FROM ${this.tableOf(database)} WHERE id > ? ORDER BY id LIMIT ${limit}`,
      [after],
    );
    return rows.map((row) => ({ id: row.id, event: this.toEvent(row) }));
  }

  private tableOf({ dialect }: Database): string {
    return identifier(dialect, this.table);
  }
}

const UNPUBLISHED = 'FROM outbox WHERE published_at IS NULL AND set_aside = 0';

/** How many rows wait for the relay. */
export async function outboxDepth(database: Database): Promise<number> {
  const [counted] = await database.read<{ n: number }>(`SELECT COUNT(*) AS n ${UNPUBLISHED}`);
  return counted?.n ?? 0;
}

/**
 * Resolves once a relay, of whatever process, has published and marked every row committed before, rows set aside
 * excepted. `onWait` hears now and then how many are left, and ends the waiting by throwing.
 */
export async function outboxDrained(database: Database, onWait: (left: number) => Promise<void> | void): Promise<void> {
  const [newest] = await database.read<{ id: number | null }>('SELECT MAX(id) AS id FROM outbox');
  for (;;) {
    const [counted] = await database.read<{ n: number }>(`SELECT COUNT(*) AS n ${UNPUBLISHED} AND id <= ?`, [
      newest?.id ?? 0,
    ]);
    const left = counted?.n ?? 0;
    if (left === 0) return;
    await onWait(left);
    await pause(50);
  }
}
