import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Durability } from './durability.js';
import { openSqlite } from './libsql.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-durability-'));
const file = join(folder, 'test.sqlite');
const db = openSqlite(file);
db.exec('CREATE TABLE t (v INTEGER)');
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

/** A disk whose every sync waits to be let through. */
function disk() {
  const syncs: { succeed: () => void; fail: (error: Error) => void }[] = [];
  const sync = () => new Promise<void>((succeed, fail) => syncs.push({ succeed, fail }));
  const failures: Error[] = [];
  const onFailure = (error: Error) => failures.push(error);
  return { syncs, failures, durability: new Durability(file, { sync, onFailure }) };
}

const nextTurn = () => new Promise(setImmediate);

test('a commit is settled by a sync that began after it, and all that wait share it', async () => {
  const { syncs, durability } = disk();
  const settled: string[] = [];
  const commit = (name: string) => {
    durability.committed();
    void durability.settled().then(() => settled.push(name));
  };
  commit('a');
  commit('b');
  await nextTurn();
  commit('c');
  expect(syncs).toHaveLength(1);
  syncs[0]?.succeed();
  await nextTurn();
  // The first sync had begun when b and c came at the latest: c needs the second one.
  expect(settled).toContain('a');
  expect(settled).not.toContain('c');
  expect(syncs).toHaveLength(2);
  expect(durability.isSettled).toBe(false);
  syncs[1]?.succeed();
  await nextTurn();
  expect(settled.sort()).toEqual(['a', 'b', 'c']);
  expect(durability.isSettled).toBe(true);
  durability.close();
});

test('nothing to write needs no sync', async () => {
  const { syncs, durability } = disk();
  await durability.settled();
  expect(syncs).toEqual([]);
});

test('after a failed sync nothing is ever called durable again, nothing more is written, and the process is told once', async () => {
  const { syncs, failures, durability } = disk();
  durability.assertSound();
  durability.committed();
  const first = durability.settled();
  syncs[0]?.fail(new Error('EIO'));
  await expect(first).rejects.toThrow('EIO');
  durability.committed();
  await expect(durability.settled()).rejects.toThrow('EIO');
  expect(syncs).toHaveLength(1);
  expect(durability.isSettled).toBe(false);
  expect(() => durability.assertSound()).toThrow('EIO');
  expect(failures).toEqual([new Error('EIO')]);
  durability.close();
});

test('with a real disk it settles', async () => {
  const durability = new Durability(file);
  db.exec('INSERT INTO t VALUES (1)');
  durability.committed();
  await durability.settled();
  expect(durability.isSettled).toBe(true);
  durability.close();
});
