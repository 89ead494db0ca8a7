import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromRecord } from '../../shared/events/event.js';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { isDue, parseCursor, type Cursor } from './cursor.js';
import { OF_USER, ONE } from './follow-tools.js';
import { isOpen } from './lists.js';
import {
  moved,
  neighbourOf,
  openReadSide,
  orderEvent,
  SMALL,
  touched,
  type ReadSide,
  type Subscriber,
  type Told,
} from './subscriber-tools.js';
import { ADMIN, as, order, PAST } from './testbed.js';
import { TIMELINE_GROUP, watermark } from './views.js';

/** An event of an order as the log has it first; relays may have appended it again later. */
interface Logged {
  readonly order: OrderState;
  readonly partition: number;
  readonly offset: number;
}

let folder: string;
let side: ReadSide;
const logged = new Map<string, Logged[]>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-property-'));
  side = await openReadSide(folder, { limits: SMALL, projectionWaitMs: 20_000 });
  const versions = new Map<string, number>();
  await side.eventLog.tail({
    topics: ['orders'],
    from: 'start',
    onBatch({ partition, records }) {
      for (const record of records) {
        const { order: state } = fromRecord(record).data as { order: OrderState };
        if (state.version <= (versions.get(state.id) ?? 0)) continue;
        versions.set(state.id, state.version);
        const ofUser = logged.get(state.userId) ?? [];
        logged.set(state.userId, [...ofUser, { order: state, partition, offset: record.offset }]);
      }
    },
  });
});

afterAll(async () => {
  await side.close();
  await rm(folder, { recursive: true });
});

const ORDERS = 4;
type Step =
  | { readonly do: 'move' | 'touch' | 'close' | 'evict'; readonly order: number }
  | { readonly do: 'repeat'; readonly order: number; readonly back: number }
  | { readonly do: 'views' | 'timeline'; readonly open: boolean }
  | { readonly do: 'subscribe'; readonly order: number | null }
  | { readonly do: 'leave'; readonly connection: number }
  | { readonly do: 'resume'; readonly connection: number; readonly message: number; readonly patient: boolean }
  | { readonly do: 'wait'; readonly turns: number };

const some = fc.nat(ORDERS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('move' as const), order: some }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('touch' as const, 'close' as const), order: some }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('evict' as const), order: some }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('repeat' as const), order: some, back: fc.nat(4) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('views' as const, 'timeline' as const), open: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('subscribe' as const), order: fc.option(some, { freq: 1 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), connection: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('resume' as const),
      connection: fc.nat(9),
      message: fc.oneof(fc.nat(2), fc.nat(20)),
      patient: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 12 }) }) },
);

/** One subscription of one order or of all of the user's, from its beginning or from a cursor. */
interface Connection {
  readonly order: number | null;
  readonly after: string | null;
  /** Whom it goes on from, behind how many messages of the whole chain. */
  readonly from: { readonly connection: Connection; readonly length: number } | null;
  subscriber?: Subscriber;
  left: boolean;
}

test('whatever the race, every connection is told exactly what its cursors promise, each change once, versions rising', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 50 }), async (steps) => {
      const run = await Run.start();
      for (const one of steps) await run.take(one);
      await run.finish();
    }),
    { numRuns: 100 },
  );
}, 120_000);

class Run {
  private readonly userId = newId();
  private readonly orders: OrderState[] = Array.from({ length: ORDERS }, (_, i) =>
    order({ userId: this.userId, createdAt: PAST + (i % 3) }),
  );
  private readonly published = this.orders.map((one) => [one]);
  private readonly connections: Connection[] = [];
  private readonly begun: Promise<void>[] = [];
  private readonly appended: Promise<void>[] = [];

  static async start(): Promise<Run> {
    const run = new Run();
    for (const one of run.orders) run.publish(one);
    await Promise.all(run.appended);
    return run;
  }

  async take(one: Step): Promise<void> {
    switch (one.do) {
      case 'move':
        this.change(one.order, (state) => moved(state, 'PROCESSING'));
        return;
      case 'touch':
        this.change(one.order, touched);
        return;
      case 'close':
        // The first stays open, so that there always is a snapshot.
        if (one.order > 0) this.change(one.order, (state) => moved(state, 'COMPLETED'));
        return;
      case 'evict':
        for (let i = 0; i < SMALL.ring; i++) this.publish(order({ id: neighbourOf(this.at(one.order).id) }));
        return;
      case 'repeat':
        return this.repeat((this.published[one.order] ?? []).slice(-1 - one.back));
      case 'views':
      case 'timeline':
        if (one.open) side.gates[one.do].open();
        else side.gates[one.do].shut();
        return;
      case 'subscribe':
        this.subscribe({ order: one.order, after: null, from: null, left: false });
        return;
      case 'leave':
        return this.leave(this.connections[one.connection]);
      case 'resume':
        return this.resume(one.connection, one.message, one.patient);
      case 'wait':
        for (let i = 0; i < one.turns; i++) await breathe();
    }
  }

  /** Everything settles; then each connection must have been told what the log says. */
  async finish(): Promise<void> {
    side.gates.views.open();
    side.gates.timeline.open();
    this.subscribe({ order: null, after: null, from: null, left: false });
    await Promise.all(this.begun);
    // A last change of each order: behind it nothing old may follow.
    for (const index of this.orders.keys()) this.change(index, (state) => moved(state, 'PROCESSING'));
    await Promise.all(this.appended);
    await until(() =>
      this.orders.every((last) =>
        (logged.get(this.userId) ?? []).some((one) => one.order.id === last.id && one.order.version === last.version),
      ),
    );
    for (const connection of this.connections) await this.check(connection);
    for (const connection of this.connections) await this.leave(connection);
    expect(await side.gaps()).toEqual({});
    expect(side.subscriptions.listening()).toBe(0);
  }

  private at(index: number): OrderState {
    return this.orders[index] as OrderState;
  }

  private change(index: number, next: (state: OrderState) => OrderState): void {
    const state = next(this.at(index));
    this.orders[index] = state;
    this.published[index]?.push(state);
    this.publish(state);
  }

  private publish(state: OrderState): void {
    this.appended.push(side.publish(orderEvent(state)));
  }

  /** A ring this small forgets sooner than any relay repeats, so the timeline must have come that far. */
  private async repeat(states: readonly OrderState[]): Promise<void> {
    side.gates.timeline.open();
    await Promise.all(this.appended);
    const ends = await side.eventLog.ranges('orders');
    await until(async () => {
      const reached = await watermark(side.documents, side.eventLog.logId, TIMELINE_GROUP, 'orders');
      return ends.every(({ partition, next }) => (reached.get(partition) ?? 0) >= next);
    });
    for (const state of states) this.publish(state);
  }

  private subscribe(connection: Connection): void {
    this.connections.push(connection);
    const { order: index, after } = connection;
    const subscribing =
      index === null
        ? side.subscribe(as(this.userId), OF_USER, { id: this.userId, after })
        : side.subscribe(ADMIN, ONE, { id: this.at(index).id, after });
    this.begun.push(
      subscribing.then((made) => {
        expect(made.error).toBeUndefined();
        connection.subscriber = made;
        made.flow();
      }),
    );
  }

  private async resume(from: number, message: number, patient: boolean): Promise<void> {
    const connection = this.connections[from % this.connections.length];
    if (connection === undefined) return;
    const { after, left } = connection;
    // Who has not got everything to begin with is sent something; the others may wait for ever.
    if (patient && !left && (after === null || positionOf(after).due !== null)) {
      side.gates.views.open();
      side.gates.timeline.open();
      await until(() => (connection.subscriber?.messages.length ?? 0) > 0);
    }
    const messages = connection.subscriber?.messages ?? [];
    const index = message % messages.length;
    const cursor = messages[index]?.cursor;
    if (cursor === undefined) return;
    const length = chainOf(connection).length - messages.length + index + 1;
    this.subscribe({ order: connection.order, after: cursor, from: { connection, length }, left: false });
  }

  private async leave(connection: Connection | undefined): Promise<void> {
    if (connection?.subscriber === undefined) return;
    connection.left = true;
    await connection.subscriber.leave();
  }

  private async check(connection: Connection): Promise<void> {
    const told = connection.subscriber as Subscriber;
    const mine = (logged.get(this.userId) ?? []).filter(
      (one) => connection.order === null || one.order.id === this.at(connection.order).id,
    );
    const start = connection.after === null ? null : positionOf(connection.after);
    const due = start === null ? 'all' : start.due;
    const isOwed = (state: OrderState) => due === 'all' || (due !== null && isDue(due, [state.createdAt, state.id]));
    // Every order changed last, so that of each its last version comes, in one way or the other.
    const ends = new Set(
      mine.map(({ order: { id } }) => named(this.orders.find((one) => one.id === id) as OrderState)),
    );
    if (!connection.left) {
      await until(() => told.messages.filter((message) => ends.has(nameOf(message))).length >= ends.size, {
        message: () => `${[...ends].join(', ')}; there is ${told.messages.map(nameOf).join(', ')}`,
      });
    }
    const { messages } = told;
    const snapshots = messages.filter(({ kind }) => kind === 'SNAPSHOT');
    // The moment of the snapshots.
    const moment = snapshots[0] === undefined ? null : positionOf(snapshots[0].cursor).next;
    const from = due === 'all' ? moment : start?.next;
    if (from == null) {
      expect(messages).toEqual([]);
      return;
    }
    const newest = new Map(mine.filter((one) => isBelow(one, moment ?? [])).map((one) => [one.order.id, one.order]));
    const seen = [...newest.values()].filter((state) => isOwed(state) && (connection.order !== null || isOpen(state)));
    const seenIds = new Set(seen.map(({ id }) => id));
    if (connection.left) expect(seen.map(named)).toEqual(expect.arrayContaining(snapshots.map(nameOf)));
    else expect(snapshots.map(nameOf).sort()).toEqual(seen.map(named).sort());

    // Whoever left before the first snapshot does not say which orders it was to see in one, and which not.
    const isClear = (state: OrderState) => moment !== null || !connection.left || !isOwed(state);
    const changes = mine.filter(
      (one) =>
        isClear(one.order) &&
        !isBelow(one, from) &&
        !(seenIds.has(one.order.id) && isBelow(one, moment ?? [])) &&
        one.order.history.at(-1)?.version === one.order.version,
    );
    const namesOf = (some: readonly Told[]) =>
      some
        .filter(
          ({ kind, order: one }) =>
            kind === 'CHANGE' && isClear(this.orders.find(({ id }) => id === one?.id) as OrderState),
        )
        .map(nameOf)
        .sort();
    // Every cursor stands behind exactly what was told until then.
    for (const [index, { cursor }] of messages.entries()) {
      const promised = changes
        .filter((one) => isBelow(one, positionOf(cursor).next))
        .map(({ order: one }) => named(one));
      expect(namesOf(messages.slice(0, index + 1))).toEqual(promised.sort());
    }
    if (!connection.left) expect(namesOf(messages)).toEqual(changes.map(({ order: one }) => named(one)).sort());
    this.checkChain(connection);
  }

  /** All that was told until here, over all resumptions: no order twice, and nothing left out behind the first of it. */
  private checkChain(connection: Connection): void {
    const chain = chainOf(connection);
    for (const { id } of this.orders) {
      const own = chain.filter(({ order: one }) => one?.id === id);
      const versions = own.map(({ order: one }) => one?.version ?? 0);
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
      for (const [index, { kind }] of own.entries()) {
        if (index === 0 || kind !== 'CHANGE') continue;
        const [before = 0, now = 0] = versions.slice(index - 1);
        const between = (logged.get(this.userId) ?? []).filter(
          ({ order: one }) =>
            one.id === id && one.version > before && one.version < now && one.history.at(-1)?.version === one.version,
        );
        expect(between).toEqual([]);
      }
    }
  }
}

const positionOf = (cursor: string): Cursor => parseCursor(cursor, 'orders', 12);
const isBelow = ({ partition, offset }: Logged, next: readonly number[]): boolean => offset < (next[partition] ?? 0);

/** What a client was told that resumed again and again. */
function chainOf({ from, subscriber }: Connection): readonly Told[] {
  const own = subscriber?.messages ?? [];
  return from === null ? own : [...chainOf(from.connection).slice(0, from.length), ...own];
}

const named = ({ id, version }: { readonly id: string; readonly version: number }): string => `${id} ${version}`;
const nameOf = ({ order: state }: Told): string => (state == null ? 'none' : named(state));
