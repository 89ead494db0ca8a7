import { expect } from '@jest/globals';
import { until } from '../../tests/until.js';
import { caughtUp, deferred, inbox, newGroup, rec, recs, type Suite } from './contract-tools.js';
import type { Batch } from './port.js';

/** Delivery to one member of a group: positions, batches, rejections. */
export function deliveryContract(suite: Suite): void {
  suite.promise('a new group begins at the first record and goes on with what is appended later', async () => {
    const topic = await suite.newTopic();
    await suite.log.append(recs(topic, 50));
    const box = inbox();
    const member = await suite.join(newGroup(), topic, box);
    await box.until(50);
    await suite.log.append(recs(topic, 50, (i) => ({ value: `later ${i}` })));
    await box.until(100);
    await caughtUp(member);
    await member.stop();
  });

  suite.promise('two groups each get every record', async () => {
    const topic = await suite.newTopic();
    const boxes = [inbox(), inbox()];
    const members = await Promise.all(boxes.map((box) => suite.join(newGroup(), topic, box)));
    await suite.log.append(recs(topic, 50));
    await Promise.all(boxes.map((box) => box.until(50)));
    await Promise.all(members.map((member) => member.stop()));
  });

  suite.promise('one member of several topics gets the records of all', async () => {
    const [one, two] = [await suite.newTopic(2), await suite.newTopic(1)];
    const box = inbox();
    const member = await suite.log.subscribe({ group: newGroup(), topics: [one, two], onBatches: box.onBatches });
    await suite.log.append([...recs(one, 20), ...recs(two, 20)]);
    await box.until(40);
    const places = (await member.lag()).map(({ topic, partition }) => `${topic}/${partition}`);
    expect(places.sort()).toEqual([`${one}/0`, `${one}/1`, `${two}/0`].sort());
    await member.stop();
  });

  suite.promise('positions survive closing and opening again', async () => {
    const topic = await suite.newTopic();
    const group = newGroup();
    await suite.log.append(recs(topic, 60));
    const before = inbox();
    const first = await suite.join(group, topic, before);
    await before.until(60);
    await caughtUp(first);
    await first.stop();
    await suite.reopen();
    await suite.log.append(recs(topic, 20, (i) => ({ value: `new ${i}` })));
    const after = inbox();
    const second = await suite.join(group, topic, after);
    await after.until(20);
    expect(after.values().filter((value) => !value.startsWith('new'))).toEqual([]);
    await second.stop();
  });

  suite.promise('lag is what the group has not committed yet', async () => {
    const topic = await suite.newTopic(1);
    await suite.log.append(recs(topic, 10));
    const gate = deferred();
    const member = await suite.join(newGroup(), topic, inbox(), { maxBatch: 4, onBatches: () => gate.promise });
    expect(await member.lag()).toEqual([{ topic, partition: 0, lag: 10 }]);
    gate.resolve();
    await caughtUp(member);
    await member.stop();
  });

  suite.promise('a call gets at most maxBatch records and each partition once, and no two calls overlap', async () => {
    const topic = await suite.newTopic(2);
    await suite.log.append(recs(topic, 100));
    const box = inbox();
    const calls: (readonly Batch[])[] = [];
    let busy = false;
    let overlaps = 0;
    const member = await suite.join(newGroup(), topic, box, {
      maxBatch: 7,
      onBatches: async (batches) => {
        if (busy) overlaps++;
        busy = true;
        calls.push(batches);
        await new Promise(setImmediate);
        await box.onBatches(batches);
        busy = false;
      },
    });
    await box.until(100);
    for (const batches of calls) {
      const records = batches.reduce((sum, batch) => sum + batch.records.length, 0);
      expect(records).toBeGreaterThan(0);
      expect(records).toBeLessThanOrEqual(7);
      expect(new Set(batches.map((batch) => batch.partition)).size).toBe(batches.length);
    }
    expect(overlaps).toBe(0);
    const ends = new Map((await suite.log.ranges(topic)).map(({ partition, next }) => [partition, next]));
    for (const batch of box.batches) {
      expect(batch.records).not.toEqual([]);
      expect(batch.endOffset).toBe(ends.get(batch.partition));
      for (const record of batch.records) {
        expect([record.topic, record.partition]).toEqual([batch.topic, batch.partition]);
      }
    }
    await member.stop();
  });

  suite.promise('what came while the handler was busy comes in one call, whatever partitions it is in', async () => {
    const topic = await suite.newTopic(6);
    const gate = deferred();
    const box = inbox();
    let calls = 0;
    const member = await suite.join(newGroup(), topic, box, {
      onBatches: async (batches) => {
        calls++;
        await box.onBatches(batches);
        if (calls === 1) await gate.promise;
      },
    });
    await suite.log.append(recs(topic, 1));
    await until(() => calls === 1);
    await suite.log.append(recs(topic, 90, (i) => ({ value: `later ${i}` })));
    // When others can read them, so can this member.
    await suite.everything(topic, 91);
    gate.resolve();
    await box.until(91);
    expect(calls).toBeLessThanOrEqual(4);
    await member.stop();
  });

  suite.promise('a partition with a backlog holds up no other', async () => {
    const topic = await suite.newTopic(2);
    await suite.log.append(recs(topic, 200, () => ({ key: 'busy' })));
    await suite.log.append(recs(topic, 20));
    const box = inbox();
    const member = await suite.join(newGroup(), topic, box, { maxBatch: 10 });
    await box.until(220);
    const busy = box.records.find(({ key }) => key === 'busy')?.partition;
    const last = box.records.findLastIndex(({ partition }) => partition !== busy);
    expect(last).toBeGreaterThan(-1);
    expect(last).toBeLessThan(150);
    await member.stop();
  });

  const rejected = (pace: { paceMs?: number }) => async (): Promise<void> => {
    const topic = await suite.newTopic(2);
    const box = inbox();
    const errors: unknown[] = [];
    const failed: Batch[] = [];
    const onPurpose = new Error('broken on purpose');
    let broken = true;
    const member = await suite.join(newGroup(), topic, box, {
      ...pace,
      onError: (error) => errors.push(error),
      onBatches: async (batches) => {
        const batch = batches.find(({ partition }) => partition === 0);
        if (batch && broken) {
          failed.push(batch);
          throw onPurpose;
        }
        await box.onBatches(batches);
      },
    });
    await suite.log.append(recs(topic, 40));
    await until(() => failed.length >= 3, { message: 'three attempts' });
    await suite.log.append(recs(topic, 20));
    const ranges = await suite.log.ranges(topic);
    const stuck = ranges[0]?.next ?? 0;
    expect(stuck).toBeGreaterThan(0);
    expect(stuck).toBeLessThan(60);
    await box.until(60 - stuck);
    expect(box.records.every((record) => record.partition === 1)).toBe(true);
    expect(new Set(failed.map((batch) => batch.records[0]?.offset))).toEqual(new Set([0]));
    expect((await member.lag()).find(({ partition }) => partition === 0)?.lag).toBe(stuck);
    expect(errors).toContain(onPurpose);
    broken = false;
    await box.until(60);
    await caughtUp(member);
    await member.stop();
  };
  suite.promise('a batch that was rejected comes again, while other partitions go on', rejected({}));
  suite.promise('a batch that was rejected holds up no other partition at a pace either', rejected({ paceMs: 5 }));

  suite.promise('stop interrupts the pause after a rejected batch', async () => {
    const topic = await suite.newTopic(1);
    let attempts = 0;
    const member = await suite.join(newGroup(), topic, inbox(), {
      onBatches: async () => {
        attempts++;
        throw new Error('always');
      },
    });
    await suite.log.append([rec(topic)]);
    await until(() => attempts >= 3);
    await member.stop();
    const atStop = attempts;
    await suite.log.append([rec(topic)]);
    await suite.everything(topic, 2);
    expect(attempts).toBe(atStop);
  });

  suite.promise('stop lets the batch in hand finish and commits it, and takes no other', async () => {
    const topic = await suite.newTopic(1);
    const group = newGroup();
    const gate = deferred();
    const box = inbox();
    const member = await suite.join(group, topic, box, {
      maxBatch: 5,
      onBatches: async (batches) => {
        await box.onBatches(batches);
        await gate.promise;
      },
    });
    await suite.log.append(recs(topic, 5));
    const inHand = await until(() => box.batches[0]);
    await suite.log.append(recs(topic, 5));
    expect(inHand.isStale()).toBe(false);
    let stopped = false;
    const stopping = member.stop().then(() => (stopped = true));
    await until(() => inHand.isStale());
    expect(stopped).toBe(false);
    gate.resolve();
    await stopping;
    expect(box.batches).toHaveLength(1);
    const rest = inbox();
    const successor = await suite.join(group, topic, rest);
    await rest.until(10 - inHand.records.length);
    expect(rest.records[0]?.offset).toBe(inHand.records.length);
    await successor.stop();
  });

  suite.promiseIf(
    'crash',
    'a batch in hand at a crash comes again; what was committed before the crash does not',
    async () => {
      const topic = await suite.newTopic(2);
      const group = newGroup();
      const early = inbox();
      await suite.log.append(recs(topic, 20, () => ({ value: 'done' })));
      const settled = await suite.join(group, topic, early);
      await early.until(20);
      await caughtUp(settled);
      await settled.stop();
      await suite.log.append(recs(topic, 20, (i) => ({ value: `held ${i}` })));
      const gate = deferred();
      const held: Batch[] = [];
      await suite.join(group, topic, inbox(), {
        onBatches: async (batches) => {
          held.push(...batches);
          await gate.promise;
        },
      });
      await until(() => new Set(held.map((batch) => batch.partition)).size === 2);
      const dead = await suite.crash();
      gate.resolve();
      await dead.close();
      const after = inbox();
      const member = await suite.join(group, topic, after);
      await after.until(20);
      expect(after.values().filter((value) => !value.startsWith('held'))).toEqual([]);
      await caughtUp(member);
      await member.stop();
    },
  );
}
