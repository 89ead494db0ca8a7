import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { CommandContext } from '../../shared/commands/commands.js';
import { testDatabases } from '../../shared/database/testing.js';
import { ANONYMOUS, type Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import type { SubgraphDeps } from '../../shared/service/service.js';
import { ADMIN, startSubgraph, userIdentity, type TestSubgraph } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { buildUser, type UserSubgraph } from './app.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { Logins1700000000002 } from './migrations/2-logins.js';
import { Verifications1700000000003 } from './migrations/3-verifications.js';
import { Passwords } from './passwords.js';
import { VerificationTokens } from './verification-tokens.js';

const REGISTER = 'mutation ($input: RegisterInput!) { register(input: $input) { user { id email locale verified } } }';
const VERIFY = 'mutation ($input: VerifyEmailInput!) { verifyEmail(input: $input) { user { id version verified } } }';
const RESEND = 'mutation ($input: ResendVerificationInput!) { resendVerification(input: $input) { accepted } }';
const UPDATE =
  'mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { id email locale verified } } }';
const CREATE = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id locale verified } } }';
const DELETE = 'mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { id } }';
const CHEAP = { n: 2_048, r: 8, p: 1 };
const MINUTE = 60_000;
const SECRET = 'a secret of the tests that only they know';

interface Person {
  readonly id: string;
  readonly email: string;
  readonly locale: string;
  readonly verified: boolean;
}

let user: TestSubgraph<UserSubgraph>;
let tokens: VerificationTokens;
/** The clock of the subgraph and of whoever calls it; it stands still unless it is moved on. */
let clock = Date.now();

beforeAll(async () => {
  const build = (deps: SubgraphDeps) => {
    const config = { ...deps.config, auth: { ...deps.config.auth, secret: SECRET } };
    return buildUser({ ...deps, config }, new Passwords(CHEAP));
  };
  user = await startSubgraph('user', build, () => clock);
  tokens = new VerificationTokens(SECRET);
});
afterAll(() => user.dispose());

const newEmail = (): string => `${newId()}@example.com`;
/** Nobody, at an address of its own unless one is named. */
const at = (address: string = newId()): Identity => ({ ...ANONYMOUS, address });
const context: CommandContext = { identity: ADMIN, requestId: 'test', traceparent: null, log: silentLogger() };

async function register(email = newEmail(), more: object = {}): Promise<Person> {
  const input = { name: 'Ana', email, password: 'correct horse battery', ...more };
  return (await user.ok<{ register: { user: Person } }>(REGISTER, { input }, at())).register.user;
}

/** Ids of the verifications that the log has told of, oldest first. */
const asked = (userId: string): string[] =>
  user.heard.flatMap((event) =>
    event.type === 'user.verification_requested' && event.subject === userId ? [event.data.verification.id] : [],
  );

/** The token of the newest mail, once the log has told of so many. */
async function tokenOf(userId: string, mails = 1): Promise<string> {
  await until(() => asked(userId).length === mails);
  return tokens.tokenOf(asked(userId).at(-1) ?? '');
}

async function verify(token: string, identity: Identity = at()) {
  const { data, errors } = await user.graphql<{ verifyEmail: { user: { id: string; version: number } } }>(
    VERIFY,
    { input: { token } },
    identity,
  );
  const refusal = errors?.[0]?.extensions;
  return refusal === undefined
    ? data?.verifyEmail.user
    : { code: refusal.code, field: refusal.field, reason: refusal['reason'] };
}

async function resend(email: string, identity: Identity = at()) {
  const { data, errors } = await user.graphql(RESEND, { input: { email } }, identity);
  const refusal = errors?.[0]?.extensions;
  return refusal === undefined ? data : { code: refusal.code, retryAfter: refusal['retryAfter'] };
}

const isVerified = async (id: string): Promise<boolean> => {
  const { rows } = await user.ok<{ rows: [{ verified: boolean }] }>(
    'query ($r: [_Any!]!) { rows: _entities(representations: $r) { ... on User { verified } } }',
    { r: [{ __typename: 'User', id }] },
  );
  return rows[0].verified;
};

const used = { code: 'INVALID_STATE', field: 'token', reason: 'USED' };
const expired = { ...used, reason: 'EXPIRED' };
const changed = { ...used, reason: 'CHANGED' };

describe('whoever registers', () => {
  test('is unverified, and one event after the first asks for a mail', async () => {
    const { id, verified, locale } = await register();
    expect({ verified, locale }).toEqual({ verified: false, locale: 'EN' });
    await tokenOf(id);
    const heard = user.heard.filter(({ subject }) => subject === id);
    expect(heard.map(({ type, sequence }) => [type, sequence])).toEqual([
      ['user.created', 1],
      ['user.verification_requested', 2],
    ]);
  });

  test('is written to in the language they name, until they name another one', async () => {
    const { id, locale } = await register(newEmail(), { locale: 'PT' });
    expect(locale).toBe('PT');
    const input = { id, locale: 'EN' };
    expect(await user.ok(UPDATE, { input }, userIdentity(id))).toMatchObject({
      updateUser: { user: { locale: 'EN' } },
    });
  });

  test('confirms the address with the token, once, whoever they are', async () => {
    const { id } = await register();
    const token = await tokenOf(id);
    expect(await verify(token)).toEqual({ id, version: 3, verified: true });
    expect(await verify(token)).toEqual(used);
    expect(await isVerified(id)).toBe(true);
    await until(() => user.heard.some(({ subject, sequence }) => subject === id && sequence === 3));
    expect(user.heard.filter(({ subject }) => subject === id).at(-1)).toMatchObject({
      type: 'user.updated',
      data: { user: { verified: true } },
    });
  });

  test('leaves nothing of the token behind: neither the log nor a table has it', async () => {
    const { id } = await register();
    const token = await tokenOf(id);
    const signature = token.split('.')[1] ?? '';
    await verify(token);
    const tables = ['users', 'verifications', 'outbox', 'login_failures', 'idempotency_keys'];
    const rows = await Promise.all(tables.map((table) => user.database.read(`SELECT * FROM ${table}`)));
    expect(JSON.stringify([rows, user.heard])).toContain(asked(id)[0]);
    expect(JSON.stringify([rows, user.heard])).not.toContain(signature);
  });
});

test('an address is written to once a minute, however often somebody registers with it', async () => {
  const email = newEmail();
  const input = { name: 'Ana', email, password: 'correct horse battery' };
  const { id } = await register(email);
  for (let taken = 0; taken < 2; taken++) {
    expect(await user.refusal(REGISTER, { input }, at())).toEqual({ code: 'CONFLICT', field: 'email' });
  }
  await user.ok(DELETE, { input: { id } }, userIdentity(id));
  expect(await user.refusal(REGISTER, { input }, at())).toMatchObject({ code: 'RATE_LIMITED' });
  expect(await user.database.read('SELECT id FROM users WHERE email = ?', [email])).toEqual([]);
  clock += MINUTE;
  expect((await register(email)).verified).toBe(false);
});

test('somebody whom an administrator makes is not written to', async () => {
  const input = { name: 'Ana', email: newEmail(), locale: 'PT' };
  const { createUser } = await user.ok<{ createUser: { user: Person } }>(CREATE, { input });
  expect(createUser.user).toMatchObject({ locale: 'PT', verified: false });
  const rows = await user.database.read('SELECT id FROM verifications WHERE user_id = ?', [createUser.user.id]);
  expect(rows).toEqual([]);
});

describe('a link', () => {
  test('is good for ten minutes', async () => {
    const [early, late] = await Promise.all([register(), register()]);
    const links = await Promise.all([tokenOf(early.id), tokenOf(late.id)]);
    clock += 9 * MINUTE;
    expect(await verify(links[0])).toMatchObject({ verified: true });
    clock += MINUTE;
    expect(await verify(links[1])).toEqual(expired);
    expect(await isVerified(late.id)).toBe(false);
  });

  test('is one of several that are good, until one is used', async () => {
    const { id, email } = await register();
    expect(await resend(email)).toEqual({ resendVerification: { accepted: true } });
    await until(() => asked(id).length === 2);
    const [first = '', second = ''] = asked(id).map((one) => tokens.tokenOf(one));
    expect(await verify(first)).toMatchObject({ verified: true });
    expect(await verify(second)).toEqual(used);
  });

  test('of which many use at once is used by one', async () => {
    for (let round = 0; round < 20; round++) {
      const { id } = await register();
      const token = await tokenOf(id);
      const answers = await Promise.all(Array.from({ length: 10 }, () => verify(token)));
      expect(answers.filter((answer) => answer !== undefined && 'id' in answer)).toHaveLength(1);
      expect(answers.filter((answer) => answer !== undefined && !('id' in answer))).toEqual(Array(9).fill(used));
      const versions = await user.database.read('SELECT version FROM users WHERE id = ?', [id]);
      expect(versions).toEqual([{ version: 3 }]);
    }
  });

  test('to an address that is no longer theirs confirms nothing', async () => {
    const { id } = await register();
    const old = await tokenOf(id);
    const input = { id, email: newEmail() };
    await user.ok(UPDATE, { input }, { ...userIdentity(id), address: newId() });
    expect(await verify(old)).toEqual(changed);
    expect(await isVerified(id)).toBe(false);
    expect(await verify(await tokenOf(id, 2))).toMatchObject({ verified: true });
  });

  test('of somebody who is gone confirms nothing, and nothing of their address is kept', async () => {
    const { id, email } = await register();
    const token = await tokenOf(id);
    await user.ok(DELETE, { input: { id } }, userIdentity(id));
    expect(await verify(token)).toEqual(expired);
    expect(await user.database.read('SELECT id FROM verifications WHERE email = ?', [email])).toEqual([]);
  });

  test.each([
    ['nothing', () => ''],
    ['an id alone', (token: string) => token.split('.')[0] ?? ''],
    [
      'an id that is signed by somebody else',
      (token: string) => new VerificationTokens('x').tokenOf(token.slice(0, 36)),
    ],
    ['a link cut short', (token: string) => token.slice(0, -1)],
    ['another spelling', (token: string) => token.toUpperCase()],
    ['more than a link', (token: string) => `${token}.x`],
    ['a NUL', (token: string) => `${token}\u0000`],
    ['very much', () => 'x'.repeat(10_000)],
  ])('that is %s is VALIDATION and changes nothing', async (_, spoil) => {
    const { id } = await register();
    const token = await tokenOf(id);
    expect(await verify(spoil(token))).toEqual({ code: 'VALIDATION', field: 'token', reason: undefined });
    expect(await verify(token)).toMatchObject({ verified: true });
  });

  test('of ours that nobody knows any more has expired', async () => {
    expect(await verify(tokens.tokenOf(newId()))).toEqual(expired);
  });
});

describe('another address', () => {
  test('takes the confirmation back and is written to; another spelling of the old one does not', async () => {
    const { id, email } = await register();
    await verify(await tokenOf(id));
    const me = { ...userIdentity(id), address: newId() };
    const change = (address: string) => user.ok(UPDATE, { input: { id, email: address } }, me);
    expect(await change(email.toUpperCase())).toMatchObject({ updateUser: { user: { verified: true } } });
    expect(await change(newEmail())).toMatchObject({ updateUser: { user: { verified: false } } });
    expect(await verify(await tokenOf(id, 2))).toMatchObject({ verified: true });
  });

  test('is written to once a minute, however many want it to be theirs', async () => {
    const target = newEmail();
    const people = await Promise.all([register(), register()]);
    const change = ({ id }: Person, email: string, more: object = {}) =>
      user.refusal(UPDATE, { input: { id, email, ...more } }, { ...userIdentity(id), address: newId() });
    // Refused whatever the address is, so it is not counted.
    expect(await change(people[0], target, { expectedVersion: 1 })).toMatchObject({ code: 'CONFLICT' });
    expect(await change(people[0], target)).toBeUndefined();
    expect(await change(people[0], newEmail())).toBeUndefined();
    expect(await change(people[1], target)).toMatchObject({ code: 'RATE_LIMITED' });
    clock += MINUTE;
    expect(await change(people[1], target)).toBeUndefined();
  });
});

describe('another mail', () => {
  test('is sent once a minute, and the answer does not tell who is here', async () => {
    const [unverified, verified, gone] = await Promise.all([register(), register(), register()]);
    await verify(await tokenOf(verified.id));
    await user.ok(DELETE, { input: { id: gone.id } }, userIdentity(gone.id));
    for (const email of [unverified.email, verified.email, gone.email, newEmail()]) {
      expect(await resend(email)).toEqual({ resendVerification: { accepted: true } });
      expect(await resend(email.toUpperCase())).toEqual({ code: 'RATE_LIMITED', retryAfter: 60 });
    }
    clock += 59_000;
    expect(await resend(unverified.email)).toMatchObject({ code: 'RATE_LIMITED' });
    clock += 1_000;
    expect(await resend(unverified.email)).toEqual({ resendVerification: { accepted: true } });
    await until(() => asked(unverified.id).length === 3);
    expect(asked(verified.id)).toHaveLength(1);
    expect(asked(gone.id)).toHaveLength(1);
  });

  test('is not sent to everybody for somebody in one place', async () => {
    const here = at('a place of many addresses');
    const answers: unknown[] = [];
    for (let nth = 0; nth < 22; nth++) answers.push(await resend(newEmail(), here));
    expect(answers.slice(0, 20)).toEqual(Array(20).fill({ resendVerification: { accepted: true } }));
    expect(answers.slice(20)).toEqual(Array(2).fill({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) }));
    expect(await resend(newEmail())).toEqual({ resendVerification: { accepted: true } });
  });

  test('needs an address', async () => {
    const refusal = await user.refusal(RESEND, { input: { email: 'nobody' } }, at());
    expect(refusal).toEqual({ code: 'VALIDATION', field: 'email' });
  });
});

test('who is vouched for is verified, once, and only with the address that is vouched for', async () => {
  const people = await Promise.all([register(), register()]);
  const [first, second] = people;
  const { vouchFor } = user.subgraph.commands;
  const vouched = [first, { ...second, email: newEmail() }, { id: newId(), email: 'x' }];
  await vouchFor(context, vouched);
  await vouchFor(context, vouched);
  expect(await Promise.all(people.map(({ id }) => isVerified(id)))).toEqual([true, false]);
  const [row] = await user.database.read<{ version: number }>('SELECT version FROM users WHERE id = ?', [first.id]);
  expect(row?.version).toBe(3);
});

test('an administrator who is made on the command line is verified', async () => {
  const known = await register();
  for (const email of [newEmail(), known.email]) {
    const input = { name: 'Root', email, password: 'correct horse battery', replace: true };
    await user.subgraph.commands.createAdmin(context, input);
    const rows = await user.database.read('SELECT role, verified FROM users WHERE email = ?', [email]);
    expect(rows).toEqual([{ role: 'ADMIN', verified: 1 }]);
  }
});

test('users from before there was a choice are written to in English', async () => {
  const databases = await testDatabases();
  try {
    const name = 'tributary_user';
    const first = [Initial1700000000000, Logins1700000000002];
    const before = await databases.open({ name, migrations: first });
    await before.migrate();
    const id = newId();
    const row = { id, version: 1, name: 'Ana', email: 'a@example.com', email_key: 'a@example.com', role: 'USER' };
    await before.transaction((tx) =>
      tx.insert('users', [{ ...row, verified: false, deleted: false, created_at: 1, updated_at: 1 }]),
    );
    await before.close();
    const after = await databases.open({ name, migrations: [...first, Verifications1700000000003] });
    await after.migrate();
    // Cut short before it was written down.
    await after.transaction((tx) => tx.execute('DELETE FROM migrations WHERE name LIKE ?', ['Verifications%']));
    await after.migrate();
    expect(await after.read('SELECT id, email, locale, verified FROM users')).toEqual([
      { id, email: 'a@example.com', locale: 'EN', verified: 0 },
    ]);
    await after.close();
  } finally {
    await databases.dispose();
  }
});

test('what nobody can use any more is deleted a day later, and what can be used stays', async () => {
  const [old] = await Promise.all([register(), user.subgraph.commands.purgeVerifications()]);
  const count = async (): Promise<number | undefined> =>
    (await user.database.read<{ n: number }>('SELECT COUNT(*) AS n FROM verifications'))[0]?.n;
  expect(await count()).toBeGreaterThan(0);
  clock += 24 * 60 * MINUTE + 11 * MINUTE;
  const fresh = await register();
  expect(await user.subgraph.commands.purgeVerifications()).toBeGreaterThan(0);
  expect(await count()).toBe(1);
  expect(await verify(await tokenOf(old.id))).toEqual(expired);
  expect(await verify(await tokenOf(fresh.id))).toMatchObject({ verified: true });
});
