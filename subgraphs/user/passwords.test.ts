import { expect, test } from '@jest/globals';
import { CURRENT_COST, parsePassword, Passwords } from './passwords.js';

const cheap = new Passwords({ n: 1_024, r: 8, p: 1 });

test('a hash says what it was made with, differs every time, and fits its password only', async () => {
  const hashes = await Promise.all([cheap.hash('password'), cheap.hash('password')]);
  expect(new Set(hashes).size).toBe(2);
  for (const hash of hashes) {
    expect(hash).toMatch(/^scrypt\$1024\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
    expect(await cheap.matches('password', hash)).toBe(true);
    expect(await cheap.matches('Password', hash)).toBe(false);
    expect(await new Passwords().matches('password', hash)).toBe(true);
  }
  expect(await cheap.matches('password', undefined)).toBe(false);
});

test('new hashes cost what OWASP asks for', async () => {
  const { n, r, p } = CURRENT_COST;
  expect([n * r * 128, n * p]).toEqual([32 * 1_024 * 1_024, 98_304]);
  const hash = await new Passwords().hash('password');
  expect(new Passwords().isOutdated(hash)).toBe(false);
  expect(cheap.isOutdated(hash)).toBe(true);
});

test('without a hash the same work is done', async () => {
  const cost = async (stored: string | undefined): Promise<number> => {
    const began = process.cpuUsage();
    for (let round = 0; round < 5; round++) await cheap.matches('password', stored);
    const { user, system } = process.cpuUsage(began);
    return user + system;
  };
  const stored = await cheap.hash('password');
  await cost(undefined);
  const [without, withOne] = [await cost(undefined), await cost(stored)];
  expect(without).toBeGreaterThan(withOne / 4);
});

test('too many at once are told to come back instead of taking all the memory', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => cheap.hash('password')));
  const refused = outcomes.filter((one) => one.status === 'rejected');
  expect(refused).toHaveLength(6);
  expect(refused.map(({ reason }) => reason as unknown)).toEqual(
    refused.map(() => expect.objectContaining({ code: 'RATE_LIMITED', details: { retryAfter: 1 } }) as unknown),
  );
  expect(await cheap.hash('password')).toMatch(/^scrypt/);
});

test('what is longer than a password can be is none, however it begins', async () => {
  const longest = '🐎'.repeat(128);
  const hash = await cheap.hash(parsePassword(longest, 'password'));
  expect(await cheap.matches(longest, hash)).toBe(true);
  expect(await cheap.matches(`${longest}!`, hash)).toBe(false);
  // Each letter is three until it is composed.
  const taken = '\u1112\u1161\u11ab'.repeat(128);
  expect(await cheap.matches(taken, await cheap.hash(parsePassword(taken, 'password')))).toBe(true);
});

test('only the length of a password counts, in Unicode’s compatibility form', () => {
  expect(parsePassword('ﬁﬁﬁﬁ', 'password')).toBe('fifififi');
  expect(() => parsePassword('1234567', 'password')).toThrow(expect.objectContaining({ field: 'password' }));
  expect(() => parsePassword('x'.repeat(129), 'password')).toThrow(expect.objectContaining({ code: 'VALIDATION' }));
});
