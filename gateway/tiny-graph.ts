/** Two real subgraphs of a few lines, composed on the fly, and a gateway over them: for the gateway's tests. */
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import { composeSupergraph } from '../ops/compose.mjs';
import { readConfig } from '../shared/config/config.js';
import { AppError } from '../shared/errors/errors.js';
import type { RequestContext } from '../shared/graphql/context.js';
import { SCALARS } from '../shared/graphql/scalars.js';
import { createGraphqlService, type GraphqlService } from '../shared/graphql/server.js';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { buildGateway, type Gateway, type GatewayDeps } from './app.js';
import type { Caller, Credentials } from './context.js';

const SECRET = 'a secret of at least thirty-two characters';

const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@external", "@requires"])';

const QUERY_SDL = `
  ${LINK}
  type Order @key(fields: "id version") { id: ID!, version: Int!, total: Int }
  type OrderChanged { kind: String!, cursor: String!, order: Order, seenBy: String, blob: String }
  enum Size { SMALL LARGE }
  input PriceInput { items: [ItemInput!]! }
  input ItemInput { size: Size, count: Int! }
  type Node { next: Node, name: String, nodes(first: Int = 3): [Node!]! }
  scalar Decimal
  scalar DateTime
  type Query {
    order(id: ID!): Order, who: String, fail(how: String!): String, price(input: PriceInput!): Int, node: Node
    nodes(first: Int = 3): [Node!]!, hang: String
    paid(price: Decimal!, at: DateTime): Decimal
  }
  type Subscription {
    orderChanged(orderId: ID!, after: String): OrderChanged!
    stock(id: ID!): Int
    plain(upTo: Int!): Int!
    paid(price: Decimal!): Decimal!
    refused: Int
    silent: Int
    quiet(after: String): OrderChanged!
    breaking: OrderChanged!
  }
`;

const USER_SDL = `
  ${LINK}
  type Order @key(fields: "id version") { id: ID!, version: Int!, total: Int @external, buyer(upper: Boolean): Buyer, label: String @requires(fields: "total"), grade: Int! }
  type Buyer { name: String!, seenBy: String }
  type Query { whoIsUser: String, requestId: String, traceparent: String, renamed: [String!]! }
  input Payment { prices: [Decimal!]!, at: DateTime }
  scalar Decimal
  scalar DateTime
  type Mutation { rename(name: String!): String!, pay(input: Payment!): Decimal, crash: String }
`;

export interface FeedEvent {
  readonly order: { readonly id: string; readonly version: number; readonly total: number };
}

/** What the owning subgraph publishes; outlives its restarts, as a log would. Cursors are positions in it. */
export class Feed {
  readonly events: FeedEvent[] = [];
  /** How often and behind what it was subscribed to. */
  readonly openings: (string | null | undefined)[] = [];
  /** Subscriptions open at the moment. */
  open = 0;
  private wake = new Set<() => void>();

  /** Who waits for the next event. */
  get listeners(): number {
    return this.wake.size;
  }

  publish(...versions: number[]): void {
    for (const version of versions) this.events.push({ order: { id: 'o1', version, total: version * 10 } });
    for (const wake of this.wake) wake();
  }

  follow(after: string | null | undefined, seenBy: string): AsyncGenerator {
    this.openings.push(after);
    this.open++;
    let position = after == null ? 0 : Number(after) + 1;
    let done = false;
    let wake: () => void = () => undefined;
    const finish = () => {
      if (!done) this.open--;
      done = true;
      this.wake.delete(wake);
      wake();
      return Promise.resolve({ done: true as const, value: undefined });
    };
    const generator: AsyncGenerator = {
      next: async () => {
        while (!done && position >= this.events.length) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.wake.add(wake);
          });
          this.wake.delete(wake);
        }
        if (done) return { done: true, value: undefined };
        const cursor = String(position);
        return { done: false, value: { kind: 'CHANGE', cursor, seenBy, ...this.events[position++] } };
      },
      return: finish,
      throw: finish,
      [Symbol.asyncIterator]: () => generator,
      [Symbol.asyncDispose]: async () => {
        await finish();
      },
    };
    return generator;
  }
}

/** Large enough that a few dozen fill the buffers of a socket. */
const BLOB = 'x'.repeat(200_000);

const nameOf = ({ identity }: RequestContext): string => `${identity.role} ${identity.userId ?? ''}`.trim();

function queryResolvers(feed: Feed) {
  const failures: Record<string, () => Error> = {
    conflict: () => new AppError('CONFLICT', 'Somebody was faster.', { field: 'version', details: { version: 7 } }),
    bug: () => new TypeError('secret internals'),
  };
  type Change = { cursor: string; seenBy: string; order: object };
  return {
    Query: {
      order: (_: unknown, { id }: { id: string }) => ({ id, version: 3, total: 30 }),
      who: (_: unknown, __: unknown, context: RequestContext) => nameOf(context),
      price: () => 1,
      paid: (_: unknown, { price }: { price: number }) => price,
      node: () => ({ name: 'n' }),
      nodes: (_: unknown, { first }: { first: number }) => Array.from({ length: first }, () => ({ name: 'n' })),
      hang: () => new Promise(() => undefined),
      fail: (_: unknown, { how }: { how: string }) => {
        throw failures[how]?.() ?? new AppError('NOT_FOUND', how);
      },
    },
    Subscription: {
      orderChanged: {
        subscribe: (_: unknown, { after }: { after?: string | null }, context: RequestContext) =>
          feed.follow(after, nameOf(context)),
        resolve: (change: Change) => change,
      },
      stock: {
        subscribe: (_: unknown, __: unknown, context: RequestContext) =>
          feed.follow(feed.events.length < 2 ? null : String(feed.events.length - 2), nameOf(context)),
        resolve: ({ order }: { order: { version: number } }) => order.version,
      },
      plain: {
        subscribe: async function* (_: unknown, { upTo }: { upTo: number }) {
          for (let i = 1; i <= upTo; i++) yield await Promise.resolve(i);
        },
        resolve: (value: number) => value,
      },
      paid: {
        subscribe: async function* (_: unknown, { price }: { price: number }) {
          yield await Promise.resolve(price);
        },
        resolve: (price: number) => price,
      },
      silent: { subscribe: () => feed.follow('1000000', '') },
      quiet: { subscribe: () => feed.follow('1000000', '') },
      refused: {
        subscribe: () => {
          throw new AppError('FORBIDDEN', 'Not yours.');
        },
      },
      breaking: {
        subscribe: async function* () {
          yield { kind: 'CHANGE', cursor: '0', seenBy: '' };
          await Promise.reject(new Error('secret internals'));
        },
        resolve: (change: Change) => change,
      },
    },
    OrderChanged: { blob: () => BLOB },
    Order: {
      __resolveReference: ({ id, version }: { id: string; version: number }) => ({ id, version, total: version * 10 }),
    },
  };
}

/** What `rename` was called with. */
const renamed: string[] = [];

const userResolvers = {
  Query: {
    whoIsUser: (_: unknown, __: unknown, context: RequestContext) => nameOf(context),
    renamed: () => renamed,
    requestId: (_: unknown, __: unknown, { requestId }: RequestContext) => requestId,
    traceparent: (_: unknown, __: unknown, { traceparent }: RequestContext) => traceparent,
  },
  Mutation: {
    rename: (_: unknown, { name }: { name: string }) => {
      renamed.push(name);
      return name.toUpperCase();
    },
    pay: (_: unknown, { input }: { input: { prices: number[] } }) =>
      input.prices.reduce((sum, price) => sum + price, 0),
    crash: () => {
      throw new Error('secret internals at /srv/app.js:1');
    },
  },
  Order: {
    buyer: ({ version }: { version: number }, { upper }: { upper?: boolean }, context: RequestContext) => ({
      name: upper === true ? `BUYER ${version}` : `buyer ${version}`,
      seenBy: nameOf(context),
    }),
    label: ({ total }: { total: number }) => `total ${total}`,
    grade: () => 1,
    __resolveReference: (order: { id: string }) => (order.id === 'gone' ? null : order),
  },
};

export interface TinyGraph {
  readonly gateway: Gateway;
  readonly feed: Feed;
  readonly metrics: ReturnType<typeof createMetrics>;
  stopSubgraph(name: 'query' | 'user'): Promise<void>;
  /** On the port it had before. */
  startSubgraph(name: 'query' | 'user'): Promise<void>;
  client(params?: Record<string, unknown>): Client;
  stop(): Promise<void>;
}

/** Tests say who they are by `x-test-user: USER 42`, as a header or a connection parameter. Nothing is ANONYMOUS. */
export function authenticateTest({ headers, connectionParams }: Credentials): Promise<Caller> {
  const given = connectionParams?.['x-test-user'] ?? headers['x-test-user'];
  if (typeof given !== 'string') return Promise.resolve({ identity: ANONYMOUS });
  const [role, userId] = given.split(' ');
  if (role !== 'USER' && role !== 'ADMIN') {
    return Promise.reject(new AppError('UNAUTHENTICATED', 'Nobody knows you.'));
  }
  return Promise.resolve({ identity: { role, userId: userId ?? '' } });
}

export async function startTinyGraph(options: Partial<GatewayDeps> = {}): Promise<TinyGraph> {
  const feed = new Feed();
  const metrics = createMetrics();
  const base = {
    config: readConfig({ GATEWAY_PORT: '0' }),
    identitySecret: SECRET,
    log: silentLogger(),
    now: Date.now,
  };
  const parts = {
    query: { sdl: QUERY_SDL, resolvers: queryResolvers(feed) },
    user: { sdl: USER_SDL, resolvers: userResolvers },
  };
  type Name = keyof typeof parts;
  const services = new Map<Name, GraphqlService>();
  const ports = new Map<Name, number>();
  const startSubgraph = async (name: Name) => {
    const { sdl, resolvers } = parts[name];
    const service = createGraphqlService({
      name: `${name}-api`,
      subgraph: name,
      port: ports.get(name) ?? 0,
      typeDefs: sdl,
      resolvers,
      websocket: true,
      deps: { ...base, metrics: createMetrics() },
    });
    await service.start();
    services.set(name, service);
    ports.set(name, Number(new URL(service.url).port));
  };
  await Promise.all([startSubgraph('query'), startSubgraph('user')]);
  const urlOf = (name: Name) => `${services.get(name)?.url}/graphql`;
  const gateway = buildGateway({
    ...base,
    metrics,
    supergraphSdl: composeSupergraph([
      { name: 'query', url: 'http://nowhere.invalid/graphql', sdl: QUERY_SDL },
      { name: 'user', url: 'http://nowhere.invalid/graphql', sdl: USER_SDL },
    ]),
    subgraphs: { query: { url: urlOf('query') }, user: { url: urlOf('user') } },
    authenticate: authenticateTest,
    scalars: SCALARS,
    latestValueFields: ['stock'],
    ...options,
  });
  await gateway.start();
  const clients: Client[] = [];
  return {
    gateway,
    feed,
    metrics,
    startSubgraph,
    stopSubgraph: async (name) => services.get(name)?.stop(),
    client: (connectionParams) => {
      const client = createClient({
        url: `${gateway.url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        ...(connectionParams !== undefined && { connectionParams }),
      });
      clients.push(client);
      return client;
    },
    stop: async () => {
      await Promise.all(clients.map(async (client) => client.dispose()));
      await gateway.stop();
      await Promise.all([...services.values()].map((service) => service.stop()));
    },
  };
}

/** Resolves when the condition holds; fails after 25 seconds, shortly before jest would. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 25_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`Waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface Result {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly unknown[];
    readonly extensions: Readonly<Record<string, unknown>>;
  }[];
}

/** What a subscription has received so far, and how it ended. */
export interface Received {
  readonly results: Result[];
  ended: 'no' | 'complete' | { readonly errors: unknown };
  readonly stop: () => void;
}

export function receive(client: Client, query: string, variables?: Record<string, unknown>): Received {
  const received: { results: Result[]; ended: Received['ended'] } = { results: [], ended: 'no' };
  const stop = client.subscribe(
    { query, ...(variables !== undefined && { variables }) },
    {
      next: (result) => void received.results.push(result as Result),
      error: (errors) => (received.ended = { errors }),
      complete: () => (received.ended = 'complete'),
    },
  );
  return Object.assign(received, { stop });
}
