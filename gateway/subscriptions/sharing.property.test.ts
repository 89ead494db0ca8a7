import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse } from 'graphql';
import { composeSupergraph } from '../../ops/compose.mjs';
import type { Identity } from '../../shared/identity/identity.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { createGatewayContext } from '../context.js';
import { makeFederation, type Federation } from '../federation.js';
import { SubscriptionExecutor, type SubscriptionResults } from './execute.js';
import { meterOf } from './meter.js';
import { SubscriptionPlanner } from './plan.js';
import type { UpstreamLink, UpstreamOperation, UpstreamSink } from './upstream.js';

/** A subgraph that keeps a log and sends its operations on when it is told to, each at a pace of its own. */
class Subgraph implements UpstreamLink {
  length = 0;
  operations: Operation[] = [];
  /** Of all operations ever opened, whom they were for. */
  readonly openedFor: string[] = [];

  open({ variables, context }: UpstreamOperation, sink: UpstreamSink): () => void {
    const after = variables['tributary_after'];
    const operation: Operation = {
      sink,
      key: `${context.identity.role} ${String(variables['of'])}`,
      next: typeof after === 'string' ? Number(after) + 1 : undefined,
    };
    this.openedFor.push(operation.key);
    this.operations.push(operation);
    return () => void (this.operations = this.operations.filter((one) => one !== operation));
  }

  retryTime(): Promise<void> {
    return Promise.resolve();
  }

  /** Sends one event of an operation, the first being a snapshot unless it resumes. False: there is none to send. */
  step(operation: Operation): boolean {
    if (!this.operations.includes(operation)) return false;
    const { next } = operation;
    if (next !== undefined && next > this.length) return false;
    const value = next ?? this.length;
    operation.next = value + 1;
    const changed = { kind: next === undefined ? 'SNAPSHOT' : 'CHANGE', value, seenBy: operation.key };
    operation.sink.next({ data: { changed: { ...changed, tributary_cursor: String(value) } } });
    return true;
  }

  lose(operation: Operation): void {
    this.operations = this.operations.filter((one) => one !== operation);
    operation.sink.lost(new Error('gone'), true, true);
  }
}

interface Operation {
  readonly sink: UpstreamSink;
  readonly key: string;
  /** Undefined: a snapshot. */
  next: number | undefined;
}

interface Message {
  readonly kind: string;
  readonly value: number;
  readonly seenBy: string;
}

/** A client that asks for a result when it is told to. */
class Subscriber {
  readonly messages: Message[] = [];
  waiting: Promise<void> | undefined;
  failure: unknown;

  constructor(
    readonly results: SubscriptionResults,
    readonly after: number | undefined,
    readonly of: string,
    public role: Identity['role'],
  ) {}

  pull(): void {
    this.waiting ??= this.results.next().then(
      ({ value }) => {
        this.waiting = undefined;
        if (value === undefined) return;
        const { data } = JSON.parse(value.json) as { data: { changed: Message } };
        expect(value.cursor).toBe(String(data.changed.value));
        this.messages.push(data.changed);
      },
      (error: unknown) => {
        this.failure = error;
      },
    );
  }

  /** Everything from its beginning on, once and in order. */
  check(): void {
    const first = this.messages[0];
    if (first === undefined) return;
    const start = this.after === undefined ? first.value : this.after + 1;
    expect(this.messages.map(({ value }) => value)).toEqual(this.messages.map((_, index) => start + index));
    expect(first.kind).toBe(this.after === undefined ? 'SNAPSHOT' : 'CHANGE');
    for (const { kind } of this.messages.slice(1)) expect(kind).toBe('CHANGE');
  }
}

const SDL = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  type Changed { kind: String!, cursor: String!, value: Int!, seenBy: String! }
  type Query { nothing: Int }
  type Subscription { changed(of: ID!, after: String): Changed! }
`;
const QUERY = parse(
  'subscription ($of: ID!, $after: String) { changed(of: $of, after: $after) { kind value seenBy } }',
);
const MAX_WAITING = 3;

let federation: Federation;
let subgraph: Subgraph;
let pause: () => Promise<void>;

beforeAll(() => {
  const sdl = composeSupergraph([{ name: 'log', url: 'http://nowhere.invalid/', sdl: SDL }]);
  // One link for all runs; each run has a subgraph of its own behind it.
  const upstream: UpstreamLink = {
    open: (operation, sink) => subgraph.open(operation, sink),
    retryTime: () => subgraph.retryTime(),
  };
  federation = makeFederation(sdl, {}, silentLogger(), () => ({
    source: { process: () => Promise.resolve({}) },
    upstream: upstream as never,
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }));
  pause = () => new Promise((resolve) => setImmediate(resolve));
});

afterAll(() => federation.close());

const contextOf = (role: Identity['role']) => {
  const identity = (role === 'ANONYMOUS' ? { role, userId: null } : { role, userId: 'u' }) as Identity;
  return createGatewayContext({ identity, address: '', timeoutMs: 60_000 }, {}, silentLogger());
};

const index = fc.nat(99);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('join' as const), of: fc.constantFrom('a', 'b'), admin: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('resume' as const), who: index }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 12,
    arbitrary: fc.record({ type: fc.constant('send' as const), who: index, count: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ type: fc.constant('pull' as const), who: index, count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('lose' as const), who: index }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('loseAll' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('leave' as const), who: index }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('promote' as const), who: index }) },
);

test('however clients join, lag, resume, are lost and merged, each gets everything once and in order, and one upstream stays', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      subgraph = new Subgraph();
      const metrics = createMetrics();
      const executor = new SubscriptionExecutor({
        current: () => federation.current(),
        identityKey: ({ identity }) => identity.role,
        planner: new SubscriptionPlanner(new Set()),
        meter: meterOf(metrics),
        maxWaiting: MAX_WAITING,
        resumeWithinMs: 60_000,
      });
      let subscribers: Subscriber[] = [];
      const join = (of: string, role: Identity['role'], after?: number): void => {
        const variables = { of, after: after === undefined ? null : String(after) };
        const prepared = executor.prepare({
          document: QUERY,
          operationName: undefined,
          variables,
          context: contextOf(role),
        });
        if (!('plan' in prepared)) throw new Error('not planned');
        const subscriber = new Subscriber(
          executor.open(prepared, () => undefined),
          after,
          of,
          role,
        );
        subscriber.pull();
        subscribers.push(subscriber);
      };
      const pick = <T>(from: readonly T[], who: number): T | undefined => from[who % Math.max(1, from.length)];

      for (const one of steps) {
        switch (one.type) {
          case 'join':
            join(one.of, one.admin ? 'ADMIN' : 'ANONYMOUS');
            break;
          case 'resume': {
            const other = pick(subscribers, one.who);
            const message = other?.messages.at(-1);
            if (other !== undefined && message !== undefined) join(other.of, other.role, message.value);
            break;
          }
          case 'publish':
            subgraph.length += one.count;
            break;
          case 'send': {
            const operation = pick(subgraph.operations, one.who);
            for (let i = 0; operation !== undefined && i < one.count; i++) subgraph.step(operation);
            break;
          }
          case 'pull':
            for (let i = 0; i < one.count; i++) {
              pick(subscribers, one.who)?.pull();
              await pause();
            }
            break;
          case 'lose': {
            // Without a cursor there would be no going on.
            const operation = pick(
              subgraph.operations.filter(({ next }) => next !== undefined),
              one.who,
            );
            if (operation !== undefined) subgraph.lose(operation);
            break;
          }
          case 'loseAll':
            for (const operation of subgraph.operations.filter(({ next }) => next !== undefined))
              subgraph.lose(operation);
            break;
          case 'leave': {
            const leaving = pick(subscribers, one.who);
            subscribers = subscribers.filter((other) => other !== leaving);
            await leaving?.results.return();
            break;
          }
          case 'promote': {
            const promoted = pick(subscribers, one.who);
            if (promoted === undefined || (promoted.messages.length === 0 && promoted.after === undefined)) break;
            const before = promoted.messages.length;
            promoted.role = 'ADMIN';
            promoted.results.resumeAs(contextOf('ADMIN'));
            promoted.pull();
            // Nothing that was fetched for the identity before is given out any more.
            await pause();
            for (const { seenBy } of promoted.messages.slice(before)) expect(seenBy).toBe(`ADMIN ${promoted.of}`);
            break;
          }
        }
        await pause();
        for (const subscriber of subscribers) subscriber.check();
      }

      // Everybody reads to the end, through one more event.
      subgraph.length += 1;
      const kinds = () => new Set(subscribers.map(({ of, role }) => `${role} ${of}`));
      const isAtEnd = ({ messages }: Subscriber) => messages.at(-1)?.value === subgraph.length;
      for (let round = 0; round < 400; round++) {
        for (const subscriber of subscribers) subscriber.pull();
        await pause();
        for (const operation of subgraph.operations) subgraph.step(operation);
        await pause();
        if (subscribers.every(isAtEnd) && subgraph.operations.length === kinds().size) break;
      }
      for (const subscriber of subscribers) {
        expect(subscriber.failure).toBeUndefined();
        subscriber.check();
        expect(isAtEnd(subscriber)).toBe(true);
      }
      expect(new Set(subgraph.operations.map(({ key }) => key))).toEqual(kinds());
      expect(subgraph.operations).toHaveLength(kinds().size);

      await Promise.all(subscribers.map(({ results }) => results.return()));
      expect(subgraph.operations).toEqual([]);
      for (const gauge of [metrics.subscribers, metrics.subscriptionUpstreams, metrics.subscriptionsShared]) {
        for (const { value } of (await gauge.get()).values) expect(value).toBe(0);
      }
    }),
    { numRuns: 150 },
  );
}, 120_000);
