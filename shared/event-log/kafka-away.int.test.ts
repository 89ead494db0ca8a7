import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import { silentLogger } from '../observability/logger.js';
import { caughtUp, deferred, inbox, newGroup, rec, recs, testTopic } from './contract-tools.js';
import { Delivery } from './delivery.js';
import type { KafkaEventLogOptions } from './kafka.js';
import { KafkaClient } from './kafka-client.js';
import { Fetcher } from './kafka-fetcher.js';
import { Lane } from './kafka-lane.js';
import { CuttableLine, freshNamespace, openTestLog, removeKafkaNamespace, testBrokers } from './kafka-tools.js';
import type { Batch, EventLog, Subscription } from './port.js';

jest.setTimeout(120_000);

const SESSION_MS = 6_000;

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
    await other.ensureTopics([testTopic('lives', 4)]);
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
    // One that stops is not waited for: others have its partitions.
    await member?.stop();
    await other.append(recs('lives', 20, (i) => ({ key: `k${i}`, value: `rest ${i}` })));
    await until(() => beside.values().filter((value) => value.startsWith('rest ')).length === 20);
    await neighbour.stop();
    await Promise.all([killed, other, again].map((one) => one.close()));
  });

  test('may be several members of a group, for topics of their own', async () => {
    const log = await named();
    await log.ensureTopics([testTopic('these', 2), testTopic('those', 2)]);
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
    await twins[0]?.ensureTopics([testTopic('twins', 2)]);
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
    await log.ensureTopics([testTopic('cut', 3)]);
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
    await log.ensureTopics([testTopic('waited', 1)]);
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
    await closing.ensureTopics([testTopic('closing', 1)]);
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
    await log.ensureTopics([testTopic('moved', 1)]);
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
    await log.ensureTopics([testTopic('zombie', 2)]);
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
