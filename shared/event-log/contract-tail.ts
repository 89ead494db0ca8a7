import { expect } from '@jest/globals';
import { until } from '../../tests/until.js';
import { deferred, firstCopies, inbox, newGroup, rec, recs, type Suite } from './contract-tools.js';

/** Following the log without a group. */
export function tailContract(suite: Suite): void {
  suite.promise('from the end it gets exactly what is appended after it began, and so does every other', async () => {
    const topic = await suite.newTopic();
    await suite.log.append(recs(topic, 30));
    const ends = new Map((await suite.log.ranges(topic)).map(({ partition, next }) => [partition, next]));
    const boxes = [inbox(), inbox()];
    const tails = await Promise.all(
      boxes.map((box) => suite.log.tail({ topics: [topic], from: 'end', onBatch: box.onBatch })),
    );
    for (const tail of tails) expect(tail.started.get(topic)).toEqual(ends);
    await suite.log.append(recs(topic, 30, (i) => ({ value: `later ${i}` })));
    for (const box of boxes) {
      await box.until(30);
      expect(box.values().filter((value) => !value.startsWith('later'))).toEqual([]);
    }
    await Promise.all(tails.map((tail) => tail.stop()));
  });

  suite.promise('it misses nothing that is appended while it begins', async () => {
    const topic = await suite.newTopic();
    let sent = 0;
    let done = false;
    const append = async (): Promise<void> => {
      while (!done) await suite.log.append(recs(topic, 3, () => ({ value: `${sent++}` })));
    };
    const appending = append();
    const box = inbox();
    const tail = await suite.log.tail({ topics: [topic], from: 'end', onBatch: box.onBatch });
    const whenFixed = sent;
    await until(() => sent > whenFixed + 50);
    done = true;
    await appending;
    const started = tail.started.get(topic);
    const expected = (await suite.log.ranges(topic)).reduce(
      (sum, { partition, next }) => sum + next - (started?.get(partition) ?? 0),
      0,
    );
    await box.until(expected);
    // Whatever was sent after it resolved is among them: `whenFixed` counts every call made before.
    const values = new Set(box.values());
    for (let i = whenFixed; i < sent; i++) expect(values.has(`${i}`)).toBe(true);
    await tail.stop();
  });

  suite.promise('from the last n it begins at most n records back in each partition', async () => {
    const topic = await suite.newTopic(3);
    await suite.log.append(recs(topic, 60));
    const box = inbox();
    const tail = await suite.log.tail({ topics: [topic], from: { last: 5 }, onBatch: box.onBatch });
    let expected = 0;
    for (const { partition, first, next } of await suite.log.ranges(topic)) {
      expect(tail.started.get(topic)?.get(partition)).toBe(Math.max(first, next - 5));
      expected += Math.min(5, next - first);
    }
    await box.until(expected);
    await tail.stop();
    expect(firstCopies(box.records)).toHaveLength(expected);
  });

  suite.promise('from given offsets it begins there, and each partition comes in order', async () => {
    const topic = await suite.newTopic(3);
    await suite.log.append(recs(topic, 60));
    const ranges = await suite.log.ranges(topic);
    const wanted = new Map(
      ranges.map(({ partition, first, next }) => [partition, Math.max(first, next - 2 - partition)]),
    );
    const box = inbox();
    const tail = await suite.log.tail({
      topics: [topic],
      from: (_, partition) => wanted.get(partition) ?? 0,
      onBatch: box.onBatch,
    });
    expect(tail.started.get(topic)).toEqual(wanted);
    await box.until(ranges.reduce((sum, { partition, next }) => sum + next - (wanted.get(partition) ?? 0), 0));
    for (const { partition, next } of ranges) {
      const start = wanted.get(partition) ?? 0;
      const stored = firstCopies(box.records).filter((record) => record.partition === partition);
      expect(stored.map((record) => record.offset)).toEqual(Array.from({ length: next - start }, (_, i) => start + i));
    }
    await tail.stop();
  });

  suite.promise('offsets before the first or beyond the end begin at the nearest there is', async () => {
    const topic = await suite.newTopic(1);
    await suite.log.append(recs(topic, 5));
    for (const [asked, begun] of [
      [-3, 0],
      [99, 5],
    ] as const) {
      const box = inbox();
      const tail = await suite.log.tail({ topics: [topic], from: () => asked, onBatch: box.onBatch });
      expect(tail.started.get(topic)).toEqual(new Map([[0, begun]]));
      await box.until(5 - begun);
      await tail.stop();
    }
  });

  suite.promise('it takes nothing away from groups', async () => {
    const topic = await suite.newTopic(2);
    await suite.log.append(recs(topic, 20));
    await suite.everything(topic, 20);
    const box = inbox();
    const member = await suite.join(newGroup(), topic, box);
    await box.until(20);
    await member.stop();
  });

  suite.promise('a promise of its handler is awaited before the next batch of the partition, and by stop', async () => {
    const topic = await suite.newTopic(1);
    const gate = deferred();
    const box = inbox();
    const tail = await suite.log.tail({
      topics: [topic],
      from: 'end',
      onBatch: async (batch) => {
        await box.onBatch(batch);
        await gate.promise;
      },
    });
    await suite.log.append([rec(topic)]);
    await until(() => box.batches.length === 1);
    await suite.log.append([rec(topic)]);
    await suite.everything(topic, 2);
    expect(box.batches).toHaveLength(1);
    let stopped = false;
    const stopping = tail.stop().then(() => (stopped = true));
    await until(() => box.batches[0]?.isStale());
    expect(stopped).toBe(false);
    gate.resolve();
    await stopping;
    await suite.log.append([rec(topic)]);
    await suite.everything(topic, 3);
    expect(box.batches).toHaveLength(1);
  });
}
