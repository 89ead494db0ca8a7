import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../errors/errors.js';
import { openSqlite } from '../libsql/libsql.js';
import { databaseContract } from './contract.js';
import { openSqliteDatabase } from './sqlite.js';

databaseContract(
  'sqlite',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-database-'));
    return {
      open: (options) => openSqliteDatabase({ ...options, file: join(folder, `${options.name}.sqlite`) }),
      dispose: () => rm(folder, { recursive: true }),
    };
  },
  { rowLocks: false },
);

const folder = await mkdtemp(join(tmpdir(), 'tributary-sqlite-'));
afterAll(() => rm(folder, { recursive: true }));
const open = (name: string) => openSqliteDatabase({ name, file: join(folder, `${name}.sqlite`), migrations: [] });

test('commits outlive the process, and power cuts by an fsync of the write-ahead log', async () => {
  const db = await open('durable');
  const pragma = (name: string): Promise<unknown[]> => db.transaction((tx) => tx.query(`PRAGMA ${name}`));
  expect(await pragma('journal_mode')).toEqual([{ journal_mode: 'wal' }]);
  // NORMAL: COMMIT leaves the fsync to Durability, whose own tests say when it happens.
  expect(await pragma('synchronous')).toEqual([{ synchronous: 1 }]);
  await db.close();
});

test('read cannot write', async () => {
  const db = await open('readonly');
  await expect(db.read('CREATE TABLE t (id INTEGER)')).rejects.toThrow(/readonly/);
  await db.close();
});

test('a file that another process keeps locked is EngineUnavailable, and writable again afterwards', async () => {
  const db = await open('busy');
  await db.transaction(async (tx) => {
    await tx.execute('CREATE TABLE t (id INTEGER)');
    await tx.query('PRAGMA busy_timeout = 20');
  });
  const intruder = openSqlite(join(folder, 'busy.sqlite'));
  intruder.exec('BEGIN IMMEDIATE');
  await expect(db.transaction((tx) => tx.execute('INSERT INTO t VALUES (1)'))).rejects.toBeInstanceOf(
    EngineUnavailable,
  );
  intruder.exec('ROLLBACK');
  intruder.close();
  await db.transaction((tx) => tx.execute('INSERT INTO t VALUES (1)'));
  expect(await db.read('SELECT id FROM t')).toEqual([{ id: 1 }]);
  await db.close();
});

test('a full disk fails the whole transaction, also when the work goes on after the error', async () => {
  const db = await open('full');
  await db.transaction(async (tx) => {
    await tx.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, filler TEXT)');
    await tx.query('PRAGMA max_page_count = 20');
  });
  const attempt = db.transaction(async (tx) => {
    await tx.execute('INSERT INTO t VALUES (1, NULL)');
    await tx
      .insert(
        't',
        Array.from({ length: 50 }, (_, i) => ({ id: i + 2, filler: 'x'.repeat(4_000) })),
      )
      .catch(() => undefined);
    await tx.execute('INSERT INTO t VALUES (1000, NULL)').catch(() => undefined);
  });
  await expect(attempt).rejects.toBeInstanceOf(EngineUnavailable);
  expect(await db.read('SELECT id FROM t')).toEqual([]);
  await db.transaction((tx) => tx.execute('INSERT INTO t VALUES (7, NULL)'));
  expect(await db.read('SELECT id FROM t')).toEqual([{ id: 7 }]);
  await db.close();
});

test('a file that cannot be opened is EngineUnavailable', async () => {
  await writeFile(join(folder, 'a-file'), '');
  const opening = openSqliteDatabase({ name: 'x', file: join(folder, 'a-file', 'x.sqlite'), migrations: [] });
  await expect(opening).rejects.toBeInstanceOf(EngineUnavailable);
});

test('a burst of transactions lets timers and sockets have their turn', async () => {
  const db = await open('burst');
  await db.transaction((tx) => tx.execute('CREATE TABLE t (id INTEGER)'));
  let finished = 0;
  let finishedAtFirstTurn = -1;
  setImmediate(() => (finishedAtFirstTurn = finished));
  await Promise.all(
    Array.from({ length: 1_000 }, async (_, i) => {
      await db.transaction((tx) => tx.execute('INSERT INTO t VALUES (?)', [i]));
      finished++;
    }),
  );
  expect(finishedAtFirstTurn).toBeGreaterThanOrEqual(0);
  expect(finishedAtFirstTurn).toBeLessThan(1_000);
  await db.close();
});
