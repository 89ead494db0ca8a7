import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { createClient } from 'graphql-sse';
import { AppError } from '../shared/errors/errors.js';
import type { GatewayDeps } from './app.js';
import { startTinyGraph, until, type Result, type TinyGraph } from './tiny-graph.js';

let graph: TinyGraph | undefined;
const closers: (() => void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await graph?.stop();
  graph = undefined;
});

async function start(options: Partial<GatewayDeps> = {}): Promise<TinyGraph> {
  graph = await startTinyGraph(options);
  return graph;
}

interface StreamedEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Result | undefined;
}

/** What an EventSource would make of it. */
class Streamed {
  private text = '';
  ended = false;
  constructor(readonly response: IncomingMessage) {
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => (this.text += chunk));
    response.once('close', () => (this.ended = true));
    response.on('error', () => undefined);
    closers.push(() => response.destroy());
  }

  get events(): readonly StreamedEvent[] {
    const blocks = this.text.split('\n\n').slice(0, -1);
    return blocks
      .filter((block) => !block.startsWith(':'))
      .map((block) => {
        const fields = new Map(
          block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
        );
        const data = fields.get('data') ?? '';
        return {
          event: fields.get('event') ?? '',
          id: fields.get('id'),
          data: data === '' ? undefined : (JSON.parse(data) as Result),
        };
      });
  }

  get data(): readonly unknown[] {
    return this.events.filter(({ event }) => event === 'next').map(({ data }) => data?.errors ?? data?.data);
  }
}

async function stream(
  { gateway }: TinyGraph,
  asked: Record<string, unknown>,
  headers: Record<string, string> = {},
  method = 'POST',
): Promise<Streamed> {
  const url = new URL(`${gateway.url}/graphql`);
  if (method === 'GET') {
    for (const [name, value] of Object.entries(asked)) {
      url.searchParams.set(name, typeof value === 'string' ? value : JSON.stringify(value));
    }
  }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const type = method === 'POST' ? { 'content-type': 'application/json' } : {};
    const request = httpRequest(
      url,
      { method, headers: { accept: 'text/event-stream', ...type, ...headers } },
      resolve,
    );
    request.on('error', reject);
    request.end(method === 'POST' ? JSON.stringify(asked) : undefined);
  });
  return new Streamed(response);
}

const CHANGES =
  'subscription ($after: String) { orderChanged(orderId: "o1", after: $after) { order { version buyer { name } } } }';
const change = (version: number) => ({ orderChanged: { order: { version, buyer: { name: `buyer ${version}` } } } });

test('a subscription is a stream of next events with their cursors as ids, by POST and by GET', async () => {
  const tiny = await start();
  const streams = [
    await stream(tiny, { query: CHANGES }),
    await stream(tiny, { query: CHANGES, variables: { after: null } }, {}, 'GET'),
  ];
  tiny.feed.publish(1, 2);
  await until(() => streams.every(({ events }) => events.length === 2), 'the events');
  for (const { response, events } of streams) {
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8' });
    expect(events).toEqual([
      { event: 'next', id: '0', data: { data: change(1) } },
      { event: 'next', id: '1', data: { data: change(2) } },
    ]);
  }
  expect(tiny.feed.open).toBe(1);
});

test('an EventSource that connects again goes on behind the last event that it had', async () => {
  const tiny = await start();
  tiny.feed.publish(1, 2, 3);
  const resumed = await stream(tiny, { query: CHANGES }, { 'last-event-id': '0' }, 'GET');
  const after = await stream(tiny, { query: CHANGES, variables: { after: '1' } });
  await until(() => resumed.events.length === 2 && after.events.length === 1, 'the events');
  expect(resumed.data).toEqual([change(2), change(3)]);
  expect(after.data).toEqual([change(3)]);
});

test('queries and mutations are one next and complete; by GET nothing is changed', async () => {
  const tiny = await start();
  const who = await stream(tiny, { query: '{ who }' }, { 'x-test-user': 'USER ana' });
  const rename = await stream(tiny, { query: 'mutation { rename(name: "sse") }' });
  const forged = await stream(tiny, { query: 'mutation { rename(name: "by get") }' }, {}, 'GET');
  await until(() => [who, rename, forged].every(({ ended }) => ended), 'the ends');
  const complete = { event: 'complete', id: undefined, data: undefined };
  expect(who.events).toEqual([{ event: 'next', id: undefined, data: { data: { who: 'USER ana' } } }, complete]);
  expect(rename.data).toEqual([{ rename: 'SSE' }]);
  expect(forged.response.statusCode).toBe(405);
  const renamed = await stream(tiny, { query: '{ renamed }' });
  await until(() => renamed.ended, 'the end');
  expect(JSON.stringify(renamed.data)).not.toContain('by get');
});

test('what a subscription ends on, or is refused for, comes as errors and complete', async () => {
  const tiny = await start();
  const refused = await stream(tiny, { query: 'subscription { refused }' });
  const invalid = await stream(tiny, { query: 'subscription { nothing }' });
  const plain = await stream(tiny, { query: 'subscription { plain(upTo: 2) }' });
  await until(() => [refused, invalid, plain].every(({ ended }) => ended), 'the ends');
  expect(refused.data).toMatchObject([[{ extensions: { code: 'FORBIDDEN' } }]]);
  expect(invalid.data).toMatchObject([[{ extensions: { code: 'VALIDATION' } }]]);
  expect(plain.data).toEqual([{ plain: 1 }, { plain: 2 }]);
  for (const { events } of [refused, invalid, plain]) expect(events.at(-1)?.event).toBe('complete');
});

test('a client that may not come in gets a status, and no stream', async () => {
  const tiny = await start();
  const unknown = await stream(tiny, { query: '{ who }' }, { 'x-test-user': 'NOBODY' });
  expect(unknown.response.statusCode).toBe(401);
  const foreign = await stream(tiny, { query: CHANGES }, { origin: 'https://evil.example' }, 'GET');
  expect(foreign.response.statusCode).toBe(403);
  expect(tiny.feed.openings).toEqual([]);
});

test('a token that expires ends the stream with UNAUTHENTICATED', async () => {
  const tiny = await start({
    authenticate: ({ headers }) =>
      headers.authorization === 'Bearer good'
        ? Promise.resolve({ identity: { role: 'USER', userId: 'ana' }, expiresAt: Date.now() + 400 })
        : Promise.reject(new AppError('UNAUTHENTICATED', 'A bad token.')),
  });
  const events = await stream(tiny, { query: CHANGES }, { authorization: 'Bearer good' });
  tiny.feed.publish(1);
  await until(() => events.ended, 'the end');
  expect(events.data).toMatchObject([change(1), [{ extensions: { code: 'UNAUTHENTICATED' } }]]);
  expect(events.events.at(-1)?.event).toBe('complete');
  await until(() => tiny.feed.open === 0, 'the upstream operation to end');
});

test('a client that stops reading holds a bounded queue, and gets everything once when it reads again', async () => {
  const tiny = await start({ sockets: { maxWaiting: 10 } });
  const { feed } = tiny;
  const slow = await stream(tiny, { query: 'subscription { orderChanged(orderId: "o1") { blob order { version } } }' });
  await until(() => feed.open === 1, 'the upstream operation');
  slow.response.pause();
  for (let version = 1; feed.open === 1 && version <= 1_000; version++) {
    feed.publish(version);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => feed.open === 0, 'the gateway to give up its upstream operation');
  const published = feed.events.length;
  feed.publish(published + 1);
  slow.response.resume();
  await until(() => slow.events.length >= published + 1, 'all events');
  const versions = slow.data.map(
    (data) => (data as { orderChanged: { order: { version: number } } }).orderChanged.order,
  );
  expect(versions).toEqual(Array.from({ length: published + 1 }, (_, i) => ({ version: i + 1 })));
});

test('a client that goes away, and a gateway that stops, leave nothing behind', async () => {
  const tiny = await start();
  const streams = await Promise.all(Array.from({ length: 20 }, () => stream(tiny, { query: CHANGES })));
  tiny.feed.publish(1);
  await until(() => streams.every(({ events }) => events.length === 1), 'an event each');
  for (const { response } of streams.slice(1)) response.destroy();
  const subscribers = async () =>
    (await tiny.metrics.subscribers.get()).values.reduce((sum, { value }) => sum + value, 0);
  await until(async () => (await subscribers()) === 1, 'the others to end');
  await tiny.gateway.stop();
  await until(() => streams.every(({ ended }) => ended) && tiny.feed.open === 0, 'everything to end');
  // Without complete, so that a client connects again.
  expect(streams[0]?.events.map(({ event }) => event)).toEqual(['next']);
});

test('the client of graphql-sse understands all of it', async () => {
  const tiny = await start();
  const client = createClient({
    url: `${tiny.gateway.url}/graphql`,
    headers: { 'x-test-user': 'USER ana' },
    retryAttempts: 0,
  });
  closers.push(() => client.dispose());
  const answers: unknown[] = [];
  for await (const answer of client.iterate({ query: '{ who }' })) answers.push(answer);
  for await (const answer of client.iterate({ query: 'subscription { plain(upTo: 2) }' })) answers.push(answer);
  expect(answers).toEqual([{ data: { who: 'USER ana' } }, { data: { plain: 1 } }, { data: { plain: 2 } }]);
  const events = client.iterate({ query: CHANGES });
  tiny.feed.publish(1);
  expect(await events.next()).toEqual({ done: false, value: { data: change(1) } });
  await events.return?.();
  await until(() => tiny.feed.open === 0, 'the upstream operation to end');
});
