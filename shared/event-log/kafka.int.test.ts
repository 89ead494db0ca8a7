import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { CompressionCodecs, CompressionTypes } from 'kafkajs';
import { until } from '../../tests/until.js';
import { caughtUp, inbox, newGroup, rec, recs, testTopic } from './contract-tools.js';
import { eventLogContract } from './contract.js';
import {
  CuttableLine,
  framedAsSnappy,
  freshNamespace,
  openTestLog,
  plainKafka,
  removeKafkaNamespace,
  withAdmin,
} from './kafka-tools.js';
import { RecordRefused, type EventLog } from './port.js';

jest.setTimeout(120_000);

const SESSION_MS = 6_000;
eventLogContract(
  'Kafka',
  async () => {
    const namespace = freshNamespace();
    let line = new CuttableLine();
    const open = (): Promise<EventLog> =>
      openTestLog(namespace, {
        sessionTimeoutMs: SESSION_MS,
        rebalanceTimeoutMs: 6_000,
        socketFactory: line.socketFactory,
      });
    return {
      open,
      // For the brokers a process that cannot be reached is a dead one.
      crash: async () => {
        line.cut();
        line = new CuttableLine();
        return open();
      },
      dispose: () => removeKafkaNamespace(namespace),
    };
  },
  { crash: true, fencing: true, retention: false },
);

describe('the event log on Kafka', () => {
  const namespace = freshNamespace();
  let log: EventLog;
  beforeAll(async () => {
    log = await openTestLog(namespace);
  });
  afterAll(async () => {
    await log.close();
    await removeKafkaNamespace(namespace);
  });

  const read = async (topic: string, count: number): Promise<string[]> => {
    const box = inbox();
    const tail = await log.tail({ topics: [topic], from: 'start', onBatch: box.onBatch });
    await box.until(count);
    await tail.stop();
    return box.values();
  };

  test('records of one key that are too much for one batch arrive in order', async () => {
    await log.ensureTopics([testTopic('large', 2)]);
    const large = recs('large', 5, (i) => ({ key: 'k', value: `${i}`.padEnd(400_000, 'x') }));
    await log.append([...large, rec('large', { key: 'k', value: 'last' })]);
    const values = await read('large', 6);
    expect(values.map((value) => value.slice(0, 4))).toEqual(['0xxx', '1xxx', '2xxx', '3xxx', '4xxx', 'last']);
  });

  test('a record over the limit of its topic is refused by name, and no other call suffers', async () => {
    const configEntries = [{ name: 'max.message.bytes', value: '10000' }];
    await withAdmin((admin) =>
      admin.createTopics({ topics: [{ topic: `${namespace}.tight`, numPartitions: 2, configEntries }] }),
    );
    const small = (i: number) => rec('tight', { key: `k${i}`, value: `small ${i}` });
    const big = rec('tight', { key: 'k1', value: 'x'.repeat(20_000) });
    const others = Array.from({ length: 20 }, (_, i) => log.append([small(i)]));
    const refusal = await log
      .append([small(100), big, rec('tight', { key: 'k1', value: 'after' })])
      .catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(RecordRefused);
    expect(refusal).toHaveProperty('record', big);
    await Promise.all(others);
    await log.append([small(200)]);
    const [first] = await log.ranges('tight');
    expect(first).toBeDefined();
    const values = await read('tight', 21);
    expect(values).toEqual(expect.arrayContaining(['small 0', 'small 19', 'small 200']));
    expect(values).not.toContain('after');
  });

  test('processes that make the same topics at once all succeed, and make each once', async () => {
    const logs = await Promise.all([1, 2, 3].map(() => openTestLog(namespace)));
    const specs = [1, 2, 3, 4, 5].map((i) => testTopic(`raced-${i}`, i));
    await Promise.all(logs.map((one) => one.ensureTopics(specs)));
    for (const { name, partitions } of specs) expect(await log.ranges(name)).toHaveLength(partitions);
    await Promise.all(logs.map((one) => one.close()));
  });

  test('all who open a log at once agree on its identity, and another namespace has another', async () => {
    const fresh = freshNamespace();
    const logs = await Promise.all([1, 2, 3, 4].map(() => openTestLog(fresh)));
    expect(new Set(logs.map(({ logId }) => logId)).size).toBe(1);
    expect(logs[0]?.logId).not.toBe(log.logId);
    await Promise.all(logs.map((one) => one.close()));
    await removeKafkaNamespace(fresh);
  });

  test('namespaces share brokers and nothing else', async () => {
    const fresh = freshNamespace();
    const other = await openTestLog(fresh);
    await Promise.all([log, other].map((one) => one.ensureTopics([testTopic('shared', 1)])));
    await log.append([rec('shared')]);
    expect(await other.ranges('shared')).toEqual([{ partition: 0, first: 0, next: 0 }]);
    await other.close();
    await removeKafkaNamespace(fresh);
  });

  test('ranges see every append that ended before they were asked, however many ask at once', async () => {
    await log.ensureTopics([testTopic('asked', 1)]);
    let appended = 0;
    await Promise.all(
      [1, 2, 3, 4, 5].map(async () => {
        for (let i = 0; i < 20; i++) {
          await log.append([rec('asked')]);
          const before = ++appended;
          const answers = await Promise.all([log.ranges('asked'), log.ranges('asked')]);
          for (const [range] of answers) expect(range?.next).toBeGreaterThanOrEqual(before);
        }
      }),
    );
  });

  test('a handler that throws a TypeError is called again like any other', async () => {
    await log.ensureTopics([testTopic('thrown', 1)]);
    const box = inbox();
    let failures = 3;
    const member = await log.subscribe({
      group: newGroup(),
      topics: ['thrown'],
      onBatches: async (batches) => {
        if (failures-- > 0) throw new TypeError('on purpose');
        await box.onBatches(batches);
      },
    });
    await log.append([rec('thrown')]);
    await box.until(1);
    await caughtUp(member);
    await member.stop();
  });

  test('appending goes on after a topic was made anew', async () => {
    await log.ensureTopics([testTopic('anew', 1)]);
    for (let i = 0; i < 3; i++) await log.append([rec('anew')]);
    await withAdmin((admin) => admin.deleteTopics({ topics: [`${namespace}.anew`] }));
    await until(async () => {
      await log.ensureTopics([testTopic('anew', 1)]);
      const [range] = await log.ranges('anew');
      return range?.next === 0;
    });
    await until(async () => {
      await log.append([rec('anew', { value: 'again' })]);
      return true;
    });
    expect(await read('anew', 1)).toContain('again');
  });

  test('a group and a tail that were behind what is kept go on at the first record there, and say so', async () => {
    await log.ensureTopics([testTopic('dropped', 1)]);
    await log.append(recs('dropped', 10));
    const group = newGroup();
    const errors: unknown[] = [];
    const [grouped, tailed] = [inbox(), inbox()];
    const onError = (error: unknown): void => void errors.push(error);
    const first = await log.subscribe({ group, topics: ['dropped'], onBatches: grouped.onBatches });
    await grouped.until(10);
    await caughtUp(first);
    await first.stop();
    await log.append(recs('dropped', 10, () => ({ value: 'missed' })));
    await withAdmin(async (admin) => {
      const topic = `${namespace}.dropped`;
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '15' }] });
    });
    expect(await log.ranges('dropped')).toEqual([{ partition: 0, first: 15, next: 20 }]);
    const late = inbox();
    const second = await log.subscribe({ group, topics: ['dropped'], onBatches: late.onBatches, onError });
    await late.until(5);
    expect(late.records[0]?.offset).toBe(15);
    expect(String(errors)).toContain('5 records');
    const tail = await log.tail({ topics: ['dropped'], from: () => 3, onBatch: tailed.onBatch });
    expect(tail.started.get('dropped')).toEqual(new Map([[0, 15]]));
    await tailed.until(5);
    await Promise.all([second.stop(), tail.stop()]);
  });

  test('gzip is read; a codec that is not stops its partition only, and says so', async () => {
    await log.ensureTopics([testTopic('packed', 2)]);
    const original = CompressionCodecs[CompressionTypes.Snappy];
    const foreign = plainKafka().producer({ createPartitioner: () => () => 0 });
    await foreign.connect();
    const send = (compression: CompressionTypes, partition: number, value: string): Promise<unknown> =>
      foreign.send({ topic: `${namespace}.packed`, compression, messages: [{ partition, key: null, value }] });
    await send(CompressionTypes.GZIP, 0, 'gzip');
    CompressionCodecs[CompressionTypes.Snappy] = () => ({
      compress: async ({ buffer }: { buffer: Buffer }) => framedAsSnappy(buffer),
      decompress: async (buffer: Buffer) => buffer,
    });
    await send(CompressionTypes.Snappy, 0, 'snappy');
    CompressionCodecs[CompressionTypes.Snappy] = original;
    await foreign.disconnect();
    const free = recs('packed', 40);
    await log.append(free);
    const box = inbox();
    const errors: unknown[] = [];
    const member = await log.subscribe({
      group: newGroup(),
      topics: ['packed'],
      onBatches: box.onBatches,
      onError: (error) => errors.push(error),
    });
    const ranges = await log.ranges('packed');
    await until(() => box.records.filter(({ partition }) => partition === 1).length === ranges[1]?.next);
    await until(() => errors.some((error) => String(error).includes('Snappy')));
    expect(String(errors.find((error) => String(error).includes('Snappy')))).toContain(`${namespace}.packed/0`);
    expect(box.values().filter((value) => value === 'snappy')).toEqual([]);
    await member.stop();
  });
});
