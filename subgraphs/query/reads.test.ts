import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { countPerKeyQuery, findPerKeyQuery } from '../../shared/document-store/sqlite-query.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import { openSqlite } from '../../shared/libsql/libsql.js';
import { ACCOUNTS_OF_USER, ORDERS_OF_USER, TRANSACTIONS_OF_ACCOUNT } from './lists.js';
import { COLLECTIONS } from './views.js';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-reads-'));
  file = join(folder, 'documents.sqlite');
  const documents = openSqliteDocumentStore({ file });
  await documents.ensureCollections(COLLECTIONS);
  await documents.close();
});

afterAll(() => rm(folder, { recursive: true }));

test.each([
  [ORDERS_OF_USER, 'orders(userId,deleted,createdAt) (<expr>=? AND <expr>=?)'],
  [ACCOUNTS_OF_USER, 'accounts(userId,createdAt) (<expr>=?)'],
  [TRANSACTIONS_OF_ACCOUNT, 'transactions(accountId,createdAt) (<expr>=?)'],
])('the list $list has an index that gives its items in order and its count', ({ collection, ...list }, index) => {
  const { field, filter, sort } = list;
  const db = openSqlite(file);
  const search = `SEARCH ${collection} USING INDEX ${index}`;
  for (const [{ sql, params }, subquery] of [
    [findPerKeyQuery(collection, field, ['x'], { filter, sort, first: 20 }), 'CORRELATED LIST SUBQUERY'],
    [countPerKeyQuery(collection, field, ['x'], filter), 'CORRELATED SCALAR SUBQUERY'],
  ] as const) {
    const steps = db.statement(`EXPLAIN QUERY PLAN ${sql}`).all(...params) as {
      readonly id: number;
      readonly parent: number;
      readonly detail: string;
    }[];
    const perOwner = steps.find(({ detail }) => detail.startsWith(subquery));
    // The search alone: a sort would be a step of its own.
    expect(steps.filter(({ parent }) => parent === perOwner?.id).map(({ detail }) => detail)).toEqual([search]);
  }
  db.close();
});
