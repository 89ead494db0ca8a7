import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { Database } from '../../shared/database/port.js';
import type { DatabaseEngine } from '../../shared/database/contract.js';
import { testDatabases } from '../../shared/database/testing.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { Logins1700000000002 } from './migrations/2-logins.js';
import { SigningKeys } from './signing-keys.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = 1_700_000_000_000;
const SECRET = 'a secret of thirty-two characters at least';

let databases: DatabaseEngine;
let database: Database;
let clock = START;

beforeAll(async () => {
  databases = await testDatabases();
  database = await databases.open({ name: 'tributary_user', migrations: [Logins1700000000002] });
  await database.migrate();
});
beforeEach(async () => {
  clock = START;
  await database.transaction((tx) => tx.execute('DELETE FROM signing_keys'));
});
afterAll(async () => {
  await database.close();
  await databases.dispose();
});

/** The keys as one process sees them. */
const process = (secret = SECRET): SigningKeys =>
  new SigningKeys({
    database,
    secret,
    rotationMs: 30 * DAY,
    tokenTtlMs: HOUR,
    now: () => clock,
    log: silentLogger(),
  });

const ana = { id: newId(), role: 'USER' as const };
const kidOf = async (keys: SigningKeys): Promise<string> =>
  String(decodeProtectedHeader((await keys.sign(ana)).token).kid);
const kids = async (keys: SigningKeys): Promise<string[]> => (await keys.published()).map(({ kid }) => kid);

async function isGood(token: string, keys: SigningKeys): Promise<boolean> {
  const set = createLocalJWKSet({ keys: await keys.published() });
  return jwtVerify(token, set, { currentDate: new Date(clock) }).then(
    () => true,
    () => false,
  );
}

test('what one process signs, another one publishes the key of', async () => {
  const [one, two] = [process(), process()];
  const { token, expiresAt } = await one.sign(ana);
  expect(expiresAt).toBe(clock + HOUR);
  expect(await isGood(token, two)).toBe(true);
  expect(await kidOf(two)).toBe(await kidOf(one));
});

test('processes that start at once agree on one key', async () => {
  const signed = await Promise.all(Array.from({ length: 8 }, () => kidOf(process())));
  expect(new Set(signed).size).toBe(1);
  expect(await database.read('SELECT COUNT(*) AS count FROM signing_keys')).toEqual([{ count: 1 }]);
});

test('the next key is published before it signs, and the last one until its tokens have expired', async () => {
  const keys = process();
  const first = await kidOf(keys);
  expect(await kids(keys)).toEqual([first]);

  clock = START + 30 * DAY - 15 * 60_000;
  expect(await kidOf(keys)).toBe(first);
  const [, second] = await kids(keys);
  expect(second).toBeDefined();
  expect(await kids(process())).toEqual([first, second]);

  clock = START + 30 * DAY - 1_000;
  const { token } = await keys.sign(ana);
  expect(decodeProtectedHeader(token).kid).toBe(first);

  clock = START + 30 * DAY;
  expect(await kidOf(keys)).toBe(second);
  expect(await isGood(token, keys)).toBe(true);

  clock = START + 30 * DAY + HOUR - 2_000;
  expect(await isGood(token, keys)).toBe(true);

  clock = START + 30 * DAY + HOUR + 2 * 60_000;
  expect(await kids(keys)).toEqual([second]);
});

test('after a long pause a new key is published for a while before it signs', async () => {
  const first = await kidOf(process());
  clock = START + 90 * DAY;
  const keys = process();
  expect(await kidOf(keys)).toBe(first);
  const [, second] = await kids(keys);
  clock += HOUR;
  expect(await kidOf(keys)).toBe(second);
});

test('rotation by several processes at once makes one next key', async () => {
  const all = Array.from({ length: 6 }, () => process());
  await Promise.all(all.map(kidOf));
  clock = START + 30 * DAY - 60_000;
  await Promise.all(all.map(kidOf));
  expect(await database.read('SELECT COUNT(*) AS count FROM signing_keys')).toEqual([{ count: 2 }]);
});

test('private keys are encrypted: under another secret they sign no more, and still verify', async () => {
  const { token } = await process().sign(ana);
  const other = process('another secret of thirty-two characters');
  expect(await kidOf(other)).not.toBe(decodeProtectedHeader(token).kid);
  expect(await isGood(token, other)).toBe(true);
  const rows = await database.read<{ private_key: string }>('SELECT private_key FROM signing_keys');
  for (const { private_key } of rows) {
    expect(private_key.split('.').map((part) => Buffer.from(part, 'base64url').length)).toEqual([12, 16, 48]);
  }
});

test('a private key does not open under the id of another', async () => {
  const [one, two] = [await kidOf(process()), newId()];
  await database.transaction((tx) => tx.execute('UPDATE signing_keys SET kid = ? WHERE kid = ?', [two, one]));
  expect(await kidOf(process())).not.toBe(two);
});
