import { afterEach, expect, test } from '@jest/globals';
import type { GatewayDeps } from './app.js';
import { receive, startTinyGraph, until, type Received, type TinyGraph } from './tiny-graph.js';

let graph: TinyGraph | undefined;
afterEach(async () => {
  await graph?.stop();
  graph = undefined;
});

async function start(options: Partial<GatewayDeps> = {}): Promise<TinyGraph> {
  graph = await startTinyGraph(options);
  return graph;
}

const query = (selection: string) => `subscription { orderChanged(orderId: "o1") { order { version ${selection} } } }`;
const versionsOf = ({ results }: Received) =>
  results.map(
    ({ data }) => (data as { orderChanged: { order: { version: number } } } | undefined)?.orderChanged.order.version,
  );

async function valueOf(tiny: TinyGraph, name: string): Promise<number> {
  const values = (await tiny.metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
  return values.reduce((sum, { value }) => sum + value, 0);
}

test('clients that came at different times are one upstream operation after the next event, and count as such', async () => {
  const tiny = await start();
  const { client, feed } = tiny;
  feed.publish(1);
  const received: Received[] = [];
  for (let i = 0; i < 5; i++) {
    // The feed sends all there is, so each of them gets to the end by itself.
    const one = receive(client({ 'x-test-user': 'USER ana' }), query(''));
    received.push(one);
    await until(() => versionsOf(one).length === feed.events.length, 'what there is');
    feed.publish(i + 2);
    await until(() => received.every(({ results }) => results.length === feed.events.length), 'the event');
    await until(() => feed.open === 1, 'one upstream operation');
  }
  for (const one of received) expect(versionsOf(one)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await valueOf(tiny, 'tributary_subscription_upstreams')).toBe(1);
  expect(await valueOf(tiny, 'tributary_subscriptions_shared')).toBe(4);
  expect(await valueOf(tiny, 'tributary_subscription_merges_total')).toBe(4);
});

test('what belongs to the answer of somebody else is never given: identity, arguments and selection are kept apart', async () => {
  const { client, feed } = await start();
  const ana = client({ 'x-test-user': 'USER ana' });
  const seen = 'subscription ($id: ID!) { orderChanged(orderId: $id) { seenBy } }';
  const mine = receive(ana, seen, { id: 'o1' });
  const other = receive(ana, seen, { id: 'o2' });
  const bob = receive(client({ 'x-test-user': 'USER bob' }), seen, { id: 'o1' });
  await until(() => feed.open === 3, 'three upstream operations');
  // One upstream operation, two ways to complete its events.
  const upper = receive(ana, query('buyer(upper: true) { name }'));
  const lower = receive(ana, query('buyer(upper: false) { name }'));
  await until(() => feed.open === 4, 'a fourth for both');
  feed.publish(1);
  await until(() => [mine, other, bob, upper, lower].every(({ results }) => results.length === 1), 'the event');
  expect(mine.results).toEqual([{ data: { orderChanged: { seenBy: 'USER ana' } } }]);
  expect(bob.results).toEqual([{ data: { orderChanged: { seenBy: 'USER bob' } } }]);
  const buyer = (name: string) => [{ data: { orderChanged: { order: { version: 1, buyer: { name } } } } }];
  expect(upper.results).toEqual(buyer('BUYER 1'));
  expect(lower.results).toEqual(buyer('buyer 1'));
});

test('whoever resumes is one with the others from the next event on', async () => {
  const { client, feed } = await start();
  feed.publish(1, 2);
  const there = receive(client(), query(''));
  await until(() => there.results.length === 2, 'the events');
  const resumed = receive(client(), 'subscription { orderChanged(orderId: "o1", after: "1") { order { version } } }');
  const behind = receive(client(), 'subscription { orderChanged(orderId: "o1", after: "0") { order { version } } }');
  await until(() => behind.results.length === 1 && feed.open === 2, 'the one behind to come up');
  feed.publish(3);
  await until(() => [there, resumed, behind].every(({ results }) => results.at(-1) !== undefined), 'the event');
  await until(() => versionsOf(resumed).length === 1 && versionsOf(behind).length === 2, 'the event');
  expect(versionsOf(there)).toEqual([1, 2, 3]);
  expect(versionsOf(resumed)).toEqual([3]);
  expect(versionsOf(behind)).toEqual([2, 3]);
  expect(feed.openings.toSorted()).toEqual(['0', '1', undefined]);
  await until(() => feed.open === 1, 'one upstream operation');
});

test('a restart of the subgraph is one upstream operation for all who shared one, and nobody misses anything', async () => {
  const { client, feed, stopSubgraph, startSubgraph } = await start();
  feed.publish(1);
  const received = Array.from({ length: 20 }, () => receive(client(), query('buyer { name }')));
  await until(() => received.every(({ results }) => results.length === 1), 'the first event');
  await stopSubgraph('query');
  feed.publish(2);
  await startSubgraph('query');
  feed.publish(3);
  await until(() => received.every(({ results }) => results.length === 3), 'what was missed');
  for (const one of received) expect(versionsOf(one)).toEqual([1, 2, 3]);
  expect(feed.open).toBe(1);
  expect(feed.openings.filter((after) => after !== undefined)).toEqual(['0']);
});

test('a latest-value stream is joined at once, and its followers get the same from then on', async () => {
  const { client, feed } = await start();
  const query = 'subscription { stock(id: "p1") }';
  const first = receive(client(), query);
  await until(() => feed.open === 1, 'the upstream operation');
  feed.publish(1);
  await until(() => first.results.length === 1, 'the first state');
  const tiny = graph;
  const second = receive(client(), query);
  await until(
    async () => tiny !== undefined && (await valueOf(tiny, 'tributary_subscriptions_shared')) === 1,
    'a follower',
  );
  feed.publish(2);
  await until(() => first.results.length === 2 && second.results.length === 1, 'the second state');
  expect(second.results).toEqual([{ data: { stock: 2 } }]);
  // The subgraph has been asked whether the second one may, and that is over.
  await until(() => feed.open === 1, 'one upstream operation');
  expect(feed.openings).toHaveLength(2);
});

test('each subscriber of a stream without cursors has an upstream operation of their own', async () => {
  const { client, feed } = await start();
  const all = Array.from({ length: 3 }, () => receive(client(), 'subscription { silent }'));
  await until(() => feed.open === 3, 'three upstream operations');
  all[0]?.stop();
  await until(() => feed.open === 2, 'one to end');
});
