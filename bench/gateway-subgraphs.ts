/**
 * Two subgraphs for the gateways that are measured: GraphQL over HTTP as any, but an answer that was given once is kept by
 * the bytes of its request. So the gateway is what is measured. Arguments: their ports, and the keys of whoever signs tokens.
 */
import { createServer, type Server } from 'node:http';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, parse, type GraphQLSchema } from 'graphql';
import { JWKS_PATH } from '../shared/identity/tokens.js';
import { CATALOGUE_SDL, catalogueResolvers, STOCK_SDL, stockResolvers } from './gateway-graph.js';

const [cataloguePort, stockPort, keys] = process.argv.slice(2);

async function answerTo(schema: GraphQLSchema, body: string): Promise<string> {
  const { query, variables } = JSON.parse(body) as { query: string; variables?: Record<string, unknown> };
  return JSON.stringify(await execute({ schema, document: parse(query), variableValues: variables ?? null }));
}

function serve(schema: GraphQLSchema, port: number): Promise<Server> {
  const known = new Map<string, string>();
  const server = createServer((request, response) => {
    if (request.url === JWKS_PATH) {
      response.setHeader('content-type', 'application/json').end(keys);
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('latin1');
      void (async () => {
        const answer = known.get(body) ?? (await answerTo(schema, Buffer.from(body, 'latin1').toString('utf8')));
        known.set(body, answer);
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) })
          .end(answer);
      })();
    });
  });
  server.keepAliveTimeout = 60_000;
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

const schemaOf = (typeDefs: string, resolvers: object): GraphQLSchema =>
  buildSubgraphSchema([{ typeDefs: parse(typeDefs), resolvers: resolvers as never }]);

await serve(schemaOf(CATALOGUE_SDL, catalogueResolvers), Number(cataloguePort));
await serve(schemaOf(STOCK_SDL, stockResolvers), Number(stockPort));
// What whoever started it waits for.
console.log('Tributary is ready');
