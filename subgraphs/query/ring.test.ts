import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { toRecord } from '../../shared/events/event.js';
import type { OrderState } from '../../shared/events/states.js';
import { silentLogger } from '../../shared/observability/logger.js';
import type { Service } from '../../shared/service/service.js';
import { until } from '../../tests/until.js';
import { parseCursor } from './cursor.js';
import { covers, Ring, type Change } from './ring.js';
import { moved, neighbourOf, orderEvent } from './subscriber-tools.js';
import { openTestbed, order, watched, type Testbed } from './testbed.js';

let bed: Testbed;
let projector: Service;
let rings: Ring<OrderState>[];

beforeEach(async () => {
  bed = await openTestbed();
  projector = bed.projector();
  await projector.start();
  rings = [];
});

afterEach(async () => {
  for (const ring of rings) await ring.stop();
  await projector.stop();
  await bed.close();
});

async function ringOf(capacity: number, documents = bed.documents): Promise<Ring<OrderState>> {
  const ring = new Ring<OrderState>(
    {
      topic: 'orders',
      read({ data }) {
        const { order: state } = data as { order: OrderState };
        return { item: state, keys: ['all', state.id] };
      },
    },
    { eventLog: bed.eventLog, documents, log: silentLogger() },
    capacity,
  );
  rings.push(ring);
  await ring.start();
  return ring;
}

/** Resolves when everything that is in the log has been met. */
async function met(ring: Ring<OrderState>): Promise<void> {
  const ends = await ring.logRange('next');
  await until(() => covers(ring.next, ends));
}

/** So many versions of an order, from its first. */
function versions(count: number, first = order()): OrderState[] {
  const states = [first];
  for (let i = 1; i < count; i++) states.push(moved(states.at(-1) as OrderState, 'PROCESSING'));
  return states;
}

const publish = async (...states: readonly OrderState[]): Promise<void> => {
  for (const state of states) await bed.publish(orderEvent(state));
};
const told = (changes: readonly Change<OrderState>[]): number[] => changes.map(({ version }) => version);

test('it begins with the newest records of each partition, and knows where they begin', async () => {
  const states = versions(5);
  await publish(...states);
  const ring = await ringOf(2);
  const [first] = states as [OrderState];
  const [change] = ring.recent(first.id) as [Change<OrderState>];
  expect(told(ring.recent(first.id))).toEqual([4, 5]);
  expect(ring.newest(first.id)?.version).toBe(5);
  expect([ring.first[change.partition], ring.next[change.partition]]).toEqual([3, 5]);
});

test('it keeps its capacity per partition and forgets the oldest', async () => {
  const ring = await ringOf(3);
  const states = versions(3);
  const neighbours = versions(2, order({ id: neighbourOf(states[0]?.id ?? '') }));
  await publish(...states);
  await met(ring);
  expect(ring.first.every((offset) => offset === 0)).toBe(true);
  await publish(...neighbours);
  await met(ring);
  expect(told(ring.recent(states[0]?.id ?? ''))).toEqual([3]);
  expect(told(ring.recent('all'))).toEqual([3, 1, 2]);
  expect(Math.max(...ring.first)).toBe(2);
  expect(ring.recent('nobody')).toEqual([]);
});

test('listeners hear of every change with their key, in order, until they leave', async () => {
  const ring = await ringOf(10);
  const states = versions(4);
  const heard: number[] = [];
  const leave = ring.listen(states[0]?.id ?? '', ({ version }) => heard.push(version));
  const others: number[] = [];
  ring.listen('others', ({ version }) => others.push(version));
  expect(ring.listening).toBe(2);
  await publish(...states.slice(0, 3), order());
  await met(ring);
  leave();
  await publish(...states.slice(3));
  await met(ring);
  expect(heard).toEqual([1, 2, 3]);
  expect(others).toEqual([]);
  expect(ring.listening).toBe(1);
});

test("a change's cursor stands right behind it", async () => {
  const ring = await ringOf(10);
  const state = order();
  const changes: Change<OrderState>[] = [];
  ring.listen('all', (change) => changes.push(change));
  await publish(order(), state, order());
  await met(ring);
  for (const [index, { next }] of changes.entries()) {
    expect(parseCursor(ring.cursor(next), 'orders', ring.partitions).next).toEqual(next);
    const below = changes.filter(({ partition, offset }) => offset < (next[partition] ?? 0));
    expect(below).toEqual(changes.slice(0, index + 1));
  }
});

test.each([1, 2, 3, 10])('what the relay repeats is passed on once, with a capacity of %i', async (capacity) => {
  const ring = await ringOf(capacity);
  const states = versions(6);
  const id = states[0]?.id ?? '';
  const heard: number[] = [];
  ring.listen(id, ({ version }) => heard.push(version));
  await publish(...states.slice(0, 3), ...states.slice(0, 3));
  await publish(...Array.from({ length: 3 }, () => order({ id: neighbourOf(id) })));
  await met(ring);
  await bed.caughtUp();
  // All in one batch, so that the ring forgets while it takes.
  await bed.publish(...[...states.slice(1, 5), ...states.slice(0, 5), ...states].map(orderEvent));
  await met(ring);
  expect(heard).toEqual([1, 2, 3, 4, 5, 6]);
});

test('what was repeated before it began is no news either', async () => {
  const states = versions(4);
  await publish(...states, ...states.slice(0, 2));
  await bed.caughtUp();
  const ring = await ringOf(2);
  expect(told(ring.recent(states[0]?.id ?? ''))).toEqual([]);
  expect(Math.max(...ring.first)).toBe(4);
});

test('the timeline is asked for what may have been there before, not for what happened since', async () => {
  const asked: unknown[] = [];
  const ring = await ringOf(
    1,
    watched(bed.documents, ({ args }) => void asked.push(args[1])),
  );
  const [first, second] = versions(2) as [OrderState, OrderState];
  const neighbour = (time: number) => {
    const state = order({ id: neighbourOf(first.id) });
    return { ...orderEvent(state), time };
  };
  await publish(first, second);
  await met(ring);
  const [now, before] = [neighbour(Date.now() + 60_000), neighbour(Date.now() - 60_000)];
  await bed.publish(now, before);
  await met(ring);
  expect(asked).toEqual([[before.id]]);
  expect(told(ring.recent(before.subject))).toEqual([1]);
});

test('while the store is away nothing is held up; what is forgotten counts as new', async () => {
  let away = false;
  const documents = watched(bed.documents, () => {
    if (away) throw new EngineUnavailable('document store');
  });
  const ring = await ringOf(1, documents);
  const states = versions(2);
  await publish(...states);
  await met(ring);
  away = true;
  const other = order({ id: neighbourOf(states[0]?.id ?? '') });
  await publish(other);
  await met(ring);
  expect(told(ring.recent(other.id))).toEqual([1]);
});

test('a record that nobody can read is passed over', async () => {
  const ring = await ringOf(10);
  const [first, second] = versions(2) as [OrderState, OrderState];
  await publish(first);
  await bed.eventLog.append([{ ...toRecord(orderEvent(second)), value: '{"order":' }]);
  await publish(second);
  await met(ring);
  expect(told(ring.recent(first.id))).toEqual([1, 2]);
  expect(Math.max(...ring.next)).toBe(3);
});
