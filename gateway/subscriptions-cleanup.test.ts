import { afterEach, expect, test } from '@jest/globals';
import { createClient } from 'graphql-sse';
import type { Client } from 'graphql-ws';
import { until as soon } from '../tests/until.js';
import { receive, startTinyGraph, type Received, type TinyGraph } from './tiny-graph.js';

let graph: TinyGraph | undefined;
afterEach(async () => {
  await graph?.stop();
  graph = undefined;
});

/** A thousand subscriptions at a time take a while on a small machine. */
const until = (condition: () => boolean | Promise<boolean>, message: string | (() => string)) =>
  soon(condition, { timeoutMs: 120_000, message });

const SOCKETS = 10;
const PER_SOCKET = 100;
/** Every second one is alone with its order, the others share theirs. */
const QUERY = 'subscription ($id: ID!) { orderChanged(orderId: $id) { order { version buyer { name } } } }';

/** What keeps the process busy: timers, sockets. */
function resources(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) {
    if (name === 'Immediate' || name === 'TickObject') continue;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

async function gauges({ metrics }: TinyGraph): Promise<number[]> {
  const all = [metrics.subscribers, metrics.subscriptionUpstreams, metrics.subscriptionsShared];
  const values = await Promise.all(all.map(async (gauge) => (await gauge.get()).values));
  return values.map((list) => list.reduce((sum, { value }) => sum + value, 0));
}

test('5,000 subscriptions that were opened and dropped in every way leave no operation, listener, timer or socket', async () => {
  const atFirst = resources();
  const more = (than: ReadonlyMap<string, number>) =>
    [...resources()].flatMap(([name, count]) => (count > (than.get(name) ?? 0) ? [`${count} ${name}`] : []));
  // Everything is in this one process: a busy moment of it is no client that keeps silent.
  const tiny = await startTinyGraph({ sockets: { initWithinMs: 60_000 } });
  graph = tiny;
  const { client, feed, gateway } = tiny;
  feed.publish(1);
  // What is kept from first use on, as connections to subgraphs are, is there before anything is counted.
  const warm = receive(client(), QUERY, { id: 'warm' });
  await until(() => warm.results.length === 1, 'an event');
  warm.stop();
  await until(() => feed.open === 0 && gateway.clientSockets === 0, 'the first one to be gone');
  const running = resources();

  let connected = 0;
  const wave = (number: number): { clients: Client[]; received: Received[] } => {
    const clients = Array.from({ length: SOCKETS }, (_, i) => client({ 'x-test-user': `USER ${i % 3}` }));
    connected = 0;
    for (const one of clients) one.on('connected', () => connected++);
    const received = clients.flatMap((one, socket) =>
      Array.from({ length: PER_SOCKET }, (_, i) =>
        receive(one, QUERY, { id: i % 2 === 0 ? 'shared' : `o${number} ${socket} ${i}` }),
      ),
    );
    return { clients, received };
  };
  const delivered = ({ received }: ReturnType<typeof wave>) =>
    until(
      () => received.every(({ results }) => results.length > 0),
      () => `an event for each; ended are ${JSON.stringify(received.filter(({ ended }) => ended !== 'no'))}`,
    );
  const gone = async () => {
    await until(async () => (await gauges(tiny)).every((value) => value === 0), 'the gateway to have nothing open');
    await until(() => feed.open === 0 && feed.listeners === 0, 'the subgraph to have nothing open');
    await until(() => gateway.clientSockets === 0, 'the sockets to close');
  };

  // One by one, after an event.
  let now = wave(1);
  await delivered(now);
  expect((await gauges(tiny))[0]).toBe(SOCKETS * PER_SOCKET);
  now.received.forEach(({ stop }) => stop());
  await gone();

  // Before the first event, as soon as some are open and the others on their way.
  now = wave(2);
  await until(() => feed.open > 10, 'some to be open');
  now.received.forEach(({ stop }) => stop());
  await gone();

  // With their sockets, which say goodbye.
  now = wave(3);
  await delivered(now);
  await Promise.all(now.clients.map(async (one) => one.dispose()));
  await gone();

  // With their sockets, which are cut off.
  now = wave(4);
  await delivered(now);
  now.clients.forEach((one) => one.terminate());
  await gone();

  // Cut off before the first event, some of them over server-sent events.
  now = wave(5);
  const streams = Array.from({ length: 50 }, () => createClient({ url: `${gateway.url}/graphql`, retryAttempts: 0 }));
  for (const one of streams) {
    const nothing = () => undefined;
    one.subscribe({ query: QUERY, variables: { id: 'shared' } }, { next: nothing, error: nothing, complete: nothing });
  }
  // A socket that is only being opened cannot be cut off by its client.
  await until(() => connected === SOCKETS && feed.open > 10, 'some to be open');
  now.clients.forEach((one) => one.terminate());
  streams.forEach((one) => one.dispose());
  await gone();

  // Connections for calls of subgraphs are kept for the next call.
  const left = () => more(running).filter((what) => !what.endsWith('TCPSocketWrap'));
  await until(
    () => left().length === 0,
    () => `nothing to be left, not ${left().join(', ')}`,
  );
  await tiny.stop();
  graph = undefined;
  await until(
    () => more(atFirst).length === 0,
    () => `nothing at all to be left, not ${more(atFirst).join(', ')}`,
  );
  expect(more(atFirst)).toEqual([]);
}, 600_000);
