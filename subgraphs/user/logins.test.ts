import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { newId } from '../../shared/ids/ids.js';
import { ANONYMOUS, type Identity } from '../../shared/identity/identity.js';
import { JWKS_PATH, TOKEN_AUDIENCE, TOKEN_ISSUER } from '../../shared/identity/tokens.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { ADMIN, startSubgraph, userIdentity, type TestSubgraph } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { buildUser, type UserSubgraph } from './app.js';
import { Passwords } from './passwords.js';

const SESSION = 'accessToken expiresAt user { id version name email role verified }';
const REGISTER = `mutation ($input: RegisterInput!) { register(input: $input) { ${SESSION} } }`;
const LOGIN = `mutation ($input: LoginInput!) { login(input: $input) { ${SESSION} } }`;
const CHANGE = 'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }';
const UPDATE = 'mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { id email } } }';
const DELETE = 'mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { id } }';
/** Many passwords are hashed here. */
const CHEAP = { n: 2_048, r: 8, p: 1 };
const PASSWORD = 'correct horse battery';

interface Session {
  readonly accessToken: string;
  readonly expiresAt: string;
  readonly user: { readonly id: string; readonly email: string };
}

/** Can be held between comparing a password and what follows from it. */
class HeldPasswords extends Passwords {
  private held: (() => void)[] | undefined;

  override async matches(given: string, stored: string | undefined): Promise<boolean> {
    const right = await super.matches(given, stored);
    if (this.held !== undefined) await new Promise<void>((resolve) => this.held?.push(resolve));
    return right;
  }

  /** Answers how to let go, once so many are held; what begins then is held no more. */
  async hold(count: number, begin: () => void): Promise<() => void> {
    const held: (() => void)[] = [];
    this.held = held;
    begin();
    await until(() => held.length === count);
    this.held = undefined;
    return () => held.forEach((letGo) => letGo());
  }
}

let user: TestSubgraph<UserSubgraph>;
const passwords = new HeldPasswords(CHEAP);
beforeAll(async () => {
  user = await startSubgraph('user', (deps) => buildUser(deps, passwords));
});
afterAll(() => user.dispose());

const newEmail = (): string => `${newId()}@example.com`;
/** Nobody yet, at an address of its own unless one is named. */
const at = (address: string = newId()): Identity => ({ ...ANONYMOUS, address });

async function register(email = newEmail(), password = PASSWORD): Promise<Session> {
  const input = { name: 'Ana', email, password };
  return (await user.ok<{ register: Session }>(REGISTER, { input }, at())).register;
}

const login = (email: string, password = PASSWORD, identity = at()) =>
  user.graphql<{ login: Session }>(LOGIN, { input: { email, password } }, identity);

async function loginRefusal(email: string, password: string, identity?: Identity) {
  const { errors } = await login(email, password, identity);
  return errors?.map(({ message, extensions }) => ({ message, ...extensions }))[0];
}

/** What the first attempt is told that is not simply wrong. */
async function guess(email: string, identity: Identity) {
  for (;;) {
    const refusal = await loginRefusal(email, newId(), identity);
    if (refusal?.message !== WRONG.message) return refusal;
  }
}

const WRONG = { code: 'UNAUTHENTICATED', message: 'E-mail or password is wrong.' };

describe('register', () => {
  test('makes a user who is nobody special, logged in at once', async () => {
    const email = newEmail();
    const { accessToken, expiresAt, user: made } = await register(email);
    expect(made).toEqual({ id: made.id, version: 2, name: 'Ana', email, role: 'USER', verified: false });
    const keys = createRemoteJWKSet(new URL(JWKS_PATH, user.subgraph.api.url));
    const { payload } = await jwtVerify(accessToken, keys, { issuer: TOKEN_ISSUER, audience: TOKEN_AUDIENCE });
    expect(payload).toMatchObject({ sub: made.id, role: 'USER' });
    expect(Number(payload.exp) - Number(payload.iat)).toBe(3_600);
    expect(new Date(expiresAt).getTime()).toBe(Number(payload.exp) * 1_000);
    expect(decodeProtectedHeader(accessToken)).toMatchObject({ alg: 'EdDSA', typ: 'at+jwt' });
  });

  test('a taken address is CONFLICT and changes nothing, whatever the case of its letters', async () => {
    const { user: made } = await register();
    const before = await user.database.read('SELECT * FROM credentials ORDER BY user_id');
    const input = { name: 'Eve', email: made.email.toUpperCase(), password: PASSWORD };
    expect(await user.refusal(REGISTER, { input }, at())).toEqual({ code: 'CONFLICT', field: 'email' });
    expect(await user.database.read('SELECT * FROM credentials ORDER BY user_id')).toEqual(before);
  });

  test.each([
    ['1234567', 'password'],
    ['x'.repeat(129), 'password'],
    // One character once it is normalised.
    ['ﬁ'.repeat(3), 'password'],
  ])('the password %p is VALIDATION and changes nothing', async (password, field) => {
    const count = 'SELECT COUNT(*) AS count FROM users';
    const before = await user.database.read(count);
    const input = { name: 'Ana', email: newEmail(), password };
    expect(await user.refusal(REGISTER, { input }, at())).toEqual({ code: 'VALIDATION', field });
    expect(await user.database.read(count)).toEqual(before);
  });

  test.each(['12345678', 'x'.repeat(128), '        ', '🐎🐎🐎🐎🐎🐎🐎🐎'])(
    'the password %p is good',
    async (password) => {
      const { user: made } = await register(newEmail(), password);
      expect((await login(made.email, password)).errors).toBeUndefined();
    },
  );

  test('neither events nor any table but the one of credentials know of the password', async () => {
    const password = `secret-${newId()}`;
    const { user: made } = await register(newEmail(), password);
    const [row] = await user.database.read<{ password_hash: string }>('SELECT * FROM credentials WHERE user_id = ?', [
      made.id,
    ]);
    const hash = row?.password_hash ?? '';
    expect(hash).toMatch(/^scrypt\$2048\$8\$1\$/);
    expect(hash).not.toContain(password);
    for (const table of ['users', 'outbox', 'login_failures', 'idempotency_keys']) {
      const text = JSON.stringify(await user.database.read(`SELECT * FROM ${table}`));
      expect([table, text.includes(password) || text.includes(hash)]).toEqual([table, false]);
    }
  });
});

test('registering is slowed down for an address that does it again and again, before anything is hashed', async () => {
  const attacker = at();
  const taken = await register();
  const input = { name: 'Eve', email: taken.user.email, password: PASSWORD };
  const codes = new Set<string | undefined>();
  for (let i = 0; i < 51; i++) codes.add((await user.refusal(REGISTER, { input }, attacker))?.code);
  expect([...codes]).toEqual(['CONFLICT', 'RATE_LIMITED']);
  await register();
});

describe('login', () => {
  test('takes the e-mail address in any case and the password in any Unicode form', async () => {
    const { user: made } = await register(newEmail(), 'café com leite');
    const { data } = await login(made.email.toUpperCase(), 'cafe\u0301 com leite');
    expect(data?.login.user.id).toBe(made.id);
  });

  test('does not tell a wrong password from an unknown address', async () => {
    const { user: made } = await register();
    expect(await loginRefusal(made.email, 'something else')).toEqual(WRONG);
    expect(await loginRefusal(newEmail(), PASSWORD)).toEqual(WRONG);
    expect(await loginRefusal(made.email, 'x'.repeat(10_000))).toEqual(WRONG);
  });

  test('users without a password, and those who were deleted, do not get in', async () => {
    const email = newEmail();
    await user.ok('mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }', {
      input: { name: 'Ana', email },
    });
    expect(await loginRefusal(email, PASSWORD)).toEqual(WRONG);
    const { user: made } = await register();
    await user.ok(DELETE, { input: { id: made.id } }, userIdentity(made.id));
    expect(await loginRefusal(made.email, PASSWORD)).toEqual(WRONG);
    expect(await user.database.read('SELECT * FROM credentials WHERE user_id = ?', [made.id])).toEqual([]);
  });

  test('goes by the new address after it was changed, and by the old one no more', async () => {
    const { user: made } = await register();
    const email = newEmail();
    await user.ok(UPDATE, { input: { id: made.id, email } }, userIdentity(made.id));
    expect((await login(email)).data?.login.user).toMatchObject({ id: made.id, email });
    expect(await loginRefusal(made.email, PASSWORD)).toEqual(WRONG);
  });

  test('a hash of another cost is made anew at the next login', async () => {
    const { user: made } = await register();
    const old = await new Passwords({ n: 1_024, r: 8, p: 1 }).hash(PASSWORD);
    await user.database.transaction((tx) =>
      tx.execute('UPDATE credentials SET password_hash = ? WHERE user_id = ?', [old, made.id]),
    );
    const hash = async () =>
      (await user.database.read('SELECT password_hash FROM credentials WHERE user_id = ?', [made.id]))[0]?.[
        'password_hash'
      ];
    expect(await loginRefusal(made.email, 'something else')).toEqual(WRONG);
    expect(await hash()).toBe(old);
    expect((await login(made.email)).errors).toBeUndefined();
    expect(await hash()).toMatch(/^scrypt\$2048\$/);
    expect((await login(made.email)).errors).toBeUndefined();
  });

  test('with a password that is changed while it is compared is refused', async () => {
    const { user: made } = await register();
    let late: ReturnType<typeof loginRefusal> | undefined;
    const letGo = await passwords.hold(1, () => {
      late = loginRefusal(made.email, PASSWORD);
    });
    await user.ok(CHANGE, { input: { currentPassword: PASSWORD, newPassword: 'new password' } }, userIdentity(made.id));
    letGo();
    expect(await late).toEqual(WRONG);
  });

  test('guessing from one address is slowed down for that address, and not for the owner elsewhere', async () => {
    const { user: made } = await register();
    const attacker = at('203.0.113.7');
    expect(await guess(made.email, attacker)).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 1 });
    expect((await login(made.email, PASSWORD, at('198.51.100.1'))).errors).toBeUndefined();
  });

  test('unknown addresses are slowed down alike', async () => {
    expect(await guess(newEmail(), at())).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 1 });
  });
});

describe('changePassword', () => {
  const change = (currentPassword: string, newPassword: string, identity: Identity) =>
    user.refusal(CHANGE, { input: { currentPassword, newPassword } }, identity);

  test('takes the current one, and only the new one is good afterwards', async () => {
    const { user: made } = await register();
    const owner = userIdentity(made.id);
    expect(await change('something else', 'new password', owner)).toEqual({
      code: 'VALIDATION',
      field: 'currentPassword',
    });
    expect(await change(PASSWORD, 'short', owner)).toEqual({ code: 'VALIDATION', field: 'newPassword' });
    expect(await change(PASSWORD, 'new password', at())).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await login(made.email)).errors).toBeUndefined();
    expect(await change(PASSWORD, 'new password', owner)).toBeUndefined();
    expect(await loginRefusal(made.email, PASSWORD)).toEqual(WRONG);
    expect((await login(made.email, 'new password')).errors).toBeUndefined();
  });

  test('two at once with the same current one: only one is made', async () => {
    const { user: made } = await register();
    let both: ReturnType<typeof change>[] = [];
    const letGo = await passwords.hold(2, () => {
      both = ['first password', 'second password'].map((wanted) => change(PASSWORD, wanted, userIdentity(made.id)));
    });
    letGo();
    expect(await Promise.all(both)).toEqual(
      expect.arrayContaining([undefined, { code: 'VALIDATION', field: 'currentPassword' }]),
    );
  });
});

describe('an administrator made from outside', () => {
  const make = (email: string, password: string, replace: boolean) =>
    user.subgraph.commands.createAdmin(
      { identity: ADMIN, requestId: 'test', traceparent: null, log: silentLogger() },
      { name: 'Root', email, password, replace },
    );

  test('is made once; who is there already is changed on demand only', async () => {
    const email = newEmail();
    expect(await make(email, PASSWORD, false)).toBe('created');
    expect((await login(email)).data?.login.user).toMatchObject({ role: 'ADMIN', name: 'Root' });
    expect(await make(email, PASSWORD, false)).toBe('unchanged');
    expect(await make(email, 'another password', false)).toBe('exists');
    expect((await login(email)).errors).toBeUndefined();
  });

  test('may have been a user before', async () => {
    const { user: made } = await register();
    expect(await make(made.email, PASSWORD, false)).toBe('exists');
    expect((await login(made.email)).data?.login.user).toMatchObject({ role: 'USER' });
    expect(await make(made.email, 'another password', true)).toBe('promoted');
    const { data } = await login(made.email, 'another password');
    expect(data?.login.user).toMatchObject({ id: made.id, name: 'Ana', role: 'ADMIN' });
  });

  test('is not whoever had the address a moment before', async () => {
    const { user: made } = await register();
    let late: Promise<unknown> | undefined;
    const letGo = await passwords.hold(1, () => {
      late = make(made.email, PASSWORD, true).catch((error: unknown) => error);
    });
    await user.ok(UPDATE, { input: { id: made.id, email: newEmail() } }, userIdentity(made.id));
    letGo();
    expect(await late).toMatchObject({ code: 'CONFLICT', field: 'email' });
    expect((await user.database.read('SELECT role FROM users WHERE id = ?', [made.id]))[0]).toEqual({ role: 'USER' });
  });

  test('a weak password is refused', async () => {
    await expect(make(newEmail(), 'short', true)).rejects.toMatchObject({ code: 'VALIDATION', field: 'password' });
  });
});
