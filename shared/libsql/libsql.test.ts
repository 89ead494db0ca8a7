import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { isUniqueViolation, openSqlite } from './libsql.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-libsql-'));
const db = openSqlite(join(folder, 'x', 'test.sqlite'));
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

test('booleans, null and undefined alone are bound without aborting the process', () => {
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)');
  const insert = db.statement('INSERT INTO t (v) VALUES (?)');
  for (const value of [true, false, null, undefined, 7]) insert.run(value);
  expect(db.statement('SELECT v FROM t ORDER BY id').all()).toEqual([1, 0, null, null, 7].map((v) => ({ v })));
});

test('an object is refused with an error, not a panic', () => {
  expect(() => db.statement('SELECT ?').all({} as never)).toThrow(TypeError);
  expect(() => db.statement('SELECT ?').all(new Date() as never)).toThrow(TypeError);
});

test('a duplicate key is recognised on primary and unique keys', () => {
  db.exec('CREATE TABLE u (a TEXT PRIMARY KEY, b TEXT UNIQUE)');
  const insert = db.statement('INSERT INTO u VALUES (?, ?)');
  insert.run('1', 'x');
  for (const row of [
    ['1', 'y'],
    ['2', 'x'],
  ] as const) {
    let error: unknown;
    try {
      insert.run(...row);
    } catch (thrown) {
      error = thrown;
    }
    expect(isUniqueViolation(error)).toBe(true);
  }
});
