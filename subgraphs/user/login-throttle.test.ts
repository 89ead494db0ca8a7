import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../../shared/database/port.js';
import type { DatabaseEngine } from '../../shared/database/contract.js';
import { testDatabases } from '../../shared/database/testing.js';
import type { AppError } from '../../shared/errors/errors.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { LoginThrottle, type Attempt } from './login-throttle.js';
import { Logins1700000000002 } from './migrations/2-logins.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

let databases: DatabaseEngine;
let database: Database;
let clock = 1_700_000_000_000;
/** Two processes. */
let one: LoginThrottle;
let two: LoginThrottle;

beforeAll(async () => {
  databases = await testDatabases();
  database = await databases.open({ name: 'tributary_user', migrations: [Logins1700000000002] });
  await database.migrate();
  one = new LoginThrottle(database, () => clock);
  two = new LoginThrottle(database, () => clock);
});
afterAll(async () => {
  await database.close();
  await databases.dispose();
});

/** Seconds to wait; 0 when the attempt is allowed. */
const waitOf = (attempt: Attempt, throttle = one): Promise<number> =>
  throttle.begin(attempt).then(
    () => 0,
    (error: unknown) => {
      const { code, details } = error as AppError;
      expect(code).toBe('RATE_LIMITED');
      return Number(details['retryAfter']);
    },
  );
const succeed = (attempt: Attempt) => database.transaction((tx) => one.succeeded(tx, attempt));
const someone = (): Attempt => ({ email: `${newId()}@example.com`, address: newId() });

test('after a few failures every further one doubles the wait, up to a quarter of an hour', async () => {
  const attempt = someone();
  const waits: number[] = [];
  for (let failure = 0; failure < 18; failure++) {
    const wait = await waitOf(attempt);
    waits.push(wait);
    clock += wait * SECOND;
    if (wait > 0) expect(await waitOf(attempt)).toBe(0);
  }
  expect(waits).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
});

test('the counts hold over processes, and attempts at once count one by one', async () => {
  const attempt = someone();
  const waits = await Promise.all(Array.from({ length: 20 }, (_, n) => waitOf(attempt, n % 2 === 0 ? one : two)));
  expect(waits.filter((wait) => wait === 0)).toHaveLength(5);
  expect(await waitOf(attempt, new LoginThrottle(database, () => clock))).toBe(1);
});

test('a refused attempt makes no wait longer', async () => {
  const attempt = someone();
  for (let failure = 0; failure < 5; failure++) await waitOf(attempt);
  for (let refused = 0; refused < 50; refused++) expect(await waitOf(attempt)).toBe(1);
  clock += SECOND;
  expect(await waitOf(attempt)).toBe(0);
});

test('a success lets the account begin anew', async () => {
  const attempt = someone();
  for (let failure = 0; failure < 4; failure++) await waitOf(attempt);
  expect(await waitOf(attempt)).toBe(0);
  await succeed(attempt);
  for (let failure = 0; failure < 5; failure++) expect(await waitOf(attempt)).toBe(0);
  expect(await waitOf(attempt)).toBe(1);
});

test('a success with an account of one’s own does not let an address guess at others', async () => {
  const address = newId();
  const own = { email: `${newId()}@example.com`, address };
  let allowed = 0;
  for (let guess = 0; guess < 60; guess++) {
    if ((await waitOf({ email: `${newId()}@example.com`, address })) > 0) break;
    allowed++;
    if ((await waitOf(own)) === 0) await succeed(own);
  }
  expect(allowed).toBe(50);
});

test('guessing from ever new addresses is slowed down, and where the owner logged in before they still get in', async () => {
  const { email, address } = someone();
  expect(await waitOf({ email, address })).toBe(0);
  await succeed({ email, address });
  let allowed = 0;
  while ((await waitOf({ email, address: newId() })) === 0) allowed++;
  expect(allowed).toBe(20);
  expect(await waitOf({ email, address })).toBe(0);
});

test('an owner at a new place waits for a minute at most, however long others guess', async () => {
  const { email } = someone();
  for (let guess = 0; guess < 40; guess++) clock += (await waitOf({ email, address: newId() })) * SECOND;
  expect(await waitOf({ email, address: newId() })).toBeLessThanOrEqual(60);
});

test('a refused attempt leaves no row, whichever account it was for', async () => {
  const address = newId();
  const rows = async () => (await database.read('SELECT COUNT(*) AS count FROM login_failures'))[0]?.['count'];
  while ((await waitOf({ email: `${newId()}@example.com`, address })) === 0);
  const before = await rows();
  for (let refused = 0; refused < 5; refused++) {
    expect(await waitOf({ email: `${newId()}@example.com`, address })).toBeGreaterThan(0);
  }
  expect(await rows()).toBe(before);
});

test('registering is counted for each address by itself, and not as logging in', async () => {
  const { email, address } = someone();
  const registered = () => one.beginRegistration(address);
  for (let i = 0; i < 50; i++) await registered();
  await expect(registered()).rejects.toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: 1 } });
  await expect(two.beginRegistration(newId())).resolves.toBeUndefined();
  expect(await waitOf({ email, address })).toBe(0);
});

test('failures are forgotten after a day without any', async () => {
  const attempt = someone();
  for (let failure = 0; failure < 5; failure++) await waitOf(attempt);
  expect(await waitOf(attempt)).toBe(1);
  clock += DAY + MINUTE;
  for (let failure = 0; failure < 5; failure++) expect(await waitOf(attempt)).toBe(0);
});

test('the table keeps neither e-mail addresses nor those of machines, and nothing for ever', async () => {
  const attempt = someone();
  await waitOf(attempt);
  const rows = JSON.stringify(await database.read('SELECT * FROM login_failures'));
  expect(rows.includes(attempt.email) || rows.includes(attempt.address ?? '')).toBe(false);
  clock += 100 * DAY;
  await new LoginThrottle(database, () => clock).begin(someone());
  const left = async () =>
    Number(
      (await database.read('SELECT COUNT(*) AS count FROM login_failures WHERE expires_at < ?', [clock]))[0]?.['count'],
    );
  await until(async () => (await left()) === 0);
});
