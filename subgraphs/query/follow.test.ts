import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { formatCursor, parseCursor } from './cursor.js';
import {
  Gate,
  LARGE,
  moved,
  neighbourOf,
  openReadSide,
  orderEvent,
  overridden,
  SMALL,
  touched,
  type ReadSide,
  type SubscribedOptions,
  type Subscriber,
} from './subscriber-tools.js';
import { ADMIN, order } from './testbed.js';
import { TIMELINE } from './views.js';

const FIELDS = '{ kind cursor order { id version } }';
const ONE = `subscription ($id: ID!, $after: String) { orderStatusChanged(orderId: $id, after: $after) ${FIELDS} }`;
const OF_USER = `subscription ($id: ID!, $after: String) { orderStatusChanged(userId: $id, after: $after) ${FIELDS} }`;

let folder: string;
let side: ReadSide;
let subscribers: Subscriber[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-follow-'));
  subscribers = [];
});

afterEach(async () => {
  for (const subscriber of subscribers) await subscriber.leave();
  expect(side.subscriptions.listening()).toBe(0);
  await side.close();
  await rm(folder, { recursive: true });
});

async function open(options?: SubscribedOptions): Promise<void> {
  side = await openReadSide(folder, options);
}

async function reopen(options?: SubscribedOptions): Promise<void> {
  await side.close();
  await open(options);
}

async function subscriber(id: string, after: string | null = null): Promise<Subscriber> {
  const made = await side.subscribe(ADMIN, ONE, { id, after });
  subscribers.push(made);
  return made;
}

async function subscriberOfUser(id: string, after: string | null = null): Promise<Subscriber> {
  const made = await side.subscribe({ role: 'USER', userId: id }, OF_USER, { id, after });
  subscribers.push(made);
  return made;
}

/** Publishes the order's next changes of status. */
async function advance(from: OrderState, times = 1): Promise<OrderState> {
  let state = from;
  for (let i = 0; i < times; i++) {
    state = moved(state, 'PROCESSING');
    await side.publish(orderEvent(state));
  }
  return state;
}

async function created(state: Partial<OrderState> = {}): Promise<OrderState> {
  const made = order(state);
  await side.publish(orderEvent(made));
  return made;
}

/** Others' events, until a small ring has nothing else in this partition. */
async function fill(id: string): Promise<void> {
  const others = Array.from({ length: SMALL.ring }, () => order({ id: neighbourOf(id) }));
  const all = await side.subscribe(ADMIN, `subscription { orderStatusChanged ${FIELDS} }`);
  await side.publish(...others.map(orderEvent));
  await until(() => all.flow().messages.some(({ order: told }) => told?.id === others.at(-1)?.id));
  await all.leave();
}

const changes = (from: number, to: number): string[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => `CHANGE ${from + i}`);

describe('a new subscriber', () => {
  test('gets a snapshot, then every change of status once, versions rising', async () => {
    await open();
    let state = await advance(await created(), 2);
    await side.caughtUp();
    const told = await subscriber(state.id);
    await told.tells('SNAPSHOT 3');
    state = await advance(state);
    state = touched(state);
    await side.publish(orderEvent(state));
    await advance(state, 2);
    await told.tells('SNAPSHOT 3', 'CHANGE 4', 'CHANGE 6', 'CHANGE 7');
  });

  test('misses nothing that is appended while it subscribes', async () => {
    await open();
    for (let i = 0; i < 40; i++) {
      const state = await created();
      const [told, last] = await Promise.all([subscriber(state.id), advance(state, i % 6)]);
      const end = await advance(last);
      await until(() => told.flow().messages.at(-1)?.order?.version === end.version);
      const first = told.messages[0]?.order?.version ?? 0;
      expect(told.story).toEqual([`SNAPSHOT ${first}`, ...changes(first + 1, end.version)]);
      await told.leave();
    }
  });

  test('begins with what the ring knows when the view lags behind', async () => {
    await open();
    side.gates.views.shut();
    const state = await advance(await created(), 2);
    const told = await subscriber(state.id);
    await told.tells('SNAPSHOT 3');
    side.gates.views.open();
    await side.caughtUp();
    await advance(state);
    await told.tells('SNAPSHOT 3', 'CHANGE 4');
  });

  test('waits for a view that lags behind the beginning of the ring', async () => {
    await open({ limits: SMALL });
    const state = await created();
    await side.caughtUp();
    side.gates.views.shut();
    await advance(state);
    await fill(state.id);
    const told = (await subscriber(state.id)).flow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told.story).toEqual([]);
    side.gates.views.open();
    await told.tells('SNAPSHOT 2');
  });

  test('is told UNAVAILABLE, and only it, when the view does not come in time', async () => {
    await open({ limits: SMALL, projectionWaitMs: 50 });
    const state = await created();
    await side.caughtUp();
    const other = await subscriber(state.id);
    await other.tells('SNAPSHOT 1');
    side.gates.views.shut();
    const next = await advance(state);
    await fill(state.id);
    const told = await subscriber(state.id);
    await until(() => told.flow().ended);
    expect(told.error).toEqual({ code: 'UNAVAILABLE', field: undefined });
    expect(told.results).toHaveLength(1);
    await advance(next);
    await other.tells('SNAPSHOT 1', 'CHANGE 2', 'CHANGE 3');
    expect(side.subscriptions.listening()).toBe(1);
  });

  test('gets nothing twice when the ring lags behind the view', async () => {
    const ring = new Gate();
    await open({
      limits: SMALL,
      wrap: (documents) =>
        overridden(documents, {
          async getMany(collection, ids) {
            // The ring asks the timeline for aggregates it has forgotten.
            if (collection === TIMELINE) await ring.passed();
            return documents.getMany(collection, ids);
          },
        }),
    });
    const state = await created();
    await fill(state.id);
    await side.caughtUp();
    ring.shut();
    await advance(state, 3);
    await side.caughtUp();
    const told = (await subscriber(state.id)).flow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told.story).toEqual([]);
    ring.open();
    await told.tells('SNAPSHOT 4');
    await advance({ ...state, version: 4 });
    await told.tells('SNAPSHOT 4', 'CHANGE 5');
  });

  test('misses nothing that the ring forgets while the view is read', async () => {
    const viewed = new Gate();
    let reading = 0;
    await open({
      limits: SMALL,
      wrap: (documents) =>
        overridden(documents, {
          async get<D>(collection: string, id: string) {
            const found = await documents.get<D>(collection, id);
            reading += 1;
            await viewed.passed();
            return found;
          },
        }),
    });
    const state = await created();
    await side.caughtUp();
    viewed.shut();
    const told = (await subscriber(state.id)).flow();
    await until(() => reading > 0);
    await advance(state, 2);
    await fill(state.id);
    viewed.open();
    await told.tells('SNAPSHOT 3');
  });
});

describe('when a resumption cannot be kept a GAP says so, and fresh snapshots follow:', () => {
  /** An order at version 3 and the cursor of its second version, which a small ring has forgotten. */
  async function left(): Promise<{ readonly state: OrderState; readonly cursor: string }> {
    const first = await created();
    const told = await subscriber(first.id);
    await told.tells('SNAPSHOT 1');
    const second = await advance(first);
    await told.tells('SNAPSHOT 1', 'CHANGE 2');
    await told.leave();
    const state = await advance(second);
    return { state, cursor: told.cursor };
  }

  const shifted = (cursor: string, change: Partial<Pick<ReturnType<typeof parseCursor>, 'log' | 'next'>>): string =>
    formatCursor({ ...parseCursor(cursor, 'orders', 12), ...change });

  async function gapFrom(id: string, cursor: string, reason: string, version: number): Promise<Subscriber> {
    const told = await subscriber(id, cursor);
    await told.tells('GAP', `SNAPSHOT ${version}`);
    expect(told.messages[0]?.order).toBeNull();
    expect(await side.gaps()).toEqual({ [reason]: 1 });
    return told;
  }

  test('a cursor of another log', async () => {
    await open();
    const { state, cursor } = await left();
    const told = await gapFrom(state.id, shifted(cursor, { log: newId() }), 'other_log', 3);
    await advance(state);
    await told.tells('GAP', 'SNAPSHOT 3', 'CHANGE 4');
  });

  test('a cursor beyond the end of the log', async () => {
    await open();
    const { state, cursor } = await left();
    const next = parseCursor(cursor, 'orders', 12).next.map((offset) => offset + 2);
    await gapFrom(state.id, shifted(cursor, { next }), 'beyond_end', 3);
  });

  test('a cursor older than what the log keeps', async () => {
    await open({ limits: SMALL });
    const { state, cursor } = await left();
    await fill(state.id);
    await side.caughtUp();
    await side.eventLog.enforceRetention(Date.now() + 31 * 86_400_000);
    await gapFrom(state.id, cursor, 'too_old', 3);
  });

  test('more missed than is delivered one by one, be it from ring or timeline', async () => {
    await open({ limits: { ...SMALL, missed: 4 } });
    const { state, cursor } = await left();
    const kept = await advance(state, 3);
    const all = await subscriber(state.id, cursor);
    await all.tells(...changes(3, 6));
    const end = await advance(kept);
    await side.caughtUp();
    await gapFrom(state.id, cursor, 'too_many', end.version);
    await reopen({ limits: { ...LARGE, missed: 4 } });
    await gapFrom(state.id, cursor, 'too_many', end.version);
  });

  test('a timeline that does not reach the ring in time', async () => {
    await open({ limits: SMALL, projectionWaitMs: 100 });
    const { state, cursor } = await left();
    await side.caughtUp();
    side.gates.timeline.shut();
    const end = await advance(state);
    await fill(state.id);
    await until(async () => (await side.documents.get('orders', end.id))?.version === end.version);
    const before = performance.now();
    await gapFrom(state.id, cursor, 'not_in_timeline', 4);
    expect(performance.now() - before).toBeGreaterThanOrEqual(100);
  });

  test('a client too slow for what may wait for it', async () => {
    await open({ limits: { ...LARGE, waiting: 4 } });
    const first = await created();
    const told = await subscriber(first.id);
    await told.take();
    const watching = await subscriber(first.id);
    await watching.tells('SNAPSHOT 1');
    const last = await advance(first, 6);
    await watching.tells('SNAPSHOT 1', ...changes(2, 7));
    await told.tells('SNAPSHOT 1', 'GAP', 'SNAPSHOT 7');
    expect(await side.gaps()).toEqual({ too_slow: 1 });
    await advance(last);
    await told.tells('SNAPSHOT 1', 'GAP', 'SNAPSHOT 7', 'CHANGE 8');
  });

  test('a client too slow while it takes what it missed', async () => {
    await open({ limits: { ...LARGE, waiting: 2 } });
    const { state, cursor } = await left();
    const told = await subscriber(state.id, cursor);
    await told.take();
    const watching = await subscriber(state.id);
    await watching.take();
    await advance(state, 4);
    await until(() => watching.flow().messages.at(-1)?.order?.version === 7);
    await told.tells('CHANGE 3', 'GAP', 'SNAPSHOT 7');
  });

  test("the GAP's own cursor leads to fresh snapshots, without another GAP", async () => {
    await open();
    const { state, cursor } = await left();
    const told = await gapFrom(state.id, shifted(cursor, { log: newId() }), 'other_log', 3);
    await advance(state);
    const again = await subscriber(state.id, told.messages[0]?.cursor);
    await again.tells('SNAPSHOT 4');
    expect(await side.gaps()).toEqual({ other_log: 1 });
  });

  test('a cursor between several snapshots leads to all of them again', async () => {
    await open();
    const userId = newId();
    const orders = [await created({ userId }), await created({ userId }), await created({ userId })];
    const told = (await subscriberOfUser(userId)).flow();
    await until(() => told.messages.length === 3);
    await told.leave();
    const ids = new Set(orders.map(({ id }) => id));
    for (const { cursor } of told.messages.slice(0, 2)) {
      const again = (await subscriberOfUser(userId, cursor)).flow();
      await until(() => again.messages.length === 3);
      expect(again.story).toEqual(['SNAPSHOT 1', 'SNAPSHOT 1', 'SNAPSHOT 1']);
      expect(new Set(again.messages.map(({ order: one }) => one?.id))).toEqual(ids);
    }
    const whole = (await subscriberOfUser(userId, told.cursor)).flow();
    const [first] = orders as [OrderState];
    await advance(first);
    await whole.tells('CHANGE 2');
    expect(await side.gaps()).toEqual({});
  });

  test('a subscriber of all orders that is too slow is told, and goes on live', async () => {
    await open({ limits: { ...LARGE, waiting: 2 } });
    const all = await side.subscribe(ADMIN, `subscription { orderStatusChanged ${FIELDS} }`);
    subscribers.push(all);
    const first = all.take();
    const state = await advance(await created(), 6);
    await first;
    const watching = await subscriber(state.id);
    await watching.tells('SNAPSHOT 7');
    await until(() => all.flow().story.includes('GAP'));
    await advance(state);
    await until(() => all.story.at(-1) === 'CHANGE 8');
  });
});

describe('a subscription ends', () => {
  const ended = async (told: Subscriber): Promise<void> => {
    const pending = told.take();
    await new Promise((resolve) => setImmediate(resolve));
    await told.leave();
    expect(side.subscriptions.listening()).toBe(0);
    expect(await pending).toBeUndefined();
  };

  test('at once while it waits for a change', async () => {
    await open();
    const told = await subscriber((await created()).id);
    await told.take();
    await ended(told);
  });

  test('at once while it waits for the read side', async () => {
    await open({ limits: SMALL, projectionWaitMs: 600_000 });
    const state = await created();
    await side.caughtUp();
    side.gates.views.shut();
    await advance(state);
    await fill(state.id);
    await ended(await subscriber(state.id));
    expect(await side.gaps()).toEqual({});
  });

  test('without having begun', async () => {
    await open();
    const told = await subscriber((await created()).id);
    expect(side.subscriptions.listening()).toBe(1);
    await told.leave();
    expect(side.subscriptions.listening()).toBe(0);
    expect(await told.take()).toBeUndefined();
  });

  test('with an error as its last message, and no other does', async () => {
    let away = false;
    await open({
      wrap: (documents) =>
        overridden(documents, {
          async get<D>(collection: string, id: string) {
            if (away) throw new EngineUnavailable('document store');
            return documents.get<D>(collection, id);
          },
        }),
    });
    const state = await created();
    const other = await subscriber(state.id);
    await other.tells('SNAPSHOT 1');
    away = true;
    const told = await subscriber(state.id);
    await until(() => told.flow().ended);
    expect(told.results).toHaveLength(1);
    expect(told.error).toEqual({ code: 'UNAVAILABLE', field: undefined });
    expect(side.subscriptions.listening()).toBe(1);
    await advance(state);
    await other.tells('SNAPSHOT 1', 'CHANGE 2');
  });

  test('5,000 times, whenever it is left, and nobody listens any more', async () => {
    await open();
    const state = await created();
    await side.caughtUp();
    for (let round = 0; round < 50; round++) {
      const many = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const told = await side.subscribe(ADMIN, ONE, { id: state.id, after: null });
          if (i % 4 > 0) void told.take();
          if (i % 4 > 1) await new Promise((resolve) => setImmediate(resolve));
          if (i % 4 > 2) void told.flow();
          return told;
        }),
      );
      await Promise.all(many.map((told) => told.leave()));
    }
    expect(side.subscriptions.listening()).toBe(0);
  });
});

describe('resuming', () => {
  /** Eight changes of an order among others' and with repeats of the relay; the cursor behind each message. */
  async function history(): Promise<{
    readonly id: string;
    readonly cursors: readonly string[];
    readonly last: OrderState;
  }> {
    const first = await created();
    const told = await subscriber(first.id);
    await told.tells('SNAPSHOT 1');
    let last = first;
    for (let version = 2; version <= 8; version++) {
      const before = last;
      last = await advance(last);
      // A relay that died before it could note what it had sent sends it again.
      if (version % 3 === 0) await side.publish(orderEvent(before), orderEvent(last));
      await side.publish(orderEvent(order({ id: neighbourOf(first.id) })), orderEvent(order()));
      if (version % 4 === 0) await side.publish(orderEvent(first), orderEvent(before));
    }
    await told.tells('SNAPSHOT 1', ...changes(2, 8));
    await told.leave();
    return { id: first.id, cursors: told.messages.map(({ cursor }) => cursor), last };
  }

  /** Every cursor leads to exactly what came after it. */
  async function resumesFrom(id: string, cursors: readonly string[], end: number): Promise<void> {
    for (const [index, cursor] of cursors.entries()) {
      const told = await subscriber(id, cursor);
      await told.tells(...changes(index + 2, end));
      await told.leave();
    }
  }

  test.each([1, 2, 3, 5, 8, LARGE.ring])(
    'delivers everything missed and nothing twice, from a ring of %i, the timeline or both, relay repeats or not',
    async (ring) => {
      await open({ limits: { ...LARGE, ring } });
      const { id, cursors, last } = await history();
      await resumesFrom(id, cursors, 8);
      await reopen({ limits: { ...LARGE, ring } });
      const end = await advance(last);
      await side.publish(orderEvent(last), orderEvent(end));
      await resumesFrom(id, cursors, 9);
      expect(await side.gaps()).toEqual({});
    },
  );

  test('goes on live, and the cursors on the way are as good as the first', async () => {
    await open({ limits: SMALL });
    const { id, cursors, last } = await history();
    const told = await subscriber(id, cursors[1]);
    await told.tells(...changes(3, 8));
    await advance(last);
    await told.tells(...changes(3, 9));
    await resumesFrom(id, [cursors[0] ?? '', cursors[1] ?? '', ...told.messages.map(({ cursor }) => cursor)], 9);
  });

  test('behind the last message is silent until something happens', async () => {
    await open();
    const state = await created();
    const told = await subscriber(state.id);
    await told.tells('SNAPSHOT 1');
    await told.leave();
    const again = (await subscriber(state.id, told.cursor)).flow();
    await advance(state);
    await again.tells('CHANGE 2');
  });

  test('after a repeat of what the ring has forgotten tells nothing again', async () => {
    await open({ limits: SMALL });
    const first = await created();
    const second = await advance(first);
    await side.caughtUp();
    const told = await subscriber(first.id);
    await told.tells('SNAPSHOT 2');
    await fill(first.id);
    await side.caughtUp();
    const again = await subscriber(first.id, told.cursor);
    await side.publish(orderEvent(first), orderEvent(second));
    await advance(second);
    await again.tells('CHANGE 3');
    await told.tells('SNAPSHOT 2', 'CHANGE 3');
  });

  test("in a user's orders delivers those of every order", async () => {
    await open({ limits: SMALL });
    const userId = newId();
    let [one, two] = [await created({ userId }), await created({ userId })];
    const told = await subscriberOfUser(userId);
    await until(() => told.flow().messages.length === 2);
    await told.leave();
    one = await advance(one, 3);
    two = await advance(two, 2);
    await fill(one.id);
    await fill(two.id);
    const three = await created({ userId });
    const again = (await subscriberOfUser(userId, told.cursor)).flow();
    await until(() => again.messages.length === 6);
    const of = (id: string) =>
      again.messages.filter(({ order: told }) => told?.id === id).map(({ order: told }) => told?.version);
    expect([of(one.id), of(two.id), of(three.id)]).toEqual([[2, 3, 4], [2, 3], [1]]);
  });
});
