/** Subgraphs of somebody else's, for the gateway's tests: stock packages over HTTP and graphql-ws, and nothing of ours. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { GraphQLResolverMap } from '@apollo/subgraph/dist/schema-helper/index.js';
import { createClient, type Client } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { graphql, parse } from 'graphql';
import { WebSocket, WebSocketServer } from 'ws';
import { composeSupergraph } from '../ops/compose.mjs';
import { readConfig } from '../shared/config/config.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { buildGateway, type Gateway, type GatewayDeps } from './app.js';
import { authenticateTest, type Result } from './tiny-graph.js';

export const LINK = (...imports: string[]): string =>
  `extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ${JSON.stringify(imports)})\n`;

export interface ForeignSpec {
  readonly name: string;
  readonly sdl: string;
  readonly resolvers: Record<string, unknown>;
  /** The graphql-ws endpoint; there is none when absent. */
  readonly wsPath?: string;
}

/** A request that a subgraph got. */
export interface Call {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface ForeignSubgraph {
  readonly name: string;
  readonly sdl: string;
  /** As composition takes it. */
  readonly url: string;
  readonly websocketUrl?: string;
  readonly calls: Call[];
  /** Sockets open, of HTTP and of WebSockets. */
  connections(): Promise<number>;
  stop(): Promise<void>;
}

export async function startForeign({ name, sdl, resolvers, wsPath }: ForeignSpec): Promise<ForeignSubgraph> {
  const schema = buildSubgraphSchema([{ typeDefs: parse(sdl), resolvers: resolvers as GraphQLResolverMap<unknown> }]);
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    void json(request).then(async (body) => {
      const { query, variables, operationName } = body as Omit<Call, 'headers'> & { operationName?: string };
      calls.push({ query, variables, headers: request.headers });
      const result = await graphql({
        schema,
        source: query,
        ...(variables !== undefined && { variableValues: variables }),
        ...(operationName !== undefined && { operationName }),
      });
      response.setHeader('content-type', 'application/json').end(JSON.stringify(result));
    });
  });
  const sockets = wsPath === undefined ? undefined : new WebSocketServer({ server, path: wsPath });
  const graphqlWs = sockets && useServer({ schema }, sockets);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    name,
    sdl,
    url: `http://127.0.0.1:${port}/`,
    ...(wsPath !== undefined && { websocketUrl: `ws://127.0.0.1:${port}${wsPath}` }),
    calls,
    connections: () => new Promise((resolve) => server.getConnections((_error, count) => resolve(count))),
    stop: async () => {
      await graphqlWs?.dispose();
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

export interface ForeignGraph {
  readonly gateway: Gateway;
  readonly metrics: ReturnType<typeof createMetrics>;
  ask(query: string, variables?: Readonly<Record<string, unknown>>): Promise<Result>;
  client(): Client;
  stop(): Promise<void>;
}

/** A gateway that knows nothing of its subgraphs but what is in the supergraph. */
export async function startForeignGraph(
  subgraphs: readonly ForeignSubgraph[],
  options: Partial<GatewayDeps> = {},
): Promise<ForeignGraph> {
  const metrics = createMetrics();
  const gateway = buildGateway({
    config: readConfig({ GATEWAY_PORT: '0' }),
    identitySecret: 'a secret of at least thirty-two characters',
    log: silentLogger(),
    metrics,
    now: Date.now,
    supergraphSdl: composeSupergraph(subgraphs),
    subgraphs: {},
    authenticate: authenticateTest,
    ...options,
  });
  await gateway.start();
  const clients: Client[] = [];
  return {
    gateway,
    metrics,
    ask: async (query, variables) => {
      const response = await fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, ...(variables !== undefined && { variables }) }),
      });
      return (await response.json()) as Result;
    },
    client: () => {
      const url = `${gateway.url.replace('http', 'ws')}/graphql`;
      const client = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0 });
      clients.push(client);
      return client;
    },
    stop: async () => {
      await Promise.all(clients.map(async (client) => client.dispose()));
      await gateway.stop();
    },
  };
}
