import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';
import { Shop } from './shop.js';
import { startTestSystem } from './system.js';
import { recordSpans, treeBelow, type Recorded } from './tracing.js';
import { until } from './until.js';

interface Extensions {
  readonly requestId: string;
  readonly traceparent: string;
  readonly staleness: Readonly<Record<string, { readonly records: number; readonly milliseconds: number | null }>>;
  readonly delayMs?: number;
}

interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: unknown;
  readonly extensions?: { readonly tributary?: Extensions } | undefined;
}

interface Message extends Answer {
  readonly data: {
    readonly orderStatusChanged: { readonly status: string; readonly order: { readonly id: string } | null };
  };
}

const SECRET = 'correct horse battery staple';

let recorded: Recorded;
let shop: Shop;
let ana: string;
let socket: Client;

const clientOf = (connectionParams: Readonly<Record<string, unknown>>): Client =>
  createClient({
    url: `${shop.server.system.gatewayUrl.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { 'x-test-identity': `USER:${ana}`, ...connectionParams },
    retryAttempts: 0,
  });

beforeAll(async () => {
  recorded = recordSpans();
  shop = new Shop(await startTestSystem());
  ana = (await shop.customer({ name: 'Ana Souza' })).id;
  socket = clientOf({ debug: true });
  await order();
});

afterAll(async () => {
  await socket.dispose();
  await shop.server.dispose();
  await recorded.end();
});

async function post(body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const response = await fetch(`${shop.server.system.gatewayUrl}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-test-identity': `USER:${ana}`, ...headers },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Answer;
}

const CREATE = `mutation CreateOrder($input: CreateOrderInput!) {
  createOrder(input: $input) { order { id user { name } } }
}`;

const newTrace = () => {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
};

const STATUSES = `subscription { orderStatusChanged(userId: "%") { status order { id user { name } } } }`;

/** Follows everything that Ana orders, and resolves when it is live. */
async function follow(client: Client) {
  const messages: Message[] = [];
  const stop = client.subscribe(
    { query: STATUSES.replace('%', ana) },
    {
      next: (message) => void messages.push(message as unknown as Message),
      error: (error) => void messages.push({ errors: error } as Message),
      complete: () => undefined,
    },
  );
  // One order is open from the beginning, so there is a snapshot to wait for.
  await until(() => messages.length > 0, { message: 'the snapshot' });
  /** The change that made this order one to be paid. */
  const toldOf = ({ id }: Made): Message | undefined =>
    messages.find(
      ({ data: { orderStatusChanged: told } }) => told.order?.id === id && told.status === 'AWAITING_PAYMENT',
    );
  return { stop, toldOf };
}

interface Made {
  readonly id: string;
}

async function order(headers: Readonly<Record<string, string>> = {}): Promise<Made> {
  const { id } = await shop.product({ stock: 10 });
  const variables = { input: { items: [{ productId: id, quantity: 1 }], idempotencyKey: `${SECRET} ${id}` } };
  const { data, errors } = await post({ query: CREATE, variables }, headers);
  expect(errors).toBeUndefined();
  return (data as { createOrder: { order: Made } }).createOrder.order;
}

test('one trace leads from the request to the messages that it sets off, and has no orphans', async () => {
  const trace = newTrace();
  const { stop, toldOf } = await follow(socket);
  const made = await order({ traceparent: trace.traceparent });
  const told = await until(() => toldOf(made));
  stop();
  const count = (name: string): number => recorded.spansOf(trace.traceId).filter((span) => span.name === name).length;
  await until(
    () => count('query.timeline order.awaiting_payment') > 0 && count('query.views order.awaiting_payment') > 0,
  );
  await until(() => count('gateway POST /graphql') > 0);

  const spans = recorded.spansOf(trace.traceId);
  if (process.env['SHOW_TRACE'] !== undefined) console.log(treeBelow(spans, trace.spanId, true).join('\n'));
  const ids = new Set([trace.spanId, ...spans.map((span) => span.spanContext().spanId)]);
  expect(spans.filter((span) => !ids.has(span.parentSpanContext?.spanId ?? '')).map(({ name }) => name)).toEqual([]);

  const nameById = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
  const pathOf = (name: string): string[] => {
    const span = spans.find((one) => one.name === name);
    const path: string[] = [];
    for (
      let at = span;
      at !== undefined;
      at = spans.find((one) => one.spanContext().spanId === at?.parentSpanContext?.spanId)
    )
      path.unshift(at.name);
    return path;
  };
  const CREATED = [
    'gateway POST /graphql',
    'call order',
    'order-api POST /graphql',
    'transaction createOrder',
    'publish orders',
  ];
  expect(pathOf('query.views order.created')).toEqual([...CREATED, 'query.views order.created']);
  const RESERVED = [...CREATED, 'product.reservations order.created', 'publish stock'];
  expect(pathOf('order.stock stock.reserved')).toEqual([...RESERVED, 'order.stock stock.reserved']);
  const AWAITING = [...RESERVED, 'order.stock stock.reserved', 'publish orders'];
  expect(pathOf('query.views order.awaiting_payment')).toEqual([...AWAITING, 'query.views order.awaiting_payment']);
  expect(pathOf('query.timeline order.awaiting_payment')).toEqual([
    ...AWAITING,
    'query.timeline order.awaiting_payment',
  ]);
  expect(pathOf('transaction product.reservations').slice(0, -1)).toEqual(RESERVED.slice(0, -1));

  const [, traceId = '', spanId = ''] = told.extensions?.tributary?.traceparent.split('-') ?? [];
  expect(traceId).toBe(trace.traceId);
  expect(nameById.get(spanId)).toBe('gateway message orderStatusChanged');
  const span = spans.find((one) => one.spanContext().spanId === spanId);
  const from = spans.find((one) => one.spanContext().spanId === span?.parentSpanContext?.spanId);
  expect(from?.name).toBe('query-api message orderStatusChanged');
  expect(nameById.get(from?.parentSpanContext?.spanId ?? '')).toBe('publish orders');
});

test('spans tell nothing of what clients send: no document, variable, token, name or address of a person', async () => {
  const secret = `Secret-${randomBytes(8).toString('hex')}`;
  const query = `mutation Register($input: RegisterInput!) { register(input: $input) { user { id } } }`;
  const input = { name: `Name ${secret}`, email: `${secret.toLowerCase()}@example.com`, password: `${secret}-Pass-1` };
  const headers = { authorization: `Basic ${secret}` };
  const answer = await post({ query, variables: { input } }, headers);
  expect(answer.errors).toBeUndefined();
  const refused = await post({
    query: `query Q($id: ID!) { user(id: $id) { ${secret.replace('-', '')} } }`,
    variables: { id: secret },
  });
  expect(refused.errors).toBeDefined();
  await until(() => recorded.spans().some(({ name }) => name === 'query.views user.created'));
  const told = JSON.stringify(
    recorded
      .spans()
      .map(({ name, attributes, events, status, links }) => ({ name, attributes, events, status, links })),
  );
  expect(told.toLowerCase()).not.toContain(secret.toLowerCase());
  expect(told).not.toContain(SECRET);
  expect(told).not.toContain('Ana');
  expect(told).not.toContain('@');
});

test('a request without a trace begins one, a bad one is no parent, and one that is not sampled stays unseen', async () => {
  const query = '{ products(first: 1) { totalCount } }';
  const before = recorded.spans().length;
  await post({ query }, { traceparent: '00-not-a-trace-01' });
  const root = await until(() =>
    recorded
      .spans()
      .slice(before)
      .find(({ name }) => name === 'gateway POST /graphql'),
  );
  expect(root.parentSpanContext).toBeUndefined();

  const { traceId, spanId } = newTrace();
  const { extensions } = await post({ query }, { traceparent: `00-${traceId}-${spanId}-00`, 'x-debug': '1' });
  expect(extensions?.tributary?.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  expect(recorded.spansOf(traceId)).toEqual([]);
});

test('an answer says how far behind its views were, to those who ask', async () => {
  const query = '{ products(first: 1) { totalCount } }';
  expect((await post({ query })).extensions).toBeUndefined();
  const caughtUp = (): Promise<true> =>
    until(async () => {
      const { extensions } = await post({ query }, { 'x-debug': '1' });
      expect(extensions?.tributary?.staleness['query']).toEqual({ records: 0, milliseconds: 0 });
      return true;
    });
  // Of what came before, not all is of topics whose records have a known age.
  await caughtUp();
  const release = shop.server.holdProjections();
  const begun = performance.now();
  await shop.server.ok('mutation ($input: CreateProductInput!) { createProduct(input: $input) { product { id } } }', {
    input: { name: 'Held', price: '1.00', stock: 1 },
  });
  const held = await until(async () => {
    const { extensions } = await post({ query }, { 'x-debug': '1', 'x-request-id': 'how-old' });
    const lag = extensions?.tributary?.staleness['query'];
    return lag !== undefined && lag.records > 0 && (lag.milliseconds ?? 0) > 0 ? extensions?.tributary : undefined;
  });
  expect(held.requestId).toBe('how-old');
  expect(held.staleness['query']?.milliseconds).toBeLessThanOrEqual(performance.now() - begun + 1);
  release();
  await caughtUp();
});

test('messages of a subscription say what set them off to those who ask, and to no others who share it', async () => {
  const plain = clientOf({});
  const [asking, others] = [await follow(socket), await follow(plain)];
  const made = await order();
  const told = await until(() => asking.toldOf(made));
  expect(told.extensions?.tributary).toMatchObject({
    requestId: expect.any(String),
    traceparent: expect.stringMatching(/^00-/),
    delayMs: expect.any(Number),
    staleness: {},
  });
  const same = await until(() => others.toldOf(made));
  expect(Object.keys(same)).toEqual(['data']);
  for (const { stop } of [asking, others]) stop();
  await plain.dispose();
});

test('a stream of server-sent events says the same by header', async () => {
  const response = await fetch(`${shop.server.system.gatewayUrl}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'x-test-identity': `USER:${ana}`,
      'x-debug': '1',
    },
    body: JSON.stringify({ query: STATUSES.replace('%', ana) }),
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    // Leaving the loop hangs up.
    if (text.includes('event: next')) break;
  }
  expect(text).toMatch(/"extensions":\{"tributary":\{"requestId":"[^"]+","traceparent":"00-/);
});
