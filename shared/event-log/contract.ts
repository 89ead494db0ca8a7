import { afterAll, beforeAll, describe } from '@jest/globals';
import { commitContract } from './contract-commit.js';
import { contentContract } from './contract-content.js';
import { deliveryContract } from './contract-delivery.js';
import { groupContract } from './contract-groups.js';
import { propertyContract } from './contract-property.js';
import { tailContract } from './contract-tail.js';
import { Suite, TEST_TIMEOUT_MS, type EventLogFeatures, type EventLogHarness } from './contract-tools.js';

export type { EventLogFeatures, EventLogHarness } from './contract-tools.js';

/**
 * The suite that every adapter of the event log passes, unchanged. Topics and groups have names of their own per test,
 * waits are generous, repeats are tolerated where the port allows them.
 */
export function eventLogContract(
  name: string,
  factory: () => Promise<EventLogHarness>,
  features: EventLogFeatures,
): void {
  describe(`event log on ${name}`, () => {
    const suite = new Suite(features);
    beforeAll(async () => suite.begin(await factory()), TEST_TIMEOUT_MS);
    afterAll(() => suite.end(), TEST_TIMEOUT_MS);
    describe('content', () => contentContract(suite));
    describe('delivery', () => deliveryContract(suite));
    describe('groups', () => groupContract(suite));
    describe('commit', () => commitContract(suite));
    describe('tail', () => tailContract(suite));
    describe('all together', () => propertyContract(suite));
  });
}
