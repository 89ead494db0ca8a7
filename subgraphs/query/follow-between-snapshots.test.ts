import { afterEach, describe, expect, test } from '@jest/globals';
import type { FindOptions } from '../../shared/document-store/port.js';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { byPlace, formatCursor, parseCursor } from './cursor.js';
import { FollowBed } from './follow-tools.js';
import { Gate, LARGE, moved, orderEvent, overridden, SMALL, type Subscriber } from './subscriber-tools.js';
import { order, PAST } from './testbed.js';

let bed: FollowBed;

afterEach(() => bed.close());

describe('resuming between the snapshots of several orders', () => {
  const N = 6;

  /** A user's open orders, newest first, two of them always of one moment. */
  async function ordersOf(userId: string): Promise<OrderState[]> {
    const made = Array.from({ length: N }, (_, i) => order({ userId, createdAt: PAST - Math.floor(i / 2) }));
    made.sort((a, b) => byPlace([a.createdAt, a.id], [b.createdAt, b.id]));
    await bed.side.publish(...made.map(orderEvent));
    return made;
  }

  /** Takes so many messages and leaves. */
  async function taking(count: number, userId: string, after: string | null = null): Promise<Subscriber> {
    const told = await bed.subscriberOfUser(userId, after);
    for (let i = 0; i < count; i++) await told.take();
    await told.leave();
    return told;
  }

  async function cancel(from: OrderState): Promise<OrderState> {
    const state = moved(from, 'CANCELED');
    await bed.side.publish(orderEvent(state));
    return state;
  }

  const namesOf = (...told: readonly Subscriber[]): string[] =>
    told.flatMap(({ messages }) => messages.map(({ kind, order: one }) => `${kind} ${one?.id} ${one?.version}`));
  const snapshotsOf = (orders: readonly OrderState[]) => orders.map(({ id, version }) => `SNAPSHOT ${id} ${version}`);
  const changeOf = ({ id, version }: OrderState) => `CHANGE ${id} ${version}`;

  test('tells what was closed meanwhile, seen or not, then the snapshots that were still to come', async () => {
    bed = await FollowBed.open();
    const userId = newId();
    const orders = await ordersOf(userId);
    const first = await taking(1, userId);
    expect(namesOf(first)).toEqual(snapshotsOf(orders.slice(0, 1)));
    const seen = await cancel(orders[0] as OrderState);
    const unseen = await cancel(orders[3] as OrderState);
    const again = await bed.subscriberOfUser(userId, first.cursor);
    await until(() => again.flow().messages.length === N);
    const [one, two, ...rest] = namesOf(again);
    expect([one, two].sort()).toEqual([changeOf(seen), changeOf(unseen)].sort());
    expect(rest).toEqual(snapshotsOf(orders.filter((_, i) => i !== 0 && i !== 3)));
    const whole = await bed.subscriberOfUser(userId, again.cursor);
    await bed.advance(orders[1] as OrderState);
    await whole.tells('CHANGE 2');
    expect(await bed.side.gaps()).toEqual({});
  });

  test('with nothing changed sends just the rest, whichever was the last', async () => {
    bed = await FollowBed.open();
    const userId = newId();
    const orders = await ordersOf(userId);
    for (let k = 1; k < N; k++) {
      const { cursor } = await taking(k, userId);
      const rest = await taking(N - k, userId, cursor);
      expect(namesOf(rest)).toEqual(snapshotsOf(orders.slice(k)));
    }
  });

  test('with all closed that were still to come ends with a cursor that is whole', async () => {
    bed = await FollowBed.open();
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
      bed = await FollowBed.open({ limits });
      for (let k = 1; k < N; k++) {
        const userId = newId();
        const orders = await ordersOf(userId);
        const all = [await taking(k, userId)];
        const latest = new Map(orders.map((one) => [one.id, one]));
        const keep = (state: OrderState) => latest.set(state.id, state);
        const now = (index: number) => latest.get(orders[index]?.id ?? '') as OrderState;
        keep(await bed.advance(now(0), 2));
        keep(await bed.advance(now(4), 2));
        keep(await cancel(now(k)));
        keep(await bed.created({ userId, createdAt: PAST + 1 }));
        await bed.fill((orders[0] as OrderState).id);
        let round = 0;
        const behind = () => parseCursor(all.at(-1)?.cursor ?? '', 'orders', 12).due !== null;
        while (behind()) {
          all.push(await taking(1, userId, all.at(-1)?.cursor));
          if (round++ === 0) keep(await bed.advance(now(5)));
          if (round === 2) keep(await cancel(now(1)));
        }
        const live = await bed.subscriberOfUser(userId, all.at(-1)?.cursor);
        keep(await bed.created({ userId }));
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
      expect(await bed.side.gaps()).toEqual({});
    },
  );

  test('waits for the view rather than to send snapshots from before the cursor', async () => {
    bed = await FollowBed.open({ limits: SMALL });
    const userId = newId();
    const orders = await ordersOf(userId);
    await bed.side.caughtUp();
    bed.side.gates.views.shut();
    const last = await bed.advance(orders[N - 1] as OrderState);
    const first = await taking(N - 1, userId);
    await bed.fill(last.id);
    const again = (await bed.subscriberOfUser(userId, first.cursor)).flow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(again.story).toEqual([]);
    bed.side.gates.views.open();
    await again.tells('SNAPSHOT 2');
  });

  test('is told of a GAP when too much comes meanwhile, and all snapshots again', async () => {
    const viewed = new Gate();
    let reading = 0;
    bed = await FollowBed.open({
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
    await bed.side.caughtUp();
    const { cursor } = await taking(1, userId);
    viewed.shut();
    reading = 0;
    const again = (await bed.subscriberOfUser(userId, cursor)).flow();
    await until(() => reading === 1);
    const end = await bed.advance(orders[0] as OrderState, 4);
    const ring = await bed.subscriber(end.id);
    await ring.tells('SNAPSHOT 5');
    viewed.open();
    await again.tells('GAP', 'SNAPSHOT 5', ...Array.from({ length: N - 1 }, () => 'SNAPSHOT 1'));
    expect(await bed.side.gaps()).toEqual({ too_slow: 1 });
  });

  test('of another log is told of a GAP, and gets all snapshots again', async () => {
    bed = await FollowBed.open();
    const userId = newId();
    await ordersOf(userId);
    const { cursor } = await taking(2, userId);
    const other = formatCursor({ ...parseCursor(cursor, 'orders', 12), log: newId() });
    const again = await bed.subscriberOfUser(userId, other);
    await again.tells('GAP', ...Array.from({ length: N }, () => 'SNAPSHOT 1'));
  });

  test('never sends more orders than those it began with, however many are made and closed', async () => {
    bed = await FollowBed.open();
    const userId = newId();
    const many = Array.from({ length: 130 }, (_, i) => order({ userId, createdAt: PAST - i }));
    await bed.side.publish(...many.map(orderEvent));
    await bed.side.caughtUp();
    const first = await taking(10, userId);
    const later = Array.from({ length: 210 }, (_, i) => order({ userId, createdAt: PAST + 1 + i }));
    await bed.side.publish(...later.map(orderEvent));
    await bed.side.caughtUp();
    const again = await taking(210 + 90, userId, first.cursor);
    expect(namesOf(again).slice(0, 210).sort()).toEqual(later.map(changeOf).sort());
    expect(namesOf(again).slice(210)).toEqual(snapshotsOf(many.slice(10, 100)));
    expect(parseCursor(again.cursor, 'orders', 12).due).toBeNull();
  });
});
