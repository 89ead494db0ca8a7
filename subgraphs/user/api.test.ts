import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AccountState, OrderState, OrderStatus } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { ANONYMOUS } from '../../shared/identity/identity.js';
import { startSubgraph, userIdentity, type TestSubgraph } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { buildUser, type UserSubgraph } from './app.js';

const FIELDS = 'id version name email role verified';
const CREATE = `mutation ($input: CreateUserInput!) { createUser(input: $input) { user { ${FIELDS} } } }`;
const UPDATE = `mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { ${FIELDS} } } }`;
const DELETE = 'mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { id } }';
const UNKNOWN = '0190a000-0000-7000-8000-00000000dead';
const entity = (id: string): string =>
  `{ _entities(representations: [{ __typename: "User", id: "${id}" }]) { ... on User { ${FIELDS} } } }`;

let user: TestSubgraph<UserSubgraph>;
beforeAll(async () => {
  user = await startSubgraph('user', buildUser);
});
afterAll(() => user.dispose());

const newEmail = (): string => `${newId()}@example.com`;

async function create(input: Readonly<Record<string, unknown>> = {}): Promise<string> {
  type Created = { createUser: { user: { id: string } } };
  const { createUser } = await user.ok<Created>(CREATE, { input: { name: 'João Silva', email: newEmail(), ...input } });
  return createUser.user.id;
}

async function everything(): Promise<unknown> {
  const rows = await user.database.read('SELECT * FROM users ORDER BY id');
  const outbox = await user.database.read('SELECT COUNT(*) AS count FROM outbox');
  return { rows, outbox };
}

function orderEvent(type: 'order.created' | 'order.completed', id: string, userId: string, version: number) {
  const status: OrderStatus = type === 'order.created' ? 'PENDING' : 'COMPLETED';
  const order: OrderState = {
    id,
    version,
    userId,
    status,
    items: [{ productId: 'p', name: 'x', quantity: 1, unitPrice: 1 }],
    total: 1,
    payment: null,
    cancelReason: null,
    history: [{ version, status, at: 1, reason: null }],
    deleted: false,
    createdAt: 1,
    updatedAt: 1,
  };
  return { type, subject: id, sequence: version, data: { order } };
}

function accountEvent(id: string, userId: string | null, version: number, balance: number) {
  const kind = userId === null ? 'TREASURY' : 'USER';
  const account: AccountState = { id, version, userId, kind, balance, createdAt: 1, updatedAt: 1 };
  const transaction = {
    id: newId(),
    kind: 'DEPOSIT',
    fromAccountId: 'x',
    toAccountId: id,
    amount: 1,
    createdAt: 1,
  } as const;
  return { type: 'account.balance_changed', subject: id, sequence: version, data: { account, transaction } } as const;
}

describe('people', () => {
  test('are created, changed, shown and deleted', async () => {
    const email = newEmail();
    const id = await create({ name: '  João  Silva ', email: ` ${email} ` });
    const expected = { id, version: 2, name: 'João', email, role: 'USER', verified: false };
    expect(await user.ok(UPDATE, { input: { id, name: 'João' } }, userIdentity(id))).toEqual({
      updateUser: { user: expected },
    });
    expect(await user.ok(`{ me { ${FIELDS} } }`, {}, userIdentity(id))).toEqual({ me: expected });
    expect(await user.ok(entity(id))).toEqual({ _entities: [expected] });
    expect(await user.ok(entity(id), {}, userIdentity(UNKNOWN))).toEqual({ _entities: [null] });
    expect(await user.ok(DELETE, { input: { id } }, userIdentity(id))).toEqual({ deleteUser: { id } });
    expect(await user.ok(`{ me { ${FIELDS} } }`, {}, userIdentity(id))).toEqual({ me: null });
    await until(() => user.heard.filter(({ subject }) => subject === id).length === 3);
    expect(user.heard.filter(({ subject }) => subject === id).at(-1)).toMatchObject({
      type: 'user.deleted',
      sequence: 3,
      data: { user: { name: '', email: '', deleted: true } },
    });
  });

  test('nobody is logged in: me is null', async () => {
    expect(await user.ok('{ me { id } }', {}, ANONYMOUS)).toEqual({ me: null });
  });

  test('have an e-mail address of their own, whatever the case, free again once they are gone', async () => {
    const email = newEmail();
    const id = await create({ email });
    const other = await create();
    const taken = { code: 'CONFLICT', field: 'email' };
    const before = await everything();
    expect(await user.refusal(CREATE, { input: { name: 'x', email: email.toUpperCase() } })).toEqual(taken);
    expect(await user.refusal(UPDATE, { input: { id: other, email: email.toUpperCase() } })).toEqual(taken);
    expect(await everything()).toEqual(before);
    await user.ok(UPDATE, { input: { id, email: email.toUpperCase() } });
    await user.ok(DELETE, { input: { id } });
    await create({ email });
  });

  test('of twenty who want one address at once, one gets it', async () => {
    const email = newEmail();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => user.refusal(CREATE, { input: { name: 'Twin', email } })),
    );
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(1);
    expect(new Set(answers.filter((answer) => answer !== undefined).map((answer) => JSON.stringify(answer)))).toEqual(
      new Set([JSON.stringify({ code: 'CONFLICT', field: 'email' })]),
    );
  });

  test('stay while they have open orders, however those events come', async () => {
    const id = await create();
    const [order, late] = [newId(), newId()];
    await user.publish(orderEvent('order.created', order, id, 1), orderEvent('order.completed', late, id, 5));
    const open = async (): Promise<number> => {
      const rows = await user.database.read('SELECT subject FROM obligations WHERE user_id = ? AND open = 1', [id]);
      return rows.length;
    };
    await until(async () => (await open()) === 1);
    expect(await user.refusal(DELETE, { input: { id } })).toEqual({ code: 'CONFLICT', field: 'id' });
    await user.publish(orderEvent('order.completed', order, id, 6), orderEvent('order.created', late, id, 1));
    await until(async () => (await open()) === 0);
    await user.ok(DELETE, { input: { id } });
  });

  test("stay while they have money; the house's own money is nobody's", async () => {
    const id = await create();
    const account = newId();
    const query = 'SELECT open FROM obligations WHERE subject = ?';
    await user.publish(accountEvent(newId(), null, 2, -500), accountEvent(account, id, 2, 500));
    await until(async () => (await user.database.read(query, [account])).length === 1);
    expect(await user.refusal(DELETE, { input: { id } })).toEqual({ code: 'CONFLICT', field: 'id' });
    await user.publish(accountEvent(account, id, 3, 0));
    await until(async () => (await user.database.read<{ open: number }>(query, [account]))[0]?.open === 0);
    await user.ok(DELETE, { input: { id } });
  });
});

describe('bad input is refused with code and field, and changes nothing', () => {
  let id: string;
  beforeAll(async () => {
    id = await create();
  });

  const values: [string, unknown, string][] = [
    ['name', '', 'empty'],
    ['name', '   ', 'blank'],
    ['name', 'x'.repeat(201), 'overlong'],
    ['name', '👩'.repeat(201), 'overlong in 4-byte characters'],
    ['name', 'zero\u200Bwidth', 'with a zero-width character'],
    ['name', 'nul\u0000', 'with a NUL'],
    ['name', 'two\nlines', 'of two lines'],
    ['name', true, 'a boolean'],
    ['email', '', 'empty'],
    ['email', 'nobody', 'without a domain'],
    ['email', '@example.com', 'without a name'],
    ['email', 'a@b', 'without a top-level domain'],
    ['email', 'a b@example.com', 'with a space'],
    ['email', 'a@exa mple.com', 'with a space in the domain'],
    ['email', 'a@@example.com', 'with two at signs'],
    ['email', 'a@-example.com', 'with a domain that begins with a hyphen'],
    ['email', 'a@example..com', 'with two dots'],
    ['email', `${'a'.repeat(65)}@example.com`, 'with an overlong name'],
    [
      'email',
      `a@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(20)}.com`,
      'overlong',
    ],
    ['email', 'a\u200B@example.com', 'with a zero-width character'],
    ['role', 'KING', 'unknown'],
  ];

  test.each(values)('createUser: %s %j, %s', async (field, value) => {
    const before = await everything();
    const input = { name: 'João', email: newEmail(), [field]: value };
    expect(await user.refusal(CREATE, { input })).toEqual({ code: 'VALIDATION', field });
    expect(await everything()).toEqual(before);
  });

  test.each(values)('updateUser: %s %j, %s', async (field, value) => {
    const before = await everything();
    expect(await user.refusal(UPDATE, { input: { id, [field]: value } })).toEqual({ code: 'VALIDATION', field });
    expect(await everything()).toEqual(before);
  });

  test.each([
    ['an unknown id', UNKNOWN, 'NOT_FOUND'],
    ['a malformed id', 'joao', 'VALIDATION'],
    ['an empty id', '', 'VALIDATION'],
  ])('updateUser, deleteUser: %s', async (_, bad, code) => {
    const before = await everything();
    expect(await user.refusal(UPDATE, { input: { id: bad, name: 'x' } })).toEqual({ code, field: 'id' });
    expect(await user.refusal(DELETE, { input: { id: bad } })).toEqual({ code, field: 'id' });
    expect(await everything()).toEqual(before);
  });

  test('a version that is not there', async () => {
    const refused = { code: 'CONFLICT', field: 'expectedVersion' };
    expect(await user.refusal(UPDATE, { input: { id, name: 'x', expectedVersion: 7 } })).toEqual(refused);
    expect(await user.refusal(DELETE, { input: { id, expectedVersion: 7 } })).toEqual(refused);
  });

  test('an idempotency key used for something else', async () => {
    const input = { name: 'João', email: newEmail(), idempotencyKey: newId() };
    expect(await create(input)).toBe(await create(input));
    const before = await everything();
    expect(await user.refusal(CREATE, { input: { ...input, name: 'Maria' } })).toEqual({
      code: 'CONFLICT',
      field: 'idempotencyKey',
    });
    expect(await everything()).toEqual(before);
  });

  test('somebody who may not', async () => {
    const before = await everything();
    const stranger = userIdentity(UNKNOWN);
    const input = { name: 'x', email: newEmail() };
    expect(await user.refusal(CREATE, { input }, stranger)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await user.refusal(UPDATE, { input: { id, name: 'x' } }, stranger)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await user.refusal(DELETE, { input: { id } }, stranger)).toMatchObject({ code: 'FORBIDDEN' });
    expect(await user.refusal(DELETE, { input: { id } }, ANONYMOUS)).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await user.refusal(UPDATE, { input: { id, role: 'ADMIN' } }, userIdentity(id))).toEqual({
      code: 'FORBIDDEN',
      field: 'role',
    });
    expect(await everything()).toEqual(before);
  });
});
