import type { Database } from '../database/port.js';
import { placeholders } from '../database/port.js';
import { lockChunks } from '../database/sql.js';
import { laneOf, type OutboxRow } from './row.js';
import type { Refusal } from './send.js';
import { ERROR_LENGTH } from './tables.js';

/** Lanes that are stuck, and the id of the first row that was set aside in each. */
export type StuckLanes = ReadonlyMap<string, number>;

export const NO_LANES: StuckLanes = new Map();

/** Lanes with rows set aside, and the first of those rows. */
export async function stuckLanes(database: Database): Promise<StuckLanes> {
  const stuck = await database.read<{ id: number; topic: string; aggregate_id: string }>(
    `SELECT MIN(id) AS id, topic, aggregate_id FROM outbox
     WHERE published_at IS NULL AND set_aside = 1 AND aggregate_id IS NOT NULL GROUP BY topic, aggregate_id`,
  );
  return new Map(stuck.map((row) => [laneOf(row), row.id]));
}

/** Keeps a row back that the log refused, and the later ones of its lane with it. */
export async function setAside(database: Database, { row, reason }: Refusal): Promise<void> {
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
}

/** Whether the row must not overtake one of its lane that was set aside. */
export const isFollower = (row: OutboxRow, lanes: StuckLanes): boolean =>
  row.aggregate_id !== null && lanes.has(laneOf(row));

/** Sets followers aside too; answers how many were. Those of lanes that have been sent again meanwhile are left alone. */
export function setFollowersAside(
  database: Database,
  followers: readonly OutboxRow[],
  lanes: StuckLanes,
): Promise<number> {
  return database.transaction(async (tx) => {
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
}
