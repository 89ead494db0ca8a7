import { Agent, request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { PortInUse } from '../http/http.js';
import { ANONYMOUS, IDENTITY_HEADER, IDENTITY_TTL_MS, signIdentity } from '../identity/identity.js';
import { DEADLINE_HEADER } from './request.js';
import { ADMIN, ask, tinyService, token, type Answer } from './tiny-service.js';

const lines: Record<string, unknown>[] = [];
const log = pino(
  { level: 'trace' },
  { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
);
const { service } = tinyService({ log });
const first = ({ errors = [] }: Answer): Record<string, unknown> => ({
  message: errors[0]?.message,
  ...errors[0]?.extensions,
});
const query = (text: string, variables?: unknown) => ask(service.url, text, variables);

beforeAll(() => service.start());
afterAll(() => service.stop());

describe('identity', () => {
  test.each([
    ['no token', undefined],
    ['a forged token', signIdentity(ADMIN, 'order', 'another secret of thirty-two letters', Date.now())],
    ['a token for another subgraph', token(ADMIN, 'user')],
    ['an expired token', token(ADMIN, 'order', Date.now() - 2 * IDENTITY_TTL_MS)],
    ['garbage', 'a.b'],
  ])('%s is refused with 401 before anything runs', async (_, value) => {
    const headers = value === undefined ? {} : { [IDENTITY_HEADER]: value };
    for (const text of [
      '{ who }',
      '{ __schema { queryType { name } } }',
      '{ _service { sdl } }',
      '{ _entities(representations: [{ __typename: "Thing", id: "1" }]) { __typename } }',
      '{ syntax error',
    ]) {
      const answer = await ask(service.url, text, undefined, headers);
      expect({ status: answer.status, data: answer.data, code: first(answer)['code'] }).toEqual({
        status: 401,
        data: undefined,
        code: 'UNAUTHENTICATED',
      });
    }
  });

  test('a good token reaches the resolvers', async () => {
    expect((await query('{ who }')).data).toEqual({ who: `ADMIN ${ADMIN.userId}` });
    expect((await ask(service.url, '{ who }', {}, { [IDENTITY_HEADER]: token(ANONYMOUS) })).data).toEqual({
      who: 'ANONYMOUS ',
    });
  });

  test('with a good token entities and the schema are served', async () => {
    const { data } = await query(
      '{ _entities(representations: [{ __typename: "Thing", id: "1" }]) { ... on Thing { price } } }',
    );
    expect(data).toEqual({ _entities: [{ price: '0.01' }] });
    expect((await query('{ _service { sdl } }')).data).toHaveProperty('_service.sdl');
  });
});

test('a caller that waits no longer is answered 504 by then; one that says nonsense is waited for', async () => {
  const answers = [new Promise<string>(() => undefined)];
  const slow = tinyService({ slow: () => answers.shift() ?? Promise.resolve('done') });
  await slow.service.start();
  try {
    const call = (deadline: string) =>
      ask(slow.service.url, '{ slow }', undefined, { [IDENTITY_HEADER]: token(ADMIN), [DEADLINE_HEADER]: deadline });
    const late = await call('50');
    expect([late.status, first(late)['code']]).toEqual([504, 'UNAVAILABLE']);
    for (const deadline of ['60000', '-1', 'soon', '9999999999']) {
      expect((await call(deadline)).data).toEqual({ slow: 'done' });
    }
  } finally {
    await slow.service.stop();
  }
});

describe('errors', () => {
  test('an AppError keeps code, message, field and details', async () => {
    const answer = await query('{ fail(how: "conflict") }');
    expect(answer.errors?.[0]).toEqual({
      message: 'Somebody was faster.',
      locations: [{ line: 1, column: 3 }],
      path: ['fail'],
      extensions: { code: 'CONFLICT', field: 'version', version: 7 },
    });
  });

  test('an engine that is away is UNAVAILABLE', async () => {
    expect(first(await query('{ fail(how: "away") }'))['code']).toBe('UNAVAILABLE');
  });

  test('anything else is masked, and logged with its stack under the request id the client was told', async () => {
    const answer = await ask(
      service.url,
      '{ fail(how: "bug") }',
      {},
      { [IDENTITY_HEADER]: token(), 'x-request-id': 'req-1' },
    );
    expect(JSON.stringify(answer)).not.toContain('internals');
    expect(first(answer)).toEqual({ message: expect.stringContaining('req-1'), code: 'INTERNAL', requestId: 'req-1' });
    const line = lines.find(({ requestId, msg }) => requestId === 'req-1' && msg === 'unexpected error');
    expect(line).toMatchObject({
      service: 'tiny-api',
      err: { message: 'secret internals', stack: expect.stringContaining('at ') },
    });
  });

  test('an output that does not fit its type is our mistake, not the client’s', async () => {
    expect(first(await query('{ thing(id: 1) { count } }'))['code']).toBe('INTERNAL');
  });

  const make = 'mutation ($input: ThingInput!) { make(input: $input) { id } }';
  const item = { quantity: 1 };
  test.each<[string, string, unknown, string | undefined]>([
    ['syntax', '{', undefined, undefined],
    ['unknown field', '{ nothing }', undefined, undefined],
    ['unknown field of a literal', 'mutation { make(input: { foo: 1, price: 1, items: [] }) { id } }', {}, 'foo'],
    ['unknown field of a variable', make, { input: { foo: 1, price: 1, items: [] } }, 'foo'],
    ['missing argument', '{ thing { id } }', undefined, 'id'],
    ['fraction in a variable', make, { input: { price: 1, items: [{ quantity: 1.5 }] } }, 'items.0.quantity'],
    ['NaN in a variable', make, { input: { price: 1, items: [item, { quantity: 'NaN' }] } }, 'items.1.quantity'],
    ['huge number in a variable', make, { input: { price: 1, items: [{ quantity: 1e12 }] } }, 'items.0.quantity'],
    ['enum value in a variable', make, { input: { price: 1, size: 'HUGE', items: [] } }, 'size'],
    ['missing input field', make, { input: { items: [] } }, 'price'],
    ['missing nested field', make, { input: { price: 1, items: [{}] } }, 'items.0.quantity'],
    ['missing variable', make, {}, 'input'],
    ['null for a required list', make, { input: { price: 1, items: null } }, 'items'],
    ['three decimals in a variable', make, { input: { price: '1.234', items: [] } }, 'price'],
    [
      'three decimals deep in a variable',
      make,
      { input: { price: 1, items: [{ quantity: 1, price: 0.001 }] } },
      'items.0.price',
    ],
    ['three decimals in a literal', 'mutation { make(input: { price: 1.234, items: [] }) { id } }', undefined, 'price'],
    ['exponent in a literal', 'mutation { make(input: { price: 1e3, items: [] }) { id } }', undefined, 'price'],
    [
      'enum value in a literal',
      'mutation { make(input: { price: 1, size: HUGE, items: [] }) { id } }',
      undefined,
      'size',
    ],
    [
      'fraction in a literal list',
      'mutation { make(input: { price: 1, items: [{ quantity: 1 }, { quantity: 1.5 }] }) { id } }',
      undefined,
      'items.1.quantity',
    ],
    [
      'missing field of a literal',
      'mutation { make(input: { price: 1, items: [{ price: 1 }] }) { id } }',
      undefined,
      'items.0.quantity',
    ],
    [
      'variable inside a literal',
      'mutation ($q: Int!) { make(input: { price: 1, items: [{ quantity: $q }] }) { id } }',
      { q: 'x' },
      'items.0.quantity',
    ],
    ['variable of an argument', 'query ($n: Int) { thing(id: 1, first: $n) { id } }', { n: 0.5 }, 'first'],
    ['a value that imitates the message', make, { input: { price: 'x" at "input.a"; b', items: [] } }, 'price'],
    ['31 February', make, { input: { price: 1, at: '2026-02-31T00:00:00Z', items: [] } }, 'at'],
    ['an instant without a zone', make, { input: { price: 1, at: '2026-02-01T00:00:00', items: [] } }, 'at'],
  ])('%s is VALIDATION and names the field', async (_, text, variables, field) => {
    const answer = await query(text, variables);
    expect(first(answer)).toMatchObject({ code: 'VALIDATION' });
    expect(first(answer)).not.toHaveProperty('stacktrace');
    expect(answer.errors?.[0]?.extensions['field']).toBe(field);
    expect(answer.data ?? null).toBeNull();
  });

  test('a refused amount says in plain words what an amount is', async () => {
    const { message } = first(await query(make, { input: { price: '1.234', items: [] } }));
    expect(message).toBe('An amount is a decimal with at most two places, such as "19.90".');
  });

  test('bodies that are no GraphQL get a GraphQL error', async () => {
    const post = async (body: string, type = 'application/json') => {
      const headers = { 'content-type': type, [IDENTITY_HEADER]: token() };
      const response = await fetch(`${service.url}/graphql`, { method: 'POST', headers, body });
      return [response.status, first((await response.json()) as Answer)['code']];
    };
    expect(await post('{')).toEqual([400, 'VALIDATION']);
    expect(await post('{}')).toEqual([400, 'VALIDATION']);
    expect(await post('[]')).toEqual([400, 'VALIDATION']);
    expect(await post('x', 'text/plain')).toEqual([415, 'VALIDATION']);
    expect(await post(JSON.stringify('x'.repeat(9 * 1024 * 1024)))).toEqual([413, 'VALIDATION']);
    expect((await fetch(`${service.url}/elsewhere`)).status).toBe(404);
  });
});

test('amounts are cents inside and exact text outside, instants milliseconds and ISO 8601', async () => {
  const text = 'mutation ($input: ThingInput!) { make(input: $input) { price at json } }';
  const make = async (price: unknown, at: unknown) =>
    (await query(text, { input: { price, at, items: [] } })).data?.['make'] as Record<string, unknown>;
  expect(await make('5999.99', '2026-01-31T12:00:00.5-03:00')).toEqual({
    price: '5999.99',
    at: '2026-01-31T15:00:00.500Z',
    json: { price: 599_999, at: Date.UTC(2026, 0, 31, 15, 0, 0, 500), items: [] },
  });
  expect((await make(0.1, null))['price']).toBe('0.10');
  expect((await make('7', null))['price']).toBe('7.00');
  const { data } = await query('mutation { make(input: { price: 19.90, items: [] }) { price } }');
  expect(data).toEqual({ make: { price: '19.90' } });
});

describe('health', () => {
  test('a service that serves is alive, ready and measured', async () => {
    const get = async (path: string) => (await fetch(service.url + path)).status;
    expect(await Promise.all(['/livez', '/readyz', '/healthz'].map(get))).toEqual([200, 200, 200]);
    await query('{ who }');
    const text = await (await fetch(`${service.url}/metrics`)).text();
    expect(text).toMatch(/tributary_graphql_requests_total\{service="tiny-api",operation="query",outcome="ok"\} \d/);
    expect(text).toContain('outcome="UNAUTHENTICATED"');
    expect(text).toMatch(/tributary_graphql_request_seconds_count\{service="tiny-api",operation="mutation"\} \d/);
  });

  test('a failing check makes a live service unready and is named', async () => {
    const { service: sick } = tinyService({
      checks: () => Promise.resolve([{ name: 'database', ok: false, detail: 'away' }]),
    });
    await sick.start();
    const ready = await fetch(`${sick.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      {
        service: 'tiny-api',
        status: 'unavailable',
        checks: [
          { name: 'listener', ok: true },
          { name: 'database', ok: false, detail: 'away' },
        ],
      },
    ]);
    expect((await fetch(`${sick.url}/livez`)).status).toBe(200);
    await sick.stop();
  });
});

test('a port in use names the port and the variable that changes it', async () => {
  const port = Number(new URL(service.url).port);
  const { service: second } = tinyService({ port });
  const refused: unknown = await second.start().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(PortInUse);
  expect((refused as Error).message).toBe(`Port ${port} is in use. Set ORDER_PORT to another one.`);
  await second.stop();
});

test('stopping answers the request in hand and then closes its keep-alive socket at once', async () => {
  let arrived: () => void = () => undefined;
  let release: (value: string) => void = () => undefined;
  const inHand = new Promise<void>((resolve) => (arrived = resolve));
  const answer = new Promise<string>((resolve) => (release = resolve));
  const { service: busy } = tinyService({
    slow: () => {
      arrived();
      return answer;
    },
  });
  await busy.start();
  const agent = new Agent({ keepAlive: true });
  const send = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', [IDENTITY_HEADER]: token() };
      const outgoing = httpRequest(`${busy.url}/graphql`, { method: 'POST', agent, headers }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => resolve(body));
      });
      outgoing.on('error', reject).end(JSON.stringify({ query: text }));
    });
  await send('{ who }');
  const slow = send('{ slow }');
  await inHand;
  const stopping = busy.stop();
  await expect(fetch(`${busy.url}/livez`)).rejects.toThrow();
  release('late');
  expect(JSON.parse(await slow)).toEqual({ data: { slow: 'late' } });
  const answered = performance.now();
  await stopping;
  expect(performance.now() - answered).toBeLessThan(1_000);
  await busy.stop();
  agent.destroy();
});
