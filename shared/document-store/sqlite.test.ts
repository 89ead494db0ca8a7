import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from '@jest/globals';
import { openSqlite } from '../libsql/libsql.js';
import { documentStoreContract } from './contract.js';
import type { DocumentStore, FindOptions } from './port.js';
import { countPerKeyQuery, findPerKeyQuery, findQueries, type Query } from './sqlite-query.js';
import { openSqliteDocumentStore } from './sqlite.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-documents-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

documentStoreContract(
  'SQLite',
  () =>
    Promise.resolve({
      open: () => Promise.resolve(openSqliteDocumentStore({ file: join(folder, 'contract.sqlite') })),
      dispose: () => Promise.resolve(),
    }),
  { propertyRuns: 150 },
);

interface Step {
  readonly id: number;
  readonly parent: number;
  readonly detail: string;
}

async function stepsOf(queries: readonly Query[]): Promise<Step[][]> {
  const file = join(folder, 'plans.sqlite');
  const store = openSqliteDocumentStore({ file });
  await store.ensureCollections([
    {
      name: 'orders',
      indexes: [{ fields: ['userId', 'createdAt'] }, { fields: ['createdAt'] }, { fields: ['shopId', 'open', 'at'] }],
    },
  ]);
  await store.close();
  const db = openSqlite(file);
  const steps = queries.map(({ sql, params }) => db.statement(`EXPLAIN QUERY PLAN ${sql}`).all(...params) as Step[]);
  db.close();
  return steps;
}

async function plansOf(options: FindOptions): Promise<string[]> {
  const queries = findQueries('orders', options).map(({ sql, params }) => ({
    sql,
    params: [...params, options.limit],
  }));
  return (await stepsOf(queries)).map((steps) => steps.map(({ detail }) => detail).join('; '));
}

test('equality and sort run on one index: no scan, nothing sorted, neither on the first page nor behind a position', async () => {
  const filter = [{ field: 'userId', is: { eq: 'x' } }];
  for (const direction of ['asc', 'desc'] as const) {
    const sort = { field: 'createdAt', direction };
    for (const value of [undefined, 5, null]) {
      const after = value === undefined ? {} : { after: { value, id: 'a' } };
      const plans = await plansOf({ filter, sort, limit: 20, ...after });
      expect(plans.length).toBeGreaterThan(0);
      for (const plan of plans)
        expect(plan).toMatch(/^SEARCH orders USING INDEX orders\(userId,createdAt\) \(<expr>=\?[^;]*$/);
    }
  }
});

test('a sort without a filter reads its index in order', async () => {
  const [first, behind] = [
    await plansOf({ sort: { field: 'createdAt', direction: 'desc' }, limit: 20 }),
    await plansOf({ sort: { field: 'createdAt', direction: 'desc' }, after: { value: 5, id: 'a' }, limit: 20 }),
  ];
  expect(first[0]).toBe('SCAN orders USING INDEX orders(createdAt)');
  expect(behind[0]).toBe('SEARCH orders USING INDEX orders(createdAt) (<expr><?)');
});

test('lists of many keys read the index of each key up to the limit: no scan, nothing sorted before it is cut', async () => {
  const filter = [{ field: 'open', is: { eq: true } }];
  for (const direction of ['asc', 'desc'] as const) {
    const options = { filter, sort: { field: 'at', direction }, first: 20 };
    const [steps = []] = await stepsOf([findPerKeyQuery('orders', 'shopId', ['x', 'y'], options)]);
    const list = steps.find(({ detail }) => detail.startsWith('CORRELATED LIST SUBQUERY'));
    expect(steps.filter(({ parent }) => parent === list?.id).map(({ detail }) => detail)).toEqual([
      'SEARCH orders USING INDEX orders(shopId,open,at) (<expr>=? AND <expr>=?)',
    ]);
    // Around it only the keys are scanned, and only what is answered is sorted.
    expect(steps.filter(({ parent }) => parent === 0).map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^SCAN json_each /),
      'SEARCH stored USING INTEGER PRIMARY KEY (rowid=?)',
      list?.detail,
      'USE TEMP B-TREE FOR ORDER BY',
    ]);
    expect(steps).toHaveLength(5);
  }
});

test('many keys are counted in the index of their key: no scan of documents, nothing sorted or grouped', async () => {
  const filter = [{ field: 'open', is: { eq: true } }];
  const [steps = []] = await stepsOf([countPerKeyQuery('orders', 'shopId', ['x', 'y'], filter)]);
  expect(steps.map(({ detail }) => detail)).toEqual([
    expect.stringMatching(/^SCAN json_each /),
    expect.stringMatching(/^CORRELATED SCALAR SUBQUERY/),
    'SEARCH orders USING INDEX orders(shopId,open,at) (<expr>=? AND <expr>=?)',
  ]);
});

test('puts of one turn of the event loop share one commit', async () => {
  const file = join(folder, 'shared.sqlite');
  const store = openSqliteDocumentStore({ file });
  await store.ensureCollections([
    { name: 'a', indexes: [] },
    { name: 'b', indexes: [] },
  ]);
  const watcher = openSqlite(file);
  const dataVersion = (): unknown => watcher.pragma('data_version');
  const before = dataVersion();
  const puts = Array.from({ length: 100 }, (_, n) =>
    store.putIfNewer(n % 2 ? 'a' : 'b', [{ id: `${n}`, version: 1, doc: {} }]),
  );
  expect(dataVersion()).toEqual(before);
  expect(await store.count('a')).toBe(0);
  await puts[0];
  // All of them became visible with the first.
  expect([await store.count('a'), await store.count('b')]).toEqual([50, 50]);
  await Promise.all(puts);
  watcher.close();
  await store.close();
});

test('a document that SQLite refuses rejects its own call only, and its collection stays readable', async () => {
  const store = openSqliteDocumentStore({ file: join(folder, 'refused.sqlite') });
  await store.ensureCollections([{ name: 'a', indexes: [] }]);
  const tooDeep: unknown = JSON.parse('['.repeat(2_000) + ']'.repeat(2_000));
  const outcomes = await Promise.allSettled([
    store.putIfNewer('a', [{ id: 'x', version: 1, doc: {} }]),
    store.putIfNewer('a', [
      { id: 'y', version: 1, doc: {} },
      { id: 'z', version: 1, doc: { tooDeep } },
    ]),
    store.putIfNewer('a', [{ id: 'w', version: 1, doc: {} }]),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  const left = await store.find('a', { sort: { field: 'name', direction: 'asc' }, limit: 9 });
  expect(left.map(({ id }) => id)).toEqual(['w', 'x']);
  await store.close();
});

test('a file locked by another process is EngineUnavailable, and the put works once the lock is gone', async () => {
  const file = join(folder, 'locked.sqlite');
  const store = openSqliteDocumentStore({ file });
  await store.ensureCollections([{ name: 'a', indexes: [] }]);
  const other = openSqlite(file);
  other.exec('BEGIN IMMEDIATE');
  const put = (): Promise<ReadonlySet<string>> => store.putIfNewer('a', [{ id: 'x', version: 1, doc: {} }]);
  await expect(put()).rejects.toMatchObject({ code: 'UNAVAILABLE', cause: { code: 'SQLITE_BUSY' } });
  other.exec('ROLLBACK');
  expect(await put()).toEqual(new Set(['x']));
  other.close();
  await store.close();
});

test('a collection that another process dropped is empty, and is made again by the next put', async () => {
  const file = join(folder, 'dropped.sqlite');
  const [store, tool] = [openSqliteDocumentStore({ file }), openSqliteDocumentStore({ file })];
  const put = () => store.putIfNewer('a', [{ id: 'x', version: 1, doc: {} }]);
  for (const next of [
    async () => expect(await store.get('a', 'x')).toBeNull(),
    async () => expect(await store.count('a')).toBe(0),
    async () => store.remove('a', ['x']),
  ]) {
    await put();
    await tool.drop('a');
    await next();
    expect(await put()).toEqual(new Set(['x']));
    await tool.drop('a');
    expect(await put()).toEqual(new Set(['x']));
    expect((await tool.getMany('a', ['x'])).size).toBe(1);
  }
  await tool.close();
  await store.close();
});

interface Written {
  readonly writer: number;
  readonly version: number;
  readonly all: readonly number[];
}

/** Lets a child process write until it has reported `reports` puts, kills it, and gives back what it reported. */
async function killedWriter(program: string, file: string, reports: number): Promise<string[]> {
  const child = spawn(process.execPath, [program, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_PATH: join(process.cwd(), 'node_modules') },
  });
  const exited = once(child, 'exit');
  const seen: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    seen.push(line);
    if (seen.length === reports) child.kill('SIGKILL');
  }
  expect(await exited).toEqual([null, 'SIGKILL']);
  return seen;
}

async function expectAllThere(store: DocumentStore, seen: readonly string[]): Promise<void> {
  const found = await store.getMany<Written>(
    'things',
    seen.map((line) => line.replace(' ', '-')),
  );
  expect(found.size).toBe(new Set(seen).size);
  for (const { doc } of found.values()) expect(new Set(doc.all)).toEqual(new Set([doc.version]));
  for (const writer of [0, 1, 2, 3]) {
    const newest = Math.max(
      0,
      ...seen.filter((line) => line.startsWith(`${writer} `)).map((line) => Number(line.slice(2))),
    );
    const latest = await store.get<Written>('things', `latest-${writer}`);
    expect(latest?.version ?? 0).toBeGreaterThanOrEqual(newest);
  }
}

test('every put that resolved before a SIGKILL is there afterwards', async () => {
  const program = join(folder, 'crash-child.mjs');
  const bundled = spawnSync(join('node_modules', '.bin', 'esbuild'), [
    join('shared', 'document-store', 'crash-child.ts'),
    '--bundle',
    '--platform=node',
    '--format=esm',
    `--alias:libsql=${join(process.cwd(), 'node_modules', 'libsql', 'index.js')}`,
    `--external:${join(process.cwd(), 'node_modules', '*')}`,
    `--outfile=${program}`,
  ]);
  expect(bundled.stderr.toString()).not.toContain('ERROR');
  for (const reports of [1, 40, 333]) {
    const file = join(folder, `killed-${reports}.sqlite`);
    const seen = await killedWriter(program, file, reports);
    const store = openSqliteDocumentStore({ file });
    await expectAllThere(store, seen);
    await store.close();
  }
});
