import type { Database } from '../database/port.js';
import type { EventLog } from '../event-log/port.js';
import type { Logger } from '../observability/logger.js';
import { within } from '../time/within.js';
import type { Check } from './service.js';

/** An engine that answers later than this is away: less than what /readyz gives all checks together. */
const ANSWER_MS = 1_500; // 1.5 seconds

/** Whether a subgraph's database answers. Never rejects; why it does not is for the log. */
export const checkDatabase = (database: Database, log: Logger): Promise<Check> =>
  check('database', log, () => database.read('SELECT 1 AS one'));

/** Whether the log answers for one of its topics. Never rejects; why it does not is for the log of the process. */
export const checkEventLog = (eventLog: EventLog, log: Logger): Promise<Check> =>
  check('event log', log, () => eventLog.ranges('orders'));

async function check(name: string, log: Logger, ask: () => Promise<unknown>): Promise<Check> {
  try {
    await within(ANSWER_MS, ask(), () => {
      throw new Error(`no answer within ${ANSWER_MS} ms`);
    });
    return { name, ok: true };
  } catch (error) {
    log.warn({ err: error, check: name }, 'a check failed');
    return { name, ok: false, detail: `The ${name} does not answer.` };
  }
}
