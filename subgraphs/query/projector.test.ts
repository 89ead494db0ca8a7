import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import type { LogRecord, StoredRecord } from '../../shared/event-log/port.js';
import { toRecord } from '../../shared/events/event.js';
import { newId } from '../../shared/ids/ids.js';
import type { Service } from '../../shared/service/service.js';
import { until } from '../../tests/until.js';
import { account, happened, openTestbed, order, product, transaction, user, watched, type Testbed } from './testbed.js';
import {
  PARKED,
  PROGRESS,
  TIMELINE,
  TIMELINE_GROUP,
  watermark,
  VIEWS_GROUP,
  type ParkedDoc,
  type TimelineDoc,
} from './views.js';

let bed: Testbed;
let running: Service[];

beforeEach(async () => {
  bed = await openTestbed();
  running = [];
});

afterEach(async () => {
  for (const one of running) await one.stop();
  await bed.close();
});

async function start(documents?: DocumentStore): Promise<Service> {
  const projector = bed.projector(documents);
  running.push(projector);
  await projector.start();
  return projector;
}

/** The real store, but for the puts that fail. */
const failing = (fails: (collection: string, docs: readonly Versioned<object>[]) => Error | undefined): DocumentStore =>
  watched(bed.documents, ({ name, args }) => {
    if (name !== 'putIfNewer') return;
    const failure = fails(...(args as Parameters<DocumentStore['putIfNewer']>));
    if (failure !== undefined) throw failure;
  });

const inTimeline = async () =>
  bed.documents.find<TimelineDoc>(TIMELINE, { sort: { field: 'at', direction: 'asc' }, limit: 1_000 });

const parked = async () =>
  bed.documents.find<ParkedDoc>(PARKED, { sort: { field: 'id', direction: 'asc' }, limit: 1_000 });

async function deadLetters(topic: string): Promise<StoredRecord[]> {
  const found: StoredRecord[] = [];
  const tail = await bed.eventLog.tail({
    topics: [topic],
    from: 'start',
    onBatch: ({ records }) => void found.push(...records),
  });
  const ends = await bed.eventLog.ranges(topic);
  await until(() => found.length >= ends.reduce((sum, { first, next }) => sum + next - first, 0) || ends.length === 0);
  await tail.stop();
  return found;
}

test('what is published can be read', async () => {
  const [joao, phone, first, eva] = [user(), product(), order(), account()];
  await start();
  await bed.publish(
    happened('user.created', { user: joao }),
    happened('product.created', { product: phone }),
    happened('order.created', { order: first }),
    happened('account.created', { account: eva }),
  );
  await bed.caughtUp();
  expect((await bed.documents.get('users', joao.id))?.doc).toMatchObject(joao);
  expect((await bed.documents.get('products', phone.id))?.doc).toMatchObject(phone);
  expect((await bed.documents.get('orders', first.id))?.doc).toEqual(first);
  expect((await bed.documents.get('accounts', eva.id))?.doc).toEqual(eva);
});

test('in any order and however often events come, the newest state stays and each is in the timeline once', async () => {
  await start();
  const events = fc.integer({ min: 1, max: 6 }).chain((versions) => {
    const each = Array.from({ length: versions }, (_, i) => i + 1);
    const twice = fc.shuffledSubarray([...each, ...each], { minLength: versions });
    // Every version at least once, in any order.
    return twice.filter((some) => new Set(some).size === versions);
  });
  await fc.assert(
    fc.asyncProperty(fc.array(events, { minLength: 1, maxLength: 4 }), async (aggregates) => {
      const ids = aggregates.map(() => newId());
      const all = aggregates.map((versions, i) => {
        const made = new Map(
          versions.map((version) => {
            const state = product({ id: ids[i] as string, version, stock: version });
            return [version, happened('product.updated', { product: state })];
          }),
        );
        return { sequence: versions.map((version) => made.get(version)).filter((event) => event !== undefined), made };
      });
      await bed.publish(...all.flatMap(({ sequence }) => sequence));
      await bed.caughtUp();
      for (const [i, { sequence, made }] of all.entries()) {
        const id = ids[i] as string;
        const newest = Math.max(...made.keys());
        expect(await bed.documents.get('products', id)).toMatchObject({ version: newest, doc: { stock: newest } });
        const entries = (await inTimeline()).filter(({ doc }) => doc.subject === id);
        expect(entries.map((entry) => entry.id).sort()).toEqual([...new Set(sequence.map((event) => event.id))].sort());
      }
      await bed.documents.remove(
        TIMELINE,
        (await inTimeline()).map(({ id }) => id),
      );
    }),
    { numRuns: 30 },
  );
});

test('an event that the relay repeats stays where it first stood', async () => {
  const eva = account({ version: 2 });
  const event = happened('account.balance_changed', {
    account: eva,
    transaction: transaction({ toAccountId: eva.id }),
  });
  const key = { ...happened('account.created', { account: { ...eva, version: 1 } }) };
  await bed.publish(key, event, event);
  await start();
  await bed.caughtUp();
  await bed.publish(event);
  await bed.caughtUp();
  const entries = await inTimeline();
  expect(entries.map(({ id, doc }) => ({ id, offset: doc.offset })).sort((a, b) => a.offset - b.offset)).toEqual([
    { id: key.id, offset: 0 },
    { id: event.id, offset: 1 },
  ]);
});

test('what is at hand of all partitions and topics is one write for each collection', async () => {
  const events = Array.from({ length: 40 }, () => [
    happened('order.created', { order: order() }),
    happened('user.created', { user: user() }),
  ]);
  await bed.publish(...events.flat());
  const puts: string[] = [];
  await start(
    failing((collection) => {
      puts.push(collection);
      return undefined;
    }),
  );
  await bed.caughtUp();
  expect(puts.filter((collection) => collection !== PROGRESS).sort()).toEqual(['orders', 'timeline', 'users']);
  expect(puts.filter((collection) => collection === PROGRESS)).toHaveLength(2);
  expect(await bed.documents.count('orders')).toBe(40);
});

test('a partition whose documents cannot be stored holds up no other', async () => {
  const [stuck, fine] = [user(), order()];
  let held = true;
  const picky = failing((collection, docs) =>
    held && collection === 'users' && docs.some(({ id }) => id === stuck.id)
      ? new EngineUnavailable('document store')
      : undefined,
  );
  await bed.publish(happened('user.created', { user: stuck }), happened('order.created', { order: fine }));
  await start(picky);
  await until(async () => (await bed.documents.get('orders', fine.id)) !== null);
  const reached = async (topic: 'orders' | 'users') =>
    [...(await watermark(bed.documents, bed.eventLog.logId, VIEWS_GROUP, topic)).values()].length;
  await until(async () => (await reached('orders')) === 1);
  expect(await reached('users')).toBe(0);
  held = false;
  await bed.caughtUp();
  expect((await bed.documents.get('users', stuck.id))?.version).toBe(1);
});

test('the watermark stands behind the last record of each partition', async () => {
  await start();
  expect([...(await watermark(bed.documents, bed.eventLog.logId, TIMELINE_GROUP, 'orders'))]).toEqual([]);
  await bed.publish(...Array.from({ length: 50 }, () => happened('order.created', { order: order() })));
  await bed.caughtUp();
  const ranges = await bed.eventLog.ranges('orders');
  const reached = await watermark(bed.documents, bed.eventLog.logId, TIMELINE_GROUP, 'orders');
  for (const { partition, next } of ranges) expect(reached.get(partition) ?? 0).toBe(next);
  expect([...(await watermark(bed.documents, 'another-log', TIMELINE_GROUP, 'orders'))]).toEqual([]);
});

test('garbage is parked and copied to the dead letters by each consumer, and the partition goes on', async () => {
  const paid = order();
  const good = toRecord(happened('order.created', { order: paid }));
  const bad: LogRecord = { ...good, value: '{"order":{"id":1}}', headers: { ...good.headers, ce_id: newId() } };
  const worse: LogRecord = { ...good, value: 'not JSON', headers: {} };
  await bed.eventLog.append([bad, worse, good]);
  await start();
  await bed.caughtUp();

  expect((await bed.documents.get('orders', paid.id))?.version).toBe(1);
  const partition = (await bed.eventLog.ranges('orders')).find(({ next }) => next === 3)?.partition;
  const places = (await parked()).map(({ id, doc }) => ({ id, state: doc.state, value: doc.record.value }));
  expect(places).toEqual(
    [TIMELINE_GROUP, VIEWS_GROUP].flatMap((group) => [
      { id: `${group}:orders:${partition}:0`, state: 'DEAD', value: bad.value },
      { id: `${group}:orders:${partition}:1`, state: 'DEAD', value: worse.value },
    ]),
  );
  const copies = await deadLetters('orders.dlq');
  expect(copies.map(({ headers }) => headers['x-consumer']).sort()).toEqual([
    TIMELINE_GROUP,
    TIMELINE_GROUP,
    VIEWS_GROUP,
    VIEWS_GROUP,
  ]);
  expect(
    copies.find(({ headers, value }) => headers['x-consumer'] === VIEWS_GROUP && value === bad.value),
  ).toMatchObject({
    key: paid.id,
    headers: {
      ...bad.headers,
      'x-error': expect.stringContaining('order.created'),
      'x-attempts': '1',
      'x-original-topic': 'orders',
      'x-original-partition': String(partition),
      'x-original-offset': '0',
    },
  });
  expect((await bed.metrics.deadLetters.get()).values.map(({ value }) => value)).toEqual([2, 2]);
});

test('what other wallets say on the shared topics is in no timeline, what we say there is', async () => {
  const Payload = {
    account_id_from: newId(),
    account_id_to: newId(),
    balance_account_id_from: 850,
    balance_account_id_to: 1_150,
  };
  const foreign = {
    topic: 'balances',
    key: null,
    value: JSON.stringify({ Name: 'BalanceUpdated', Payload }),
    headers: {},
  };
  const ours = happened(
    'BalanceUpdated',
    { Name: 'BalanceUpdated', Payload },
    { subject: Payload.account_id_from, sequence: 2 },
  );
  await bed.eventLog.append([foreign, { ...foreign, value: 'nonsense' }, toRecord(ours)]);
  await start();
  await bed.caughtUp();
  expect((await parked()).map(({ doc }) => doc.consumer)).toEqual(['query.views']);
  expect((await inTimeline()).map(({ id }) => id)).toEqual([ours.id]);
});

test('while the store is away nothing is lost and nothing is given up', async () => {
  let away = 8;
  const unsteady = failing((collection) =>
    collection !== PARKED && away-- > 0 ? new EngineUnavailable('document store') : undefined,
  );
  await start(unsteady);
  const first = order();
  await bed.publish(happened('order.created', { order: first }));
  await bed.caughtUp();
  expect((await bed.documents.get('orders', first.id))?.version).toBe(1);
  expect(await inTimeline()).toHaveLength(1);
  expect(await parked()).toEqual([]);
});

test('a store that goes away while failures are counted gives nothing up', async () => {
  const failures = [1, 2, 3, 4].map((): Error => new Error('no')).concat(new EngineUnavailable('document store'));
  const unsteady = failing((collection) => (collection === 'users' ? failures.shift() : undefined));
  const ana = user();
  await bed.publish(happened('user.created', { user: ana }));
  await start(unsteady);
  await bed.caughtUp();
  expect((await bed.documents.get('users', ana.id))?.version).toBe(1);
  expect(await parked()).toEqual([]);
});

test('a record that the store can never take is given up after some attempts, alone', async () => {
  const [spoilt, fine] = [user(), user()];
  const picky = failing((collection, docs) =>
    collection === 'users' && docs.some(({ id }) => id === spoilt.id) ? new Error('no') : undefined,
  );
  await bed.publish(happened('user.created', { user: spoilt }), happened('user.created', { user: fine }));
  await start(picky);
  await bed.caughtUp();
  expect((await parked()).map(({ doc }) => [doc.consumer, doc.record.key, doc.attempts])).toEqual([
    [VIEWS_GROUP, spoilt.id, 5],
  ]);
  expect((await bed.documents.get('users', fine.id))?.version).toBe(1);
  expect(await inTimeline()).toHaveLength(2);
});

test('a projector that starts again goes on where the last one stopped', async () => {
  const first = await start();
  const id = newId();
  await bed.publish(happened('product.created', { product: product({ id }) }));
  await bed.caughtUp();
  await first.stop();
  await bed.publish(happened('product.updated', { product: product({ id, version: 2, name: 'iPhone 16' }) }));
  const second = await start();
  await bed.caughtUp();
  expect(await bed.documents.get('products', id)).toMatchObject({ version: 2, doc: { name: 'iPhone 16' } });
  expect(await inTimeline()).toHaveLength(2);
  expect(await second.checks()).toEqual([
    { name: 'document store', ok: true },
    { name: 'event log', ok: true },
    { name: 'projector', ok: true },
  ]);
});
