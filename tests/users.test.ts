import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { Shop, USER_FIELDS, type UserView } from './shop.js';
import { startTestSystem, uniqueEmail, userIdentity } from './system.js';
import { until } from './until.js';

let shop: Shop;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
});

afterAll(() => shop.server.dispose());

const USER = `query ($id: ID!, $minVersion: Int) { user(id: $id, minVersion: $minVersion) { ${USER_FIELDS} role verified } }`;
const USERS = `query ($filter: UserFilter, $sort: UserSort, $first: Int, $after: String) {
  users(filter: $filter, sort: $sort, first: $first, after: $after) {
    nodes { id name email } pageInfo { hasNextPage endCursor } totalCount
  }
}`;

interface UserList {
  readonly users: {
    readonly nodes: readonly UserView[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
    readonly totalCount: number;
  };
}

const list = async (variables: Readonly<Record<string, unknown>>) =>
  (await shop.server.ok<UserList>(USERS, variables)).users;

test('a new user is a USER whose address nobody has confirmed', async () => {
  const { id, version } = await shop.user({ name: 'João Silva', email: 'joao@example.com' });
  const { user } = await shop.server.ok(USER, { id, minVersion: version });
  expect(user).toEqual({
    id,
    version: 1,
    name: 'João Silva',
    email: 'joao@example.com',
    role: 'USER',
    verified: false,
  });
});

test('an e-mail address is taken whatever the case of its letters', async () => {
  const email = uniqueEmail();
  const taken = { code: 'CONFLICT', field: 'email' };
  const first = await shop.user({ email });
  expect(await shop.refused('createUser', { name: 'Ana', email })).toEqual(taken);
  expect(await shop.refused('createUser', { name: 'Ana', email: email.toUpperCase() })).toEqual(taken);
  const other = await shop.user();
  expect(await shop.refused('updateUser', { id: other.id, email: email.toUpperCase() })).toEqual(taken);

  const respelled = await shop.run<UserView>('updateUser', { id: first.id, email: email.toUpperCase() });
  expect(respelled).toMatchObject({ email: email.toUpperCase(), version: 2 });
});

test('of users created at once with one e-mail address one exists', async () => {
  const email = uniqueEmail();
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      shop.refused('createUser', { name: 'Ana', email: index % 2 === 0 ? email : email.toUpperCase() }),
    ),
  );
  expect(answers.filter((refusal) => refusal === undefined)).toHaveLength(1);
  expect(answers.filter((refusal) => refusal?.code === 'CONFLICT' && refusal.field === 'email')).toHaveLength(7);
});

test('an update changes what it names and leaves the rest', async () => {
  const { id, email } = await shop.user({ name: 'Ana' });
  expect(await shop.run<UserView>('updateUser', { id, name: 'Ana Lima' })).toMatchObject({
    name: 'Ana Lima',
    email,
    version: 2,
  });
  const renamed = uniqueEmail();
  expect(await shop.run<UserView>('updateUser', { id, email: renamed })).toMatchObject({
    name: 'Ana Lima',
    email: renamed,
    // With the new address comes the wish that it be confirmed.
    version: 4,
  });
});

test('an update that changes nothing keeps the version', async () => {
  const { id, name, email } = await shop.user();
  expect(await shop.run<UserView>('updateUser', { id, name, email })).toMatchObject({ version: 1 });
});

test('a change meant for another version is refused and changes nothing', async () => {
  const { id } = await shop.user({ name: 'Ana' });
  await shop.run('updateUser', { id, name: 'Ana Lima', expectedVersion: 1 });
  const refused = { code: 'CONFLICT', field: 'expectedVersion' };
  expect(await shop.refused('updateUser', { id, name: 'Eva', expectedVersion: 1 })).toEqual(refused);
  expect(await shop.refused('deleteUser', { id, expectedVersion: 1 })).toEqual(refused);
  expect((await shop.server.ok(USER, { id, minVersion: 2 })).user).toMatchObject({ name: 'Ana Lima', version: 2 });
});

test('users are found by the beginnings of words, without accents, and paged by name', async () => {
  const mark = `x${newId().replaceAll('-', '')}`;
  for (const name of ['Çelik', 'Ágata', 'Bruno', 'Dora', 'Érica']) await shop.user({ name: `${name} ${mark}` });
  const filter = { search: mark };
  await until(async () => (await list({ filter })).totalCount === 5);

  const pages: string[][] = [];
  for (let after: string | null = null; ;) {
    const page = await list({ filter, sort: 'NAME_ASC', first: 2, after });
    pages.push(page.nodes.map(({ name }) => name.split(' ')[0] ?? ''));
    expect(page.totalCount).toBe(5);
    if (!page.pageInfo.hasNextPage) break;
    after = page.pageInfo.endCursor;
  }
  expect(pages).toEqual([['Ágata', 'Bruno'], ['Çelik', 'Dora'], ['Érica']]);

  const found = await list({ filter: { search: `${mark.slice(0, 20)} aga` } });
  expect(found.nodes.map(({ name }) => name)).toEqual([`Ágata ${mark}`]);
});

test('users are found by how people type letters that are no accented ones', async () => {
  const mark = `x${newId().replaceAll('-', '')}`;
  // None could begin a word of an address made of hexadecimal digits.
  const names = { Straße: 'strasse', Łódź: 'lodz', Øre: 'ore', Æsir: 'aesir', Đàn: 'dan' };
  for (const name of Object.keys(names)) await shop.user({ name: `${name} ${mark}` });
  await until(async () => (await list({ filter: { search: mark } })).totalCount === 5);
  for (const [name, typed] of Object.entries(names)) {
    for (const search of [name, typed, typed.toUpperCase()]) {
      const { nodes } = await list({ filter: { search: `${search} ${mark}` } });
      expect(nodes.map((node) => node.name)).toEqual([`${name} ${mark}`]);
    }
  }
});

test('a user with an open order stays until it is finished', async () => {
  const { id } = await shop.user();
  const product = await shop.product();
  const order = await shop.order(id, [product.id, 1]);
  await shop.untilBound(id);
  expect(await shop.refused('deleteUser', { id })).toEqual({ code: 'CONFLICT', field: 'id' });
  await shop.cancel(order.id);
  await shop.untilBound(id, 0);
  expect(await shop.refused('deleteUser', { id })).toBeUndefined();
});

test('a user with money stays until it is gone', async () => {
  const [{ id }, other] = [await shop.user(), await shop.user()];
  const [from, to] = [await shop.account(id, '5.00'), await shop.account(other.id)];
  await shop.untilBound(id);
  expect(await shop.refused('deleteUser', { id })).toEqual({ code: 'CONFLICT', field: 'id' });
  await shop.run('transfer', { fromAccountId: from, toAccountId: to, amount: '5.00' });
  await shop.untilBound(id, 0);
  expect(await shop.refused('deleteUser', { id })).toBeUndefined();
});

test('a deleted user is gone from every read, orders and accounts remain', async () => {
  const { id, name, email } = await shop.user({ name: `Eva ${newId()}` });
  const { id: productId } = await shop.product();
  const order = await shop.orderIn('COMPLETED', id, [productId, 1]);
  const account = await shop.account(id);
  const LINKS =
    'query ($order: ID!, $account: ID!) { order(id: $order) { userId user { id } } account(id: $account) { userId owner { id } } }';
  const variables = { order: order.id, account };
  await until(async () => {
    expect(await shop.server.ok(LINKS, variables)).toEqual({
      order: { userId: id, user: { id } },
      account: { userId: id, owner: { id } },
    });
    return true;
  });

  await shop.untilBound(id, 0);
  expect(await shop.refused('deleteUser', { id })).toBeUndefined();
  await until(async () => (await shop.refusal(USER, { id }))?.code === 'NOT_FOUND');
  expect(await shop.server.ok(LINKS, variables)).toEqual({
    order: { userId: id, user: null },
    account: { userId: id, owner: null },
  });
  expect((await list({ filter: { search: name } })).totalCount).toBe(0);
  expect(await shop.refused('updateUser', { id, name: 'Eva' })).toEqual({ code: 'NOT_FOUND', field: 'id' });
  expect(await shop.refused('deleteUser', { id })).toEqual({ code: 'NOT_FOUND', field: 'id' });
  await until(
    async () =>
      (await shop.refused('createOrder', { userId: id, items: [{ productId, quantity: 1 }] }))?.code === 'NOT_FOUND',
  );
  expect((await shop.user({ email })).id).not.toBe(id);
});

test('repeats with one idempotency key create one user, also at once', async () => {
  const input = { name: 'Ana', email: uniqueEmail(), idempotencyKey: newId() };
  const answers = await Promise.all(Array.from({ length: 10 }, () => shop.run<UserView>('createUser', input)));
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(await shop.run('createUser', input)).toEqual(answers[0]);
  expect(await shop.refused('createUser', { ...input, name: 'Eva' })).toEqual({
    code: 'CONFLICT',
    field: 'idempotencyKey',
  });
  expect(await shop.run('createUser', { ...input, role: null })).toEqual(answers[0]);
  expect(await shop.refused('createUser', { ...input, idempotencyKey: '  ' })).toEqual({
    code: 'VALIDATION',
    field: 'idempotencyKey',
  });
  await until(async () => (await list({ filter: { search: input.email.split('@')[0] } })).totalCount === 1);
});

test('a failure is not kept under its idempotency key', async () => {
  const taken = await shop.user();
  const input = { name: 'Ana', email: taken.email, idempotencyKey: newId() };
  expect(await shop.refused('createUser', input)).toEqual({ code: 'CONFLICT', field: 'email' });
  await shop.run('updateUser', { id: taken.id, email: uniqueEmail() });
  expect(await shop.run<UserView>('createUser', input)).toMatchObject({ name: 'Ana', email: taken.email });
});

test('one key of two people is two keys', async () => {
  const idempotencyKey = newId();
  const [one, two] = [await shop.user(), await shop.user()];
  for (const { id } of [one, two]) {
    const account = await shop.run<{ userId: string }>('createAccount', { idempotencyKey }, userIdentity(id));
    expect(account.userId).toBe(id);
  }
});

test('users see and change themselves, administrators everyone, strangers nothing', async () => {
  const [{ id }, other] = [await shop.user(), await shop.user()];
  const unauthenticated = { code: 'UNAUTHENTICATED', field: undefined };
  const forbidden = { code: 'FORBIDDEN', field: undefined };
  await until(async () => (await shop.refusal(USER, { id })) === undefined);

  expect(await shop.refusal(USER, { id }, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refusal(USER, { id }, userIdentity(other.id))).toEqual(forbidden);
  expect(await shop.refusal(USER, { id }, userIdentity(id))).toBeUndefined();
  expect(await shop.refusal(USERS, {}, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refusal(USERS, {}, userIdentity(id))).toEqual(forbidden);

  const create = { name: 'Ana', email: uniqueEmail() };
  expect(await shop.refused('createUser', create, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refused('createUser', create, userIdentity(id))).toEqual(forbidden);
  const rename = { id, name: 'Somebody Else' };
  expect(await shop.refused('updateUser', rename, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refused('updateUser', rename, userIdentity(other.id))).toEqual(forbidden);
  expect(await shop.refused('updateUser', rename, userIdentity(id))).toBeUndefined();
  expect(await shop.refused('updateUser', { id, role: 'ADMIN' }, userIdentity(id))).toEqual({
    code: 'FORBIDDEN',
    field: 'role',
  });
  expect(await shop.refused('deleteUser', { id }, userIdentity(other.id))).toEqual(forbidden);
  expect(await shop.refused('deleteUser', { id }, userIdentity(id))).toBeUndefined();
});

test('me is the caller, and nobody without one', async () => {
  const { id } = await shop.user({ name: 'Eva' });
  const ME = 'query { me { id name accounts { id } } }';
  expect(await shop.server.ok(ME, {}, userIdentity(id))).toEqual({ me: { id, name: 'Eva', accounts: [] } });
  expect(await shop.server.ok(ME, {}, ANONYMOUS)).toEqual({ me: null });
});
