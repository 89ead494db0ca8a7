import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { until } from '../../tests/until.js';
import { caughtUp, HOUR_MS, inbox, newGroup, rec, recs, testTopic, type Suite } from './contract-tools.js';
import { RecordRefused } from './port.js';

/** What the log takes, keeps, and for how long. */
export function contentContract(suite: Suite): void {
  suite.promise('what was acknowledged is there, whole, and in order per key', async () => {
    const topic = await suite.newTopic();
    const headers = { ce_type: 'order.created', name: 'João 📦', empty: '' };
    const value = (i: number): string => JSON.stringify({ i, text: 'ação 📦\n"' });
    const sent = recs(topic, 60, (i) => ({ key: `k${i % 7}`, value: value(i), headers }));
    const before = Date.now();
    await suite.log.append(sent.slice(0, 40));
    for (const record of sent.slice(40)) await suite.log.append([record]);
    const records = await suite.everything(topic, sent.length);
    expect(records).toHaveLength(sent.length);
    for (const key of new Set(sent.map((record) => record.key))) {
      const stored = records.filter((record) => record.key === key);
      expect(stored.map(({ topic, key, value, headers }) => ({ topic, key, value, headers }))).toEqual(
        sent.filter((record) => record.key === key),
      );
    }
    for (const { timestamp } of records) expect(Math.abs(timestamp - before)).toBeLessThan(HOUR_MS);
  });

  suite.promise('offsets rise by one per partition, from the first of its range', async () => {
    const topic = await suite.newTopic(3);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => suite.log.append(recs(topic, 5, (j) => ({ key: `${i}-${j}` })))),
    );
    const records = await suite.everything(topic, 100);
    for (const { partition, first, next } of await suite.log.ranges(topic)) {
      const offsets = records.filter((record) => record.partition === partition).map((record) => record.offset);
      expect(offsets).toEqual(Array.from({ length: next - first }, (_, i) => first + i));
    }
  });

  suite.promise("a key always goes to the partition that Kafka's default partitioner gives it", async () => {
    const topic = await suite.newTopic(12);
    const known = new Map([
      ['a', 4],
      ['ab', 2],
      ['abc', 3],
      ['abcd', 8],
      ['João', 9],
      ['d6a41403-bbd0-11ee-8a24-0242ac120003', 6],
    ]);
    for (let i = 0; i < 2; i++) await suite.log.append([...known.keys()].map((key) => rec(topic, { key })));
    const records = await suite.everything(topic, 12);
    for (const { key, partition } of records) expect([key, partition]).toEqual([key, known.get(key ?? '')]);
  });

  suite.promise('records without a key spread over the partitions', async () => {
    const topic = await suite.newTopic(4);
    for (let i = 0; i < 40; i++) await suite.log.append([rec(topic, { key: null })]);
    const records = await suite.everything(topic, 40);
    expect(records.every((record) => record.key === null)).toBe(true);
    expect(new Set(records.map((record) => record.partition)).size).toBeGreaterThan(1);
  });

  suite.promise('a record that can never be taken is refused, and nothing of its call is appended', async () => {
    const topic = await suite.newTopic();
    const good = rec(topic, { key: 'good' });
    const tooLarge = rec(topic, { key: 'large', value: 'x'.repeat(1024 * 1024 + 1) });
    const refusal = await suite.log.append([good, tooLarge, good]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(RecordRefused);
    expect(refusal).toHaveProperty('record', tooLarge);
    await expect(suite.log.append([good, rec(`t-${randomUUID()}`)])).rejects.toBeInstanceOf(RecordRefused);
    expect((await suite.log.ranges(topic)).every(({ first, next }) => first === next)).toBe(true);
  });

  suite.promise('a record of 900 KB is taken, and no records at all are no error', async () => {
    const topic = await suite.newTopic(1);
    await suite.log.append([]);
    await suite.log.append([rec(topic, { value: 'x'.repeat(900 * 1024) })]);
    expect((await suite.everything(topic, 1)).map((record) => record.value.length)).toEqual([900 * 1024]);
  });

  suite.promise('ensureTopics never changes the partitions of what is there', async () => {
    const topic = await suite.newTopic(3);
    await suite.log.append([rec(topic)]);
    await suite.log.ensureTopics([testTopic(topic, 5)]);
    expect(await suite.log.ranges(topic)).toHaveLength(3);
    expect(await suite.everything(topic, 1)).toHaveLength(1);
  });

  suite.promise('ranges tell the first offset there is and the next to come', async () => {
    const topic = await suite.newTopic(3);
    expect(await suite.log.ranges(topic)).toEqual([0, 1, 2].map((partition) => ({ partition, first: 0, next: 0 })));
    await suite.log.append(recs(topic, 30));
    const ranges = await suite.log.ranges(topic);
    expect(ranges.map(({ partition }) => partition)).toEqual([0, 1, 2]);
    expect(ranges.reduce((sum, { first, next }) => sum + next - first, 0)).toBe(30);
  });

  suite.promise('records, ranges and identity are the same after closing and opening again', async () => {
    const topic = await suite.newTopic();
    await suite.log.append(recs(topic, 50));
    const snapshot = async (): Promise<unknown> => ({
      logId: suite.log.logId,
      ranges: await suite.log.ranges(topic),
      records: (await suite.everything(topic, 50)).map((record) => JSON.stringify(record)).sort(),
    });
    const before = await snapshot();
    await suite.reopen();
    expect(await snapshot()).toEqual(before);
  });

  suite.promiseIf(
    'retention',
    'retention moves the first offset; a group that was behind goes on at the first record there',
    async () => {
      const topic = await suite.newTopic(1);
      const group = newGroup();
      const early = inbox();
      const member = await suite.join(group, topic, early);
      await suite.log.append(recs(topic, 5, () => ({ value: 'read' })));
      await early.until(5);
      await caughtUp(member);
      await member.stop();
      await suite.log.append(recs(topic, 5, () => ({ value: 'missed' })));
      const missed = (await suite.everything(topic, 10)).at(-1)?.timestamp ?? Infinity;
      await until(() => Date.now() > missed);
      await suite.log.append(recs(topic, 5, (i) => ({ value: `kept ${i}` })));
      const kept = (await suite.everything(topic, 15)).at(-1)?.timestamp ?? 0;
      await suite.log.enforceRetention(kept + HOUR_MS);
      expect(await suite.log.ranges(topic)).toEqual([{ partition: 0, first: 10, next: 15 }]);
      const late = inbox();
      const successor = await suite.join(group, topic, late);
      await late.until(5);
      expect(late.values()).toEqual([0, 1, 2, 3, 4].map((i) => `kept ${i}`));
      await caughtUp(successor);
      await successor.stop();
    },
  );

  suite.promiseIf('retention', 'an emptied partition goes on counting, also after opening again', async () => {
    const topic = await suite.newTopic(1);
    await suite.log.append(recs(topic, 5));
    await suite.log.enforceRetention(Date.now() + 2 * HOUR_MS);
    const empty = [{ partition: 0, first: 5, next: 5 }];
    expect(await suite.log.ranges(topic)).toEqual(empty);
    await suite.reopen();
    expect(await suite.log.ranges(topic)).toEqual(empty);
    await suite.log.append([rec(topic)]);
    expect((await suite.everything(topic, 1)).map((record) => record.offset)).toEqual([5]);
  });
}
