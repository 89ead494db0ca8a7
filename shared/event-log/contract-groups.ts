import { expect } from '@jest/globals';
import { until } from '../../tests/until.js';
import {
  caughtUp,
  deferred,
  inbox,
  newGroup,
  PARTITIONS,
  REBALANCE_TIMEOUT_MS,
  recs,
  type Suite,
} from './contract-tools.js';
import type { Batch, Subscription } from './port.js';

/** How the members of a group share partitions. */
export function groupContract(suite: Suite): void {
  suite.promise(
    'two members share the partitions; when one leaves the other takes over, and nothing is lost',
    async () => {
      const topic = await suite.newTopic();
      const group = newGroup();
      const [one, two] = [inbox(), inbox()];
      const first = await suite.join(group, topic, one);
      const second = await suite.join(group, topic, two);
      let sent = 0;
      const round = async (): Promise<void> => {
        await suite.log.append(recs(topic, 96, () => ({ value: `${sent++}` })));
        await until(() => new Set([...one.values(), ...two.values()]).size === sent, {
          message: () => `all of ${sent} records at one of the members`,
          timeoutMs: REBALANCE_TIMEOUT_MS,
        });
      };
      // Joining takes its time: rounds go on until both have work, then nobody has all.
      await until(
        async () => {
          const [before1, before2] = [one.records.length, two.records.length];
          await round();
          return one.records.length > before1 && two.records.length > before2;
        },
        { message: 'both members to have partitions', timeoutMs: REBALANCE_TIMEOUT_MS },
      );
      await first.stop();
      const [atStop, from] = [one.records.length, two.records.length];
      await round();
      const partitions = new Set(two.records.slice(from).map((record) => record.partition));
      expect(partitions.size).toBe(PARTITIONS);
      expect(one.records.length).toBe(atStop);
      await caughtUp(second);
      await second.stop();
    },
  );

  suite.promise('a partition has one member at a time, however often members come and go', async () => {
    const topic = await suite.newTopic(4);
    const group = newGroup();
    const box = inbox();
    const busy = new Set<number>();
    let overlaps = 0;
    let gate = deferred();
    const onBatches = async (batches: readonly Batch[]): Promise<void> => {
      for (const { partition } of batches) {
        if (busy.has(partition)) overlaps++;
        busy.add(partition);
      }
      await gate.promise;
      await new Promise(setImmediate);
      await box.onBatches(batches);
      for (const { partition } of batches) busy.delete(partition);
    };
    const join = (): Promise<Subscription> => suite.join(group, topic, box, { maxBatch: 3, onBatches });
    const members = [await join()];
    for (let i = 0; i < 6; i++) {
      gate = deferred();
      await suite.log.append(recs(topic, 40));
      await until(() => busy.size > 0, { message: 'a batch in hand', timeoutMs: REBALANCE_TIMEOUT_MS });
      // Joining and leaving while batches are in hand; a broker may let neither end before these do.
      const changes = [join(), ...(i % 2 === 1 ? members.splice(0, 1).map((member) => member.stop()) : [])];
      gate.resolve();
      for (const joined of await Promise.all(changes)) if (joined) members.push(joined);
    }
    await box.until(240);
    expect(overlaps).toBe(0);
    await Promise.all(members.map((member) => member.stop()));
  });

  suite.promiseIf('fencing', 'a member that lost its partition cannot commit over its successor', async () => {
    const topic = await suite.newTopic(2);
    const group = newGroup();
    const gate = deferred();
    const held: Batch[] = [];
    const [slow, quick] = [inbox(), inbox()];
    await suite.log.append(recs(topic, 10));
    const stuck = await suite.join(group, topic, slow, {
      onBatches: async (batches) => {
        held.push(...batches);
        await gate.promise;
        await slow.onBatches(batches);
      },
    });
    await until(() => new Set(held.map((batch) => batch.partition)).size === 2, { message: 'both partitions stuck' });
    const successor = await suite.join(group, topic, quick);
    const { partition: moved } = await until(() => quick.records[0], {
      message: 'the successor to get a partition',
      timeoutMs: REBALANCE_TIMEOUT_MS,
    });
    expect(held.find((batch) => batch.partition === moved)?.isStale()).toBe(true);
    await suite.log.append(recs(topic, 40));
    const lag = async (): Promise<number | undefined> =>
      (await successor.lag()).find(({ partition }) => partition === moved)?.lag;
    await until(async () => (await lag()) === 0, { message: 'the successor to catch up' });
    gate.resolve();
    await until(() => slow.records.some((record) => record.partition === moved));
    await caughtUp(successor);
    await Promise.all([stuck.stop(), successor.stop()]);
    const late = inbox();
    const third = await suite.join(group, topic, late);
    await suite.log.append(recs(topic, 10, () => ({ value: 'marker' })));
    await late.until(10);
    expect(new Set(late.values())).toEqual(new Set(['marker']));
    await third.stop();
  });
}
