import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { CompressionCodecs, CompressionTypes } from 'kafkajs';
import { until } from '../../tests/until.js';
import { silentLogger } from '../observability/logger.js';
import { caughtUp, deferred, HOUR_MS, inbox, newGroup, rec, recs } from './contract-tools.js';
import { eventLogContract } from './contract.js';
import { Delivery } from './delivery.js';
import type { KafkaEventLogOptions } from './kafka.js';
import { KafkaClient } from './kafka-client.js';
import { Fetcher } from './kafka-fetcher.js';
import { Lane } from './kafka-lane.js';
import {
  CuttableLine,
  framedAsSnappy,
  freshNamespace,
  openTestLog,
  plainKafka,
  removeKafkaNamespace,
  testBrokers,
  withAdmin,
} from './kafka-tools.js';
import { RecordRefused, type Batch, type EventLog, type Subscription } from './port.js';

jest.setTimeout(120_000);

const SESSION_MS = 6_000;
const spec = (name: string, partitions: number): { name: string; partitions: number; retentionMs: number } => ({
  name,
  partitions,
  retentionMs: HOUR_MS,
});

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
    await log.ensureTopics([spec('large', 2)]);
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
    const specs = [1, 2, 3, 4, 5].map((i) => spec(`raced-${i}`, i));
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
    await Promise.all([log, other].map((one) => one.ensureTopics([spec('shared', 1)])));
    await log.append([rec('shared')]);
    expect(await other.ranges('shared')).toEqual([{ partition: 0, first: 0, next: 0 }]);
    await other.close();
    await removeKafkaNamespace(fresh);
  });

  test('ranges see every append that ended before they were asked, however many ask at once', async () => {
    await log.ensureTopics([spec('asked', 1)]);
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
    await log.ensureTopics([spec('thrown', 1)]);
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
    await log.ensureTopics([spec('anew', 1)]);
    for (let i = 0; i < 3; i++) await log.append([rec('anew')]);
    await withAdmin((admin) => admin.deleteTopics({ topics: [`${namespace}.anew`] }));
    await until(async () => {
      await log.ensureTopics([spec('anew', 1)]);
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
    await log.ensureTopics([spec('dropped', 1)]);
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
    await log.ensureTopics([spec('packed', 2)]);
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

describe('a process that has a name', () => {
  const namespace = freshNamespace();
  /** Who has to wait for a dead member waits twice as long as `until` does. */
  const patient = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 60_000 };
  const named = (more: Partial<KafkaEventLogOptions> = {}): Promise<EventLog> =>
    openTestLog(namespace, { instanceId: 'worker-host-4013', ...patient, ...more });
  afterAll(() => removeKafkaNamespace(namespace));

  test('goes on with its partitions when it was killed, long before its session has run out', async () => {
    const line = new CuttableLine();
    const [killed, other] = [await named({ socketFactory: line.socketFactory }), await openTestLog(namespace)];
    await other.ensureTopics([spec('lives', 4)]);
    const subscription = { group: newGroup(), topics: ['lives'] };
    const [before, beside, after] = [inbox(), inbox(), inbox()];
    await killed.subscribe({ ...subscription, onBatches: before.onBatches });
    const neighbour = await other.subscribe({ ...subscription, onBatches: beside.onBatches });
    await until(async () => {
      await other.append(recs('lives', 20, (i) => ({ key: `k${i}` })));
      return before.records.length > 0 && beside.records.length > 0;
    });
    line.cut();
    const again = await named();
    let member: Subscription | undefined;
    void again.subscribe({ ...subscription, onBatches: after.onBatches }).then((joined) => (member = joined));
    await until(() => member);
    await other.append(recs('lives', 20, (i) => ({ key: `k${i}`, value: 'after' })));
    await until(() => new Set(after.values()).has('after'));
    await caughtUp(neighbour);
    // Everybody has what they had: nobody else had to stop for it.
    const partitions = (box: typeof before): Set<number> => new Set(box.records.map(({ partition }) => partition));
    expect([...partitions(after)].filter((partition) => !partitions(before).has(partition))).toEqual([]);
    await Promise.all([member?.stop(), neighbour.stop()]);
    await Promise.all([killed, other, again].map((one) => one.close()));
  });

  test('may be several members of a group, for topics of their own', async () => {
    const log = await named();
    await log.ensureTopics([spec('these', 2), spec('those', 2)]);
    const group = newGroup();
    const errors: unknown[] = [];
    const boxes = [inbox(), inbox()] as const;
    const onError = (error: unknown): void => void errors.push(error);
    const members = [
      await log.subscribe({ group, topics: ['these'], onBatches: boxes[0].onBatches, onError }),
      await log.subscribe({ group, topics: ['those'], onBatches: boxes[1].onBatches, onError }),
    ];
    await log.append([...recs('these', 20), ...recs('those', 20)]);
    await Promise.all([boxes[0].until(20), boxes[1].until(20), ...members.map(caughtUp)]);
    expect(boxes.map(({ records }) => new Set(records.map(({ topic }) => topic)))).toEqual([
      new Set(['these']),
      new Set(['those']),
    ]);
    expect(errors).toEqual([]);
    await Promise.all(members.map((member) => member.stop()));
    await log.close();
  });

  test('shares with a twin of that name, and does not take everything back and forth', async () => {
    const twins = [await named(), await named()];
    await twins[0]?.ensureTopics([spec('twins', 2)]);
    const group = newGroup();
    const errors: unknown[] = [];
    const boxes = twins.map(() => inbox());
    const members = await Promise.all(
      twins.map((twin, i) =>
        twin.subscribe({
          group,
          topics: ['twins'],
          onBatches: async (batches) => boxes[i]?.onBatches(batches),
          onError: (error) => errors.push(error),
        }),
      ),
    );
    let round = 0;
    await until(async () => {
      const value = `round ${++round}`;
      await twins[0]?.append(recs('twins', 20, (i) => ({ key: `k${i}`, value })));
      await Promise.all(members.map(caughtUp));
      return boxes.every((box) => box.values().includes(value));
    });
    const lost = errors.filter((error) => String(error).includes('has gone on without this member'));
    expect(lost.length).toBeLessThanOrEqual(1);
    await Promise.all(members.map((member) => member.stop()));
    await Promise.all(twins.map((twin) => twin.close()));
  });
});

describe('when the brokers go away', () => {
  const namespace = freshNamespace();
  const line = new CuttableLine();
  let log: EventLog;
  beforeAll(async () => {
    log = await openTestLog(namespace, { socketFactory: line.socketFactory, sessionTimeoutMs: SESSION_MS });
  });
  afterAll(async () => {
    await log.close();
    await removeKafkaNamespace(namespace);
  });

  test('opening without a broker is refused as unavailable', async () => {
    await expect(openTestLog(namespace, { brokers: ['127.0.0.1:1'] })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(testBrokers()).not.toEqual([]);
  });

  test('appends are refused as unavailable, and everything goes on when they are back, with nothing lost', async () => {
    await log.ensureTopics([spec('cut', 3)]);
    const [grouped, tailed] = [inbox(), inbox()];
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const member = await log.subscribe({ group: newGroup(), topics: ['cut'], onBatches: grouped.onBatches, onError });
    const tail = await log.tail({ topics: ['cut'], from: 'end', onBatch: tailed.onBatch, onError });
    const values = (round: number) => recs('cut', 30, (i) => ({ key: `k${i % 5}`, value: `${round} ${i}` }));
    await log.append(values(0));
    await Promise.all([grouped.until(30), tailed.until(30)]);
    line.cut();
    await expect(log.append(values(1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(log.ranges('cut')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(errors).not.toEqual([]);
    line.mend();
    await log.append(values(1));
    await until(() => new Set(grouped.values()).size === 60 && new Set(tailed.values()).size === 60);
    expect(tailed.records).toHaveLength(60);
    await caughtUp(member);
    await Promise.all([member.stop(), tail.stop()]);
  });

  test('a member that still waits to join can be stopped, and nobody loses a batch by it', async () => {
    await log.ensureTopics([spec('waited', 1)]);
    await log.append([rec('waited')]);
    const group = newGroup();
    const gate = deferred();
    const inHand: Batch[] = [];
    const errors: unknown[] = [];
    const member = await log.subscribe({
      group,
      topics: ['waited'],
      onBatches: (batches) => {
        inHand.push(...batches);
        return gate.promise;
      },
      onError: (error) => errors.push(error),
    });
    await until(() => inHand.length === 1);
    const other = await openTestLog(namespace, { sessionTimeoutMs: SESSION_MS });
    const joining = other
      .subscribe({ group, topics: ['waited'], onBatches: inbox().onBatches })
      .catch((e: unknown) => e);
    await until(() => inHand[0]?.isStale());
    await other.close();
    expect(await joining).toMatchObject({ code: 'UNAVAILABLE' });
    gate.resolve();
    await caughtUp(member);
    expect(errors).toEqual([]);
    await member.stop();
  });

  test('a log that was closed is connected to nothing, whatever was being asked', async () => {
    const way = new CuttableLine();
    const closing = await openTestLog(namespace, { socketFactory: way.socketFactory });
    await closing.ensureTopics([spec('closing', 1)]);
    way.cut();
    const asked = closing.ranges('closing').catch((error: unknown) => error);
    // By then it is under way.
    await new Promise(setImmediate);
    const closed = closing.close();
    way.mend();
    await closed;
    expect(await asked).toMatchObject({ code: 'UNAVAILABLE' });
    await until(() => way.connections === 0);
  });

  test('connections that are cut because a rebalance needs others are nobody`s error', async () => {
    await log.ensureTopics([spec('moved', 1)]);
    await log.append([rec('moved')]);
    const topic = `${namespace}.moved`;
    const box = inbox();
    const errors: unknown[] = [];
    const lane = new Lane({
      topic: 'moved',
      wireTopic: topic,
      partition: 0,
      from: 0,
      delivery: new Delivery({ maxBatch: 1, onBatches: box.onBatches }),
    });
    let connecting = 0;
    const client = new KafkaClient({
      brokers: testBrokers(),
      clientId: 'tributary-test',
      log: silentLogger(),
      socketFactory: (wanted) => {
        if (connecting++ === 0) setImmediate(() => fetcher.follow([lane]));
        return line.socketFactory(wanted);
      },
    });
    const onError = (error: unknown): void => void errors.push(error);
    const fetcher = new Fetcher({ client, topics: [topic], beyondEnd: 'next', onError });
    fetcher.follow([lane]);
    await box.until(1);
    fetcher.stop();
    await client.close();
    expect(errors).toEqual([]);
  });

  test('a member that was away for longer than its session commits nothing over its successor, and comes back', async () => {
    await log.ensureTopics([spec('zombie', 2)]);
    const group = newGroup();
    const gate = deferred();
    const [away, here] = [inbox(), inbox()];
    const errors: unknown[] = [];
    const zombie = await log.subscribe({
      group,
      topics: ['zombie'],
      maxBatch: 2,
      onBatches: async (batches) => {
        await away.onBatches(batches);
        await gate.promise;
      },
      onError: (error) => errors.push(error),
    });
    await log.append(recs('zombie', 10));
    await until(() => away.records.length > 0);
    const other = await openTestLog(namespace, { sessionTimeoutMs: SESSION_MS });
    line.cut();
    const successor = await other.subscribe({ group, topics: ['zombie'], onBatches: here.onBatches });
    await here.until(10);
    await other.append(recs('zombie', 10, (i) => ({ value: `later ${i}` })));
    await here.until(20);
    await caughtUp(successor);
    const before = away.records.length;
    line.mend();
    gate.resolve();
    await until(() => errors.some((error) => String(error).includes('has gone on without this member')));
    expect((await successor.lag()).map(({ lag }) => lag)).toEqual([0, 0]);
    await until(async () => {
      await other.append(recs('zombie', 10, () => ({ value: 'marker' })));
      return away.records.length > before;
    });
    expect(new Set(away.values().slice(before))).toEqual(new Set(['marker']));
    await Promise.all([zombie.stop(), successor.stop()]);
    await other.close();
  });
});
