import { afterEach, expect, test } from '@jest/globals';
import { AppError } from '../shared/errors/errors.js';
import { ANONYMOUS, type Identity } from '../shared/identity/identity.js';
import type { GatewayDeps } from './app.js';
import type { Caller, Credentials } from './context.js';
import { startTinyGraph, until, type TinyGraph } from './tiny-graph.js';
import { RawSocket } from './tiny-socket.js';

let graph: TinyGraph | undefined;
afterEach(async () => {
  await graph?.stop();
  graph = undefined;
});

async function start(options: Partial<GatewayDeps> = {}): Promise<TinyGraph> {
  graph = await startTinyGraph(options);
  return graph;
}

const open = (tiny: TinyGraph, protocol?: string) => RawSocket.open(tiny.gateway.url, protocol);

async function closing(raw: RawSocket): Promise<RawSocket['closed']> {
  await until(() => raw.closed !== undefined, 'the socket to be closed');
  return raw.closed;
}

async function admitted(tiny: TinyGraph, payload?: object): Promise<RawSocket> {
  const raw = await open(tiny);
  raw.init(payload);
  await until(() => raw.ofType('connection_ack').length === 1, 'the acknowledgement');
  return raw;
}

const CHANGES = 'subscription { orderChanged(orderId: "o1") { seenBy order { version buyer { seenBy } } } }';

test('each misuse of the protocol closes the socket with its own code', async () => {
  const tiny = await start({ sockets: { initWithinMs: 300 } });
  const subscribe = { id: '1', type: 'subscribe', payload: { query: CHANGES } };
  const cases: [string, string | undefined, (object | string)[], number][] = [
    ['subscribe before connection_init', undefined, [subscribe], 4401],
    ['no JSON', undefined, ['garbage'], 4400],
    ['no object', undefined, ['[]'], 4400],
    ['an unknown type', undefined, [{ type: 'start' }], 4400],
    ['a message of the server', undefined, [{ type: 'connection_ack' }], 4400],
    ['a subscribe without an id', undefined, [{ type: 'connection_init' }, { type: 'subscribe', payload: {} }], 4400],
    ['connection_init twice', undefined, [{ type: 'connection_init' }, { type: 'connection_init' }], 4429],
    ['silence', undefined, [], 4408],
    ['credentials that are no good', undefined, [{ type: 'connection_init', payload: { 'x-test-user': 'X' } }], 4403],
  ];
  for (const [what, protocol, messages, code] of cases) {
    const raw = await open(tiny, protocol);
    raw.send(...messages);
    expect({ what, code: (await closing(raw))?.code }).toEqual({ what, code });
  }
  const twice = await admitted(tiny);
  twice.send(subscribe, subscribe);
  expect(await closing(twice)).toEqual({ code: 4409, reason: 'Subscriber for 1 already exists' });
  await until(() => tiny.feed.open === 0, 'its operation to end');
});

test('a refused operation leaves the socket to the others, and an id is free again when its operation is over', async () => {
  const tiny = await start();
  const raw = await admitted(tiny);
  raw.subscribe('other', CHANGES).subscribe('1', 'subscription { nothing }');
  await until(() => raw.ofType('error').length === 1, 'the refusal');
  expect(raw.ofType('error')).toMatchObject([{ id: '1', payload: [{ extensions: { code: 'VALIDATION' } }] }]);
  raw.subscribe('1', '{ who }');
  await until(() => raw.ofType('complete').length === 1, 'an answer');
  expect(raw.results('1')).toEqual([{ data: { who: 'ANONYMOUS' } }]);
  raw.send({ id: 'other', type: 'complete' }, { id: 'nobody', type: 'complete' }).subscribe('other', CHANGES);
  await until(() => tiny.feed.openings.length === 2 && tiny.feed.open === 1, 'the operation to be opened again');
  tiny.feed.publish(1);
  await until(() => raw.results('other').length === 1, 'an event');
  raw.send({ type: 'ping' }, { type: 'ping', payload: { any: 'thing' } }, { type: 'pong' });
  await until(() => raw.ofType('pong').length === 2, 'the pongs');
  expect(raw.ofType('pong')).toEqual([{ type: 'pong' }, { type: 'pong', payload: { any: 'thing' } }]);
  expect(raw.closed).toBeUndefined();
});

/** Tokens `<role> <user> <expiry>`, as JSON web tokens would have it. */
function authenticate({ connectionParams }: Credentials): Promise<Caller> {
  const given = connectionParams?.['authorization'];
  if (typeof given !== 'string') return Promise.resolve({ identity: ANONYMOUS });
  const [, role, userId, expiry] = given.split(' ');
  if (role !== 'USER' && role !== 'ADMIN') return Promise.reject(new AppError('UNAUTHENTICATED', 'A bad token.'));
  const identity = { role, userId: userId ?? '' } as Identity;
  return Promise.resolve(expiry === undefined ? { identity } : { identity, expiresAt: Number(expiry) });
}

const token = (role: string, user: string, expiresAt?: number) => ({
  authorization: ['Bearer', role, user, ...(expiresAt === undefined ? [] : [expiresAt])].join(' '),
});

test('a token that expires closes the socket with 4401, and one shown by a ping before that keeps it open', async () => {
  const tiny = await start({ authenticate });
  const soon = Date.now() + 500;
  const left = await admitted(tiny, token('USER', 'ana', soon));
  const renewed = await admitted(tiny, token('USER', 'ana', soon));
  const later = Date.now() + 3_600_000;
  renewed.send({ type: 'ping', payload: token('USER', 'ana', later) });
  expect(await closing(left)).toEqual({ code: 4401, reason: 'Token expired' });
  expect(Date.now()).toBeGreaterThanOrEqual(soon);
  expect(renewed.ofType('pong')).toEqual([{ type: 'pong', payload: { expiresAt: later } }]);
  expect(renewed.closed).toBeUndefined();
});

test('nothing is delivered to a client whose token has expired', async () => {
  let ahead = 0;
  const tiny = await start({ authenticate, now: () => Date.now() + ahead });
  const raw = await admitted(tiny, token('USER', 'ana', Date.now() + 3_600_000));
  raw.subscribe('1', CHANGES);
  tiny.feed.publish(1);
  await until(() => raw.results('1').length === 1, 'an event');
  ahead = 3_600_001;
  tiny.feed.publish(2);
  expect(await closing(raw)).toEqual({ code: 4401, reason: 'Token expired' });
  expect(raw.results('1')).toHaveLength(1);
});

test('a bad token, or that of somebody else, closes the socket with 4403', async () => {
  const tiny = await start({ authenticate });
  for (const payload of [token('USER', 'bob'), token('NOBODY', 'ana')]) {
    const raw = await admitted(tiny, token('USER', 'ana'));
    raw.subscribe('1', CHANGES);
    await until(() => tiny.feed.open === 1, 'the upstream operation');
    raw.send({ type: 'ping', payload });
    expect((await closing(raw))?.code).toBe(4403);
    await until(() => tiny.feed.open === 0, 'the upstream operation to end');
  }
});

test('whoever has another role from now on gets everything once, each event under the role of its time', async () => {
  const tiny = await start({ authenticate });
  const { feed } = tiny;
  const raw = await admitted(tiny, token('USER', 'ana'));
  raw.subscribe('1', CHANGES).subscribe('latest', 'subscription { stock(id: "p1") }');
  feed.publish(1, 2);
  await until(() => raw.results('1').length === 2, 'the first events');
  raw.send({ type: 'ping', payload: token('ADMIN', 'ana') });
  await until(() => raw.ofType('pong').length === 1, 'the pong');
  feed.publish(3, 4);
  await until(() => raw.results('1').length === 4, 'the other events');
  const event = (version: number, seenBy: string) => ({
    data: { orderChanged: { seenBy, order: { version, buyer: { seenBy } } } },
  });
  expect(raw.results('1')).toEqual([
    event(1, 'USER ana'),
    event(2, 'USER ana'),
    event(3, 'ADMIN ana'),
    event(4, 'ADMIN ana'),
  ]);
  // Without a cursor there is no going on; it is said, and nothing is lost silently.
  expect(raw.ofType('error')).toMatchObject([{ id: 'latest', payload: [{ extensions: { code: 'UNAVAILABLE' } }] }]);
  raw.send({ type: 'ping', payload: token('ADMIN', 'ana') });
  await until(() => raw.ofType('pong').length === 2, 'the pong');
  const openings = feed.openings.length;
  feed.publish(5);
  await until(() => raw.results('1').length === 5, 'the next event');
  expect(feed.openings).toHaveLength(openings);
});
