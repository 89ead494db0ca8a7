import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../database/columns.js';
import type { DatabaseEngine } from '../database/contract.js';
import type { Database, Transaction } from '../database/port.js';
import { testDatabases } from '../database/testing.js';
import { saveNewer } from './replicas.js';

class Replica1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(runner, 'things', [c.id('id'), c.integer('version'), c.key('name')], { primaryKey: ['id'] });
  }

  async down(): Promise<void> {
    // Never undone.
  }
}

interface Thing {
  readonly id: string;
  readonly version: number;
}

let databases: DatabaseEngine;
let database: Database;

beforeEach(async () => {
  databases = await testDatabases();
  database = await databases.open({ name: 'test', migrations: [Replica1700000000000] });
  await database.migrate();
});

afterEach(async () => {
  await database.close();
  await databases.dispose();
});

const write = (tx: Transaction, ...things: readonly Thing[]): Promise<void> =>
  saveNewer(tx, 'things', things, ({ id, version }) => ({ id, version, name: `${id}${version}` }));

const save = (...things: readonly Thing[]): Promise<void> => database.transaction((tx) => write(tx, ...things));

const names = async (): Promise<string[]> =>
  (await database.read<{ name: string }>('SELECT name FROM things ORDER BY id')).map(({ name }) => name);

/** The transaction, in which somebody else's writes follow the first statement. */
function interrupted(tx: Transaction, rival: () => Promise<void>): Transaction {
  let done = false;
  const then = async <T>(statement: Promise<T>): Promise<T> => {
    const answer = await statement;
    if (!done) {
      done = true;
      await rival();
    }
    return answer;
  };
  return {
    query: (...all) => then(tx.query(...all)),
    execute: (...all) => then(tx.execute(...all)),
    insert: (...all) => then(tx.insert(...all)),
    upsert: (...all) => then(tx.upsert(...all)),
    insertNew: (...all) => then(tx.insertNew(...all)),
    lock: (...all) => then(tx.lock(...all)),
    tryLock: (...all) => then(tx.tryLock(...all)),
    deferred: tx.deferred,
    afterCommit: (callback) => tx.afterCommit(callback),
  };
}

test('the newest version stays, in whatever order they come, also within a call', async () => {
  await save({ id: 'b', version: 2 }, { id: 'a', version: 1 }, { id: 'b', version: 1 }, { id: 'a', version: 3 });
  expect(await names()).toEqual(['a3', 'b2']);
  await save({ id: 'c', version: 1 }, { id: 'b', version: 3 }, { id: 'a', version: 2 });
  expect(await names()).toEqual(['a3', 'b3', 'c1']);
  await save();
  expect(await names()).toEqual(['a3', 'b3', 'c1']);
});

test.each([
  ['missing', 0],
  ['there', 1],
])('a newer state that somebody else writes in between stays, where the row was %s', async (_, known) => {
  if (known > 0) await save({ id: 'a', version: known });
  await database.transaction((tx) =>
    write(
      interrupted(tx, () => write(tx, { id: 'a', version: 5 })),
      { id: 'a', version: 4 },
      { id: 'b', version: 1 },
    ),
  );
  expect(await names()).toEqual(['a5', 'b1']);
});
