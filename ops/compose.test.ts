import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { changes, compose, composeSupergraph, readSubgraphs } from './compose.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-compose-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable"])\n';
const ITEMS = `${LINK}type Item @key(fields: "id") { id: ID!, name: String! }\ntype Query { items: [Item!]! }\n`;
const STOCK = `${LINK}type Item @key(fields: "id") { id: ID!, left: Int! }\n`;

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);

/** A supergraph.yaml with the lines of its subgraphs. */
const configure = (...subgraphs: string[]): void =>
  write('supergraph.yaml', ['federation_version: =2.9.0', 'subgraphs:', ...subgraphs].join('\n'));

const line = (name: string, rest = ''): string =>
  `  ${name}: { routing_url: 'http://127.0.0.1:1/${name}', schema: { file: ${name}.graphql }${rest} }`;

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('ops/compose.mjs'), ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout: stdout.trim(), stderr: stderr.trim() };
}

test('a supergraph is written once, what changed is told, and --check tells a stale one', () => {
  write('items.graphql', ITEMS);
  write('stock.graphql', STOCK);
  configure(line('items'));
  expect(run('--check')).toMatchObject({ status: 1, stderr: 'Stale, run `npm run compose`: supergraph.graphql' });
  expect(run()).toEqual({ status: 0, stdout: 'wrote supergraph.graphql, composed from items', stderr: '' });
  expect(run('--check')).toEqual({ status: 0, stdout: '', stderr: '' });
  const { mtimeMs } = statSync(join(folder, 'supergraph.graphql'));
  expect(run()).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(statSync(join(folder, 'supergraph.graphql')).mtimeMs).toBe(mtimeMs);

  configure(line('items'), line('stock'));
  expect(run('--check').status).toBe(1);
  expect(run().stdout.split('\n')).toEqual([
    'wrote supergraph.graphql, composed from items, stock',
    '  + subgraph stock at http://127.0.0.1:1/stock',
    '  + Item.left: Int!',
  ]);
  expect(readdirSync(folder).sort()).toEqual([
    'items.graphql',
    'stock.graphql',
    'supergraph.graphql',
    'supergraph.yaml',
  ]);
});

test('what does not fit together is told with subgraph, file and line, and nothing is written', () => {
  write('items.graphql', ITEMS);
  write('stock.graphql', `${LINK}type Item @key(fields: "upc") { id: ID!, name: Int! }\n`);
  configure(line('items'), line('stock'));
  const { status, stderr } = run();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^KEY_INVALID_FIELDS: \[stock\] On type "Item"/);
  expect(stderr).toContain('\n    at stock.graphql:2:11');
  write('stock.graphql', 'type Item {');
  expect(run().stderr).toBe('stock: Syntax Error: Expected Name, found <EOF>.\n    at stock.graphql:1:12');
  expect(readdirSync(folder)).not.toContain('supergraph.graphql');
});

test('hints name the subgraphs, and file and line', () => {
  write('items.graphql', ITEMS.replace('type Item', '"One."\ntype Item'));
  write('stock.graphql', STOCK.replace('type Item', '"Two."\ntype Item'));
  configure(line('items'), line('stock'));
  const { status, stderr } = run();
  expect(status).toBe(0);
  expect(stderr).toMatch(
    /^hint: INCONSISTENT_DESCRIPTION: Element "Item" has .*\n {4}at items.graphql:2:1\n {4}at stock.graphql:2:1$/,
  );
});

test.each([
  ['no subgraphs', 'subgraphs: {}', 'names no subgraphs'],
  ['an old federation', 'federation_version: 1\nsubgraphs: {}', 'federation_version is 1; it must be 2'],
  ['no YAML', 'subgraphs: [', 'unexpected end'],
  ['no address', 'subgraphs: { a: { schema: { file: a.graphql } } }', 'a: routing_url must be'],
  ['no schema', 'subgraphs: { a: { routing_url: "http://a/" } }', 'a: schema needs a file'],
  [
    'a schema that is not there',
    'subgraphs: { a: { routing_url: "http://a/", schema: { file: no.graphql } } }',
    'no.graphql cannot be read: ENOENT',
  ],
  [
    'a WebSocket that is none',
    'subgraphs: { a: { routing_url: "http://a/", schema: { file: a.graphql }, subscription: { path: ws } } }',
    'a: subscription needs a path',
  ],
])('a supergraph.yaml with %s is refused, with its name', (_what, yaml, why) => {
  write('a.graphql', ITEMS);
  write('supergraph.yaml', yaml);
  const { status, stderr } = run();
  expect(status).toBe(1);
  expect(stderr).toContain('supergraph.yaml: ');
  expect(stderr).toContain(why);
});

test('all mistakes of a supergraph.yaml are told at once', () => {
  configure('  a: {}', '  b: {}');
  expect(run().stderr.split('\n')).toHaveLength(2);
});

test('a WebSocket is that of the same host, or anywhere; paths begin at the folder of supergraph.yaml', async () => {
  write('items.graphql', ITEMS);
  configure(
    line('items'),
    line('items2', ', subscription: { path: /ws }').replace('items2.graphql', 'items.graphql'),
    line('items3', ", subscription: { url: 'wss://elsewhere.example/live' }").replace(
      'items3.graphql',
      'items.graphql',
    ),
  );
  const subgraphs = await readSubgraphs(join(folder, 'supergraph.yaml'));
  expect(subgraphs.map(({ websocketUrl }) => websocketUrl)).toEqual([
    undefined,
    'ws://127.0.0.1:1/ws',
    'wss://elsewhere.example/live',
  ]);
  expect(subgraphs[0]?.file).toBe(join(folder, 'items.graphql'));
  const sdl = composeSupergraph([{ ...subgraphs[0]!, websocketUrl: 'ws://127.0.0.1:1/ws' }]);
  expect(sdl).toContain(
    '@join__graph(name: "items", url: "http://127.0.0.1:1/items") @websocket(url: "ws://127.0.0.1:1/ws")',
  );
});

test('a running subgraph is asked for its schema', async () => {
  const server = createServer((_request, response) => {
    response.end(JSON.stringify({ data: { _service: { sdl: ITEMS } } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  configure(`  items: { routing_url: '${url}', schema: { subgraph_url: '${url}' } }`);
  const file = join(folder, 'supergraph.yaml');
  expect(await readSubgraphs(file)).toEqual([{ name: 'items', url, sdl: ITEMS }]);
  await new Promise((resolve) => server.close(resolve));
  await expect(readSubgraphs(file)).rejects.toThrow(`${file}: items: ${url} does not tell its schema`);
});

test('changes are those that clients and the gateway see', () => {
  const subgraph = (sdl: string, url = 'http://a/') => compose([{ name: 'a', url, sdl }]).supergraphSdl;
  const before = subgraph(
    `${LINK}type Query { a(x: Int): Int, b: E } enum E { ONE TWO } union U = A type A { i: Int }`,
  );
  const after = subgraph(
    `${LINK}"New words." type Query { a(x: Int, y: Int): Int, b: E } enum E { ONE } union U = A | B type A { i: Int } type B { i: Int }`,
    'http://b/',
  );
  expect(changes(before, after)).toEqual([
    '- E.TWO',
    '+ B (type)',
    '+ B.i: Int',
    '+ U | B',
    '~ subgraph a at http://b/, before at http://a/',
    '~ Query.a(x: Int, y: Int): Int, before(x: Int): Int',
  ]);
  expect(changes(after, after)).toEqual([]);
});
