import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import { OperationTypeNode } from 'graphql';
import { AppError } from '../shared/errors/errors.js';
import { DEADLINE_HEADER } from '../shared/graphql/request.js';
import { verifyIdentity, type Identity } from '../shared/identity/identity.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { freePorts } from '../tests/ports.js';
import type { GatewayContext } from './context.js';
import { SubgraphDataSource, type DataSourceOptions } from './data-source.js';
import type { SubgraphRequest } from './executor.js';
import { Gone } from './gone.js';
import { IdentityTokens } from './identity-tokens.js';
import { until } from './tiny-graph.js';

const SECRET = 'a secret of at least thirty-two characters';
const ada: Identity = { role: 'USER', userId: 'ada' };
const { QUERY, MUTATION } = OperationTypeNode;

/** What a subgraph does with a call: the body of an answer with status 200, or whatever it likes. */
type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

const says =
  (body: string, status = 200): Behaviour =>
  (request, response) => {
    request.resume().on('end', () => response.writeHead(status).end(body));
  };
const cuts: Behaviour = (request) => void request.socket.destroy();
const hangs: Behaviour = (request) => void request.resume();

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

const portOf = (server: Server): number => {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
};

/** A subgraph that does one thing after the other, the last for ever, and a data source for it. */
async function subgraph(behaviours: readonly Behaviour[], options: Partial<DataSourceOptions> = {}) {
  const calls: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const behave = behaviours[Math.min(calls.length, behaviours.length - 1)];
    calls.push(request);
    behave?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const made = source({ url: `http://127.0.0.1:${portOf(server)}/graphql`, ...options });
  closing.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  return { ...made, calls };
}

function source(options: Partial<DataSourceOptions>) {
  const metrics = createMetrics();
  const made = new SubgraphDataSource({
    name: 'stock',
    url: 'http://nowhere.invalid/graphql',
    tokens: new IdentityTokens(SECRET, Date.now),
    metrics,
    ...options,
  });
  closing.unshift(() => made.close());
  const ask = (kind: OperationTypeNode = QUERY, context: Partial<GatewayContext> = {}) =>
    made.process({ request: requestOf(kind), context: { ...contextOf(5_000), ...context } });
  const metric = async (name: string, labels: string) =>
    (await metrics.registry.metrics())
      .split('\n')
      .find((line) => line.startsWith(`${name}{${labels}}`))
      ?.split(' ')[1];
  return { ask, metric, source: made };
}

const requestOf = (kind: OperationTypeNode): SubgraphRequest => {
  const query = kind === MUTATION ? 'mutation { a }' : '{ a }';
  return { kind, query, operationName: undefined, variables: {}, body: JSON.stringify({ query, variables: {} }) };
};

const contextOf = (timeoutMs: number): GatewayContext => ({
  identity: ada,
  requestId: 'r1',
  traceparent: null,
  log: silentLogger(),
  client: 'user:ada',
  timeoutMs,
  deadline: performance.now() + timeoutMs,
});

const OK = '{"data":{"a":1}}';
const unavailable = { name: 'AppError', code: 'UNAVAILABLE' };
const outcomes = (outcome: string) => `subgraph="stock",outcome="${outcome}"`;

test('a call says who asks, which request it belongs to and how long its answer is waited for', async () => {
  const { ask, calls, metric } = await subgraph([says(OK)]);
  expect(await ask()).toEqual({ data: { a: 1 } });
  const { headers } = calls[0] ?? {};
  expect(verifyIdentity(headers?.['x-tributary-identity'], 'stock', SECRET, Date.now())).toEqual(ada);
  expect(headers).toMatchObject({ 'x-request-id': 'r1', 'content-type': 'application/json' });
  const left = Number(headers?.[DEADLINE_HEADER]);
  expect(left > 0 && left <= 5_000).toBe(true);
  expect(await metric('tributary_subgraph_requests_total', outcomes('ok'))).toBe('1');
});

test('errors in the sense of GraphQL are answers, whatever the status; the rest of an answer stays behind', async () => {
  const errors = [{ message: 'Not yours.' }];
  const { ask } = await subgraph([
    says(JSON.stringify({ data: null, errors, extensions: { secret: 1 } })),
    says(JSON.stringify({ errors }), 400),
  ]);
  expect(await ask()).toEqual({ data: null, errors });
  expect(await ask()).toEqual({ errors });
});

describe.each([
  ['garbage', says('<html>')],
  ['JSON that is no answer', says('{"data":7}')],
  ['an empty body', says('')],
  ['500 without GraphQL', says('oops', 500)],
  ['more than may be', says(JSON.stringify({ data: { a: 'x'.repeat(2_000) } }))],
])('%s', (_name, behaviour) => {
  test('is UNAVAILABLE without a word of what is behind it, and is not asked for again', async () => {
    const { ask, calls } = await subgraph([behaviour], { maxAnswerBytes: 1_000 });
    const error: unknown = await ask().catch((caught: unknown) => caught);
    expect(error).toMatchObject(unavailable);
    expect((error as AppError).message).toBe('The stock service cannot be reached at the moment; try again shortly.');
    expect(calls).toHaveLength(1);
  });
});

test('a query whose connection fails is sent again, twice at most', async () => {
  const lucky = await subgraph([cuts, cuts, says(OK)]);
  expect(await lucky.ask()).toEqual({ data: { a: 1 } });
  expect(await lucky.metric('tributary_subgraph_retries_total', 'subgraph="stock"')).toBe('2');
  const unlucky = await subgraph([cuts]);
  await expect(unlucky.ask()).rejects.toMatchObject(unavailable);
  expect(unlucky.calls).toHaveLength(3);
});

test('a mutation is sent once, and the client is told that it may have been made', async () => {
  const { ask, calls } = await subgraph([cuts]);
  await expect(ask(MUTATION)).rejects.toMatchObject({
    ...unavailable,
    message: expect.stringContaining('unknown whether the change was made'),
  });
  expect(calls).toHaveLength(1);
});

test('a mutation that was never sent is not said to be in doubt', async () => {
  const [port = 0] = await freePorts(1);
  const { ask, metric } = source({ url: `http://127.0.0.1:${port}/graphql` });
  await expect(ask(MUTATION)).rejects.toMatchObject({ message: expect.stringContaining('cannot be reached') });
  expect(await metric('tributary_subgraph_requests_total', outcomes('unreachable'))).toBe('1');
});

test('a call ends at the deadline, and is cut off', async () => {
  const { ask, calls, metric } = await subgraph([hangs]);
  await expect(ask(QUERY, { deadline: performance.now() + 50 })).rejects.toMatchObject(unavailable);
  expect(await metric('tributary_subgraph_requests_total', outcomes('timeout'))).toBe('1');
  await until(() => calls[0]?.socket.destroyed === true, 'the connection to be closed');
  expect(calls).toHaveLength(1);
});

test('a call whose time is over is not made', async () => {
  const { ask, calls } = await subgraph([says(OK)]);
  await expect(ask(QUERY, { deadline: performance.now() - 1 })).rejects.toMatchObject(unavailable);
  expect(calls).toHaveLength(0);
});

test('calls that are not made for want of time neither open the breaker nor take the place of its probe', async () => {
  const { ask, source } = await subgraph([says(OK), says('oops', 503), says('{}'), says(OK)], {
    breaker: { failures: 1, waitMs: 3_600_000 },
  });
  const askLate = () => expect(ask(QUERY, { deadline: performance.now() })).rejects.toMatchObject(unavailable);
  await askLate();
  expect(await ask()).toEqual({ data: { a: 1 } });
  await expect(ask()).rejects.toMatchObject(unavailable);
  await source.ping();
  await askLate();
  expect(await ask()).toEqual({ data: { a: 1 } });
});

test('when its client is gone a query ends, and a mutation goes on', async () => {
  const held: ServerResponse[] = [];
  const { ask, calls } = await subgraph([(request, response) => void (request.resume(), held.push(response))]);
  const gone = new Gone();
  const query = ask(QUERY, { gone });
  const mutation = ask(MUTATION, { gone });
  await until(() => held.length === 2, 'both calls');
  gone.leave();
  await expect(query).rejects.toMatchObject(unavailable);
  await until(() => calls.filter(({ socket }) => socket.destroyed).length === 1, 'one connection to be closed');
  for (const response of held) response.end(OK);
  expect(await mutation).toEqual({ data: { a: 1 } });
});

test('after failures in a row calls are refused at once, until a probe is answered', async () => {
  const states = () => metric('tributary_subgraph_breaker', 'subgraph="stock"');
  const broken = Array.from({ length: 3 }, () => says('oops', 503));
  const { ask, calls, metric } = await subgraph([...broken, says(OK)], { breaker: { failures: 3, waitMs: 200 } });
  for (let i = 0; i < 3; i++) await expect(ask()).rejects.toMatchObject(unavailable);
  expect(await states()).toBe('2');
  await expect(ask()).rejects.toMatchObject(unavailable);
  expect(calls).toHaveLength(3);
  expect(await metric('tributary_subgraph_requests_total', outcomes('spared'))).toBe('1');
  await until(
    () =>
      ask().then(
        () => true,
        () => false,
      ),
    'the probe',
  );
  expect(await states()).toBe('0');
});

test('GraphQL errors do not open the breaker, and clients that go away do not either', async () => {
  const { ask } = await subgraph([says('{"errors":[{"message":"no"}]}')], { breaker: { failures: 1 } });
  await ask();
  const gone = new Gone();
  gone.leave();
  await expect(ask(QUERY, { gone })).rejects.toMatchObject(unavailable);
  expect(await ask()).toEqual({ errors: [{ message: 'no' }] });
});

test('what counts calls may refuse one, in its own words', async () => {
  const refusal = new AppError('RATE_LIMITED', 'Too many.');
  const { ask, calls } = await subgraph([says(OK)], { admit: () => Promise.reject(refusal) });
  await expect(ask()).rejects.toBe(refusal);
  expect(calls).toHaveLength(0);
});

test('an answer that comes in pieces is put together, characters cut in two included', async () => {
  const bytes = Buffer.from('{"data":{"a":"é€"}}');
  const { ask } = await subgraph([
    (request, response) => {
      request.resume();
      response.write(bytes.subarray(0, 15));
      setImmediate(() => response.end(bytes.subarray(15)));
    },
  ]);
  expect(await ask()).toEqual({ data: { a: 'é€' } });
});
