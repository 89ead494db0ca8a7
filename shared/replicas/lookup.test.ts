import { expect, test } from '@jest/globals';
import type { Database, Row, SqlValue } from '../database/port.js';
import { createLookup } from './lookup.js';

interface Named {
  readonly id: string;
  readonly name: string;
}

/** A table whose reads are answered, or refused, when the test says so. */
function table(names: Map<string, string>) {
  const reads: { readonly ids: readonly SqlValue[]; answer(): void; refuse(error: Error): void }[] = [];
  const read = ((_sql: string, ids: readonly SqlValue[] = []) =>
    new Promise<Row[]>((resolve, reject) => {
      reads.push({
        ids,
        answer: () =>
          resolve(
            [...new Set(ids)].flatMap((id) =>
              names.has(String(id)) ? [{ id, name: names.get(String(id)) }] : [],
            ) as Row[],
          ),
        refuse: reject,
      });
    })) as Database['read'];
  return { reads, lookup: createLookup<Named>({ read }, 'things') };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a lookup is read at once, and answers what exists', async () => {
  const { reads, lookup } = table(new Map([['a', 'Ana']]));
  const found = lookup(['b', 'a']);
  await turn();
  expect(reads.map(({ ids }) => ids)).toEqual([['a', 'b']]);
  reads[0]?.answer();
  expect(await found).toEqual([{ id: 'a', name: 'Ana' }]);
});

test('what is asked for while a read is under way shares the next one, and sees what changed meanwhile', async () => {
  const names = new Map([['a', 'old']]);
  const { reads, lookup } = table(names);
  const first = lookup(['a']);
  await turn();
  const later = [lookup(['a']), lookup(['c', 'a']), lookup(['b'])];
  await turn();
  expect(reads).toHaveLength(1);
  reads[0]?.answer();
  expect(await first).toEqual([{ id: 'a', name: 'old' }]);
  names.set('a', 'new');
  await turn();
  expect(reads).toHaveLength(2);
  expect(new Set(reads[1]?.ids)).toEqual(new Set(['a', 'b', 'c']));
  reads[1]?.answer();
  expect(await Promise.all(later)).toEqual([[{ id: 'a', name: 'new' }], [{ id: 'a', name: 'new' }], []]);
});

test('a read that fails fails those who shared it, and nobody after them', async () => {
  const { reads, lookup } = table(new Map([['a', 'Ana']]));
  const failing = [lookup(['a']), lookup(['b'])].map((one) => one.catch((error: unknown) => error));
  await turn();
  const after = lookup(['a']);
  const error = new Error('away');
  reads[0]?.refuse(error);
  expect(await Promise.all(failing)).toEqual([error, error]);
  await turn();
  reads[1]?.answer();
  expect(await after).toEqual([{ id: 'a', name: 'Ana' }]);
});
