import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '../shared/ids/ids.js';
import { Shop } from './shop.js';
import { startTestSystem, uniqueEmail, userIdentity, type GraphQLAnswer } from './system.js';
import { until } from './until.js';

let shop: Shop;
let release: () => void = () => undefined;

beforeAll(async () => {
  shop = new Shop(await startTestSystem({ projectionWaitMs: 1_000 }));
});

afterEach(() => release());

afterAll(() => shop.server.dispose());

/** Fields in one selection that only the read side has. */
const USER = 'user { id version name orders { totalCount } accounts { id } }';
const ORDER = 'order { id version status total user { id name } items { productId product { id name } } }';
const ACCOUNT = 'account { id version balance owner { id name } transactions { totalCount } }';

type Thing = Readonly<Record<string, unknown>> & { readonly id: string; readonly version: number };
type Kind = 'user' | 'order' | 'account';

/** Runs a mutation whose answer needs the read side, and answers what it made. */
async function run(mutation: string, selection: string, input: Readonly<Record<string, unknown>>): Promise<Thing> {
  const type = `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${selection} } }`;
  const data = await shop.server.ok<Record<string, Record<string, Thing>>>(query, { input });
  return Object.values(data[mutation] ?? {})[0]!;
}

/** The version that a read without any wish gets. */
async function versionOf(kind: Kind, id: string): Promise<number> {
  const data = await shop.server.ok<Record<Kind, Thing>>(`query ($id: ID!) { ${kind}(id: $id) { version } }`, { id });
  return data[kind].version;
}

/** By the time of the answer the read side has reached what it shows. */
async function expectReadable(kind: Kind, { id, version }: Thing): Promise<void> {
  expect(await versionOf(kind, id)).toBeGreaterThanOrEqual(version);
}

test('createUser and updateUser answer with the read side at the version just written', async () => {
  const user = await run('createUser', USER, { name: 'Ana', email: uniqueEmail() });
  expect(user).toMatchObject({ version: 1, orders: { totalCount: 0 }, accounts: [] });
  await expectReadable('user', user);
  const account = await run('createAccount', ACCOUNT, { userId: user.id });
  for (let round = 1; round <= 20; round++) {
    const changed = await run('updateUser', USER, { id: user.id, name: `Ana ${round}` });
    expect(changed).toMatchObject({ version: round + 1, name: `Ana ${round}`, accounts: [{ id: account.id }] });
    await expectReadable('user', changed);
  }
});

test('every change of an order answers with user and products at the version just written', async () => {
  const { id: userId } = await shop.user({ name: 'João Silva' });
  const phone = await shop.product({ name: 'iPhone 15' });
  const cable = await shop.product({ name: 'Cable' });
  const readSide = {
    user: { id: userId, name: 'João Silva' },
    items: [
      { productId: phone.id, product: { id: phone.id, name: 'iPhone 15' } },
      { productId: cable.id, product: { id: cable.id, name: 'Cable' } },
    ],
  };
  const items = [phone, cable].map(({ id: productId }) => ({ productId, quantity: 1 }));

  const created = await run('createOrder', ORDER, { userId, items });
  expect(created).toMatchObject({ ...readSide, version: 1, status: 'PENDING' });
  await expectReadable('order', created);
  const { id } = created;
  await shop.reaches(id, 'AWAITING_PAYMENT');

  const asked = await run('payOrder', ORDER, { id, method: 'PIX' });
  expect(asked).toMatchObject({ ...readSide, version: 3 });
  await expectReadable('order', asked);
  await shop.reaches(id, 'PAID');

  const processing = await run('updateOrderStatus', ORDER, { id, status: 'PROCESSING' });
  expect(processing).toMatchObject({ ...readSide, version: 5, status: 'PROCESSING' });
  await expectReadable('order', processing);
  const completed = await run('updateOrderStatus', ORDER, { id, status: 'COMPLETED' });
  expect(completed).toMatchObject({ ...readSide, version: 6, status: 'COMPLETED' });
  await expectReadable('order', completed);

  const canceled = await run('createOrder', ORDER, { userId, items });
  const cancel = await run('cancelOrder', ORDER, { id: canceled.id });
  expect(cancel).toMatchObject({ ...readSide, status: 'CANCELED' });
  await expectReadable('order', cancel);
});

test('createAccount answers with owner and movements', async () => {
  const { id: userId } = await shop.user({ name: 'Eva' });
  const account = await run('createAccount', ACCOUNT, { userId });
  expect(account).toMatchObject({
    version: 1,
    balance: '0.00',
    owner: { id: userId, name: 'Eva' },
    transactions: { totalCount: 0 },
  });
  await expectReadable('account', account);
});

test('things just made are linked at once: user, product and order in one breath', async () => {
  for (let round = 0; round < 10; round++) {
    const user = await shop.user({ name: `Customer ${round}` });
    const product = await shop.product({ name: `Thing ${round}` });
    const order = await run('createOrder', ORDER, { userId: user.id, items: [{ productId: product.id, quantity: 1 }] });
    expect(order).toMatchObject({ user: { name: user.name }, items: [{ product: { name: product.name } }] });
  }
});

test('many at once each read their own write', async () => {
  const { id: userId, name } = await shop.user();
  const product = await shop.product({ stock: 1_000 });
  const items = [{ productId: product.id, quantity: 1 }];
  const orders = await Promise.all(Array.from({ length: 30 }, () => run('createOrder', ORDER, { userId, items })));
  for (const order of orders) expect(order).toMatchObject({ version: 1, user: { name }, items: [{ product: {} }] });
});

test('the answer to a repeated key is the first one, with the read side as it is now', async () => {
  const { id: userId } = await shop.user({ name: 'Ana' });
  const { id: productId } = await shop.product();
  const input = { userId, items: [{ productId, quantity: 1 }], idempotencyKey: newId() };
  const first = await run('createOrder', ORDER, input);
  await shop.reaches(first.id, 'AWAITING_PAYMENT');
  const renamed = await run('updateUser', USER, { id: userId, name: 'Ana Lima' });
  expect(renamed.version).toBe(2);
  expect(await run('createOrder', ORDER, input)).toEqual({ ...first, user: { id: userId, name: 'Ana Lima' } });
});

test('one operation with several mutations reads what each of them wrote', async () => {
  const { id: userId } = await shop.user();
  const { id: productId } = await shop.product();
  const create = `createOrder(input: { userId: "${userId}", items: [{ productId: "${productId}", quantity: 1 }] }) { ${ORDER} }`;
  const { one, two } = await shop.server.ok<Record<string, { order: Thing }>>(
    `mutation { one: ${create} two: ${create} }`,
  );
  expect(one?.order.id).not.toBe(two?.order.id);
  for (const { order } of [one!, two!]) expect(order).toMatchObject({ version: 1, user: { id: userId } });
});

test('people read their own writes as themselves', async () => {
  const { id: userId, name } = await shop.customer();
  const { id: productId } = await shop.product();
  const query = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ${ORDER} } }`;
  const input = { items: [{ productId, quantity: 1 }] };
  const data = await shop.server.ok(query, { input }, userIdentity(userId));
  expect(data).toMatchObject({ createOrder: { order: { version: 1, user: { name } } } });
});

describe('minVersion', () => {
  test('waits for the version and gets it or a newer one', async () => {
    const { id } = await shop.product({ stock: 1 });
    const query = 'query ($id: ID!, $minVersion: Int) { product(id: $id, minVersion: $minVersion) { version stock } }';
    // Asked for before it is there.
    const early = shop.server.ok(query, { id, minVersion: 2 });
    await shop.run('updateProduct', { id, stock: 2 });
    expect((await early)['product']).toMatchObject({ version: 2, stock: 2 });
    for (let stock = 3; stock <= 12; stock++) {
      const { version } = await shop.run<Thing>('updateProduct', { id, stock });
      expect((await shop.server.ok(query, { id, minVersion: version }))['product']).toEqual({ version, stock });
    }
    expect((await shop.server.ok(query, { id, minVersion: 1 }))['product']).toMatchObject({ version: 12 });
  });

  test.each(['user', 'product', 'order', 'account'] as const)(
    'a version that %s does not reach in time is PROJECTION_PENDING with the one that is there',
    async (kind) => {
      const user = await shop.user();
      const product = await shop.product();
      const ids = {
        user: () => user.id,
        product: () => product.id,
        order: async () => (await shop.orderIn('CANCELED', user.id, [product.id, 1])).id,
        account: () => shop.account(user.id),
      };
      const id = await ids[kind]();
      const query = `query ($id: ID!, $minVersion: Int) { ${kind}(id: $id, minVersion: $minVersion) { id } }`;
      await until(async () => (await shop.refusal(query, { id, minVersion: 1 })) === undefined);
      const { data, errors } = await shop.server.graphql(query, { id, minVersion: 999 });
      expect(data?.[kind]).toBeNull();
      expect(errors).toEqual([
        expect.objectContaining({
          path: [kind],
          extensions: { code: 'PROJECTION_PENDING', version: expect.any(Number), minVersion: 999 },
        }),
      ]);
    },
  );

  test('below 1 it is no version', async () => {
    const { id } = await shop.product();
    for (const minVersion of [0, -1]) {
      const query = 'query ($id: ID!, $minVersion: Int) { product(id: $id, minVersion: $minVersion) { id } }';
      expect(await shop.refusal(query, { id, minVersion })).toEqual({ code: 'VALIDATION', field: 'minVersion' });
    }
  });
});

describe('while the read side stands still', () => {
  test('a committed mutation answers what it wrote; what only the read side knows is null and says why', async () => {
    const { id: userId } = await shop.user();
    const product = await shop.product({ name: 'Lamp', price: '3.00' });
    await until(async () => (await versionOf('user', userId)) === 1);
    release = shop.server.holdProjections();

    const answer: GraphQLAnswer<{ createOrder: { order: Thing } }> = await shop.server.graphql(
      `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ${ORDER} } }`,
      { input: { userId, items: [{ productId: product.id, quantity: 2 }] } },
    );
    const order = answer.data?.createOrder.order;
    expect(order).toMatchObject({
      version: 1,
      status: 'PENDING',
      total: '6.00',
      user: null,
      items: [{ productId: product.id, product: null }],
    });
    expect(answer.errors?.length).toBeGreaterThan(0);
    for (const { extensions } of answer.errors ?? []) {
      expect(extensions).toEqual({ code: 'PROJECTION_PENDING', version: 0, minVersion: 1 });
    }
    const query = 'query ($id: ID!) { order(id: $id, minVersion: 1) { id } }';
    expect((await shop.refusal(query, { id: order?.id }))?.code).toBe('PROJECTION_PENDING');

    release();
    // Nothing was lost meanwhile.
    await shop.reaches(order?.id ?? '', 'AWAITING_PAYMENT');
  });

  test('a committed mutation stays whole where a list is asked for what only the read side knows', async () => {
    const { id: userId } = await shop.user();
    const product = await shop.product();
    release = shop.server.holdProjections();
    const answer: GraphQLAnswer<{ createOrder: { order: Thing } }> = await shop.server.graphql(
      'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id items { product { id } } } } }',
      { input: { userId, items: [{ productId: product.id, quantity: 1 }] } },
    );
    expect(answer.data?.createOrder.order).toEqual({ id: expect.any(String), items: null });
    expect(answer.errors?.map(({ extensions }) => extensions.code)).toEqual(['PROJECTION_PENDING']);
  });

  test('a mutation that asks for nothing of the read side does not wait for it', async () => {
    const { id: userId } = await shop.user();
    const { id: productId } = await shop.product();
    release = shop.server.holdProjections();
    expect(await shop.order(userId, [productId, 1])).toMatchObject({ status: 'PENDING' });
  });

  test('lists are eventually consistent: they show less, never an error, and catch up', async () => {
    const { id: userId } = await shop.user();
    const { id: productId } = await shop.product();
    const query = `query ($userId: ID!) { orders(filter: { userId: $userId }) { totalCount nodes { id } } }`;
    const listed = async () => (await shop.server.ok(query, { userId }))['orders'];
    await until(async () => (await versionOf('user', userId)) === 1);
    release = shop.server.holdProjections();
    const { id } = await shop.order(userId, [productId, 1]);
    expect(await listed()).toEqual({ totalCount: 0, nodes: [] });
    release();
    await until(async () => {
      expect(await listed()).toEqual({ totalCount: 1, nodes: [{ id }] });
      return true;
    });
  });
});
