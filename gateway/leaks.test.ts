/** No answer tells how the system is made: no stack, SQL, host, port, path or module, whatever goes wrong. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readConfig } from '../shared/config/config.js';
import { expectNothingInternal, SECRETS } from '../tests/internals.js';
import { startTinyGraph, until, type TinyGraph } from './tiny-graph.js';
import { TRANSPORTS } from './transports.js';

/** What a subgraph answers at the moment; null is a connection that is cut. */
type Behaviour = ((response: ServerResponse) => void) | null;

const json =
  (status: number, body: unknown): Behaviour =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

const BEHAVIOURS: readonly (readonly [string, Behaviour])[] = [
  ['cuts the connection', null],
  ['answers 500 with a page', (response) => response.writeHead(500, { 'content-type': 'text/html' }).end(SECRETS)],
  ['answers garbage', (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(SECRETS)],
  [
    'answers an error without a code',
    json(200, { data: { who: null }, errors: [{ message: SECRETS, path: ['who'] }] }),
  ],
  [
    'answers an error of its server',
    json(500, { errors: [{ message: SECRETS, extensions: { code: 'INTERNAL_SERVER_ERROR', stacktrace: [SECRETS] } }] }),
  ],
  ['answers null', json(200, null)],
  ['answers data that is none', json(200, { data: SECRETS })],
  [
    'leaves in the middle of an answer',
    (response) => response.writeHead(200, { 'content-length': '1000' }).write(SECRETS, () => response.destroy()),
  ],
  ['never finishes', (response) => response.writeHead(200, { 'content-length': '1000' }).write(SECRETS)],
];

let behaviour: Behaviour = null;
let subgraph: Server;
let graph: TinyGraph;
let broken: TinyGraph;
beforeAll(async () => {
  subgraph = createServer((request, response) => {
    if (request.url === '/livez') response.end('{}');
    else if (behaviour === null) request.socket.destroy();
    else behaviour(response);
  });
  subgraph.on('upgrade', (_request, socket) => socket.end(`HTTP/1.1 500 Internal Server Error\r\n\r\n${SECRETS}`));
  await new Promise<void>((resolve) => subgraph.listen(0, '127.0.0.1', resolve));
  const address = subgraph.address();
  const url = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}/graphql`;
  graph = await startTinyGraph();
  broken = await startTinyGraph({
    config: readConfig({ GATEWAY_PORT: '0', REQUEST_TIMEOUT_MS: '500' }),
    sockets: { resumeWithinMs: 100 },
    subgraphs: { query: { url }, user: { url } },
    authenticate: ({ headers, connectionParams }) =>
      (headers['x-test-user'] ?? connectionParams?.['x-test-user']) === 'BROKEN'
        ? Promise.reject(new Error(SECRETS))
        : Promise.resolve({ identity: { role: 'USER', userId: 'leaks' } }),
  });
});
afterAll(async () => {
  await Promise.all([graph.stop(), broken.stop()]);
  subgraph.closeAllConnections();
  await new Promise((resolve) => subgraph.close(resolve));
});

const BAD: readonly (readonly [string, unknown])[] = [
  ['no query', {}],
  ['a syntax error', { query: '{ who' }],
  ['an unknown field', { query: '{ whoo }' }],
  ['an unknown subscription', { query: 'subscription { nothing }' }],
  [
    'a wrong variable',
    { query: 'query ($i: PriceInput!) { price(input: $i) }', variables: { i: { items: [{ count: 'x' }] } } },
  ],
  ['a variable that a scalar refuses', { query: 'query ($p: Decimal!) { paid(price: $p) }', variables: { p: {} } }],
  ['another operation name', { query: 'query A { who }', operationName: 'B' }],
  ['a crash in a query', { query: '{ fail(how: "bug") }' }],
  ['a crash in a mutation', { query: 'mutation { crash }' }],
  ['a crash of a subscription', { query: 'subscription { breaking { kind } }' }],
  ['a subscription that is refused', { query: 'subscription { refused }' }],
  ['what must not be null', { query: '{ order(id: "gone") { id grade } }' }],
  ['too deep', { query: `{ node ${'{ next '.repeat(20)} { name } ${'}'.repeat(20)} }` }],
  ['a persisted query', { query: '', extensions: { persistedQuery: { version: 1, sha256Hash: '0'.repeat(64) } } }],
  ['@defer', { query: '{ order(id: "o1") { ... @defer { total } } }' }],
  ['a number for a query', { query: 7 }],
];

test.each(BAD)('%s, over every transport', async (_name, asking) => {
  for (const [, ask] of TRANSPORTS) {
    const { text, errors, closed } = await ask(graph.gateway.url, JSON.stringify(asking));
    if (closed === undefined && errors === undefined) expect(text).toMatch(/"breaking"/);
    expectNothingInternal(text);
  }
});

test.each(BEHAVIOURS)(
  'a subgraph that %s: queries, mutations and entities over every transport',
  async (_name, how) => {
    behaviour = how;
    for (const query of ['{ who }', '{ order(id: "o1") { total buyer { name } } }', 'mutation { rename(name: "x") }']) {
      for (const [, ask] of TRANSPORTS) {
        const { text, errors } = await ask(broken.gateway.url, { query });
        expect(errors?.length).toBeGreaterThan(0);
        for (const { extensions } of errors ?? [])
          expect(extensions['code']).toMatch(/^(UNAVAILABLE|INTERNAL|VALIDATION)$/);
        expectNothingInternal(text);
      }
    }
  },
);

test('a subgraph that takes no WebSocket: subscriptions over every transport', async () => {
  const asked = TRANSPORTS.flatMap(([, ask]) =>
    [
      'subscription { plain(upTo: 1) }',
      'subscription { orderChanged(orderId: "o1") { order { buyer { name } } } }',
    ].map((query) => ask(broken.gateway.url, { query })),
  );
  for (const { text, errors } of await Promise.all(asked)) {
    expect(errors?.length).toBeGreaterThan(0);
    expectNothingInternal(text);
  }
});

test('a login that cannot be checked', async () => {
  for (const [, ask] of TRANSPORTS) {
    const { text, status, closed } = await ask(broken.gateway.url, { query: '{ who }' }, { 'x-test-user': 'BROKEN' });
    expect(status ?? closed).toBeGreaterThanOrEqual(500);
    expectNothingInternal(text);
  }
});

test.each<[string, string, RequestInit]>([
  ['bad JSON', '/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query": ' }],
  ['no body', '/graphql', { method: 'POST', headers: { 'content-type': 'application/json' } }],
  [
    'another content type',
    '/graphql',
    { method: 'POST', headers: { 'content-type': 'application/xml' }, body: '<x/>' },
  ],
  [
    'too large',
    '/graphql',
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: `"${'x'.repeat(1_100_000)}"` },
  ],
  [
    'a prototype',
    '/graphql',
    {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"__proto__":{"x":1},"query":"{ who }"}',
    },
  ],
  ['another method', '/graphql', { method: 'DELETE' }],
  ['an unknown path', '/nothing/../here?x=1', {}],
  ['a malformed address', '/%ff', {}],
  [
    'variables that are no JSON',
    '/graphql?query=%7Bwho%7D&variables=%7B',
    { headers: { 'apollo-require-preflight': '1' } },
  ],
  [
    'a foreign origin',
    '/graphql',
    { method: 'POST', headers: { origin: 'https://evil.example', 'content-type': 'application/json' }, body: '{}' },
  ],
  ['a media type of others', '/graphql?query=%7Bwho%7D', { headers: { accept: 'image/png' } }],
  ['liveness', '/livez', {}],
])('%s', async (_name, path, init) => {
  const response = await fetch(graph.gateway.url + path, init);
  expectNothingInternal(await response.text());
});

test('health, while subgraphs are away', async () => {
  await graph.stopSubgraph('query');
  await graph.stopSubgraph('user');
  try {
    for (const path of ['/readyz', '/healthz']) {
      const response = await fetch(graph.gateway.url + path);
      expect(response.status).toBe(503);
      expectNothingInternal(await response.text());
    }
    for (const [, ask] of TRANSPORTS) {
      const queries = ['{ who }', 'mutation { rename(name: "x") }', 'subscription { plain(upTo: 1) }'];
      const answers = await Promise.all(queries.map((query) => ask(graph.gateway.url, { query })));
      for (const { text } of answers) expectNothingInternal(text);
    }
  } finally {
    await graph.startSubgraph('query');
    await graph.startSubgraph('user');
  }
});

test.each([
  '\x16\x03\x01\x02\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
])('a connection that says %j', async (bytes) => {
  const socket = connect(Number(new URL(graph.gateway.url).port), '127.0.0.1');
  let text = '';
  let closed = false;
  socket.on('data', (data) => (text += data.toString()));
  socket.on('error', () => undefined);
  socket.on('close', () => (closed = true));
  socket.write(bytes);
  await until(() => closed, 'the connection to be closed');
  expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
  expectNothingInternal(text);
});
