import { afterEach, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import type { GatewayDeps } from './app.js';
import { receive, startTinyGraph, until, type Received, type Result, type TinyGraph } from './tiny-graph.js';

let graph: TinyGraph | undefined;
afterEach(async () => {
  await graph?.stop();
  graph = undefined;
});

async function start(options: Partial<GatewayDeps> = {}): Promise<TinyGraph> {
  graph = await startTinyGraph(options);
  return graph;
}

const dataOf = ({ results }: Received) => results.map(({ data, errors }) => errors ?? data);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const VERSIONS = 'subscription { orderChanged(orderId: "o1") { order { version } } }';
const versionsOf = ({ results }: Received) =>
  results.map(
    ({ data }) => (data as { orderChanged: { order: { version: number } } } | undefined)?.orderChanged.order.version,
  );

const subscribers = async ({ metrics }: TinyGraph): Promise<number> =>
  (await metrics.subscribers.get()).values.reduce((sum, { value }) => sum + value, 0);

test('a subscription that stays in one subgraph gives what was asked for and nothing else', async () => {
  const { client, feed } = await start();
  const received = receive(client(), 'subscription { orderChanged(orderId: "o1") { kind order { version total } } }');
  await until(() => feed.open === 1, 'the upstream operation');
  feed.publish(1, 2);
  await until(() => received.results.length === 2, 'two events');
  expect(dataOf(received)).toEqual([
    { orderChanged: { kind: 'CHANGE', order: { version: 1, total: 10 } } },
    { orderChanged: { kind: 'CHANGE', order: { version: 2, total: 20 } } },
  ]);
});

test('the rest of every event comes from the other subgraph: aliases, fragments, variables, conditions', async () => {
  const { client, feed } = await start();
  const query = `
    subscription S($id: ID!, $upper: Boolean, $yes: Boolean!, $no: Boolean!) {
      ...Root
    }
    fragment Root on Subscription {
      changed: orderChanged(orderId: $id) {
        k: kind
        order { ...Parts who: buyer(upper: $upper) { n: name } }
        ... @skip(if: $yes) { cursor }
      }
    }
    fragment Parts on Order { v: version label @include(if: $yes) plain: buyer @include(if: $no) { name } }
  `;
  const received = receive(client(), query, { id: 'o1', upper: true, yes: true, no: false });
  feed.publish(4);
  await until(() => received.results.length === 1, 'an event');
  expect(dataOf(received)).toEqual([
    { changed: { k: 'CHANGE', order: { v: 4, label: 'total 40', who: { n: 'BUYER 4' } } } },
  ]);
});

test("the client's own cursor is honoured, as a literal and as a variable", async () => {
  const { client, feed } = await start();
  feed.publish(1, 2, 3);
  const literal = receive(client(), 'subscription { orderChanged(orderId: "o1", after: "1") { cursor } }');
  const variable = receive(
    client(),
    'subscription S($c: String, $o: ID!) { orderChanged(after: $c, orderId: $o) { cursor order { buyer { name } } } }',
    { c: '0', o: 'o1' },
  );
  await until(() => literal.results.length === 1 && variable.results.length === 2, 'the events');
  expect(dataOf(literal)).toEqual([{ orderChanged: { cursor: '2' } }]);
  expect(dataOf(variable)).toEqual([
    { orderChanged: { cursor: '1', order: { buyer: { name: 'buyer 2' } } } },
    { orderChanged: { cursor: '2', order: { buyer: { name: 'buyer 3' } } } },
  ]);
});

test('an upstream that completes completes the client; one that refuses is passed on', async () => {
  const { client } = await start();
  const plain = receive(client(), 'subscription { plain(upTo: 3) }');
  const refused = receive(client(), 'subscription { refused }');
  await until(() => plain.ended !== 'no' && refused.ended !== 'no', 'the ends');
  expect(plain).toMatchObject({
    results: [{ data: { plain: 1 } }, { data: { plain: 2 } }, { data: { plain: 3 } }],
    ended: 'complete',
  });
  expect(JSON.stringify(refused)).toContain('Not yours.');
  expect(JSON.stringify(refused)).toContain('FORBIDDEN');
});

test('an error that breaks the upstream reaches the client masked', async () => {
  const { client } = await start();
  const received = receive(client(), 'subscription { breaking { kind } }');
  await until(() => received.ended !== 'no', 'the end');
  expect(received.results).toEqual([{ data: { breaking: { kind: 'CHANGE' } } }]);
  expect(received.ended).toMatchObject({ errors: [{ extensions: { code: 'INTERNAL' } }] });
  expect(JSON.stringify(received)).not.toContain('secret');
});

test.each([
  ['an unknown field', 'subscription { nothing }', {}],
  ['a conditional root', 'subscription S($x: Boolean!) { plain(upTo: 1) @include(if: $x) }', { x: true }],
  ['two root fields', 'subscription { plain(upTo: 1) refused }', {}],
  ['@defer', 'subscription { orderChanged(orderId: "o1") { ... @defer { cursor } } }', {}],
  ['a missing variable', 'subscription S($n: Int!) { plain(upTo: $n) }', {}],
  ['a variable of the wrong kind', 'subscription S($n: Int!) { plain(upTo: $n) }', { n: 'x' }],
  [
    'variables too large for the upstream socket',
    'subscription S($i: ID!) { orderChanged(orderId: $i) { kind } }',
    { i: 'x'.repeat(70_000) },
  ],
])('%s is refused as VALIDATION and opens nothing', async (_name, query, variables) => {
  const { client, feed } = await start();
  const received = receive(client(), query, variables);
  await until(() => received.ended !== 'no', 'the refusal');
  expect(received).toMatchObject({ results: [], ended: { errors: [{ extensions: { code: 'VALIDATION' } }] } });
  expect(feed.openings).toEqual([]);
});

test('many users over one upstream socket each get their own identity, in both subgraphs', async () => {
  const { client, feed } = await start();
  const query = 'subscription { orderChanged(orderId: "o1") { seenBy order { buyer { seenBy } } } }';
  const all = range(1, 5).map((id) => ({ id, received: receive(client({ 'x-test-user': `USER ${id}` }), query) }));
  await until(() => feed.open === 5, 'five operations');
  feed.publish(1);
  await until(() => all.every(({ received }) => received.results.length === 1), 'the event, five times');
  for (const { id, received } of all) {
    const seenBy = `USER ${id}`;
    expect(dataOf(received)).toEqual([{ orderChanged: { seenBy, order: { buyer: { seenBy } } } }]);
  }
});

test('a restart of the owning subgraph goes unnoticed: nothing is lost, nothing comes twice', async () => {
  const { client, feed, stopSubgraph, startSubgraph } = await start();
  const received = receive(client(), VERSIONS);
  feed.publish(1, 2);
  await until(() => received.results.length === 2, 'the first events');
  await stopSubgraph('query');
  feed.publish(3, 4);
  await startSubgraph('query');
  await until(() => received.results.length === 4, 'what was missed');
  feed.publish(5);
  await until(() => received.results.length === 5, 'the next event');
  expect(versionsOf(received)).toEqual([1, 2, 3, 4, 5]);
  expect(feed.openings).toEqual([undefined, '1']);
  expect(received.ended).toBe('no');
});

test('a stream that cannot be resumed tells its client that it was lost', async () => {
  const { client, feed, stopSubgraph } = await start();
  const withoutCursors = receive(client(), 'subscription { silent }');
  const early = receive(client(), VERSIONS);
  const latest = receive(client(), 'subscription { stock(id: "p1") }');
  await until(() => feed.open === 3, 'the upstream operations');
  feed.publish(1);
  const resumable = receive(client(), VERSIONS);
  await until(() => resumable.results.length === 1 && early.results.length === 1, 'a cursor');
  const tooEarly = receive(client(), 'subscription { orderChanged(orderId: "o1", after: "7") { kind } }');
  const unborn = receive(client(), 'subscription { quiet { kind } }');
  // The two that stand at the same cursor have one between them.
  await until(() => feed.open === 5 && feed.openings.length === 6, 'the upstream operations');
  await stopSubgraph('query');
  await until(() => [withoutCursors, latest, unborn].every(({ ended }) => ended !== 'no'), 'the ends');
  for (const { ended } of [withoutCursors, latest, unborn]) {
    expect(ended).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });
    expect(JSON.stringify(ended)).not.toMatch(/127\.0\.0\.1|1001/);
  }
  for (const { ended } of [early, resumable, tooEarly]) expect(ended).toBe('no');
});

test('a subgraph that stays away is reported when the patience is over, and at once to new subscribers', async () => {
  const { client, feed, stopSubgraph } = await start({ sockets: { resumeWithinMs: 200 } });
  feed.publish(1);
  const received = receive(client(), VERSIONS);
  await until(() => received.results.length === 1, 'an event');
  await stopSubgraph('query');
  await until(() => received.ended !== 'no', 'the end');
  const late = receive(client(), VERSIONS);
  await until(() => late.ended !== 'no', 'the refusal');
  for (const { ended } of [received, late]) {
    expect(ended).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });
  }
});

test('a burst larger than the queue arrives whole and in order', async () => {
  const { client, feed } = await start({ sockets: { maxWaiting: 10 } });
  const received = receive(
    client(),
    'subscription { orderChanged(orderId: "o1") { order { version buyer { name } } } }',
  );
  await until(() => feed.open === 1, 'the upstream operation');
  feed.publish(...range(1, 300));
  await until(() => received.results.length === 300, 'all events');
  expect(versionsOf(received)).toEqual(range(1, 300));
  expect(feed.openings.length).toBeGreaterThan(1);
});

test('a client that stops reading holds a bounded queue, and gets everything once when it reads again', async () => {
  const { gateway, feed } = await start({ sockets: { maxWaiting: 10 } });
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await new Promise((resolve) => socket.once('open', resolve));
  const received: Received = { results: [], ended: 'no', stop: () => socket.terminate() };
  socket.on('message', (data: Buffer) => {
    const { type, payload } = JSON.parse(data.toString()) as { type: string; payload: Result };
    if (type === 'next') received.results.push(payload);
    if (type === 'connection_ack') {
      const query = 'subscription { orderChanged(orderId: "o1") { blob order { version } } }';
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    }
  });
  socket.send(JSON.stringify({ type: 'connection_init' }));
  await until(() => feed.open === 1, 'the upstream operation');
  socket.pause();
  for (let version = 1; feed.open === 1 && version <= 1_000; version++) {
    feed.publish(version);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => feed.open === 0, 'the gateway to give up its upstream operation');
  const published = feed.events.length;
  feed.publish(published + 1, published + 2);
  socket.resume();
  await until(() => received.results.length >= published + 2, 'all events');
  expect(versionsOf(received)).toEqual(range(1, published + 2));
  received.stop();
  await until(() => feed.open === 0, 'the upstream operation to end');
});

test('a latest-value stream skips states for a client that cannot keep up, never the last one', async () => {
  const { client, feed } = await start({ sockets: { maxWaiting: 1 } });
  feed.publish(0);
  const received = receive(client(), 'subscription { stock(id: "p1") }');
  await until(() => received.results.length === 1, 'the current state');
  feed.publish(...range(1, 300));
  await until(() => received.results.at(-1)?.data?.['stock'] === 300, 'the last state');
  expect(feed.openings).toHaveLength(1);
});

test('clients that drop out leave nothing behind', async () => {
  const tiny = await start();
  const { client, feed, gateway, metrics } = tiny;
  const query = 'subscription { orderChanged(orderId: "o1") { order { buyer { name } } } }';
  const clients = range(1, 200).map(() => client());
  const received = clients.map((one) => receive(one, query));
  await until(() => feed.open === 1, 'the upstream operation');
  feed.publish(1);
  await until(() => received.every(({ results }) => results.length === 1), 'an event each');
  expect((await metrics.subscribers.get()).values).toEqual([
    { labels: { service: 'gateway', field: 'orderChanged' }, value: 200 },
  ]);
  received.slice(0, 100).forEach(({ stop }) => stop());
  await until(async () => (await subscribers(tiny)) === 100, 'half of them to be gone');
  expect(feed.open).toBe(1);
  clients.slice(100).forEach((one) => one.terminate());
  await until(() => feed.open === 0, 'the upstream operation to end');
  await until(() => gateway.clientSockets === 0, 'the sockets to close');
  expect((await metrics.subscribers.get()).values).toEqual([
    { labels: { service: 'gateway', field: 'orderChanged' }, value: 0 },
  ]);
});

test('a client that leaves before its operation is open leaves nothing behind', async () => {
  const tiny = await start();
  const { client, feed } = tiny;
  for (let i = 0; i < 20; i++) receive(client(), VERSIONS).stop();
  const last = receive(client(), VERSIONS);
  await until(() => feed.open > 0, 'the one that stayed');
  last.stop();
  await until(async () => feed.open === 0 && (await subscribers(tiny)) === 0, 'nothing to be open');
});

test('a socket carries a limited number of operations at a time', async () => {
  const tiny = await start({ sockets: { operationsPerSocket: 3 } });
  const { client } = tiny;
  const one = client();
  const received = range(1, 4).map(() => receive(one, VERSIONS));
  await until(() => received.some(({ ended }) => ended !== 'no'), 'the refusal');
  await until(async () => (await subscribers(tiny)) === 3, 'the three others');
  expect(received.filter(({ ended }) => ended !== 'no')).toMatchObject([
    { results: [], ended: { errors: [{ extensions: { code: 'RATE_LIMITED' } }] } },
  ]);
});

test('the protocol is kept: 4401 before connection_init, 4400 for garbage, 4408 for silence', async () => {
  const { gateway } = await start();
  const closing = (protocol: string, ...messages: string[]) => {
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/graphql`, protocol);
    socket.once('open', () => messages.forEach((message) => socket.send(message)));
    socket.on('error', () => undefined);
    return new Promise((resolve) => socket.once('close', resolve));
  };
  const subscribe = JSON.stringify({ id: '1', type: 'subscribe', payload: { query: '{ who }' } });
  const codes = await Promise.all([
    closing('graphql-transport-ws', subscribe),
    closing('graphql-transport-ws', 'garbage'),
    closing('graphql-transport-ws'),
  ]);
  expect(codes).toEqual([4401, 4400, 4408]);
});

test('stopping says goodbye to clients and ends their upstream operations', async () => {
  const { client, feed, gateway } = await start();
  const received = receive(client(), VERSIONS);
  await until(() => feed.open === 1, 'the upstream operation');
  await gateway.stop();
  await gateway.stop();
  await until(() => received.ended !== 'no' && feed.open === 0, 'everything to end');
  expect(received.ended).toMatchObject({ errors: { code: 1001 } });
});
