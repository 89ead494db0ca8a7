import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FindOptions } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { byPlace, formatCursor, parseCursor } from './cursor.js';
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
import { ADMIN, order, PAST } from './testbed.js';
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

describe('resuming between the snapshots of several orders', () => {
  const N = 6;

  /** A user's open orders, newest first, two of them always of one moment. */
  async function ordersOf(userId: string): Promise<OrderState[]> {
    const made = Array.from({ length: N }, (_, i) => order({ userId, createdAt: PAST - Math.floor(i / 2) }));
    made.sort((a, b) => byPlace([a.createdAt, a.id], [b.createdAt, b.id]));
    await side.publish(...made.map(orderEvent));
    return made;
  }

  /** Takes so many messages and leaves. */
  async function taking(count: number, userId: string, after: string | null = null): Promise<Subscriber> {
    const told = await subscriberOfUser(userId, after);
    for (let i = 0; i < count; i++) await told.take();
    await told.leave();
    return told;
  }

  async function cancel(from: OrderState): Promise<OrderState> {
    const state = moved(from, 'CANCELED');
    await side.publish(orderEvent(state));
    return state;
  }

  const namesOf = (...told: readonly Subscriber[]): string[] =>
    told.flatMap(({ messages }) => messages.map(({ kind, order: one }) => `${kind} ${one?.id} ${one?.version}`));
  const snapshotsOf = (orders: readonly OrderState[]) => orders.map(({ id, version }) => `SNAPSHOT ${id} ${version}`);
  const changeOf = ({ id, version }: OrderState) => `CHANGE ${id} ${version}`;

  test('tells what was closed meanwhile, seen or not, then the snapshots that were still to come', async () => {
    await open();
    const userId = newId();
    const orders = await ordersOf(userId);
    const first = await taking(1, userId);
    expect(namesOf(first)).toEqual(snapshotsOf(orders.slice(0, 1)));
    const seen = await cancel(orders[0] as OrderState);
    const unseen = await cancel(orders[3] as OrderState);
    const again = await subscriberOfUser(userId, first.cursor);
    await until(() => again.flow().messages.length === N);
    const [one, two, ...rest] = namesOf(again);
    expect([one, two].sort()).toEqual([changeOf(seen), changeOf(unseen)].sort());
    expect(rest).toEqual(snapshotsOf(orders.filter((_, i) => i !== 0 && i !== 3)));
    const whole = await subscriberOfUser(userId, again.cursor);
    await advance(orders[1] as OrderState);
    await whole.tells('CHANGE 2');
    expect(await side.gaps()).toEqual({});
  });

  test('with nothing changed sends just the rest, whichever was the last', async () => {
    await open();
    const userId = newId();
    const orders = await ordersOf(userId);
    for (let k = 1; k < N; k++) {
      const { cursor } = await taking(k, userId);
      const rest = await taking(N - k, userId, cursor);
      expect(namesOf(rest)).toEqual(snapshotsOf(orders.slice(k)));
    }
  });

  test('with all closed that were still to come ends with a cursor that is whole', async () => {
    await open();
    const userId = newId();
    const orders = await ordersOf(userId);
    const first = await taking(N - 2, userId);
    const closed = [await cancel(orders[N - 2] as OrderState), await cancel(orders[N - 1] as OrderState)];
    const again = await taking(2, userId, first.cursor);
    expect(namesOf(again).sort()).toEqual(closed.map(changeOf).sort());
    expect(parseCursor(again.cursor, 'orders', 12).due).toBeNull();
  });

  test.each([SMALL, LARGE])(
    'and again after every message, with changes, new orders and closings in between, tells each once, with a ring of $ring',
    async (limits) => {
      await open({ limits });
      for (let k = 1; k < N; k++) {
        const userId = newId();
        const orders = await ordersOf(userId);
        const all = [await taking(k, userId)];
        const latest = new Map(orders.map((one) => [one.id, one]));
        const keep = (state: OrderState) => latest.set(state.id, state);
        const now = (index: number) => latest.get(orders[index]?.id ?? '') as OrderState;
        keep(await advance(now(0), 2));
        keep(await advance(now(4), 2));
        keep(await cancel(now(k)));
        keep(await created({ userId, createdAt: PAST + 1 }));
        await fill((orders[0] as OrderState).id);
        let round = 0;
        const behind = () => parseCursor(all.at(-1)?.cursor ?? '', 'orders', 12).due !== null;
        while (behind()) {
          all.push(await taking(1, userId, all.at(-1)?.cursor));
          if (round++ === 0) keep(await advance(now(5)));
          if (round === 2) keep(await cancel(now(1)));
        }
        const live = await subscriberOfUser(userId, all.at(-1)?.cursor);
        keep(await created({ userId }));
        const names = () => namesOf(...all, live.flow()).map((name) => name.replace(/^\w+ /, ''));
        await until(() => [...latest.values()].every(({ id, version }) => names().includes(`${id} ${version}`)), {
          message: () => namesOf(...all, live).join(', '),
        });
        expect(new Set(names()).size).toBe(names().length);
        for (const { id } of latest.values()) {
          const own = [...all, live].flatMap(({ messages }) => messages).filter(({ order: one }) => one?.id === id);
          const versions = own.map(({ order: one }) => one?.version ?? 0);
          expect(versions).toEqual([...versions].sort((a, b) => a - b));
          expect(own.slice(1).every(({ kind }) => kind === 'CHANGE')).toBe(true);
        }
      }
      expect(await side.gaps()).toEqual({});
    },
  );

  test('waits for the view rather than to send snapshots from before the cursor', async () => {
    await open({ limits: SMALL });
    const userId = newId();
    const orders = await ordersOf(userId);
    await side.caughtUp();
    side.gates.views.shut();
    const last = await advance(orders[N - 1] as OrderState);
    const first = await taking(N - 1, userId);
    await fill(last.id);
    const again = (await subscriberOfUser(userId, first.cursor)).flow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(again.story).toEqual([]);
    side.gates.views.open();
    await again.tells('SNAPSHOT 2');
  });

  test('is told of a GAP when too much comes meanwhile, and all snapshots again', async () => {
    const viewed = new Gate();
    let reading = 0;
    await open({
      limits: { ...LARGE, waiting: 2 },
      wrap: (documents) =>
        overridden(documents, {
          async find<D>(collection: string, options: FindOptions) {
            const found = await documents.find<D>(collection, options);
            reading += 1;
            await viewed.passed();
            return found;
          },
        }),
    });
    const userId = newId();
    const orders = await ordersOf(userId);
    await side.caughtUp();
    const { cursor } = await taking(1, userId);
    viewed.shut();
    reading = 0;
    const again = (await subscriberOfUser(userId, cursor)).flow();
    await until(() => reading === 1);
    const end = await advance(orders[0] as OrderState, 4);
    const ring = await subscriber(end.id);
    await ring.tells('SNAPSHOT 5');
    viewed.open();
    await again.tells('GAP', 'SNAPSHOT 5', ...Array.from({ length: N - 1 }, () => 'SNAPSHOT 1'));
    expect(await side.gaps()).toEqual({ too_slow: 1 });
  });

  test('of another log is told of a GAP, and gets all snapshots again', async () => {
    await open();
    const userId = newId();
    await ordersOf(userId);
    const { cursor } = await taking(2, userId);
    const other = formatCursor({ ...parseCursor(cursor, 'orders', 12), log: newId() });
    const again = await subscriberOfUser(userId, other);
    await again.tells('GAP', ...Array.from({ length: N }, () => 'SNAPSHOT 1'));
  });

  test('never sends more orders than those it began with, however many are made and closed', async () => {
    await open();
    const userId = newId();
    const many = Array.from({ length: 130 }, (_, i) => order({ userId, createdAt: PAST - i }));
    await side.publish(...many.map(orderEvent));
    await side.caughtUp();
    const first = await taking(10, userId);
    const later = Array.from({ length: 210 }, (_, i) => order({ userId, createdAt: PAST + 1 + i }));
    await side.publish(...later.map(orderEvent));
    await side.caughtUp();
    const again = await taking(210 + 90, userId, first.cursor);
    expect(namesOf(again).slice(0, 210).sort()).toEqual(later.map(changeOf).sort());
    expect(namesOf(again).slice(210)).toEqual(snapshotsOf(many.slice(10, 100)));
    expect(parseCursor(again.cursor, 'orders', 12).due).toBeNull();
  });
});
