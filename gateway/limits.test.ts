/** Every limit is the same over HTTP, WebSocket and SSE. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { readConfig } from '../shared/config/config.js';
import { startTinyGraph, type TinyGraph } from './tiny-graph.js';
import { TRANSPORTS, type Ask, type Asking } from './transports.js';

let graph: TinyGraph;
beforeAll(async () => {
  graph = await startTinyGraph();
});
afterAll(() => graph.stop());

/** A gateway of its own with these settings, for the time of a test. */
async function withSettings(settings: Readonly<Record<string, string>>, work: (own: TinyGraph) => Promise<void>) {
  const own = await startTinyGraph({ config: readConfig({ GATEWAY_PORT: '0', ...settings }) });
  try {
    await work(own);
  } finally {
    await own.stop();
  }
}

const repeated = (count: number, what: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => what(i)).join(' ');
const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;

const OVER: readonly (readonly [string, Asking | string, RegExp])[] = [
  [
    'tokens',
    { query: `{ who ${repeated(2_000, () => '#\n who')} }` },
    /^Syntax Error: Document contains more that 2000 tokens/,
  ],
  [
    'depth',
    { query: `{ node ${'{ next '.repeat(15)} { name } ${'}'.repeat(15)} }` },
    /nested 17 levels deep; 16 are allowed/,
  ],
  ['aliases', { query: `{ node { ${repeated(51, (i) => `a${i}: name`)} } }` }, /51 aliases; 50 are allowed/],
  [
    'directives',
    { query: `{ node { name ${repeated(51, () => '@include(if: true)')} } }` },
    /51 directives; 50 are allowed/,
  ],
  [
    'directives of a fragment that is used often',
    { query: `{ node { ...A next { ...A } } } fragment A on Node { name ${repeated(26, () => '@skip(if: false)')} }` },
    /52 directives; 50 are allowed/,
  ],
  ['root fields', { query: `{ ${repeated(21, () => 'who')} }` }, /21 root fields; 20 are allowed/],
  ['fields', { query: `{ node { ${repeated(1_001, () => 'name')} } }` }, /1002 fields; 1000 are allowed/],
  ['depth of variables', `{"query":"{ who }","variables":{"a":${nested(32)}}}`, /over 32 levels deep/],
  [
    'cost',
    { query: 'query ($n: Int) { nodes(first: $n) { nodes(first: $n) { name } } }', variables: { n: 1_000 } },
    /costs 1001001; 100000 are allowed/,
  ],
  [
    'an unknown hash',
    { query: '', extensions: { persistedQuery: { version: 1, sha256Hash: '0'.repeat(64) } } },
    /^PersistedQueryNotFound$/,
  ],
  [
    'a hash of something else',
    { query: '{ who }', extensions: { persistedQuery: { version: 1, sha256Hash: '0'.repeat(64) } } },
    /not that of the query/,
  ],
];

test.each(OVER)(
  '%s: refused in the same words over every transport, and nothing is run',
  async (_name, asking, message) => {
    const answers = [];
    for (const [, ask] of TRANSPORTS) answers.push(await ask(graph.gateway.url, asking));
    for (const { errors, data, status } of answers) {
      expect(errors).toEqual([expect.objectContaining({ message: expect.stringMatching(message) })]);
      expect(errors).toEqual(answers[0]?.errors);
      expect(data).toBeUndefined();
      expect([undefined, 400, 200]).toContain(status);
    }
  },
);

test.each(TRANSPORTS)('a message over 1 MiB is not read, over %s', async (name, ask) => {
  const { status, closed, errors } = await ask(graph.gateway.url, {
    query: '{ who }',
    variables: { x: 'x'.repeat(1_100_000) },
  });
  if (name === 'WebSocket') expect(closed).toBe(1009);
  else expect([status, errors?.[0]?.extensions['code']]).toEqual([413, 'VALIDATION']);
});

test('what costs no more than allowed is run: lists count by `first`, by a variable or by its default', async () => {
  const query = 'query ($n: Int = 3) { nodes(first: $n) { name } }';
  for (const [, ask] of TRANSPORTS) {
    const { data, errors } = await ask(graph.gateway.url, { query });
    expect(errors).toBeUndefined();
    expect(data).toEqual({ nodes: [{ name: 'n' }, { name: 'n' }, { name: 'n' }] });
  }
});

test('a client over its rate is RATE_LIMITED on every transport, is told for how long, and others are not concerned', () =>
  withSettings({ RATE_LIMIT_CLIENT: '6' }, async ({ gateway: { url } }) => {
    const [[, overHttp] = [] as never] = TRANSPORTS;
    const mine = { 'x-test-user': 'USER 1' };
    // Five points, and one.
    expect((await overHttp(url, { query: 'mutation { rename(name: "x") }' }, mine)).errors).toBeUndefined();
    expect((await overHttp(url, { query: '{ who }' }, mine)).errors).toBeUndefined();
    for (const [name, ask] of TRANSPORTS) {
      const { errors, status, retryAfter } = await ask(url, { query: '{ who }' }, mine);
      expect(errors).toHaveLength(1);
      const seconds = errors?.[0]?.extensions['retryAfter'];
      expect(errors?.[0]?.extensions).toEqual({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThanOrEqual(60);
      if (name !== 'WebSocket') expect([status, retryAfter]).toEqual([429, String(seconds)]);
    }
    for (const [, ask] of TRANSPORTS) {
      expect((await ask(url, { query: '{ who }' }, { 'x-test-user': 'USER 2' })).data).toEqual({ who: 'USER 2' });
    }
  }));

test('a mutation counts for each of its fields, whatever they are called and wherever they stand', () =>
  withSettings({ RATE_LIMIT_CLIENT: '20' }, async ({ gateway: { url } }) => {
    for (const [index, [, ask]] of TRANSPORTS.entries()) {
      const mine = { 'x-test-user': `USER many-${index}` };
      const query = 'mutation { a: rename(name: "a") ...Rest } fragment Rest on Mutation { b: rename(name: "b") }';
      for (let twice = 0; twice < 2; twice++) expect((await ask(url, { query }, mine)).errors).toBeUndefined();
      expect((await ask(url, { query: '{ who }' }, mine)).errors?.[0]?.extensions['code']).toBe('RATE_LIMITED');
    }
  }));

test('what is refused counts too, and so does guessing who one is', () =>
  withSettings({ RATE_LIMIT_CLIENT: '3' }, async ({ gateway: { url } }) => {
    const [[, overHttp] = [] as never] = TRANSPORTS;
    for (let i = 0; i < 3; i++) expect((await overHttp(url, { query: '{' })).status).toBe(400);
    expect((await overHttp(url, { query: '{' })).errors?.[0]?.extensions['code']).toBe('RATE_LIMITED');
    expect((await overHttp(url, { query: '{ who }' }, { 'x-test-user': 'GHOST 1' })).status).toBe(429);
  }));

test('an address has so many sockets: one more is refused with 429 and when to come back, as a WebSocket and as SSE', () =>
  withSettings({ SOCKETS_PER_ADDRESS: '2' }, async ({ gateway: { url } }) => {
    const open = await Promise.all([1, 2].map(() => openSocket(url)));
    const sockets = TRANSPORTS.filter(([name]) => name !== 'HTTP');
    for (const [, ask] of sockets) {
      const { status, retryAfter, errors } = await ask(url, { query: '{ who }' });
      expect([status, retryAfter]).toEqual([429, '10']);
      expect(errors?.[0]?.extensions).toEqual({ code: 'RATE_LIMITED', retryAfter: 10 });
    }
    expect((await (TRANSPORTS[0]?.[1] as Ask)(url, { query: '{ who }' })).data).toEqual({ who: 'ANONYMOUS' });
    await Promise.all(open.map(closed));
    // Each gives its place back.
    for (let i = 0; i < 4; i++)
      for (const [, ask] of sockets) expect((await untilTaken(ask, url)).data).toEqual({ who: 'ANONYMOUS' });
  }));

async function untilTaken(ask: Ask, url: string) {
  for (;;) {
    const answered = await ask(url, { query: '{ who }' });
    if (answered.status !== 429) return answered;
  }
}

async function openSocket(url: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await new Promise((resolve) => socket.once('open', resolve));
  return socket;
}

const closed = async (socket: WebSocket): Promise<void> => {
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.terminate();
  await gone;
};

test('behind proxies, clients are told apart by what the nearest of ours has seen', () =>
  withSettings({ RATE_LIMIT_CLIENT: '1', TRUSTED_PROXIES: '1' }, async ({ gateway: { url } }) => {
    for (const [index, [, ask]] of TRANSPORTS.entries()) {
      const from = (address: string) => ask(url, { query: '{ who }' }, { 'x-forwarded-for': `6.6.6.6, ${address}` });
      expect((await from(`10.0.${index}.1`)).errors).toBeUndefined();
      expect((await from(`10.0.${index}.1`)).errors?.[0]?.extensions['code']).toBe('RATE_LIMITED');
      expect((await from(`10.0.${index}.2`)).errors).toBeUndefined();
    }
  }));

test('where introspection is off, the schema is told by no transport, not even by what errors suggest', () =>
  withSettings({ INTROSPECTION: 'off' }, async ({ gateway: { url } }) => {
    const questions = [
      '{ __schema { types { name } } }',
      '{ who __type(name: "Order") { name } }',
      'query A { ...B } fragment B on Query { __schema { queryType { name } } }',
    ];
    for (const [, ask] of TRANSPORTS) {
      for (const query of questions) {
        const { errors, data } = await ask(url, { query });
        expect([errors?.[0]?.extensions['code'], data]).toEqual(['VALIDATION', undefined]);
      }
      for (const query of [
        '{ whoo }',
        'subscription { plainn(upTo: 1) }',
        'mutation { renam(name: "x") }',
        '{ fail(hoow: "x") }',
      ]) {
        const { errors, text } = await ask(url, { query });
        expect(errors?.length).toBeGreaterThan(0);
        expect(text).not.toMatch(/did you mean/i);
      }
      const enumValue = await ask(url, {
        query: 'query ($i: PriceInput!) { price(input: $i) }',
        variables: { i: { items: [{ size: 'SMAL', count: 1 }] } },
      });
      expect(enumValue.errors?.length).toBeGreaterThan(0);
      expect(enumValue.text).not.toMatch(/did you mean/i);
      expect((await ask(url, { query: '{ who __typename }' })).data).toEqual({ who: 'ANONYMOUS', __typename: 'Query' });
    }
    const headers = { origin: 'https://studio.apollographql.com', 'content-type': 'application/json' };
    const sandbox = await fetch(`${url}/graphql`, { method: 'POST', headers, body: '{"query":"{ who }"}' });
    expect(sandbox.status).toBe(403);
  }));

test('where introspection is on, errors suggest what was meant', async () => {
  for (const [, ask] of TRANSPORTS) {
    expect((await ask(graph.gateway.url, { query: '{ whoo }' })).text).toMatch(/Did you mean/);
  }
});

test('batches are refused on every transport', async () => {
  for (const [name, ask] of TRANSPORTS) {
    const { status, closed: code, errors } = await ask(graph.gateway.url, '[{"query":"{ who }"},{"query":"{ who }"}]');
    if (name === 'WebSocket') expect(code).toBe(4400);
    else
      expect([status, errors?.[0]?.message]).toEqual([
        400,
        'Batches of operations are not served; send one at a time.',
      ]);
  }
});

test('a document that was sent with its hash is known by its hash, whichever way it came and is asked for', async () => {
  for (const [name, ask] of TRANSPORTS) {
    const query = `query Persisted${name} { who }`;
    const extensions = { persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } };
    const { errors } = await ask(graph.gateway.url, { query: '', extensions });
    expect(errors).toEqual([{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }]);
    expect((await ask(graph.gateway.url, { query, extensions })).data).toEqual({ who: 'ANONYMOUS' });
    for (const [, other] of TRANSPORTS)
      expect((await other(graph.gateway.url, { query: '', extensions })).data).toEqual({ who: 'ANONYMOUS' });
    const address = `${graph.gateway.url}/graphql?extensions=${encodeURIComponent(JSON.stringify(extensions))}`;
    const response = await fetch(address, { headers: { 'apollo-require-preflight': '1' } });
    expect(await response.json()).toEqual({ data: { who: 'ANONYMOUS' } });
  }
});

test.each([
  ['query', { query: 1 }],
  ['query', {}],
  ['operationName', { query: '{ who }', operationName: 1 }],
  ['variables', { query: '{ who }', variables: [] }],
  ['extensions', { query: '{ who }', extensions: 'x' }],
  ['extensions.persistedQuery', { query: '{ who }', extensions: { persistedQuery: { version: 2, sha256Hash: 'x' } } }],
])('%s of the wrong kind is refused by name, or as a message that breaks the protocol', async (field, asking) => {
  for (const [name, ask] of TRANSPORTS) {
    const { status, closed: code, errors } = await ask(graph.gateway.url, asking);
    if (name === 'WebSocket' && code !== undefined) expect(code).toBe(4400);
    else expect(errors?.[0]?.extensions).toEqual({ code: 'VALIDATION', field });
    if (name !== 'WebSocket') expect(status).toBe(400);
  }
});

test('the request id that came along goes to the subgraphs and back, one that is malformed is replaced, over every transport', async () => {
  for (const [name, ask] of TRANSPORTS) {
    for (const [given, kept] of [
      ['my-id', true],
      ['a b', false],
      ['x'.repeat(129), false],
    ] as const) {
      const query = '{ requestId traceparent }';
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
      const carrier = { 'x-request-id': given, traceparent };
      const answered = await (name === 'WebSocket'
        ? ask(graph.gateway.url, { query, extensions: carrier })
        : ask(graph.gateway.url, { query }, carrier));
      const seen = answered.data?.['requestId'];
      expect(seen === given).toBe(kept);
      expect(answered.data?.['traceparent']).toMatch(/^00-a{32}-/);
      if (name !== 'WebSocket') expect(answered.requestId).toBe(seen);
    }
  }
});
