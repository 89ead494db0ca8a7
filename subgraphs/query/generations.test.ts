import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import { until } from '../../tests/until.js';
import { changeGenerations, readGenerations, withGenerations } from './generations.js';
import { order, watched } from './testbed.js';
import { COLLECTIONS } from './views.js';

const LEASE = { leaseMs: 30 };

let folder: string;
let documents: DocumentStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-generations-'));
  documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
});

afterEach(async () => {
  await documents.close();
  await rm(folder, { recursive: true });
});

const register = (current: number, others: readonly number[]) =>
  changeGenerations(documents, (doc) => ({
    ...doc,
    views: { ...doc.views, orders: { current, others, last: Math.max(current, ...others) } },
  }));

const put = (store: DocumentStore, collection: string, id: string, version = 1) =>
  store.putIfNewer(collection, [{ id, version, doc: order({ id, version }) }]);

const idsIn = async (collection: string, store = documents): Promise<string[]> =>
  (await store.find(collection, { sort: { field: 'id', direction: 'asc' }, limit: 100 })).map(({ id }) => id);

test('where nothing was ever rebuilt, a view is the collection of its name', async () => {
  const views = withGenerations(documents, LEASE);
  await views.ensureCollections(COLLECTIONS);
  await put(views, 'orders', 'a');
  expect(await idsIn('orders')).toEqual(['a']);
  expect(await idsIn('orders', views)).toEqual(['a']);
});

test('views are read in their current generation and written in every registered one, the newest first', async () => {
  await register(2, [1, 3]);
  const written: unknown[] = [];
  const views = withGenerations(
    watched(documents, ({ name, args }) => {
      if (name === 'putIfNewer') written.push(args[0]);
    }),
    LEASE,
  );
  await put(views, 'orders', 'a');
  await put(views, 'timeline', 'entry');
  expect(written).toEqual(['orders-3', 'orders-2', 'orders', 'timeline']);
  await put(documents, 'orders-3', 'b');
  expect(await idsIn('orders', views)).toEqual(['a']);
  expect((await views.getMany('orders', ['a', 'b'])).size).toBe(1);
  expect(await views.count('orders')).toBe(1);
  await views.remove('orders', ['a']);
  for (const name of ['orders', 'orders-2']) expect(await idsIn(name)).toEqual([]);
});

test('every process writes a generation before a lease after its registration has passed, and then writes the old one no more', async () => {
  const views = withGenerations(documents, LEASE);
  await put(views, 'orders', 'before');
  await register(1, [2]);
  const begun = performance.now();
  let number = 0;
  await until(async () => {
    const age = performance.now() - begun;
    const id = `order ${++number}`;
    await put(views, 'orders', id);
    const written = await documents.get('orders-2', id);
    if (age > LEASE.leaseMs) expect(written).not.toBeNull();
    return written !== null;
  });
  await register(2, []);
  await until(async () => {
    const id = `order ${++number}`;
    await put(views, 'orders', id);
    return (await documents.get('orders', id)) === null;
  });
});

test('a read that took longer than its lease is repeated when its generation is read no more', async () => {
  await register(1, [2]);
  const writer = withGenerations(documents, LEASE);
  await put(writer, 'orders', 'a');
  let letGo = (): void => undefined;
  let asked = false;
  const slow: DocumentStore = {
    ...writer,
    get: (collection, id) => documents.get(collection, id),
    async getMany(collection, ids) {
      if (collection === 'orders') {
        asked = true;
        await new Promise<void>((resolve) => (letGo = resolve));
      }
      return documents.getMany(collection, ids);
    },
  };
  const read = withGenerations(slow, LEASE).getMany('orders', ['a']);
  await until(() => asked);
  await register(2, []);
  await documents.drop('orders');
  const switched = performance.now();
  await until(() => performance.now() - switched > LEASE.leaseMs);
  letGo();
  expect([...(await read).keys()]).toEqual(['a']);
});

test('collections and indexes are made for the generations that there are', async () => {
  await register(2, [3]);
  const made: string[] = [];
  const views = withGenerations(
    watched(documents, ({ name, args }) => {
      if (name !== 'ensureCollections') return;
      const [specs] = args as Parameters<DocumentStore['ensureCollections']>;
      made.push(...specs.map(({ name: collection, indexes }) => `${collection} ${indexes.length}`));
    }),
  );
  await views.ensureCollections(COLLECTIONS.filter(({ name }) => name === 'orders' || name === 'users'));
  expect(made.sort()).toEqual(['orders-2 4', 'orders-3 4', 'users 2']);
});

test('of changes that come at once none is lost', async () => {
  await Promise.all(
    Array.from({ length: 20 }, () =>
      changeGenerations(documents, (doc) => {
        const last = (doc.views.orders?.last ?? 1) + 1;
        return { ...doc, views: { orders: { current: 1, others: [], last } } };
      }),
    ),
  );
  expect((await readGenerations(documents)).views.orders?.last).toBe(21);
});
