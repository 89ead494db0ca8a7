import { expect, test } from '@jest/globals';
import { firstIdAt, isYoung, madeAt, newId, parseId } from './ids.js';

test('ids sort by the time they were made and carry it', () => {
  const before = Date.now();
  const ids = Array.from({ length: 100 }, newId);
  expect([...ids].sort()).toEqual(ids);
  expect(madeAt(ids[0]!)).toBeGreaterThanOrEqual(before);
  expect(madeAt(ids[0]!)).toBeLessThanOrEqual(Date.now());
});

test('every id comes after the first one of its time, and before that of the next', () => {
  for (const id of Array.from({ length: 100 }, newId)) {
    const made = madeAt(id) ?? 0;
    expect([firstIdAt(made + 1), id, firstIdAt(made)].sort()).toEqual([firstIdAt(made), id, firstIdAt(made + 1)]);
  }
});

test('an id has one spelling', () => {
  expect(parseId('D6A41403-BBD0-11EE-8A24-0242AC120003')).toBe('d6a41403-bbd0-11ee-8a24-0242ac120003');
});

test.each(['', 'x', 'd6a41403bbd011ee8a240242ac120003', "d6a41403-bbd0-11ee-8a24-0242ac12000'", 7, null])(
  '%p is not an id',
  (value) => {
    expect(() => parseId(value, 'userId')).toThrow(expect.objectContaining({ code: 'VALIDATION', field: 'userId' }));
  },
);

test('only a fresh UUIDv7 is worth waiting for', () => {
  const id = newId();
  expect(isYoung(id, Date.now())).toBe(true);
  expect(isYoung(id, Date.now() + 60_000)).toBe(false);
  expect(isYoung('d6a41403-bbd0-11ee-8a24-0242ac120003', Date.now())).toBe(false);
});
