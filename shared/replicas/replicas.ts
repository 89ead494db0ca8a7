import { setTimeout as delay } from 'node:timers/promises';
import type { SqlValue, Transaction } from '../database/port.js';
import { isYoung } from '../ids/ids.js';

/** How long something that must have happened a moment ago is waited for, in milliseconds. */
const WAIT_MS = 2_000;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;

/**
 * Rows of a replica by id. A replica runs behind by the time its events take, so while one of the ids is missing and young
 * enough to be on its way, `read` is asked again, for two seconds at most. Never call this inside a transaction.
 */
export async function waitForYoung<R extends { readonly id: string }>(
  ids: readonly string[],
  now: () => number,
  read: () => Promise<readonly R[]>,
): Promise<readonly R[]> {
  return readUntil(read, (rows) => {
    const found = new Set(rows.map((row) => row.id));
    return !ids.some((id) => !found.has(id) && isYoung(id, now()));
  });
}

/** Asks `read` again until its answer will do, for two seconds at most. Never call this inside a transaction. */
export async function readUntil<T>(read: () => Promise<T>, willDo: (answer: T) => boolean): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const answer = await read();
    if (willDo(answer) || performance.now() >= deadline) return answer;
    await delay(pause);
  }
}

/**
 * Writes states into a replica with the columns `id` and `version`. The newest version wins, within the call and against
 * what is there: events may come again and go backwards.
 */
export async function saveNewer<S extends { readonly id: string; readonly version: number }>(
  tx: Transaction,
  table: string,
  states: readonly S[],
  toRow: (state: S) => Readonly<Record<string, SqlValue>>,
): Promise<void> {
  const newest = new Map<string, S>();
  for (const state of states) {
    if (state.version > (newest.get(state.id)?.version ?? 0)) newest.set(state.id, state);
  }
  // First what is missing: that cannot be locked, and two processes that both miss it would overwrite each other. In id
  // order, like the locks, so that they cannot wait for each other in a circle.
  const rows = [...newest.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).map(toRow);
  if ((await tx.insertNew(table, ['id'], rows)) === rows.length) return;
  for (const { id, version } of await tx.lock<{ id: string; version: number }>(table, 'id', [...newest.keys()])) {
    if (version >= (newest.get(id)?.version ?? 0)) newest.delete(id);
  }
  await tx.upsert(table, ['id'], [...newest.values()].map(toRow));
}
