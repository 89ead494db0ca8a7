import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parse } from 'graphql';
import { composeSupergraph } from '../ops/compose.mjs';
import { silentLogger, type Logger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { until } from '../tests/until.js';
import { hashOf, makeFederation, type Federation, type SubgraphPlace } from './federation.js';
import { IdentityTokens } from './identity-tokens.js';
import { SupergraphFile, type SupergraphFileOptions } from './supergraph.js';
import { linkTo } from './supergraph-links.js';
import { receive } from './tiny-graph.js';
import { LINK, startForeign, startForeignGraph, type ForeignSpec } from './tiny-subgraphs.js';

const running: { stop(): Promise<void> }[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-supergraph-'));
  folders.push(folder);
  const path = join(folder, 'supergraph.graphql');
  writeFileSync(path, text);
  return path;
}

const PRODUCTS = `${LINK('@key')}
  type Product @key(fields: "id") { id: ID!, name: String! }
  type Query { product(id: ID!): Product }
  type Subscription { ticks: Product! }
`;
const REVIEWS = `${LINK('@key')}
  type Product @key(fields: "id") { id: ID!, review: String! }
`;
const products = { name: 'products', url: 'http://127.0.0.1:1/', sdl: PRODUCTS };
const reviews = { name: 'reviews', url: 'http://127.0.0.1:2/', sdl: REVIEWS };
const WITHOUT = composeSupergraph([products]);
const WITH = composeSupergraph([products, reviews]);

/** A logger that keeps what is told to operators. */
function listening(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const log = silentLogger();
  for (const level of ['info', 'warn', 'error'] as const) {
    log[level] = ((fields: object, message: string) =>
      lines.push(`${level}: ${message} ${JSON.stringify(fields)}`)) as never;
  }
  return { log, lines };
}

describe('versions', () => {
  /** A federation that tells which links are open. */
  function federated(sdl: string, lingerMs = 0) {
    const open: string[] = [];
    const tokens = new IdentityTokens('a secret of at least thirty-two characters', Date.now);
    const connect = linkTo({}, tokens, silentLogger(), { metrics: createMetrics() });
    const federation = makeFederation(
      sdl,
      {},
      silentLogger(),
      (place: SubgraphPlace) => {
        const link = connect(place);
        const label = `${place.name} ${place.websocketUrl ?? place.url}`;
        open.push(label);
        return {
          ...link,
          close: async () => {
            await link.close();
            open.splice(open.indexOf(label), 1);
          },
        };
      },
      { lingerMs },
    );
    running.push({ stop: () => federation.close() });
    return { federation, open };
  }

  test('a version that nobody uses any more closes the links that no other has, and those alone', async () => {
    const { federation, open } = federated(WITH);
    expect(open).toEqual(['products http://127.0.0.1:1/', 'reviews http://127.0.0.1:2/']);
    const old = federation.current();
    const release = old.hold();
    federation.serve(federation.build(WITHOUT));
    expect(federation.current().hash).toBe(hashOf(WITHOUT));
    expect([...federation.current().subgraphs.keys()]).toEqual(['products']);
    expect(federation.current().subgraphs.get('products')).toBe(old.subgraphs.get('products'));
    expect(federation.versions).toBe(2);
    release();
    release();
    await until(() => federation.versions === 1 && open.length === 1);
    expect(open).toEqual(['products http://127.0.0.1:1/']);
    federation.serve(federation.build(WITH));
    expect(open).toHaveLength(2);
    await until(() => federation.versions === 1);
  });

  test('a version that is held stays whole, whatever is served meanwhile', async () => {
    const { federation, open } = federated(WITH);
    const old = federation.current();
    const release = old.hold();
    for (const sdl of [WITHOUT, WITH, WITHOUT]) federation.serve(federation.build(sdl));
    await until(() => federation.versions === 2);
    expect(open).toContain('reviews http://127.0.0.1:2/');
    expect(old.schema.getType('Product')?.toString()).toBe('Product');
    const { node } = old.plan(parse('{ product(id: 1) { name review } }'), null);
    expect(JSON.stringify(node)).toContain('reviews');
    release();
    await until(() => open.length === 1);
  });

  test('another address, or another WebSocket, is another link', () => {
    const { federation, open } = federated(WITH, 60_000);
    const moved = { ...reviews, url: 'http://127.0.0.1:3/' };
    federation.serve(federation.build(composeSupergraph([products, moved])));
    federation.serve(
      federation.build(composeSupergraph([products, { ...moved, websocketUrl: 'ws://127.0.0.1:4/ws' }])),
    );
    expect(open).toEqual([
      'products http://127.0.0.1:1/',
      'reviews http://127.0.0.1:2/',
      'reviews http://127.0.0.1:3/',
      'reviews ws://127.0.0.1:4/ws',
    ]);
    expect(federation.versions).toBe(3);
  });

  test('a supergraph with a subgraph that has no address is not served, and leaves nothing open', () => {
    const { federation, open } = federated(WITHOUT);
    const nowhere = federation.build(composeSupergraph([products, { ...reviews, url: '' }]));
    expect(() => federation.serve(nowhere)).toThrow('where the subgraph reviews is');
    expect(federation.current().hash).toBe(hashOf(WITHOUT));
    expect(open).toHaveLength(1);
    expect(federation.versions).toBe(1);
  });
});

describe('a file', () => {
  function follow(first: string, pollMs = 0) {
    const path = newFile(first);
    const { log, lines } = listening();
    const metrics = createMetrics();
    const tokens = new IdentityTokens('a secret of at least thirty-two characters', Date.now);
    const federation: Federation = makeFederation(first, {}, log, linkTo({}, tokens, log, { metrics }), {
      lingerMs: 0,
    });
    const options: SupergraphFileOptions = { path, pollMs, federation, log, metrics };
    const file = new SupergraphFile(options);
    running.push({
      stop: async () => {
        await file.stop();
        await federation.close();
      },
    });
    const reloads = async (): Promise<Record<string, number>> => {
      const { values } = await metrics.supergraphReloads.get();
      return Object.fromEntries(values.map(({ labels, value }) => [String(labels.outcome), value]));
    };
    return { path, file, federation, lines, reloads, served: () => federation.current().hash };
  }

  const BROKEN: readonly (readonly [string, string, string])[] = [
    ['is no GraphQL', 'type Query {', 'Syntax Error'],
    ['is empty', '', 'Syntax Error'],
    ['is a plain schema', 'type Query { a: Int }', 'core schema'],
    [
      'needs a feature that nobody here knows',
      WITH.replace('  @link(', '  @link(url: "https://example.com/x/v1.0", for: SECURITY)\n  @link('),
      'unsupported',
    ],
    ['names a type that is not there', WITH.replace('review: String!', 'review: Missing!'), 'Missing'],
    [
      'has an entity nobody can get at',
      WITH.replace('@join__type(graph: REVIEWS, key: "id")', '@join__type(graph: REVIEWS)'),
      'Query.product cannot be planned',
    ],
    ['does not say where a subgraph is', WITH.replace('http://127.0.0.1:2/', ''), 'where the subgraph reviews is'],
  ];

  test.each(BROKEN)('that %s is refused in one line and counted, and the old one stays', async (_what, text, why) => {
    const { path, file, served, lines, reloads } = follow(WITHOUT);
    expect(text).not.toBe(WITH);
    writeFileSync(path, text);
    expect(await file.reload()).toBe('refused');
    expect(served()).toBe(hashOf(WITHOUT));
    expect(lines).toEqual([expect.stringMatching(/^error: the supergraph is refused .*"reason":"[^\n]+$/)]);
    expect(lines[0]).toContain(why);
    expect(await reloads()).toEqual({ refused: 1 });
    writeFileSync(path, WITH);
    expect(await file.reload()).toBe('served');
    expect(served()).toBe(hashOf(WITH));
    expect(await reloads()).toEqual({ refused: 1, served: 1 });
  });

  test('with the same content changes nothing, however often it is looked at', async () => {
    const { path, file, served, lines } = follow(WITHOUT);
    writeFileSync(path, WITHOUT);
    expect(await Promise.all([file.reload(), file.reload()])).toEqual(['unchanged', 'unchanged']);
    expect(served()).toBe(hashOf(WITHOUT));
    expect(lines).toEqual([]);
  });

  test('that is gone is told of, and followed again when it is back', async () => {
    const { path, file, served, lines } = follow(WITHOUT);
    rmSync(path);
    expect(await file.reload()).toBe('unreadable');
    expect(lines).toEqual([expect.stringContaining('cannot be read; the old one is served')]);
    writeFileSync(path, WITH);
    expect(await file.reload()).toBe('served');
    expect(served()).toBe(hashOf(WITH));
  });

  test('is found changed by looking, half of it is waited out, and what stays broken is refused once', async () => {
    const { path, file, served, lines, reloads } = follow(WITHOUT, 5);
    file.start();
    for (const end of [100, 500, WITH.length / 2, WITH.length]) writeFileSync(path, WITH.slice(0, end));
    await until(() => served() === hashOf(WITH));
    writeFileSync(path, WITHOUT.slice(0, 300));
    await until(async () => (await reloads())['refused'] === 1);
    expect(served()).toBe(hashOf(WITH));
    writeFileSync(path, WITHOUT);
    await until(() => served() === hashOf(WITHOUT));
    expect(lines.filter((line) => line.startsWith('error'))).toHaveLength(1);
    expect(await reloads()).toEqual({ refused: 1, served: 2 });
  });
});

describe('the gateway', () => {
  const productsSpec = (ticks: AsyncIterable<unknown>): ForeignSpec => ({
    name: 'products',
    sdl: PRODUCTS,
    wsPath: '/ws',
    resolvers: {
      Query: { product: (_: unknown, { id }: { id: string }) => ({ id, name: `Product ${id}` }) },
      Product: { __resolveReference: ({ id }: { id: string }) => ({ id, name: `Product ${id}` }) },
      Subscription: { ticks: { subscribe: () => ticks, resolve: (id: string) => ({ id, name: `Product ${id}` }) } },
    },
  });
  const reviewsSpec: ForeignSpec = {
    name: 'reviews',
    sdl: REVIEWS,
    resolvers: { Product: { review: ({ id }: { id: string }) => `review of ${id}` } },
  };

  /** What `push` is given; ends when whoever listens goes. */
  function channel() {
    const waiting: string[] = [];
    let wake = (): void => undefined;
    let open = true;
    const iterator = {
      next: async (): Promise<IteratorResult<string, undefined>> => {
        while (open && waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        const value = waiting.shift();
        return open && value !== undefined ? { done: false, value } : { done: true, value: undefined };
      },
      return: () => {
        open = false;
        wake();
        return Promise.resolve({ done: true as const, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    const push = (id: string): void => {
      waiting.push(id);
      wake();
    };
    return { iterator, isOpen: () => open, push };
  }

  test('takes a new supergraph while a subscription runs, which ends on the one it began with', async () => {
    const { iterator, push, isOpen } = channel();
    const [one, two] = await Promise.all([startForeign(productsSpec(iterator)), startForeign(reviewsSpec)]);
    running.push(one, two);
    const [without, withReviews] = [composeSupergraph([one]), composeSupergraph([one, two])];
    const path = newFile(withReviews);
    const graph = await startForeignGraph([one, two], {
      supergraphSdl: withReviews,
      supergraphFile: { path, pollMs: 0 },
    });
    running.push(graph);
    const before = receive(graph.client(), 'subscription { ticks { name review } }');
    push('1');
    await until(() => before.results.length === 1);

    writeFileSync(path, without);
    await graph.gateway.reloadSupergraph();
    expect(await graph.ask('{ product(id: "1") { name } }')).toEqual({ data: { product: { name: 'Product 1' } } });
    expect((await graph.ask('{ product(id: "1") { review } }')).errors).toHaveLength(1);
    push('2');
    await until(() => before.results.length === 2);
    expect(before.results).toEqual(
      ['1', '2'].map((id) => ({ data: { ticks: { name: `Product ${id}`, review: `review of ${id}` } } })),
    );
    expect(before.ended).toBe('no');

    const ready = (await (await fetch(`${graph.gateway.url}/readyz`)).json()) as { checks: unknown[] };
    expect(ready.checks).toEqual([
      { name: 'supergraph', ok: true, detail: hashOf(without) },
      { name: 'products', ok: true },
    ]);
    const metrics = await (await fetch(`${graph.gateway.url}/metrics`)).text();
    expect(metrics).toContain(`tributary_supergraph_info{hash="${hashOf(without)}"} 1`);
    expect(metrics).not.toContain(hashOf(withReviews));
    before.stop();
    await until(() => !isOpen());
  });

  test('does not start on a file that cannot be served, and says what is wrong', async () => {
    const one = await startForeign(productsSpec(channel().iterator));
    running.push(one);
    const start = (supergraphSdl: string) =>
      startForeignGraph([one], { supergraphSdl, supergraphFile: { path: 'my.graphql', pollMs: 0 } });
    await expect(start('type Query')).rejects.toThrow(/^SUPERGRAPH: my.graphql cannot be served. /);
    await expect(
      start(WITH.replace('@join__type(graph: REVIEWS, key: "id")', '@join__type(graph: REVIEWS)')),
    ).rejects.toThrow(/^SUPERGRAPH: my.graphql cannot be served. Query.product cannot be planned/);
  });
});
