import { afterEach, describe, expect, test } from '@jest/globals';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { formatCursor, parseCursor } from './cursor.js';
import { ALL, changes, FollowBed } from './follow-tools.js';
import { LARGE, neighbourOf, orderEvent, SMALL, type Subscriber } from './subscriber-tools.js';
import { ADMIN, order } from './testbed.js';

let bed: FollowBed;

afterEach(() => bed.close());

describe('resuming', () => {
  /** Eight changes of an order among others' and with repeats of the relay; the cursor behind each message. */
  async function history(): Promise<{
    readonly id: string;
    readonly cursors: readonly string[];
    readonly last: OrderState;
  }> {
    const first = await bed.created();
    const told = await bed.subscriber(first.id);
    await told.tells('SNAPSHOT 1');
    let last = first;
    for (let version = 2; version <= 8; version++) {
      const before = last;
      last = await bed.advance(last);
      // A relay that died before it could note what it had sent sends it again.
      if (version % 3 === 0) await bed.side.publish(orderEvent(before), orderEvent(last));
      await bed.side.publish(orderEvent(order({ id: neighbourOf(first.id) })), orderEvent(order()));
      if (version % 4 === 0) await bed.side.publish(orderEvent(first), orderEvent(before));
    }
    await told.tells('SNAPSHOT 1', ...changes(2, 8));
    await told.leave();
    return { id: first.id, cursors: told.messages.map(({ cursor }) => cursor), last };
  }

  /** Every cursor, one a version, leads to exactly what came after it and then goes on live. Answers what came last. */
  async function resumesFrom(cursors: readonly string[], last: OrderState): Promise<OrderState> {
    const subscribers: Subscriber[] = [];
    for (const [index, cursor] of cursors.entries()) {
      const told = await bed.subscriber(last.id, cursor);
      await told.tells(...changes(index + 2, last.version));
      subscribers.push(told);
    }
    const next = await bed.advance(last);
    for (const [index, told] of subscribers.entries()) {
      await told.tells(...changes(index + 2, next.version));
      await told.leave();
    }
    return next;
  }

  test.each([1, 2, 3, 5, 8, LARGE.ring])(
    'delivers everything missed and nothing twice, from a ring of %i, the timeline or both, relay repeats or not',
    async (ring) => {
      bed = await FollowBed.open({ limits: { ...LARGE, ring } });
      const { cursors, last } = await history();
      const left = await resumesFrom(cursors, last);
      await bed.reopen({ limits: { ...LARGE, ring } });
      const end = await bed.advance(left);
      await bed.side.publish(orderEvent(left), orderEvent(end));
      await resumesFrom(cursors, end);
      expect(await bed.side.gaps()).toEqual({});
    },
  );

  test('goes on live, and the cursors on the way are as good as the first', async () => {
    bed = await FollowBed.open({ limits: SMALL });
    const { id, cursors, last } = await history();
    const told = await bed.subscriber(id, cursors[1]);
    await told.tells(...changes(3, 8));
    const next = await bed.advance(last);
    await told.tells(...changes(3, 9));
    await resumesFrom([cursors[0] ?? '', cursors[1] ?? '', ...told.messages.map(({ cursor }) => cursor)], next);
  });

  test('behind the last message is silent until something happens', async () => {
    bed = await FollowBed.open();
    const state = await bed.created();
    const told = await bed.subscriber(state.id);
    await told.tells('SNAPSHOT 1');
    await told.leave();
    const again = (await bed.subscriber(state.id, told.cursor)).flow();
    await bed.advance(state);
    await again.tells('CHANGE 2');
  });

  test('after a repeat of what the ring has forgotten tells nothing again', async () => {
    bed = await FollowBed.open({ limits: SMALL });
    const first = await bed.created();
    const second = await bed.advance(first);
    await bed.side.caughtUp();
    const told = await bed.subscriber(first.id);
    await told.tells('SNAPSHOT 2');
    await bed.fill(first.id);
    await bed.side.caughtUp();
    const again = await bed.subscriber(first.id, told.cursor);
    await bed.side.publish(orderEvent(first), orderEvent(second));
    await bed.advance(second);
    await again.tells('CHANGE 3');
    await told.tells('SNAPSHOT 2', 'CHANGE 3');
  });

  test("in a user's orders delivers those of every order", async () => {
    bed = await FollowBed.open({ limits: SMALL });
    const userId = newId();
    let [one, two] = [await bed.created({ userId }), await bed.created({ userId })];
    const told = await bed.subscriberOfUser(userId);
    await until(() => told.flow().messages.length === 2);
    await told.leave();
    one = await bed.advance(one, 3);
    two = await bed.advance(two, 2);
    await bed.fill(one.id);
    await bed.fill(two.id);
    const three = await bed.created({ userId });
    const again = (await bed.subscriberOfUser(userId, told.cursor)).flow();
    await until(() => again.messages.length === 6);
    const of = (id: string) =>
      again.messages.filter(({ order: told }) => told?.id === id).map(({ order: told }) => told?.version);
    expect([of(one.id), of(two.id), of(three.id)]).toEqual([[2, 3, 4], [2, 3], [1]]);
  });
});

describe('when a resumption cannot be kept a GAP says so, and fresh snapshots follow:', () => {
  /** An order at version 3 and the cursor of its second version, which a small ring has forgotten. */
  async function left(): Promise<{ readonly state: OrderState; readonly cursor: string }> {
    const first = await bed.created();
    const told = await bed.subscriber(first.id);
    await told.tells('SNAPSHOT 1');
    const second = await bed.advance(first);
    await told.tells('SNAPSHOT 1', 'CHANGE 2');
    await told.leave();
    const state = await bed.advance(second);
    return { state, cursor: told.cursor };
  }

  const shifted = (cursor: string, change: Partial<Pick<ReturnType<typeof parseCursor>, 'log' | 'next'>>): string =>
    formatCursor({ ...parseCursor(cursor, 'orders', 12), ...change });

  async function gapFrom(id: string, cursor: string, reason: string, version: number): Promise<Subscriber> {
    const told = await bed.subscriber(id, cursor);
    await told.tells('GAP', `SNAPSHOT ${version}`);
    expect(told.messages[0]?.order).toBeNull();
    expect(await bed.side.gaps()).toEqual({ [reason]: 1 });
    return told;
  }

  test('a cursor of another log', async () => {
    bed = await FollowBed.open();
    const { state, cursor } = await left();
    const told = await gapFrom(state.id, shifted(cursor, { log: newId() }), 'other_log', 3);
    await bed.advance(state);
    await told.tells('GAP', 'SNAPSHOT 3', 'CHANGE 4');
  });

  test('a cursor beyond the end of the log', async () => {
    bed = await FollowBed.open();
    const { state, cursor } = await left();
    const next = parseCursor(cursor, 'orders', 12).next.map((offset) => offset + 2);
    await gapFrom(state.id, shifted(cursor, { next }), 'beyond_end', 3);
  });

  test('a cursor older than what the log keeps', async () => {
    bed = await FollowBed.open({ limits: SMALL });
    const { state, cursor } = await left();
    await bed.fill(state.id);
    await bed.side.caughtUp();
    await bed.side.eventLog.enforceRetention(Date.now() + 31 * 86_400_000);
    await gapFrom(state.id, cursor, 'too_old', 3);
  });

  test('more missed than is delivered one by one, be it from ring or timeline', async () => {
    bed = await FollowBed.open({ limits: { ...SMALL, missed: 4 } });
    const { state, cursor } = await left();
    const kept = await bed.advance(state, 3);
    const all = await bed.subscriber(state.id, cursor);
    await all.tells(...changes(3, 6));
    const end = await bed.advance(kept);
    await bed.side.caughtUp();
    await gapFrom(state.id, cursor, 'too_many', end.version);
    await bed.reopen({ limits: { ...LARGE, missed: 4 } });
    await gapFrom(state.id, cursor, 'too_many', end.version);
  });

  test('a timeline that does not reach the ring in time', async () => {
    bed = await FollowBed.open({ limits: SMALL, projectionWaitMs: 100 });
    const { state, cursor } = await left();
    await bed.side.caughtUp();
    bed.side.gates.timeline.shut();
    const end = await bed.advance(state);
    await bed.fill(state.id);
    await until(async () => (await bed.side.documents.get('orders', end.id))?.version === end.version);
    await gapFrom(state.id, cursor, 'not_in_timeline', 4);
  });

  test('a client too slow for what may wait for it', async () => {
    bed = await FollowBed.open({ limits: { ...LARGE, waiting: 4 } });
    const first = await bed.created();
    const told = await bed.subscriber(first.id);
    await told.take();
    const watching = await bed.subscriber(first.id);
    await watching.tells('SNAPSHOT 1');
    const last = await bed.advance(first, 6);
    await watching.tells('SNAPSHOT 1', ...changes(2, 7));
    await told.tells('SNAPSHOT 1', 'GAP', 'SNAPSHOT 7');
    expect(await bed.side.gaps()).toEqual({ too_slow: 1 });
    await bed.advance(last);
    await told.tells('SNAPSHOT 1', 'GAP', 'SNAPSHOT 7', 'CHANGE 8');
  });

  test('a client too slow while it takes what it missed', async () => {
    bed = await FollowBed.open({ limits: { ...LARGE, waiting: 2 } });
    const { state, cursor } = await left();
    const told = await bed.subscriber(state.id, cursor);
    await told.take();
    const watching = await bed.subscriber(state.id);
    await watching.take();
    await bed.advance(state, 4);
    await until(() => watching.flow().messages.at(-1)?.order?.version === 7);
    await told.tells('CHANGE 3', 'GAP', 'SNAPSHOT 7');
  });

  test("the GAP's own cursor leads to fresh snapshots, without another GAP", async () => {
    bed = await FollowBed.open();
    const { state, cursor } = await left();
    const told = await gapFrom(state.id, shifted(cursor, { log: newId() }), 'other_log', 3);
    await bed.advance(state);
    const again = await bed.subscriber(state.id, told.messages[0]?.cursor);
    await again.tells('SNAPSHOT 4');
    expect(await bed.side.gaps()).toEqual({ other_log: 1 });
  });

  test('a subscriber of all orders that is too slow is told, and goes on live', async () => {
    bed = await FollowBed.open({ limits: { ...LARGE, waiting: 2 } });
    const all = await bed.subscribe(ADMIN, ALL);
    const first = all.take();
    const state = await bed.advance(await bed.created(), 6);
    await first;
    const watching = await bed.subscriber(state.id);
    await watching.tells('SNAPSHOT 7');
    await until(() => all.flow().story.includes('GAP'));
    await bed.advance(state);
    await until(() => all.story.at(-1) === 'CHANGE 8');
  });
});
