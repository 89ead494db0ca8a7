import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import type { CommandContext } from '../shared/commands/commands.js';
import { SUBGRAPHS } from '../shared/config/config.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { apiSchema } from './api-schema.js';
import { AUTHORISATION, CALLERS, type CallerName, type Rule, type Things } from './authorisation.js';
import { ADMIN, startTestSystem, uniqueEmail, type GraphQLAnswer, type TestSystem } from './system.js';
import { until } from './until.js';

type Answer = GraphQLAnswer<Record<string, unknown>>;
type Variables = Readonly<Record<string, unknown>>;

/** The first that an operation answers. */
type Transport = (document: string, variables: Variables, token: string | undefined) => Promise<Answer>;

const PASSWORD = 'correct horse battery';

const context: CommandContext = { identity: ADMIN, requestId: newId(), traceparent: null, log: silentLogger() };

let server: TestSystem;
let things: Things;
let url: string;
const tokens = new Map<CallerName, string>();

const bearer = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

const post = (
  document: string,
  variables: Variables,
  token: string | undefined,
  headers: Record<string, string> = {},
) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer(token), ...headers },
    body: JSON.stringify({ query: document, variables }),
  });

const http: Transport = async (document, variables, token) =>
  (await (await post(document, variables, token)).json()) as Answer;

const webSocket: Transport = async (document, variables, token) => {
  const client = createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: bearer(token),
    retryAttempts: 0,
  });
  try {
    return await new Promise<Answer>((resolve, reject) => {
      client.subscribe(
        { query: document, variables },
        {
          next: (answer) => resolve(answer as Answer),
          error: (error) =>
            Array.isArray(error) ? resolve({ errors: error as NonNullable<Answer['errors']> }) : reject(error as Error),
          complete: () => reject(new Error('completed without a word')),
        },
      );
    });
  } finally {
    await client.dispose();
  }
};

const eventStream: Transport = async (document, variables, token) => {
  const response = await post(document, variables, token, { accept: 'text/event-stream' });
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
    return (await response.json()) as Answer;
  }
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) throw new Error('no stream');
  try {
    for (let text = ''; ;) {
      const { value, done } = await reader.read();
      text += value ?? '';
      const first = text.split('\n\n').find((event) => /^event: ?next$/m.test(event) && /^data:/m.test(event));
      if (first !== undefined && text.includes(`${first}\n\n`)) {
        return JSON.parse(/^data:(.*)$/m.exec(first)?.[1] ?? '') as Answer;
      }
      if (done) throw new Error(`ended without a word: ${text}`);
    }
  } finally {
    await reader.cancel();
  }
};

async function ok<T>(caller: CallerName | undefined, document: string, variables: Variables = {}): Promise<T> {
  const { data, errors } = await http(document, variables, caller === undefined ? undefined : tokens.get(caller));
  if (data == null || errors !== undefined) throw new Error(JSON.stringify(errors));
  return data as T;
}

async function logIn(email: string): Promise<string> {
  const document = 'mutation ($input: LoginInput!) { login(input: $input) { accessToken } }';
  type LoggedIn = { login: { accessToken: string } };
  return (await ok<LoggedIn>(undefined, document, { input: { email, password: PASSWORD } })).login.accessToken;
}

async function person(caller: CallerName): Promise<string> {
  const email = uniqueEmail();
  const document = 'mutation ($input: RegisterInput!) { register(input: $input) { user { id } } }';
  type Registered = { register: { user: { id: string } } };
  const { register } = await ok<Registered>(undefined, document, {
    input: { name: caller, email, password: PASSWORD },
  });
  tokens.set(caller, await logIn(email));
  // Else they may not order.
  await server.system.user.commands.vouchFor(context, [{ id: register.user.id, email }]);
  return register.user.id;
}

const createProduct = (name: string) =>
  ok<{ createProduct: { product: { id: string } } }>(
    'admin',
    'mutation ($input: CreateProductInput!) { createProduct(input: $input) { product { id } } }',
    { input: { name, price: '10.00', stock: 1_000 } },
  );

const CREATE_ORDER = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id } } }';
const order = (productId: string) =>
  ok<{ createOrder: { order: { id: string } } }>('owner', CREATE_ORDER, {
    input: { items: [{ productId, quantity: 1 }] },
  });

beforeAll(async () => {
  server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'required' } });
  url = `${server.system.gatewayUrl}/graphql`;
  const email = uniqueEmail();
  await server.system.user.commands.createAdmin(context, { name: 'Root', email, password: PASSWORD, replace: false });
  tokens.set('admin', await logIn(email));
  const userId = await person('owner');
  await person('other');
  const { createProduct: made } = await createProduct('Tea');
  const productId = made.product.id;
  const { createOrder } = await order(productId);
  const CREATE_ACCOUNT = 'mutation { createAccount(input: {}) { account { id } } }';
  const { createAccount } = await ok<{ createAccount: { account: { id: string } } }>('owner', CREATE_ACCOUNT);
  things = { userId, orderId: createOrder.order.id, accountId: createAccount.account.id, productId };
  // Every view has heard of them.
  const SEEN =
    'query ($o: ID!, $a: ID!, $p: ID!) { order(id: $o) { id } account(id: $a) { id } product(id: $p) { id } timeline(aggregateId: $o) { id } t: timeline(aggregateId: $p) { id } }';
  const ids = { o: things.orderId, a: things.accountId, p: things.productId };
  await until(async () => (await http(SEEN, ids, tokens.get('admin'))).errors === undefined);
  const USER = 'query ($id: ID!) { user(id: $id) { id } }';
  await until(async () => (await http(USER, { id: userId }, tokens.get('admin'))).data?.['user'] != null);
}, 120_000);

afterAll(() => server.dispose());

/** What has to happen, again and again: nobody knows when a subscription has begun. */
async function stirUntil(stir: NonNullable<Rule['stir']>, over: () => boolean): Promise<void> {
  const UPDATE = 'mutation ($input: UpdateProductInput!) { updateProduct(input: $input) { product { id } } }';
  let stock = 2_000;
  await until(async () => {
    if (over()) return true;
    if (stir === 'order') await order(things.productId);
    else await ok('admin', UPDATE, { input: { id: things.productId, stock: stock++ } });
    return over();
  });
}

async function verdictOn(rule: Rule, caller: CallerName, transport: Transport): Promise<string> {
  const answering = transport(rule.document, rule.variables?.(things, caller) ?? {}, tokens.get(caller));
  if (rule.stir !== undefined) {
    let over = false;
    const end = (): void => void (over = true);
    answering.then(end, end);
    await stirUntil(rule.stir, () => over);
  }
  const { data, errors } = await answering;
  const code = errors?.[0]?.extensions.code;
  if (code !== undefined) return code === rule.next ? 'yes' : code;
  if (rule.next !== undefined) return 'done, although nothing was to happen';
  return Object.values(data ?? {}).every((value) => value === null) ? 'null' : 'yes';
}

const rows = Object.entries(AUTHORISATION);
const isSubscription = (row: string): boolean => row.startsWith('Subscription.');

test('every field of the graph has a row, and every row a field', () => {
  const schema = apiSchema();
  const fields = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
    Object.keys(type?.getFields() ?? {}).map((field) => `${type?.name}.${field}`),
  );
  const named = new Set(rows.map(([row]) => row.split(',')[0]));
  expect([...named].sort()).toEqual(fields.sort());
});

describe.each<[string, Transport, readonly [string, Rule][]]>([
  ['HTTP', http, rows.filter(([row]) => !isSubscription(row))],
  ['WebSocket', webSocket, rows],
  ['server-sent events', eventStream, rows],
])('over %s', (_, transport, walked) => {
  test.each(walked)('%s', async (_row, rule) => {
    const verdicts: Partial<Record<CallerName, string>> = {};
    for (const caller of CALLERS) verdicts[caller] = await verdictOn(rule, caller, transport);
    expect(verdicts).toEqual(rule.who);
  });

  test('a token that is not in order is refused, whatever is asked for', async () => {
    const [header, claims] = (tokens.get('owner') ?? '').split('.');
    const [, , foreign] = (tokens.get('other') ?? '').split('.');
    for (const token of ['nonsense', [header, claims, foreign].join('.')]) {
      const answer = await transport('{ products { totalCount } }', {}, token).catch((error: unknown) => error);
      // A socket has no answer before it is open.
      const refused = answer instanceof Error || !('errors' in (answer as Answer)) ? closeCodeOf(answer) : answer;
      expect(refused).toEqual(
        refused === 4403 ? 4403 : { errors: [expect.objectContaining({ extensions: { code: 'UNAUTHENTICATED' } })] },
      );
    }
  });
});

const closeCodeOf = (event: unknown): unknown => (event as { readonly code?: unknown }).code;

test('nothing happened on the way', async () => {
  type Owner = { user: { role: string; name: string } };
  const { user } = await ok<Owner>('admin', 'query ($id: ID!) { user(id: $id) { role name } }', { id: things.userId });
  expect(user).toEqual({ role: 'USER', name: 'owner' });
  const ORDER = 'query ($id: ID!) { order(id: $id) { status } }';
  const { order: found } = await ok<{ order: { status: string } }>('owner', ORDER, { id: things.orderId });
  expect(['PENDING', 'AWAITING_PAYMENT']).toContain(found.status);
});

describe('balances over REST', () => {
  const get = (caller: CallerName, path = `/balances/${things.accountId}`, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${server.config.ports.rest}${path}`, {
      headers: { ...bearer(tokens.get(caller)), ...headers },
    });

  test('go by the same tokens: owner and administrator are answered', async () => {
    const statuses = await Promise.all(CALLERS.map(async (caller) => (await get(caller)).status));
    expect(statuses).toEqual([401, 200, 403, 200]);
    const anonymous = await get('anonymous');
    expect(anonymous.headers.get('www-authenticate')).toBe('Bearer');
    expect(await anonymous.json()).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    const bad = await get('anonymous', undefined, { authorization: 'Bearer nonsense' });
    expect([bad.status, await bad.json()]).toEqual([401, expect.objectContaining({ code: 'UNAUTHENTICATED' })]);
    const unknown = await get('owner', '/balances/nobody');
    expect(unknown.status).toBe(404);
    // Who may not see anything does not learn what there is.
    expect((await get('anonymous', '/balances/nobody')).status).toBe(401);
  });
});

test('subgraphs answer their gateway only, about entities and their schema too', async () => {
  const questions = [
    '{ __typename }',
    '{ __schema { types { name } } }',
    '{ _service { sdl } }',
    '{ _entities(representations: []) { __typename } }',
  ];
  for (const name of SUBGRAPHS) {
    for (const query of questions) {
      for (const headers of [{}, bearer(tokens.get('admin'))]) {
        const response = await fetch(`http://127.0.0.1:${server.config.ports[name]}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ query }),
        });
        const { errors, data } = (await response.json()) as Answer;
        expect([name, query, response.status, errors?.[0]?.extensions.code, data ?? null]).toEqual([
          name,
          query,
          401,
          'UNAUTHENTICATED',
          null,
        ]);
      }
    }
  }
  const socket = new WebSocket(`ws://127.0.0.1:${server.config.ports.query}/graphql`, 'graphql-transport-ws');
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  socket.on('open', () =>
    socket.send(JSON.stringify({ type: 'connection_init', payload: bearer(tokens.get('admin')) })),
  );
  expect(await closed).toBe(4401);
});
