import { afterEach, describe, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { until } from '../../tests/until.js';
import { changes, FollowBed, ONE } from './follow-tools.js';
import { Gate, orderEvent, overridden, SMALL, touched, type Subscriber } from './subscriber-tools.js';
import { ADMIN } from './testbed.js';
import { TIMELINE } from './views.js';

let bed: FollowBed;

afterEach(() => bed.close());

describe('a new subscriber', () => {
  test('gets a snapshot, then every change of status once, versions rising', async () => {
    bed = await FollowBed.open();
    let state = await bed.advance(await bed.created(), 2);
    await bed.side.caughtUp();
    const told = await bed.subscriber(state.id);
    await told.tells('SNAPSHOT 3');
    state = await bed.advance(state);
    state = touched(state);
    await bed.side.publish(orderEvent(state));
    await bed.advance(state, 2);
    await told.tells('SNAPSHOT 3', 'CHANGE 4', 'CHANGE 6', 'CHANGE 7');
  });

  test('misses nothing that is appended while it subscribes', async () => {
    bed = await FollowBed.open();
    for (let i = 0; i < 40; i++) {
      const state = await bed.created();
      const [told, last] = await Promise.all([bed.subscriber(state.id), bed.advance(state, i % 6)]);
      const end = await bed.advance(last);
      await until(() => told.flow().messages.at(-1)?.order?.version === end.version);
      const first = told.messages[0]?.order?.version ?? 0;
      expect(told.story).toEqual([`SNAPSHOT ${first}`, ...changes(first + 1, end.version)]);
      await told.leave();
    }
  });

  test('begins with what the ring knows when the view lags behind', async () => {
    bed = await FollowBed.open();
    bed.side.gates.views.shut();
    const state = await bed.advance(await bed.created(), 2);
    const told = await bed.subscriber(state.id);
    await told.tells('SNAPSHOT 3');
    bed.side.gates.views.open();
    await bed.side.caughtUp();
    await bed.advance(state);
    await told.tells('SNAPSHOT 3', 'CHANGE 4');
  });

  test('waits for a view that lags behind the beginning of the ring', async () => {
    bed = await FollowBed.open({ limits: SMALL });
    const state = await bed.created();
    await bed.side.caughtUp();
    bed.side.gates.views.shut();
    await bed.advance(state);
    await bed.fill(state.id);
    const told = (await bed.subscriber(state.id)).flow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told.story).toEqual([]);
    bed.side.gates.views.open();
    await told.tells('SNAPSHOT 2');
  });

  test('is told UNAVAILABLE, and only it, when the view does not come in time', async () => {
    bed = await FollowBed.open({ limits: SMALL, projectionWaitMs: 50 });
    const state = await bed.created();
    await bed.side.caughtUp();
    const other = await bed.subscriber(state.id);
    await other.tells('SNAPSHOT 1');
    bed.side.gates.views.shut();
    const next = await bed.advance(state);
    await bed.fill(state.id);
    const told = await bed.subscriber(state.id);
    await until(() => told.flow().ended);
    expect(told.error).toEqual({ code: 'UNAVAILABLE', field: undefined });
    expect(told.results).toHaveLength(1);
    await bed.advance(next);
    await other.tells('SNAPSHOT 1', 'CHANGE 2', 'CHANGE 3');
    expect(bed.side.subscriptions.listening()).toBe(1);
  });

  test('gets nothing twice when the ring lags behind the view', async () => {
    const ring = new Gate();
    bed = await FollowBed.open({
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
    const state = await bed.created();
    await bed.fill(state.id);
    await bed.side.caughtUp();
    ring.shut();
    await bed.advance(state, 3);
    await bed.side.caughtUp();
    const told = (await bed.subscriber(state.id)).flow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told.story).toEqual([]);
    ring.open();
    await told.tells('SNAPSHOT 4');
    await bed.advance({ ...state, version: 4 });
    await told.tells('SNAPSHOT 4', 'CHANGE 5');
  });

  test('misses nothing that the ring forgets while the view is read', async () => {
    const viewed = new Gate();
    let reading = 0;
    bed = await FollowBed.open({
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
    const state = await bed.created();
    await bed.side.caughtUp();
    viewed.shut();
    const told = (await bed.subscriber(state.id)).flow();
    await until(() => reading > 0);
    await bed.advance(state, 2);
    await bed.fill(state.id);
    viewed.open();
    await told.tells('SNAPSHOT 3');
  });
});

describe('a subscription ends', () => {
  const ended = async (told: Subscriber): Promise<void> => {
    const pending = told.take();
    await new Promise((resolve) => setImmediate(resolve));
    await told.leave();
    expect(bed.side.subscriptions.listening()).toBe(0);
    expect(await pending).toBeUndefined();
  };

  test('at once while it waits for a change', async () => {
    bed = await FollowBed.open();
    const told = await bed.subscriber((await bed.created()).id);
    await told.take();
    await ended(told);
  });

  test('at once while it waits for the read side', async () => {
    bed = await FollowBed.open({ limits: SMALL, projectionWaitMs: 600_000 });
    const state = await bed.created();
    await bed.side.caughtUp();
    bed.side.gates.views.shut();
    await bed.advance(state);
    await bed.fill(state.id);
    await ended(await bed.subscriber(state.id));
    expect(await bed.side.gaps()).toEqual({});
  });

  test('without having begun', async () => {
    bed = await FollowBed.open();
    const told = await bed.subscriber((await bed.created()).id);
    expect(bed.side.subscriptions.listening()).toBe(1);
    await told.leave();
    expect(bed.side.subscriptions.listening()).toBe(0);
    expect(await told.take()).toBeUndefined();
  });

  test('with an error as its last message, and no other does', async () => {
    let away = false;
    bed = await FollowBed.open({
      wrap: (documents) =>
        overridden(documents, {
          async get<D>(collection: string, id: string) {
            if (away) throw new EngineUnavailable('document store');
            return documents.get<D>(collection, id);
          },
        }),
    });
    const state = await bed.created();
    const other = await bed.subscriber(state.id);
    await other.tells('SNAPSHOT 1');
    away = true;
    const told = await bed.subscriber(state.id);
    await until(() => told.flow().ended);
    expect(told.results).toHaveLength(1);
    expect(told.error).toEqual({ code: 'UNAVAILABLE', field: undefined });
    expect(bed.side.subscriptions.listening()).toBe(1);
    await bed.advance(state);
    await other.tells('SNAPSHOT 1', 'CHANGE 2');
  });

  test('5,000 times, whenever it is left, and nobody listens any more', async () => {
    bed = await FollowBed.open();
    const state = await bed.created();
    await bed.side.caughtUp();
    for (let round = 0; round < 50; round++) {
      const many = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const told = await bed.side.subscribe(ADMIN, ONE, { id: state.id, after: null });
          if (i % 4 > 0) void told.take();
          if (i % 4 > 1) await new Promise((resolve) => setImmediate(resolve));
          if (i % 4 > 2) void told.flow();
          return told;
        }),
      );
      await Promise.all(many.map((told) => told.leave()));
    }
    expect(bed.side.subscriptions.listening()).toBe(0);
  });
});
