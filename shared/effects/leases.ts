import { placeholders, type Database, type Row } from '../database/port.js';
import { newId } from '../ids/ids.js';

/**
 * A table that is a to-do list of effects outside: rows with `status` (REQUESTED until the effect has come to an end),
 * `due_at`, `claimed_by` and `attempts`, indexed by status and due time.
 */
export interface LeaseTable {
  readonly name: string;
  /** The columns of its primary key. */
  readonly key: readonly string[];
}

/** What a claim changes of a row. */
interface Claimed {
  readonly claimed_by: string | null;
  readonly due_at: number;
  readonly attempts: number;
}

/**
 * Takes up to `limit` rows that are due, the longest due first, and answers them as they are from then on. They are nobody
 * else's for `leaseMs`; if nothing is recorded by then, the claimer is taken for dead and the row is anybody's again. Waits
 * for nobody: a row that another transaction holds is passed over.
 */
export async function claimDue<R extends Claimed>(
  database: Database,
  { name, key }: LeaseTable,
  { now, leaseMs, limit }: { readonly now: number; readonly leaseMs: number; readonly limit: number },
): Promise<R[]> {
  // SQLite has one transaction at a time.
  const lock = database.dialect === 'mysql' ? 'FOR UPDATE SKIP LOCKED' : '';
  const claim = { claimed_by: newId(), due_at: now + leaseMs };
  return database.transaction(async (tx) => {
    const due = await tx.query<Row & Claimed>(
      `SELECT * FROM ${name} WHERE status = 'REQUESTED' AND due_at <= ? ORDER BY due_at LIMIT ${limit} ${lock}`,
      [now],
    );
    if (due.length === 0) return [];
    const keys = due.map((row) => key.map((column) => row[column] ?? null));
    tx.deferred.execute(
      `UPDATE ${name} SET claimed_by = ?, due_at = ?, attempts = attempts + 1 WHERE ${among(key, keys.length)}`,
      [claim.claimed_by, claim.due_at, ...keys.flat()],
    );
    return due.map((row) => ({ ...row, ...claim, attempts: row.attempts + 1 }) as Claimed as R);
  });
}

/** `key IN (…)`; spelled out for a key of several columns, of which MySQL and SQLite make lists in ways of their own. */
function among(key: readonly string[], count: number): string {
  if (key.length === 1) return `${key.join('')} IN (${placeholders(count)})`;
  const one = `(${key.map((column) => `${column} = ?`).join(' AND ')})`;
  return Array.from({ length: count }, () => one).join(' OR ');
}

/** When the next row is due, in milliseconds since the epoch; null if there is none. */
export async function nextDue(database: Database, { name }: LeaseTable): Promise<number | null> {
  const [row] = await database.read<{ due_at: number | null }>(
    `SELECT MIN(due_at) AS due_at FROM ${name} WHERE status = 'REQUESTED'`,
  );
  return row?.due_at ?? null;
}
