import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { OrderState } from '../../shared/events/states.js';
import type { Identity } from '../../shared/identity/identity.js';
import { until } from '../../tests/until.js';
import {
  moved,
  neighbourOf,
  openReadSide,
  orderEvent,
  SMALL,
  type ReadSide,
  type SubscribedOptions,
  type Subscriber,
} from './subscriber-tools.js';
import { ADMIN, order } from './testbed.js';

/** For tests: orders that change, and subscribers that follow them. */

const FIELDS = '{ kind cursor order { id version } }';
/** Of one order. */
export const ONE = `subscription ($id: ID!, $after: String) { orderStatusChanged(orderId: $id, after: $after) ${FIELDS} }`;
/** Of a user's orders. */
export const OF_USER = `subscription ($id: ID!, $after: String) { orderStatusChanged(userId: $id, after: $after) ${FIELDS} }`;
/** Of everybody's orders. */
export const ALL = `subscription { orderStatusChanged ${FIELDS} }`;

/** A read side in a folder of its own, and everybody who subscribed to it. */
export class FollowBed {
  private readonly subscribers: Subscriber[] = [];

  private constructor(
    private readonly folder: string,
    /** Another one after `reopen`. */
    public side: ReadSide,
  ) {}

  /** To be closed by the test's `afterEach`. */
  static async open(options?: SubscribedOptions): Promise<FollowBed> {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-follow-'));
    return new FollowBed(folder, await openReadSide(folder, options));
  }

  /** As after a restart: the same files, and a ring that has to begin anew. */
  async reopen(options?: SubscribedOptions): Promise<void> {
    await this.side.close();
    this.side = await openReadSide(this.folder, options);
  }

  /** Lets everybody leave and removes the files; fails when somebody listens even then. */
  async close(): Promise<void> {
    for (const subscriber of this.subscribers) await subscriber.leave();
    expect(this.side.subscriptions.listening()).toBe(0);
    await this.side.close();
    await rm(this.folder, { recursive: true });
  }

  /** Who is made here leaves when the bed is closed, if not before. */
  async subscribe(identity: Identity, query: string, variables?: Record<string, unknown>): Promise<Subscriber> {
    const made = await this.side.subscribe(identity, query, variables);
    this.subscribers.push(made);
    return made;
  }

  /** Of one order, as an administrator. */
  subscriber(id: string, after: string | null = null): Promise<Subscriber> {
    return this.subscribe(ADMIN, ONE, { id, after });
  }

  /** Of a user's orders, as that user. */
  subscriberOfUser(id: string, after: string | null = null): Promise<Subscriber> {
    return this.subscribe({ role: 'USER', userId: id }, OF_USER, { id, after });
  }

  /** Publishes a new order. */
  async created(state: Partial<OrderState> = {}): Promise<OrderState> {
    const made = order(state);
    await this.side.publish(orderEvent(made));
    return made;
  }

  /** Publishes the order's next changes of status. */
  async advance(from: OrderState, times = 1): Promise<OrderState> {
    let state = from;
    for (let i = 0; i < times; i++) {
      state = moved(state, 'PROCESSING');
      await this.side.publish(orderEvent(state));
    }
    return state;
  }

  /** Others' events, until a small ring has nothing else in this partition. */
  async fill(id: string): Promise<void> {
    const others = Array.from({ length: SMALL.ring }, () => order({ id: neighbourOf(id) }));
    const all = await this.side.subscribe(ADMIN, ALL);
    await this.side.publish(...others.map(orderEvent));
    await until(() => all.flow().messages.some(({ order: told }) => told?.id === others.at(-1)?.id));
    await all.leave();
  }
}

/** What is told of these versions, one by one. */
export const changes = (from: number, to: number): string[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => `CHANGE ${from + i}`);
