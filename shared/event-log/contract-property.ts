import { expect } from '@jest/globals';
import fc from 'fast-check';
import { until } from '../../tests/until.js';
import { firstCopies, inbox, newGroup, recs, REBALANCE_TIMEOUT_MS, type Inbox, type Suite } from './contract-tools.js';
import type { Batch, Subscription } from './port.js';

interface Plan {
  /** Per producer, how many records each of its appends has. */
  readonly producers: readonly (readonly number[])[];
  /** Per group, how many members it has. */
  readonly groups: readonly number[];
  readonly partitions: number;
  readonly maxBatch: number;
  /** Every how many calls a handler rejects. */
  readonly failEvery: number;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  producers: fc.array(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 5, maxLength: 25 }), {
    minLength: 2,
    maxLength: 5,
  }),
  groups: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
  partitions: fc.integer({ min: 1, max: 6 }),
  maxBatch: fc.integer({ min: 1, max: 20 }),
  failEvery: fc.integer({ min: 3, max: 12 }),
});

/** Producers and consumers at once, members coming and going, handlers failing. */
export function propertyContract(suite: Suite): void {
  suite.promise('whatever members do, every group gets every record, in order per key', async () => {
    const run = async (plan: Plan): Promise<void> => {
      const topic = await suite.newTopic(plan.partitions);
      let sent = 0;
      const produce = async (counts: readonly number[], producer: number): Promise<void> => {
        let number = 0;
        for (const count of counts) {
          const fields = (): { key: string; value: string } => ({
            key: `${producer}-${number % 3}`,
            value: `${producer} ${number++}`,
          });
          await suite.log.append(recs(topic, count, fields));
          sent += count;
        }
      };
      let calls = 0;
      const consume = async (members: number, box: Inbox): Promise<Subscription[]> => {
        const group = newGroup();
        const onBatches = async (all: readonly Batch[]): Promise<void> => {
          if (++calls % plan.failEvery === 0) throw new Error('now and then');
          await new Promise(setImmediate);
          await box.onBatches(all);
        };
        const joined: Subscription[] = [];
        for (let i = 0; i < members; i++) {
          joined.push(await suite.join(group, topic, box, { maxBatch: plan.maxBatch, onBatches }));
        }
        // One that has company leaves while records still come.
        if (members > 1) await joined.shift()?.stop();
        return joined;
      };
      const boxes = plan.groups.map(() => inbox());
      const [groups] = await Promise.all([
        Promise.all(plan.groups.map((members, index) => consume(members, boxes[index] as Inbox))),
        ...plan.producers.map(produce),
      ]);
      for (const box of boxes) {
        await until(() => new Set(box.values()).size === sent, {
          message: () => `${sent} records (${new Set(box.values()).size} seen)`,
          timeoutMs: REBALANCE_TIMEOUT_MS,
        });
        const last = new Map<string | null, number>();
        for (const { key, value } of firstCopies(box.records)) {
          const number = Number(value.split(' ')[1]);
          expect(number).toBeGreaterThan(last.get(key) ?? -1);
          last.set(key, number);
        }
      }
      await Promise.all(groups.flat().map((member) => member.stop()));
    };
    // Shrinking would take minutes on a real broker; the seed in the failure is enough.
    await fc.assert(fc.asyncProperty(plans, run), { numRuns: 4, endOnFailure: true });
  });
}
