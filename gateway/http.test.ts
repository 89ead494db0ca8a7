/** GraphQL over HTTP as its specification has it, and clients that take their time. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { serverAudits } from 'graphql-http';
import { WebSocket } from 'ws';
import { readConfig } from '../shared/config/config.js';
import { startTinyGraph, until, type TinyGraph } from './tiny-graph.js';
import { TRANSPORTS } from './transports.js';

let graph: TinyGraph;
beforeAll(async () => {
  graph = await startTinyGraph();
});
afterAll(() => graph.stop());

/** GET needs a header that a foreign page cannot send; everything else is as the audits have it. */
const audits = serverAudits({
  url: () => `${graph.gateway.url}/graphql`,
  fetchFn: (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, headers: { 'apollo-require-preflight': '1', ...(init.headers as Record<string, string>) } }),
});

test.each(audits.map((audit) => [audit.id, audit.name, audit] as const))(
  'GraphQL over HTTP, %s: %s',
  async (_id, _name, audit) => {
    const result = await audit.fn();
    if (result.status === 'ok') return;
    throw new Error(`${result.status}: ${result.reason}`);
  },
);

const query = (text: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${graph.gateway.url}/graphql?query=${encodeURIComponent(text)}`, { method, headers });

test('a mutation by GET is 405 and runs nothing, streamed or not', async () => {
  for (const accept of ['application/json', 'application/graphql-response+json', 'text/event-stream']) {
    const response = await query('mutation { rename(name: "by GET") }', { 'apollo-require-preflight': '1', accept });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  }
  const { data } = (await (await query('{ renamed }', { 'apollo-require-preflight': '1' })).json()) as {
    data: { renamed: string[] };
  };
  expect(data.renamed).not.toContain('by GET');
});

test.each([
  [{}, 400],
  [{ 'content-type': 'text/plain' }, 400],
  [{ 'content-type': 'multipart/form-data; boundary=x' }, 400],
  [{ 'content-type': 'application/x-www-form-urlencoded' }, 400],
  [{ 'content-type': 'application/json' }, 200],
  [{ 'apollo-require-preflight': '1' }, 200],
  [{ 'x-apollo-operation-name': 'Q' }, 200],
] as const)('a query by GET with %j, as a foreign page may send it or not, is %i', async (headers, status) => {
  expect((await query('{ who }', headers)).status).toBe(status);
});

test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])(
  'a POST of %p is not read',
  async (type) => {
    const body = new Blob(['{"query":"mutation { rename(name: \\"simple\\") }"}'], { type });
    const response = await fetch(`${graph.gateway.url}/graphql`, { method: 'POST', body });
    expect([400, 415]).toContain(response.status);
    const renamed = await (await query('{ renamed }', { 'apollo-require-preflight': '1' })).text();
    expect(renamed).not.toContain('simple');
  },
);

test('an EventSource, which can send no header, reads; what another site makes a browser send does not', async () => {
  const subscription = 'subscription { plain(upTo: 1) }';
  const own = await query(subscription, { accept: 'text/event-stream', 'sec-fetch-site': 'same-origin' });
  expect(await own.text()).toContain('"plain":1');
  const foreign = await query(subscription, { accept: 'text/event-stream', 'sec-fetch-site': 'cross-site' });
  expect(foreign.status).toBe(400);
});

/** A gateway that has just let in a request of a client that has gone meanwhile. To be stopped. */
async function goneBeforeAdmission(query: string, accept: string): Promise<TinyGraph> {
  let arrived = false;
  let letIn: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (letIn = resolve));
  const own = await startTinyGraph({
    config: readConfig({ GATEWAY_PORT: '0', SOCKETS_PER_ADDRESS: '1' }),
    authenticate: async ({ headers }) => {
      if (headers['x-test-user'] !== undefined) {
        arrived = true;
        await gate;
      }
      return { identity: { role: 'ANONYMOUS', userId: null } };
    },
  });
  const client = raw(new URL(own.gateway.url));
  const body = JSON.stringify({ query });
  client.socket.write(
    `POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\nX-Test-User: slow\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await until(() => arrived, 'the request');
  client.socket.destroy();
  await until(client.isClosed, 'the connection to be closed');
  // By the time others have been answered on connections of their own, the gateway knows.
  for (let i = 0; i < 3; i++) await fetch(`${own.gateway.url}/livez`, { headers: { connection: 'close' } });
  letIn();
  return own;
}

test('a stream whose client has gone before it was let in is not begun, and its place is free', async () => {
  const own = await goneBeforeAdmission(
    'subscription { orderChanged(orderId: "o1") { order { version } } }',
    'text/event-stream',
  );
  try {
    const overSse = TRANSPORTS.find(([name]) => name === 'SSE')?.[1];
    expect((await overSse?.(own.gateway.url, { query: '{ who }' }))?.data).toEqual({ who: 'ANONYMOUS' });
    expect(own.feed.open).toBe(0);
  } finally {
    await own.stop();
  }
});

test('a query whose client has gone before it was let in asks no subgraph', async () => {
  const own = await goneBeforeAdmission('{ hang }', 'application/json');
  const aborted = 'tributary_subgraph_requests_total{subgraph="query",outcome="aborted"} 1';
  try {
    await until(async () => (await own.metrics.registry.metrics()).includes(aborted), 'the call to be given up');
  } finally {
    await own.stop();
  }
});

test.each<[Readonly<Record<string, string>>, string, number]>([
  [{ AUTH_MODE: 'demo' }, 'rebound.example:4000', 403],
  [{ AUTH_MODE: 'demo' }, 'localhost:4000', 200],
  [{ AUTH_MODE: 'demo', ALLOWED_ORIGINS: 'http://shop.example' }, 'shop.example', 200],
  [{ AUTH_MODE: 'required' }, 'api.example', 200],
])('with %j a GET without an Origin that asks %s is %i, and no page may frame ours', async (settings, host, status) => {
  const own = await startTinyGraph({ config: readConfig({ GATEWAY_PORT: '0', ...settings }) });
  try {
    const client = raw(new URL(own.gateway.url));
    client.socket.write(
      `GET /graphql?query=%7Bwho%7D HTTP/1.1\r\nHost: ${host}\r\nApollo-Require-Preflight: 1\r\nConnection: close\r\n\r\n`,
    );
    await until(client.isClosed, 'the answer');
    expect(client.received()).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\r\nx-frame-options: DENY\r\n`));
  } finally {
    await own.stop();
  }
});

test('who takes none of our media types is told with 406', async () => {
  const response = await query('{ who }', { accept: 'image/png', 'apollo-require-preflight': '1' });
  expect(response.status).toBe(406);
});

test('origins of the list may call and read answers; a page may be told when to come back', async () => {
  const own = await startTinyGraph({
    config: readConfig({ GATEWAY_PORT: '0', ALLOWED_ORIGINS: 'https://shop.example, https://admin.example' }),
  });
  try {
    const headers = { 'content-type': 'application/json', origin: 'https://admin.example' };
    const response = await fetch(`${own.gateway.url}/graphql`, {
      method: 'POST',
      headers,
      body: '{"query":"{ who }"}',
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBe('https://admin.example');
    expect(response.headers.get('access-control-expose-headers')).toBe('x-request-id, retry-after');
    for (const [, ask] of TRANSPORTS) {
      expect((await ask(own.gateway.url, { query: '{ who }' }, { origin: 'https://shop.example' })).data).toEqual({
        who: 'ANONYMOUS',
      });
      expect((await ask(own.gateway.url, { query: '{ who }' }, { origin: 'https://evil.example' })).status).toBe(403);
    }
  } finally {
    await own.stop();
  }
});

/** A connection that does what it is told, and keeps what it receives. */
function raw({ port }: URL): {
  readonly socket: Socket;
  readonly received: () => string;
  readonly isClosed: () => boolean;
} {
  const socket = connect(Number(port), '127.0.0.1');
  let received = '';
  let closed = false;
  socket.on('data', (data) => (received += data.toString()));
  socket.on('error', () => undefined);
  socket.on('close', () => (closed = true));
  return { socket, received: () => received, isClosed: () => closed };
}

test('clients that trickle, that say nothing and that say nonsense are cut off', async () => {
  const own = await startTinyGraph({ timeouts: { headers: 300, request: 600, keepAlive: 300, check: 50 } });
  try {
    const url = new URL(own.gateway.url);
    const trickling = raw(url);
    trickling.socket.write('POST /graphql HTTP/1.1\r\nHost: x\r\n');
    const drip = setInterval(() => trickling.socket.write('X-Drip: 1\r\n'), 50);
    const halfABody = raw(url);
    halfABody.socket.write(
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"query":',
    );
    const silent = raw(url);
    const idle = raw(url);
    idle.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    const nonsense = raw(url);
    nonsense.socket.write('\x16\x03\x01 hello\r\n\r\n');
    const large = raw(url);
    large.socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`);
    const all = [trickling, halfABody, silent, idle, nonsense, large];
    await until(() => all.every(({ isClosed }) => isClosed()), 'all of them to be closed');
    clearInterval(drip);
    expect(trickling.received()).toMatch(/^HTTP\/1\.1 408 .*"code":"VALIDATION"/s);
    expect(halfABody.received()).toMatch(/^HTTP\/1\.1 408 /);
    expect(idle.received()).toMatch(/^HTTP\/1\.1 200 /);
    expect(nonsense.received()).toMatch(/^HTTP\/1\.1 400 .*"message":"That is no HTTP request\."/s);
    expect(large.received()).toMatch(/^HTTP\/1\.1 431 /);
  } finally {
    await own.stop();
  }
});

test('an address has so many connections, and one more when one of them is gone', async () => {
  const own = await startTinyGraph({ config: readConfig({ GATEWAY_PORT: '0', CONNECTIONS_PER_ADDRESS: '3' }) });
  try {
    const url = new URL(own.gateway.url);
    const ask = (client: ReturnType<typeof raw>) => client.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    const open = [raw(url), raw(url), raw(url)];
    open.forEach(ask);
    await until(() => open.every(({ received }) => received().includes('"ok"')), 'three answers');
    const fourth = raw(url);
    await until(() => fourth.isClosed(), 'the fourth to be cut off');
    expect(fourth.received()).toBe('');
    open[0]?.socket.destroy();
    const answered = (): boolean => {
      const next = raw(url);
      ask(next);
      retries.push(next);
      return retries.some(({ received }) => received().includes('"ok"'));
    };
    const retries: ReturnType<typeof raw>[] = [];
    await until(answered, 'an answer for one more');
    [...open, ...retries].forEach(({ socket }) => socket.destroy());
  } finally {
    await own.stop();
  }
});

test('a WebSocket that answers no ping is cut off, one that answers stays', async () => {
  const own = await startTinyGraph({ sockets: { keepAliveMs: 200 } });
  try {
    const address = `${own.gateway.url.replace('http', 'ws')}/graphql`;
    const open = async (autoPong: boolean) => {
      const socket = new WebSocket(address, 'graphql-transport-ws', { autoPong });
      const state = { code: 0, pings: 0 };
      socket.on('close', (code) => (state.code = code));
      socket.on('ping', () => state.pings++);
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send('{"type":"connection_init"}');
      return { socket, state };
    };
    const [deaf, alive] = await Promise.all([open(false), open(true)]);
    await until(() => deaf.state.code !== 0 && alive.state.pings > 3, 'the deaf one to be cut off');
    expect([deaf.state.code, alive.state.code]).toEqual([1006, 0]);
    alive.socket.terminate();
  } finally {
    await own.stop();
  }
});

test('an answer that takes too long is UNAVAILABLE, over every transport', async () => {
  const own = await startTinyGraph({ config: readConfig({ GATEWAY_PORT: '0', REQUEST_TIMEOUT_MS: '200' }) });
  try {
    for (const [, ask] of TRANSPORTS) {
      const { errors, status } = await ask(own.gateway.url, { query: '{ hang }' });
      expect(errors?.map(({ extensions }) => extensions['code'])).toEqual(['UNAVAILABLE']);
      expect([undefined, 200, 504]).toContain(status);
    }
  } finally {
    await own.stop();
  }
});
