import DataLoader from 'dataloader';
import { placeholders, type Database } from '../database/port.js';
import { lockChunks } from '../database/sql.js';

/** Answers the rows with these ids that exist, in no particular order. Rejects as `Database.read` does. */
export type Lookup<R> = (ids: readonly string[]) => Promise<R[]>;

/**
 * Looks rows of one table up by id for many callers at once: ids that are asked for while a read is under way share the next
 * one, so that a statement and its round trip serve all commands that came meanwhile. Nothing is kept: every answer was
 * read after it was asked for. Never call it inside a transaction, which would wait for others that way.
 */
export function createLookup<R extends { readonly id: string }>(
  database: Pick<Database, 'read'>,
  table: string,
): Lookup<R> {
  let underWay: Promise<unknown> = Promise.resolve();

  const read = async (ids: readonly string[]): Promise<R[]> => {
    const chunks = lockChunks(ids).map((chunk) =>
      database.read<R>(`SELECT * FROM ${table} WHERE id IN (${placeholders(chunk.length)})`, chunk),
    );
    return (await Promise.all(chunks)).flat();
  };
  const loader = new DataLoader<string, R | null>(
    async (ids) => {
      const reading = read(ids);
      underWay = reading.catch(() => undefined);
      const rows = new Map((await reading).map((row) => [row.id, row]));
      return ids.map((id) => rows.get(id) ?? null);
    },
    { cache: false, maxBatchSize: Infinity, batchScheduleFn: (begin) => void underWay.then(begin) },
  );
  return async (ids) => {
    const rows = await Promise.all(ids.map((id) => loader.load(id)));
    return rows.filter((row) => row !== null);
  };
}
