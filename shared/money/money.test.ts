import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AppError } from '../errors/errors.js';
import { formatAmount, parseAmount } from './money.js';

test('every amount survives being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1_000_000_000_000, max: 1_000_000_000_000 }), (cents) => {
      expect(parseAmount(formatAmount(cents), 'amount')).toBe(cents);
      expect(parseAmount(cents / 100, 'amount')).toBe(cents);
    }),
  );
});

test.each([
  ['5999.99', 599_999],
  ['5999.9', 599_990],
  ['5999', 599_900],
  ['-0.00', 0],
  ['-12.30', -1_230],
  [19.9, 1_990],
])('%p is %i cents', (written, cents) => {
  expect(parseAmount(written, 'price')).toBe(cents);
});

test.each([
  '1.999',
  1.999,
  '1e3',
  1e21,
  NaN,
  Infinity,
  '',
  ' 1',
  '1,00',
  '--1',
  '.5',
  null,
  {},
  true,
  '99999999999999',
])('%p is refused, naming the field', (written) => {
  expect(() => parseAmount(written, 'price')).toThrow(
    expect.objectContaining({ code: 'VALIDATION', field: 'price' } satisfies Partial<AppError>),
  );
});
