import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { PersistedQueries } from './persisted-queries.js';

const extension = (source: string) => ({ version: 1, sha256Hash: createHash('sha256').update(source).digest('hex') });
const remember = (queries: PersistedQueries, ...sources: string[]) =>
  sources.forEach((source) => queries.remember(source, extension(source)));
const knows = (queries: PersistedQueries, source: string): boolean => {
  try {
    return queries.resolve(undefined, extension(source)) === source;
  } catch {
    return false;
  }
};

test('what is remembered is known by its hash, nothing else is', () => {
  const queries = new PersistedQueries();
  remember(queries, '{ a }');
  expect(queries.resolve(undefined, extension('{ a }'))).toBe('{ a }');
  expect(() => queries.resolve(undefined, extension('{ b }'))).toThrow(
    expect.objectContaining({ code: 'PERSISTED_QUERY_NOT_FOUND', message: 'PersistedQueryNotFound' }),
  );
});

test('no more bytes are kept than allowed; what was asked for least recently goes first', () => {
  const queries = new PersistedQueries(30);
  // Two bytes each for the umlauts.
  remember(queries, '{ ää }aaaa', '{ b }bbbbb');
  expect(knows(queries, '{ ää }aaaa')).toBe(true);
  remember(queries, '{ c }ccccc');
  expect(['{ ää }aaaa', '{ b }bbbbb', '{ c }ccccc'].map((source) => knows(queries, source))).toEqual([
    true,
    false,
    true,
  ]);
});

test('a document sent again takes no room twice; one over 64 KiB is not kept', () => {
  const queries = new PersistedQueries(100_000);
  const large = `{ a } ${'#'.repeat(65_536)}`;
  remember(queries, large);
  expect(knows(queries, large)).toBe(false);
  const half = 'x'.repeat(60_000);
  remember(queries, half, half, '{ b }');
  expect([half, '{ b }'].map((source) => knows(queries, source))).toEqual([true, true]);
});

test.each([
  [null],
  ['x'],
  [{}],
  [{ version: 1 }],
  [{ version: 1, sha256Hash: 'ABC' }],
  [{ ...extension('{ a }'), version: 2 }],
])('%j is no persisted query', (given) => {
  expect(() => new PersistedQueries().resolve('{ a }', given)).toThrow(
    expect.objectContaining({ code: 'VALIDATION', field: 'extensions.persistedQuery' }),
  );
});
