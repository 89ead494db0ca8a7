import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { EngineUnavailable } from '../errors/errors.js';
import { documentStoreContract } from './contract.js';
import { databaseOf } from './mongodb-client.js';
import { findQueries } from './mongodb-query.js';
import { openMongoDocumentStore } from './mongodb.js';
import type { DocumentStore } from './port.js';

const url = process.env['MONGO_URL'] ?? '';
if (url === '') throw new Error('MONGO_URL is missing: the address of a server, such as mongodb://127.0.0.1:27017.');

const freshNamespace = (): string => `t${randomUUID().slice(0, 8)}`;

async function dropDatabase(namespace: string): Promise<void> {
  const client = new MongoClient(url);
  await client.db(databaseOf({ url, namespace })).dropDatabase();
  await client.close();
}

documentStoreContract(
  'MongoDB',
  () => {
    const namespace = freshNamespace();
    return Promise.resolve({
      open: () => openMongoDocumentStore({ url, namespace }),
      dispose: () => dropDatabase(namespace),
    });
  },
  {
    propertyRuns: 40,
    unreachable: () => openMongoDocumentStore({ url: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300' }),
  },
);

describe('MongoDB', () => {
  const namespace = freshNamespace();
  const stores: DocumentStore[] = [];
  const open = async (at = url): Promise<DocumentStore> => {
    const store = await openMongoDocumentStore({ url: at, namespace });
    stores.push(store);
    return store;
  };
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await dropDatabase(namespace);
  });

  test('200 racing puts of two clients on one id leave the newest, and each version is answered as stored once at most', async () => {
    const [one, other] = [await open(), await open()];
    await one.ensureCollections([{ name: 'raced', indexes: [] }]);
    for (let round = 0; round < 2; round += 1) {
      const id = `raced-${round}`;
      const versions = Array.from({ length: 200 }, () => 1 + Math.floor(Math.random() * 100));
      const answers = await Promise.all(
        versions.map((version, n) =>
          (n % 2 === 0 ? one : other).putIfNewer('raced', [{ id, version, doc: { n, version } }]),
        ),
      );
      const winners = versions.flatMap((version, n) => (answers[n]?.has(id) ? [{ n, version }] : []));
      expect(new Set(winners.map(({ version }) => version)).size).toBe(winners.length);
      const left = await one.get<{ n: number; version: number }>('raced', id);
      expect(left?.version).toBe(Math.max(...versions));
      expect(winners).toContainEqual(left?.doc);
    }
  });

  test('bulks that meet in opposite orders leave the newest of every id, and every version is stored once at most', async () => {
    const [one, other] = [await open(), await open()];
    const bulks = Array.from({ length: 24 }, (_, bulk) => {
      const docs = Array.from({ length: 100 }, (_, n) => ({
        id: `met-${n}`,
        version: 1 + Math.floor(Math.random() * 1_000),
        doc: { bulk },
      }));
      return bulk % 2 === 0 ? docs : docs.reverse();
    });
    const answers = await Promise.all(bulks.map((docs, n) => (n % 4 < 2 ? one : other).putIfNewer('met', docs)));
    for (let n = 0; n < 100; n += 1) {
      const id = `met-${n}`;
      const put = bulks.map((docs) => docs.find((one) => one.id === id)?.version ?? 0);
      const stored = put.filter((_, bulk) => answers[bulk]?.has(id));
      expect(new Set(stored).size).toBe(stored.length);
      expect((await one.get('met', id))?.version).toBe(Math.max(...put));
      expect(stored).toContain(Math.max(...put));
    }
  });

  test('one call takes more than a message may hold; a document beyond 16 MB is VALIDATION', async () => {
    const store = await open();
    const big = Array.from({ length: 20 }, (_, n) => ({ id: `${n}`, version: 1, doc: { pad: 'x'.repeat(1_000_000) } }));
    expect((await store.putIfNewer('big', big)).size).toBe(20);
    expect(await store.count('big')).toBe(20);
    const tooBig = { id: 'too-big', version: 1, doc: { pad: 'x'.repeat(16_800_000) } };
    await expect(store.putIfNewer('big', [tooBig])).rejects.toMatchObject({ code: 'VALIDATION', field: 'doc' });
    expect(await store.get('big', 'too-big')).toBeNull();
  });

  test('many processes may ensure the same collections at once; indexes end with the id, and none is removed', async () => {
    const specs = [
      { name: 'ensured', indexes: [{ fields: ['owner', 'inner.rank'] }, { fields: ['rank', 'id'] }] },
      { name: 'without', indexes: [] },
    ];
    const several = await Promise.all(Array.from({ length: 6 }, () => open()));
    await Promise.all(several.map((store) => store.ensureCollections(specs)));
    await several[0]?.ensureCollections([{ name: 'ensured', indexes: [{ fields: ['name'] }] }]);
    const client = new MongoClient(url);
    const db = client.db(databaseOf({ url, namespace }));
    const indexes = await db.collection('ensured').indexes();
    const names = (await db.listCollections().toArray()).map(({ name }) => name);
    await client.close();
    expect(names).toEqual(expect.arrayContaining(['ensured', 'without']));
    expect(indexes.map(({ name, key }) => [name, Object.keys(key)])).toEqual([
      ['_id_', ['_id']],
      ['owner,inner.rank', ['doc.owner', 'doc.inner.rank', '_id']],
      ['rank,id', ['doc.rank', '_id']],
      ['name', ['doc.name', '_id']],
    ]);
  });

  test('a list by equality and sort reads its index, on the first page and behind a position; nothing is left to sort', async () => {
    const store = await open();
    await store.ensureCollections([{ name: 'lists', indexes: [{ fields: ['owner', 'rank'] }] }]);
    const docs = Array.from({ length: 2_000 }, (_, n) => ({
      id: `${n}`,
      version: 1,
      doc: { owner: `${n % 100}`, rank: n },
    }));
    await store.putIfNewer('lists', docs);
    const client = new MongoClient(url);
    const collection = client.db(databaseOf({ url, namespace })).collection('lists');
    const filter = [{ field: 'owner', is: { eq: '7' } }];
    const plans: string[] = [];
    for (const direction of ['asc', 'desc'] as const) {
      for (const after of [undefined, { value: 507, id: '507' }, { value: null, id: 'a' }]) {
        const options = { filter, sort: { field: 'rank', direction }, limit: 5, ...(after && { after }) };
        for (const query of findQueries(options)) {
          const cursor = collection.find(query.filter, { sort: query.sort, limit: 5 });
          plans.push(JSON.stringify(await cursor.explain('queryPlanner')));
        }
      }
    }
    await client.close();
    expect(plans).toHaveLength(8);
    for (const plan of plans) {
      expect(plan).toContain('"indexName":"owner,rank"');
      // As MongoDB says it. FerretDB says it otherwise, and sorts whatever it has found.
      expect(plan).not.toMatch(/"stage":"(COLLSCAN|SORT)"/);
    }
  });

  test('namespaces share a server and see nothing of each other', async () => {
    const store = await open();
    const elsewhere = freshNamespace();
    const other = await openMongoDocumentStore({ url, namespace: elsewhere });
    await store.putIfNewer('apart', [{ id: 'a', version: 1, doc: {} }]);
    expect(await other.get('apart', 'a')).toBeNull();
    await other.close();
    await dropDatabase(elsewhere);
  });

  test('a wrong password is EngineUnavailable, and its cause says so', async () => {
    const wrong = url.replace(/:\/\/(.*@)?/, '://nobody:wrong@');
    const store = await open(wrong);
    const error = await store.ping().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EngineUnavailable);
    expect((error as EngineUnavailable).cause).toMatchObject({
      message: expect.stringMatching(/authentication failed/i),
    });
  });
});
