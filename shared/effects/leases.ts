import { placeholders, type Database } from '../database/port.js';
import { newId } from '../ids/ids.js';

/**
 * A table that is a to-do list of effects outside: rows with `status` (REQUESTED until the effect has come to an end),
 * `due_at`, `claimed_by` and `attempts`, indexed by status and due time.
 */
export interface LeaseTable {
  readonly name: string;
  /** What rows are found by; of several rows with one id all that are due are taken. */
  readonly id: string;
}

/**
 * Takes up to `limit` rows that are due, the longest due first. They are nobody else's for `leaseMs`; if nothing is
 * recorded by then, the claimer is taken for dead and the row is anybody's again.
 */
export async function claimDue<R>(
  database: Database,
  { name, id }: LeaseTable,
  { now, leaseMs, limit }: { readonly now: number; readonly leaseMs: number; readonly limit: number },
): Promise<R[]> {
  const due = await database.read<{ id: string }>(
    `SELECT ${id} AS id FROM ${name} WHERE status = 'REQUESTED' AND due_at <= ? ORDER BY due_at LIMIT ${limit}`,
    [now],
  );
  if (due.length === 0) return [];
  const ids = [...new Set(due.map((row) => row.id))].sort();
  const claimer = newId();
  const among = `${id} IN (${placeholders(ids.length)})`;
  return database.transaction(async (tx) => {
    await tx.execute(
      `UPDATE ${name} SET claimed_by = ?, due_at = ?, attempts = attempts + 1
       WHERE ${among} AND status = 'REQUESTED' AND due_at <= ?`,
      [claimer, now + leaseMs, ...ids, now],
    );
    return tx.query<R>(`SELECT * FROM ${name} WHERE ${among} AND claimed_by = ? AND status = 'REQUESTED'`, [
      ...ids,
      claimer,
    ]);
  });
}

/** When the next row is due, in milliseconds since the epoch; null if there is none. */
export async function nextDue(database: Database, { name }: LeaseTable): Promise<number | null> {
  const [row] = await database.read<{ due_at: number | null }>(
    `SELECT MIN(due_at) AS due_at FROM ${name} WHERE status = 'REQUESTED'`,
  );
  return row?.due_at ?? null;
}
