import { certificates } from './checks/certificates.js';
import { clocks } from './checks/clocks.js';
import { configuration } from './checks/configuration.js';
import { consumers } from './checks/consumers.js';
import { databases } from './checks/databases.js';
import { eventLog } from './checks/event-log.js';
import { machine } from './checks/machine.js';
import { mail } from './checks/mail.js';
import { processes } from './checks/processes.js';
import { views } from './checks/views.js';
import { within } from '../../shared/time/within.js';
import { LIMIT_MS, NotChecked, problem, skipped, type Check, type Finding } from './check.js';
import { Subject, type Env } from './subject.js';
import { reasonOf } from './words.js';

/** Every check there is. */
export const CHECKS: readonly Check[] = [
  ...configuration,
  ...machine,
  ...processes,
  ...databases,
  ...eventLog,
  ...consumers,
  ...views,
  ...mail,
  ...clocks,
  ...certificates,
];

/** What a check has found. */
export interface Diagnosis {
  readonly check: Pick<Check, 'name' | 'area'>;
  readonly findings: readonly Finding[];
}

/** How long the stores may take to be closed, in milliseconds: what is left over ends with the process. */
const CLOSE_MS = 3_000;

/**
 * Looks at everything, side by side, and changes nothing. Never rejects: what cannot be looked at is a finding too.
 * @param now milliseconds since the epoch
 */
export async function examine(env: Env, now: () => number, checks = CHECKS): Promise<readonly Diagnosis[]> {
  const subject = new Subject(env, now);
  try {
    return await Promise.all(
      checks.map(async (check) => ({
        check: { name: check.name, area: check.area },
        findings: await findingsOf(check, subject),
      })),
    );
  } finally {
    await within(CLOSE_MS, subject.close(), () => undefined).catch(() => undefined);
  }
}

const REMEDY = 'See what else is wrong, and try again.';

async function findingsOf(check: Check, subject: Subject): Promise<readonly Finding[]> {
  const { limitMs = LIMIT_MS } = check;
  try {
    return await within(
      limitMs,
      Promise.resolve().then(() => check.run(subject)),
      () => [problem(`the answer did not come within ${limitMs / 1_000} s`, REMEDY)],
    );
  } catch (error) {
    if (error instanceof NotChecked) return [skipped(`not checked: ${error.message}`)];
    return [problem(`it cannot be looked at: ${reasonOf(error, subject.secrets)}`, REMEDY)];
  }
}
