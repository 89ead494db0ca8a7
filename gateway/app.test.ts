import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { getIntrospectionQuery } from 'graphql';
import { receive, startTinyGraph, until, type Result, type TinyGraph } from './tiny-graph.js';

let graph: TinyGraph;
beforeAll(async () => {
  graph = await startTinyGraph();
});
afterAll(() => graph.stop());

interface Answer extends Result {
  readonly status: number;
  readonly headers: Headers;
}

async function post(body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${graph.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, ...((await response.json()) as Result) };
}

const ask = (query: string, variables?: unknown, headers?: Record<string, string>) =>
  post({ query, variables }, headers);

const refused = { extensions: expect.objectContaining({ code: 'VALIDATION' }) };

test('a query is answered from both subgraphs', async () => {
  const { status, data, errors } = await ask('{ order(id: "o1") { id total label buyer { name } } }');
  expect(errors).toBeUndefined();
  expect(status).toBe(200);
  expect(data).toEqual({ order: { id: 'o1', total: 30, label: 'total 30', buyer: { name: 'buyer 3' } } });
});

test('a mutation runs, over HTTP and over a WebSocket', async () => {
  expect((await ask('mutation { rename(name: "ana") }')).data).toEqual({ rename: 'ANA' });
  const received = receive(graph.client(), 'mutation R($name: String!) { rename(name: $name) }', { name: 'ana' });
  await until(() => received.ended !== 'no', 'the answer');
  expect(received).toMatchObject({ results: [{ data: { rename: 'ANA' } }], ended: 'complete' });
});

test('each subgraph learns who asks, in a token of its own', async () => {
  const headers = { 'x-test-user': 'USER 42' };
  expect((await ask('{ who whoIsUser }', undefined, headers)).data).toEqual({ who: 'USER 42', whoIsUser: 'USER 42' });
  expect((await ask('{ who whoIsUser }')).data).toEqual({ who: 'ANONYMOUS', whoIsUser: 'ANONYMOUS' });
  const forged = { 'x-tributary-identity': 'e30.e30' };
  expect((await ask('{ who }', undefined, forged)).data).toEqual({ who: 'ANONYMOUS' });
});

test('whoever cannot be authenticated is told so and runs nothing', async () => {
  const { status, errors } = await ask('{ who }', undefined, { 'x-test-user': 'GHOST 1' });
  expect(status).toBe(401);
  expect(errors).toEqual([{ message: 'Nobody knows you.', extensions: { code: 'UNAUTHENTICATED' } }]);
  const received = receive(graph.client({ 'x-test-user': 'GHOST 1' }), '{ who }');
  await until(() => received.ended !== 'no', 'the refusal');
  expect(received.ended).toMatchObject({ errors: { code: 4403 } });
});

test('the request id and the trace go through to the subgraphs and back to the client', async () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const answer = await ask('{ requestId traceparent }', undefined, { 'x-request-id': 'my-id', traceparent });
  expect(answer.data).toEqual({ requestId: 'my-id', traceparent });
  expect(answer.headers.get('x-request-id')).toBe('my-id');
  const fresh = await ask('{ requestId }');
  expect(fresh.headers.get('x-request-id')).toBe(fresh.data?.['requestId']);
});

test('an AppError of a subgraph keeps code, field and details, and gains nothing', async () => {
  const { data, errors } = await ask('{ fail(how: "conflict") }');
  expect(data).toEqual({ fail: null });
  expect(errors).toEqual([
    { message: 'Somebody was faster.', path: ['fail'], extensions: { code: 'CONFLICT', field: 'version', version: 7 } },
  ]);
});

test('an unexpected error of a subgraph is masked', async () => {
  for (const query of ['{ fail(how: "bug") }', 'mutation { crash }']) {
    const answer = await ask(query);
    expect(JSON.stringify(answer)).not.toMatch(/secret|serviceName|stack|127\.0\.0\.1/);
    expect(answer.errors).toEqual([
      expect.objectContaining({ extensions: { code: 'INTERNAL', requestId: answer.headers.get('x-request-id') } }),
    ]);
  }
});

test('what a subgraph must not leave out is an error when it does', async () => {
  const { data, errors } = await ask('{ order(id: "gone") { id grade } }');
  expect(data).toEqual({ order: null });
  expect(errors).toEqual([expect.objectContaining({ extensions: expect.objectContaining({ code: 'INTERNAL' }) })]);
});

test.each([
  ['an unknown field', '{ nothing }', undefined, undefined],
  ['a syntax error', '{ who', undefined, undefined],
  [
    'an unknown enum value',
    'query($i: PriceInput!) { price(input: $i) }',
    { i: { items: [{ size: 'HUGE', count: 1 }] } },
    'items.0.size',
  ],
  [
    'a fraction for an Int',
    'query($i: PriceInput!) { price(input: $i) }',
    { i: { items: [{ count: 1.5 }] } },
    'items.0.count',
  ],
  ['a literal of the wrong kind', '{ price(input: { items: [{ count: "x" }] }) }', undefined, 'items.0.count'],
  ['two operations and no name', 'query A { who } query B { who }', undefined, 'operationName'],
  ['a subscription over HTTP', 'subscription { plain(upTo: 1) }', undefined, undefined],
  ['@defer', '{ order(id: "o1") { ... @defer { total } } }', undefined, undefined],
])('%s is VALIDATION with 400 or 200, never INTERNAL', async (_name, query, variables, field) => {
  const { status, data, errors } = await ask(query, variables);
  expect([200, 400]).toContain(status);
  expect(data ?? null).toBeNull();
  expect(errors?.[0]?.extensions).toEqual({ code: 'VALIDATION', ...(field !== undefined && { field }) });
});

test.each([
  ['a literal', 'mutation { a: rename(name: "early") pay(input: { prices: ["1.00", "1.001"] }) }', {}, 'prices.1'],
  ['a number', 'mutation { a: rename(name: "early") pay(input: { prices: 1.001 }) }', {}, 'prices'],
  [
    'a variable',
    'mutation ($i: Payment!) { a: rename(name: "early") pay(input: $i) }',
    { i: { prices: ['1.00', '1.001'] } },
    'prices.1',
  ],
  [
    'a default value',
    'mutation ($p: Decimal! = "1.001") { a: rename(name: "early") pay(input: { prices: [$p] }) }',
    {},
    undefined,
  ],
  [
    'an instant',
    'mutation { a: rename(name: "early") pay(input: { prices: [], at: "2026-02-31T00:00:00Z" }) }',
    {},
    'at',
  ],
])('%s that a scalar refuses is refused before anything runs', async (_name, query, variables, field) => {
  const expected = { code: 'VALIDATION', ...(field !== undefined && { field }) };
  const { status, data, errors } = await ask(query, variables);
  expect([status, data ?? null, errors?.[0]?.extensions]).toEqual([400, null, expected]);
  const received = receive(graph.client(), query, variables);
  await until(() => received.ended !== 'no', 'the refusal');
  expect(received.results[0]?.errors).toEqual(errors);
  expect((await ask('{ renamed }')).data?.['renamed']).not.toContain('early');
});

test.each([
  ['a literal', 'subscription { paid(price: "1.001") }', {}],
  ['a variable', 'subscription ($price: Decimal!) { paid(price: $price) }', { price: '1.001' }],
])('%s that a scalar refuses opens no subscription', async (_name, query, variables) => {
  const received = receive(graph.client(), query, variables);
  await until(() => received.ended !== 'no', 'the refusal');
  const message = expect.stringMatching(/^An amount is /);
  const error = { message, extensions: { code: 'VALIDATION', field: 'price' } };
  expect(received).toMatchObject({ results: [], ended: { errors: [error] } });
});

test('what a scalar takes reaches the subgraphs as it was written, and answers pass unchanged', async () => {
  const query = 'query ($p: Decimal!, $at: DateTime) { paid(price: $p, at: $at) other: paid(price: 2.5) }';
  const { data } = await ask(query, { p: '1.10', at: '2026-01-31T12:00:00+02:00' });
  expect(data).toEqual({ paid: '1.10', other: '2.50' });
  expect((await ask('mutation { pay(input: { prices: ["1.10", 2] }) }')).data).toEqual({ pay: '3.10' });
  const received = receive(graph.client(), 'subscription ($p: Decimal!) { paid(price: $p) }', { p: 7 });
  await until(() => received.ended !== 'no', 'the answer');
  expect(received).toMatchObject({ results: [{ data: { paid: '7.00' } }], ended: 'complete' });
});

test('a field that its input does not have is named once, as a literal and as a variable', async () => {
  const extensions = { code: 'VALIDATION', field: 'foo' };
  const literal = await ask('mutation { pay(input: { prices: [], foo: 1 }) }');
  expect(literal.errors?.[0]?.extensions).toEqual(extensions);
  const variable = await ask('mutation ($input: Payment!) { pay(input: $input) }', { input: { prices: [], foo: 1 } });
  expect(variable.errors?.[0]?.extensions).toEqual(extensions);
});

const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
/** As text: JSON.stringify would overflow. */
const withVariables = (variables: string): string => `{"query":"{ who }","variables":${variables}}`;

test.each([
  ['20,000', `{"a":${nested(20_000)}}`],
  ['33', `{"a":${nested(32)}}`],
  ['40', `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`],
])('variables of %s levels are refused, over HTTP and WebSocket', async (_name, variables) => {
  const answer = await post(withVariables(variables));
  const error = { message: expect.stringContaining('levels deep'), ...refused };
  expect([answer.status, answer.errors]).toEqual([400, [error]]);
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(`${graph.gateway.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const messages: { readonly type: string; readonly payload?: unknown }[] = [];
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as (typeof messages)[number];
    messages.push(message);
    if (message.type !== 'connection_ack') return;
    socket.send(`{"type":"subscribe","id":"1","payload":${withVariables(variables)}}`);
  });
  socket.on('open', () => socket.send('{"type":"connection_init"}'));
  await until(() => messages.length === 2, 'the refusal');
  expect(messages[1]).toMatchObject({ type: 'error', payload: [error] });
  socket.close();
});

test('variables of 32 levels are within the limit; in an address they are measured too', async () => {
  const { errors } = await post(withVariables(`{"b":${nested(31)}}`));
  expect(errors).toBeUndefined();
  const address = (variables: string) =>
    `${graph.gateway.url}/graphql?query=%7Bwho%7D&variables=${encodeURIComponent(variables)}`;
  const headers = { 'apollo-require-preflight': '1' };
  for (const variables of [`{"a":${nested(500)}}`, '{"a":']) {
    const response = await fetch(address(variables), { headers });
    expect([response.status, await response.json()]).toEqual([400, { errors: [expect.objectContaining(refused)] }]);
  }
  expect((await fetch(address('{"a":1}'), { headers })).status).toBe(200);
});

test('a body of 2 MB is refused with 413 before it is read', async () => {
  const { status, errors } = await post({ query: '{ who }', variables: { x: 'x'.repeat(2_000_000) } });
  expect(status).toBe(413);
  expect(errors).toEqual([expect.objectContaining(refused)]);
});

test('bodies that are not JSON, and batches, are refused', async () => {
  for (const body of ['{', '[{"query":"{ who }"}]', '"x"', 'null']) {
    const { status, errors } = await post(body);
    expect(status).toBe(400);
    expect(errors).toEqual([expect.objectContaining(refused)]);
  }
});

const tooBig: readonly (readonly [string, string])[] = [
  ['500 levels', `{ node ${'{ next '.repeat(500)} { name } ${'}'.repeat(500)} }`],
  ['17 levels', `{ node ${'{ next '.repeat(15)} { name } ${'}'.repeat(15)} }`],
  ['10,000 aliases', `{ ${Array.from({ length: 10_000 }, (_, i) => `a${i}: who`).join(' ')} }`],
  ['51 aliases', `{ node { ${Array.from({ length: 51 }, (_, i) => `a${i}: name`).join(' ')} } }`],
  [
    '51 aliases in a fragment used often',
    `{ node { ...A next { ...A } } } fragment A on Node { ${Array.from({ length: 26 }, (_, i) => `a${i}: name`).join(' ')} }`,
  ],
  ['21 root fields', `{ ${Array.from({ length: 21 }, () => 'who').join(' ')} }`],
  [
    'fragments that double thirty times over',
    `{ node { ...F0 } } ${Array.from({ length: 30 }, (_, i) => `fragment F${i} on Node { next { ...F${i + 1} } next { ...F${i + 1} } }`).join(' ')} fragment F30 on Node { name }`,
  ],
];

test.each(tooBig)('%s are refused, over HTTP and WebSocket', async (_name, query) => {
  const { status, errors } = await ask(query);
  expect(status).toBe(400);
  expect(errors).toEqual([expect.objectContaining(refused)]);
  const received = receive(graph.client(), query);
  await until(() => received.ended !== 'no', 'the refusal');
  expect(received).toMatchObject({ results: [], ended: { errors: [refused] } });
});

test('fragments in a circle are refused', async () => {
  const { status, errors } = await ask('{ node { ...A } } fragment A on Node { next { ...A } }');
  expect(status).toBe(400);
  expect(errors).toEqual([expect.objectContaining(refused)]);
});

test('a full introspection query is within the limits', async () => {
  const query = getIntrospectionQuery({
    schemaDescription: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    inputValueDeprecation: true,
    oneOf: true,
  });
  const { errors, data } = await ask(query);
  expect(errors).toBeUndefined();
  expect(data).toHaveProperty('__schema');
});

test('a WebSocket message of 2 MB closes its socket', async () => {
  const received = receive(graph.client(), '{ who }', { x: 'x'.repeat(2_000_000) });
  await until(() => received.ended !== 'no', 'the socket to close');
  expect(received.ended).toMatchObject({ errors: { code: 1009 } });
});

test('a subgraph that is down is UNAVAILABLE without its address, and the others answer', async () => {
  await graph.stopSubgraph('user');
  try {
    const answer = await ask('{ who order(id: "o1") { total buyer { name } } }');
    expect(answer.data).toEqual({ who: 'ANONYMOUS', order: { total: 30, buyer: null } });
    expect(answer.errors).toEqual([expect.objectContaining({ extensions: { code: 'UNAVAILABLE' } })]);
    expect(JSON.stringify(answer)).not.toMatch(/127\.0\.0\.1|ECONN/);
    const ready = await fetch(`${graph.gateway.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      checks: [
        { name: 'supergraph', ok: true },
        { name: 'query', ok: true },
        { name: 'user', ok: false },
      ],
    });
  } finally {
    await graph.startSubgraph('user');
  }
  expect((await ask('{ order(id: "o1") { buyer { name } } }')).data).toEqual({ order: { buyer: { name: 'buyer 3' } } });
  expect((await fetch(`${graph.gateway.url}/readyz`)).status).toBe(200);
});

test('foreign web pages may neither call nor open a WebSocket; Sandbox and its own pages may', async () => {
  const { url } = graph.gateway;
  const preflight = (origin: string) => fetch(`${url}/graphql`, { method: 'OPTIONS', headers: { origin } });
  expect((await preflight('https://studio.apollographql.com')).status).toBe(204);
  expect((await preflight('https://evil.example')).status).toBe(403);
  expect((await ask('{ who }', undefined, { origin: 'https://evil.example' })).status).toBe(403);
  expect((await ask('{ who }', undefined, { origin: url })).data).toEqual({ who: 'ANONYMOUS' });
  const simple = await fetch(`${url}/graphql?query=%7Bwho%7D`);
  expect(simple.status).toBe(400);
  for (const [origin, expected] of [
    ['https://evil.example', 'refused'],
    [url, 'open'],
    [undefined, 'open'],
  ] as const) {
    expect(await handshake(origin)).toBe(expected);
  }
});

async function handshake(origin: string | undefined): Promise<'open' | 'refused'> {
  const { WebSocket } = await import('ws');
  const address = `${graph.gateway.url.replace('http', 'ws')}/graphql`;
  const socket = new WebSocket(address, 'graphql-transport-ws', origin === undefined ? {} : { origin });
  return new Promise((resolve) => {
    socket.once('open', () => {
      socket.close();
      resolve('open');
    });
    socket.once('error', () => resolve('refused'));
  });
}

test('Apollo Sandbox is served to browsers at /graphql, and / leads there', async () => {
  const response = await fetch(graph.gateway.url, { headers: { accept: 'text/html' } });
  expect(response.url).toBe(`${graph.gateway.url}/graphql`);
  expect(response.headers.get('content-type')).toContain('text/html');
  expect(await response.text()).toContain('embeddable-sandbox');
});

test('Apollo Sandbox sends no statistics', async () => {
  const response = await fetch(`${graph.gateway.url}/graphql`, { headers: { accept: 'text/html' } });
  expect(await response.text()).toMatch(/"?runTelemetry"?:\s*false/);
});

test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s /graphql is 405 and names what is allowed', async (method) => {
  const headers = { 'content-type': 'text/plain' };
  const response = await fetch(`${graph.gateway.url}/graphql`, { method, headers, body: 'x' });
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST']);
  expect(await response.json()).toEqual({ errors: [expect.objectContaining(refused)] });
});

test('a malformed address is refused as everything else is', async () => {
  const response = await fetch(`${graph.gateway.url}/%ff`);
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ errors: [expect.objectContaining(refused)] });
});

test('GraphiQL loads nothing from another host', async () => {
  const response = await fetch(`${graph.gateway.url}/graphiql`);
  const page = await response.text();
  expect(page).toContain('mutation CreateOrder');
  expect(page).toContain('"subscriptionsProtocol":"WS"');
  expect(page).not.toMatch(/<(script|img|iframe)[^>]*\ssrc="?(https?:)?\/\//);
  expect(page).not.toMatch(/<link[^>]*\shref="?(https?:)?\/\//);
  expect(page).not.toMatch(/@import\s|url\(["']?(https?:)?\/\//);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'self'");
});

test('health, liveness and metrics are there', async () => {
  const { url } = graph.gateway;
  for (const path of ['/livez', '/readyz', '/healthz']) expect((await fetch(url + path)).status).toBe(200);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/tributary_graphql_requests_total\{service="gateway",operation="query",outcome="ok"\} \d/);
});
