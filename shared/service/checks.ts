import type { Database } from '../database/port.js';
import type { EventLog } from '../event-log/port.js';
import type { Check } from './service.js';

/** An engine that answers later than this is away: less than what /readyz gives all checks together. */
const ANSWER_MS = 1_500; // 1.5 seconds

/** Whether a subgraph's database answers. Never rejects. */
export const checkDatabase = (database: Database): Promise<Check> =>
  check('database', () => database.read('SELECT 1 AS one'));

/** Whether the log answers for one of its topics. Never rejects. */
export const checkEventLog = (eventLog: EventLog): Promise<Check> =>
  check('event log', () => eventLog.ranges('orders'));

async function check(name: string, ask: () => Promise<unknown>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
  });
  try {
    await Promise.race([ask(), late]);
    return { name, ok: true };
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
