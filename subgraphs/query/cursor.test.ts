import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newId } from '../../shared/ids/ids.js';
import { formatCursor, parseCursor, type Cursor } from './cursor.js';

const cursor: Cursor = { log: newId(), topic: 'orders', next: Array.from({ length: 12 }, (_, i) => i), partial: false };
const refused = expect.objectContaining({ code: 'VALIDATION', field: 'after' });

test('a cursor comes back as it went', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat(), { minLength: 12, maxLength: 12 }), fc.boolean(), (next, partial) => {
      const given: Cursor = { ...cursor, next, partial };
      expect(parseCursor(formatCursor(given), 'orders', 12)).toEqual(given);
    }),
  );
});

test('a cursor is short and fits into a URL', () => {
  const text = formatCursor({ ...cursor, next: cursor.next.map(() => 1_000_000) });
  expect(text).toMatch(/^[\w-]{1,250}$/);
});

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
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
  ['a log that is no text', encoded([1, 'orders', 7, 0, ...cursor.next])],
])('%s is no cursor', (_, text) => {
  expect(() => parseCursor(text, 'orders', 12)).toThrow(refused);
});
