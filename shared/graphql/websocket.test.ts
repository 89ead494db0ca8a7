import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient, type Client, type CloseCode, type SubscribePayload } from 'graphql-ws';
import { WebSocket } from 'ws';
import { until } from '../../tests/until.js';
import { ANONYMOUS, IDENTITY_EXTENSION, IDENTITY_HEADER, type Identity } from '../identity/identity.js';
import { ADMIN, connectionParams, operationExtensions, tinyService, token } from './tiny-service.js';

let ended = 0;
const { service, metrics } = tinyService({ onEnd: () => ended++ });
const address = () => `${service.url.replace('http', 'ws')}/graphql`;

beforeAll(() => service.start());
afterAll(() => service.stop());

const connect = (params: Record<string, unknown> = connectionParams(), url = address()): Client =>
  createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams: params,
    retryAttempts: 0,
    lazy: true,
    onNonLazyError: () => undefined,
  });

/** Every message of an operation; rejects as the client does. */
async function collect(client: Client, payload: SubscribePayload): Promise<unknown[]> {
  const messages: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    client.subscribe(payload, { next: (value) => messages.push(value), error: reject, complete: resolve });
  });
  return messages;
}

const running = async () => (await metrics.subscribers.get()).values.reduce((sum, { value }) => sum + value, 0);
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('the socket', () => {
  test.each<[string, Record<string, unknown>, CloseCode | number]>([
    ['without a token is closed with 4401', {}, 4401],
    ['with a wrong token is closed with 4403', { [IDENTITY_HEADER]: token(ADMIN, 'user') }, 4403],
  ])('%s', async (_, params, code) => {
    const client = connect(params);
    expect(
      await errorOf(collect(client, { query: 'subscription { forever }', extensions: operationExtensions() })),
    ).toMatchObject({ code });
  });

  test('keeps the protocol: 4400, 4401, 4406, 4408, 4409 and 4429 as it says', async () => {
    const init = JSON.stringify({ type: 'connection_init', payload: connectionParams() });
    const subscribe = (id: string) =>
      JSON.stringify({
        id,
        type: 'subscribe',
        payload: { query: 'subscription { forever }', extensions: operationExtensions() },
      });
    const ours = ['graphql-transport-ws'];
    const closing = (protocols: string[], ...messages: string[]) => {
      const socket = new WebSocket(address(), protocols);
      socket.on('error', () => undefined);
      socket.once('open', () => socket.send(messages.shift() ?? ''));
      socket.on('message', (data: Buffer) => {
        if (data.toString().includes('connection_ack')) messages.splice(0).forEach((message) => socket.send(message));
      });
      return new Promise((resolve) => socket.once('close', resolve));
    };
    const silent = new WebSocket(address(), 'graphql-transport-ws');
    const codes = await Promise.all([
      closing(ours, 'garbage'),
      closing(ours, '{"type":"subscribe","id":"1"}'),
      closing(ours, subscribe('1')),
      closing([], init),
      new Promise((resolve) => silent.once('close', resolve)),
      closing(ours, init, subscribe('1'), subscribe('1')),
      closing(ours, init, init),
    ]);
    expect(codes).toEqual([4400, 4400, 4401, 4406, 4408, 4409, 4429]);
  });

  test('is served on the GraphQL path only', async () => {
    const socket = new WebSocket(`${address()}/elsewhere`, 'graphql-transport-ws');
    expect(await new Promise((resolve) => socket.on('error', resolve))).toMatchObject({
      message: expect.stringContaining('404'),
    });
  });

  test('is closed by a message over 256 KiB, and the service goes on', async () => {
    const socket = new WebSocket(address(), 'graphql-transport-ws');
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('open', () => socket.send('x'.repeat(257 * 1024)));
    expect(await closed).toBe(1009);
    const client = connect();
    expect(
      await collect(client, { query: 'subscription { ticks(upTo: 1) }', extensions: operationExtensions() }),
    ).toHaveLength(1);
    await client.dispose();
  });
});

describe('an operation', () => {
  let client: Client;
  beforeAll(() => {
    client = connect();
  });
  afterAll(() => client.dispose());
  const ticks = 'subscription ($n: Int!) { ticks(upTo: $n) }';

  test('runs for the identity of its own token, many callers on one socket', async () => {
    const as = (identity: Identity) =>
      collect(client, { query: ticks, variables: { n: 2 }, extensions: operationExtensions(identity) });
    expect(await Promise.all([as(ADMIN), as(ANONYMOUS)])).toEqual([
      [{ data: { ticks: '1 ADMIN' } }, { data: { ticks: '2 ADMIN' } }],
      [{ data: { ticks: '1 ANONYMOUS' } }, { data: { ticks: '2 ANONYMOUS' } }],
    ]);
  });

  test.each<[string, SubscribePayload, string]>([
    ['without a token', { query: ticks, variables: { n: 1 } }, 'UNAUTHENTICATED'],
    [
      'with a forged token',
      { query: ticks, variables: { n: 1 }, extensions: { [IDENTITY_EXTENSION]: 'a.b' } },
      'UNAUTHENTICATED',
    ],
    ['that does not parse', { query: '{', extensions: operationExtensions() }, 'VALIDATION'],
    [
      'that does not fit the schema',
      { query: 'subscription { nothing }', extensions: operationExtensions() },
      'VALIDATION',
    ],
    ['that is a query', { query: '{ who }', extensions: operationExtensions() }, 'VALIDATION'],
  ])('%s is refused', async (_, payload, code) => {
    expect(await errorOf(collect(client, payload))).toEqual([
      expect.objectContaining({ extensions: expect.objectContaining({ code }) }),
    ]);
  });

  test('whose variables are wrong or whose resolver refuses answers with the mapped error', async () => {
    const wrong = await collect(client, { query: ticks, variables: { n: 1.5 }, extensions: operationExtensions() });
    expect(wrong).toMatchObject([{ errors: [{ extensions: { code: 'VALIDATION', field: 'upTo' } }] }]);
    const refused = await collect(client, { query: 'subscription { refused }', extensions: operationExtensions() });
    expect(refused).toMatchObject([{ errors: [{ message: 'Not yours.', extensions: { code: 'FORBIDDEN' } }] }]);
  });

  test('ends when its client leaves, and is no longer counted', async () => {
    const before = ended;
    const stop = client.subscribe(
      { query: 'subscription { forever }', extensions: operationExtensions() },
      {
        next: () => undefined,
        error: () => undefined,
        complete: () => undefined,
      },
    );
    await until(async () => (await running()) === 1);
    stop();
    await until(() => ended === before + 1);
    await until(async () => (await running()) === 0);
  });
});

test('stopping closes sockets with 1001, ends their subscriptions and takes less than a second', async () => {
  let over = 0;
  const { service: leaving } = tinyService({ onEnd: () => over++ });
  await leaving.start();
  const url = `${leaving.url.replace('http', 'ws')}/graphql`;
  const polite = connect(connectionParams(), url);
  let received = 0;
  const closed = new Promise((resolve) => {
    polite.subscribe(
      { query: 'subscription { forever }', extensions: operationExtensions() },
      { next: () => received++, error: resolve, complete: () => resolve('completed') },
    );
  });
  // A client that never answers the close frame.
  const deaf = new WebSocket(url, 'graphql-transport-ws', { autoPong: false });
  await new Promise((resolve) => deaf.on('open', resolve));
  deaf.pause();
  await until(() => received > 0);
  const start = performance.now();
  await leaving.stop();
  expect(performance.now() - start).toBeLessThan(1_000);
  expect(over).toBe(1);
  expect(await closed).toMatchObject({ code: 1001 });
  deaf.terminate();
});
