import type { Database } from '../database/port.js';

/** Rows deleted in one transaction: short enough for commands to wait for. */
const CHUNK = 1_000;

/**
 * Deletes the rows whose `instant` lies before `before`, in chunks of a transaction each, oldest first; answers how many.
 * `instant` is indexed. Rows where it is null stay.
 */
export async function purgeBefore(database: Database, table: string, instant: string, before: number): Promise<number> {
  const oldest = `${table} WHERE ${instant} < ? ORDER BY ${instant} LIMIT ${CHUNK}`;
  // SQLite has no DELETE with a limit, MySQL no LIMIT in a subquery of IN.
  const sql =
    database.dialect === 'mysql'
      ? `DELETE FROM ${oldest}`
      : `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${oldest})`;
  let total = 0;
  for (;;) {
    const found = await database.read(`SELECT 1 AS found FROM ${table} WHERE ${instant} < ? LIMIT 1`, [before]);
    if (found.length === 0) return total;
    total += await database.transaction((tx) => tx.execute(sql, [before]));
  }
}
