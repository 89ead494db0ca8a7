import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newId } from '../../shared/ids/ids.js';
import { byPlace, formatCursor, isDue, parseCursor, type Cursor, type Place } from './cursor.js';

const cursor: Cursor = { log: newId(), topic: 'orders', next: Array.from({ length: 12 }, (_, i) => i), due: null };
const due = { after: [1_700_000_000_000, newId()], upTo: [1_600_000_000_000, newId()] } as const;
const refused = expect.objectContaining({ code: 'VALIDATION', field: 'after' });

test('a cursor comes back as it went', () => {
  fc.assert(
    fc.property(
      fc.array(fc.maxSafeNat(), { minLength: 12, maxLength: 12 }),
      fc.constantFrom(null, 'all' as const, due),
      (next, some) => {
        const given: Cursor = { ...cursor, next, due: some };
        expect(parseCursor(formatCursor(given), 'orders', 12)).toEqual(given);
      },
    ),
  );
});

test('a cursor is short and fits into a URL', () => {
  const next = cursor.next.map(() => 1_000_000);
  expect(formatCursor({ ...cursor, next })).toMatch(/^[\w-]{1,250}$/);
  expect(formatCursor({ ...cursor, next, due })).toMatch(/^[\w-]{1,400}$/);
});

test('due are exactly the snapshots behind the one place, up to the other, newest first', () => {
  const places: Place[] = [3, 2, 1].flatMap((at): Place[] => [
    [at, 'b'],
    [at, 'a'],
  ]);
  expect([...places].reverse().sort(byPlace)).toEqual(places);
  for (const [i, after] of places.entries()) {
    for (const [j, upTo] of places.entries()) {
      expect(places.filter((place) => isDue({ after, upTo }, place))).toEqual(places.slice(i + 1, j + 1));
    }
  }
});

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const withDue = (written: unknown) => encoded([1, 'orders', cursor.log, written, ...cursor.next]);
const parts = (...next: readonly unknown[]) => [1, 'orders', cursor.log, 0, ...next];

test.each<[string, string]>([
  ['nothing', ''],
  ['garbage', 'nonsense'],
  ['a number', '17'],
  ['JSON of another shape', encoded({ log: cursor.log })],
  ['a cursor of another subscription', formatCursor({ ...cursor, topic: 'accounts' })],
  ['too few positions', formatCursor({ ...cursor, next: [1, 2] })],
  ['a negative position', formatCursor({ ...cursor, next: cursor.next.map(() => -1) })],
  ['a position that is no number', encoded(parts(...cursor.next.slice(1), '7'))],
  ['a position beyond what a number holds', encoded(parts(...cursor.next.slice(1), 2 ** 60))],
  ['another format', encoded([2, ...parts(...cursor.next).slice(1)])],
  ['one with snapshots due that are none', withDue('1')],
  ['one with another flag', withDue(2)],
  ['one with half of the snapshots due', withDue([1, newId()])],
  ['one with snapshots due at no time', withDue(['1', newId(), 1, newId()])],
  ['one with snapshots due up to no time', withDue([1, newId(), 0.5, newId()])],
  ['one with snapshots due of no id', withDue([1, 7, 1, newId()])],
  ['one with snapshots due up to no id', withDue([1, newId(), 1, null])],
  ['a log that is no text', encoded([1, 'orders', 7, 0, ...cursor.next])],
])('%s is no cursor', (_, text) => {
  expect(() => parseCursor(text, 'orders', 12)).toThrow(refused);
});
