import { NotChecked, skipped, type Finding } from '../check.js';

/**
 * What is to be said of each of several things, one after the other: of those that cannot be looked at why not, each reason
 * once. Any other rejection is passed on.
 */
export async function eachOf<T>(
  things: readonly T[],
  look: (thing: T) => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const reasons = new Set<string>();
  for (const thing of things) {
    try {
      findings.push(...[await look(thing)].flat());
    } catch (error) {
      if (!(error instanceof NotChecked)) throw error;
      reasons.add(error.message);
    }
  }
  return [...findings, ...[...reasons].map((reason) => skipped(`not checked: ${reason}`))];
}
