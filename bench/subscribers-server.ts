/**
 * What subscribers are served by: `source`, the subgraph whose stream it is; `ours`, the gateway over it; or `bare`, a
 * graphql-ws server that broadcasts the same by itself. Arguments: which, its port and, for ours, the source's.
 * `source` and `bare` publish so many events at once on `POST /publish?count=<n>`.
 */
import { createServer } from 'node:http';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { buildGateway } from '../gateway/app.js';
import { composeSupergraph } from '../ops/compose.mjs';
import { readConfig } from '../shared/config/config.js';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';

const SDL = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  type Item { productId: ID!, name: String!, quantity: Int!, unitPrice: String! }
  type Order { id: ID!, version: Int!, status: String!, total: String!, items: [Item!]! }
  type OrderStatusChanged { kind: String!, cursor: String!, at: Float!, order: Order! }
  type Query { nothing: Int }
  type Subscription { orderStatusChanged(orderId: ID!, after: String): OrderStatusChanged! }
`;

/** Events by position, and who waits for more. */
class Stream {
  private readonly events: object[] = [];
  private waiting: (() => void)[] = [];

  publish(count: number): void {
    for (let i = 0; i < count; i++) this.events.push(this.event());
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  /** The last event there is, then all that come; or those behind a cursor. */
  async *follow(after: string | null | undefined): AsyncGenerator<object> {
    let position = after == null ? Math.max(0, this.events.length - 1) : Number(after) + 1;
    for (;;) {
      const event = this.events[position];
      if (event === undefined) await new Promise<void>((resolve) => this.waiting.push(resolve));
      else {
        position++;
        yield event;
      }
    }
  }

  private event(): object {
    const version = this.events.length;
    const item = {
      productId: '0190a000-0000-7000-8000-000000000101',
      name: 'iPhone 15',
      quantity: 1,
      unitPrice: '799.00',
    };
    const id = '0190a000-0000-7000-8000-000000000202';
    const order = { id, version, status: 'PAID', total: '1598.00', items: [item, { ...item, name: 'iPhone 15 Pro' }] };
    return { kind: 'CHANGE', cursor: String(version), at: performance.timeOrigin + performance.now(), order };
  }
}

async function serve(port: number): Promise<void> {
  const stream = new Stream();
  stream.publish(1);
  const schema = buildSubgraphSchema([
    {
      typeDefs: parse(SDL),
      resolvers: {
        Subscription: {
          orderStatusChanged: {
            subscribe: (_: unknown, { after }: { after?: string | null }) => stream.follow(after),
            resolve: (event: object) => event,
          },
        },
      } as never,
    },
  ]);
  const http = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/publish') stream.publish(Number(searchParams.get('count') ?? 1));
    response.end();
  });
  useServer({ schema }, new WebSocketServer({ server: http, path: '/graphql' }));
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', 4_096, resolve));
}

const [kind, port = '', source = ''] = process.argv.slice(2);
if (kind === 'ours') {
  const gateway = buildGateway({
    config: readConfig({
      GATEWAY_PORT: port,
      RATE_LIMIT: 'off',
      SOCKETS_PER_ADDRESS: '100000',
      CONNECTIONS_PER_ADDRESS: '100000',
    }),
    identitySecret: 'only for benchmarks: signs who asks',
    log: silentLogger(),
    metrics: createMetrics(),
    now: Date.now,
    supergraphSdl: composeSupergraph([{ name: 'query', url: `http://127.0.0.1:${source}/graphql`, sdl: SDL }]),
    subgraphs: { query: { url: `http://127.0.0.1:${source}/graphql` } },
    authenticate: () => Promise.resolve({ identity: ANONYMOUS }),
  });
  await gateway.start();
} else {
  await serve(Number(port));
}
// What whoever started it waits for.
console.log('Tributary is ready');
