/** Every id, name, address, quantity and amount, with all that is none. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CREATE_PRODUCT, CREATE_USER, createWorld, type Input, type World } from './bad-input-tools.js';
import { MUTATIONS, Shop, type MutationName, type Refusal } from './shop.js';
import { collect, startTestSystem, uniqueEmail, type GraphQLAnswer } from './system.js';
import { expectNoEffect, settled } from './no-effect.js';
import { until } from './until.js';

/** Old for a UUIDv7, so that nobody waits for it to become known. */
const UNKNOWN = '0190a000-0000-7000-8000-00000000abcd';

let shop: Shop;
let world: World;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
  world = await createWorld(shop);
  await settled(shop.server);
});

afterAll(() => shop.server.dispose());

/** Ids that are none. */
const NO_IDS = [
  '',
  ' ',
  'x',
  '1',
  'null',
  '0190a000000070008000000000000001',
  '0190a000-0000-7000-8000-00000000000g',
  '{0190a000-0000-7000-8000-000000000001}',
  "0190a000-0000-7000-8000-000000000001' OR '1'='1",
  '0190a000-0000-7000-8000-000000000001\u0000',
  '🐙'.repeat(36),
  'x'.repeat(10_000),
];

/** Where every id of a mutation stands, with an input that is right but for it. */
const ID_FIELDS: readonly [MutationName, field: string, (id: unknown, world: World) => Input][] = [
  ['updateUser', 'id', (id) => ({ id, name: 'Somebody' })],
  ['deleteUser', 'id', (id) => ({ id })],
  ['updateProduct', 'id', (id) => ({ id, price: '1.00' })],
  ['deleteProduct', 'id', (id) => ({ id })],
  ['createOrder', 'userId', (userId, { product }) => ({ userId, items: [{ productId: product, quantity: 1 }] })],
  [
    'createOrder',
    'items.1.productId',
    (productId, { ana, product }) => ({
      userId: ana.id,
      items: [
        { productId: product, quantity: 1 },
        { productId, quantity: 1 },
      ],
    }),
  ],
  ['payOrder', 'id', (id) => ({ id, method: 'PIX' })],
  ['payOrder', 'accountId', (accountId, { awaiting }) => ({ id: awaiting.id, method: 'WALLET', accountId })],
  ['cancelOrder', 'id', (id) => ({ id })],
  ['updateOrderStatus', 'id', (id) => ({ id, status: 'PROCESSING' })],
  ['deleteOrder', 'id', (id) => ({ id })],
  ['createAccount', 'userId', (userId) => ({ userId })],
  ['deposit', 'accountId', (accountId) => ({ accountId, amount: '1.00' })],
  ['transfer', 'fromAccountId', (fromAccountId, { evas }) => ({ fromAccountId, toAccountId: evas, amount: '1.00' })],
  ['transfer', 'toAccountId', (toAccountId, { anas }) => ({ fromAccountId: anas, toAccountId, amount: '1.00' })],
];

const QUERIES: readonly [string, field: string, string][] = [
  ['user', 'id', 'query ($id: ID!) { user(id: $id) { id } }'],
  ['product', 'id', 'query ($id: ID!) { product(id: $id) { id } }'],
  ['order', 'id', 'query ($id: ID!) { order(id: $id) { id } }'],
  ['account', 'id', 'query ($id: ID!) { account(id: $id) { id } }'],
  ['transactions', 'accountId', 'query ($id: ID!) { transactions(accountId: $id) { totalCount } }'],
  ['timeline', 'aggregateId', 'query ($id: ID!) { timeline(aggregateId: $id) { id } }'],
];

const SUBSCRIPTIONS: readonly [string, field: string, string][] = [
  ['orderStatusChanged', 'orderId', 'subscription ($id: ID!) { orderStatusChanged(orderId: $id) { kind } }'],
  ['stockChanged', 'productId', 'subscription ($id: ID!) { stockChanged(productId: $id) { id } }'],
  ['balanceChanged', 'accountId', 'subscription ($id: ID!) { balanceChanged(accountId: $id) { kind } }'],
];

async function subscriptionRefusal(query: string, id: string): Promise<Refusal> {
  const { messages, state, stop } = collect<unknown>(shop.server.socket(), query, { id });
  const errors = await until(() => messages[0]?.errors ?? (state.error as GraphQLAnswer<unknown>['errors']));
  stop();
  return { code: errors[0]!.extensions.code, field: errors[0]!.extensions.field };
}

describe('ids', () => {
  test.each(ID_FIELDS)('%s of an unknown %s', async (mutation, field, input) => {
    await expectNoEffect(shop.server, async () => {
      expect(await shop.refused(mutation, input(UNKNOWN, world))).toEqual({ code: 'NOT_FOUND', field });
    });
  });

  test.each(ID_FIELDS)('%s of a malformed %s', async (mutation, field, input) => {
    await expectNoEffect(shop.server, async () => {
      for (const id of NO_IDS) {
        const refusal = await shop.refused(mutation, input(id, world));
        expect({ id, ...refusal }).toEqual({ id, code: 'VALIDATION', field });
      }
      for (const id of [true, 1.5, {}, ['x']]) {
        expect(await shop.refused(mutation, input(id, world))).toEqual({ code: 'VALIDATION', field });
      }
    });
  });

  test.each(QUERIES)('%s of an unknown or malformed %s', async (_, field, query) => {
    expect(await shop.refusal(query, { id: UNKNOWN })).toEqual({ code: 'NOT_FOUND', field });
    for (const id of NO_IDS) expect(await shop.refusal(query, { id })).toEqual({ code: 'VALIDATION', field });
  });

  test.each(SUBSCRIPTIONS)('%s of an unknown or malformed %s', async (_, field, query) => {
    expect(await subscriptionRefusal(query, UNKNOWN)).toEqual({ code: 'NOT_FOUND', field });
    for (const id of NO_IDS) expect(await subscriptionRefusal(query, id)).toEqual({ code: 'VALIDATION', field });
  });
});

/** Texts that are no names. */
const NO_NAMES: readonly [string, string][] = [
  ['empty', ''],
  ['blank', '   '],
  ['blank in Unicode', '\u00a0\u2003\u3000'],
  ['of 201 characters', 'x'.repeat(201)],
  ['of 201 characters of 4 bytes', '🐙'.repeat(201)],
  ['of 100,000 characters', 'x'.repeat(100_000)],
  ['with a NUL', 'Ana\u0000Souza'],
  ['with a line break', 'Ana\nSouza'],
  ['with an escape', 'Ana\u001b[31m'],
  ['with a DEL', 'Ana\u007f'],
  ['with a C1 control character', 'Ana\u0085Souza'],
  ['with a zero-width space', 'Ana\u200bSouza'],
  ['of a zero-width joiner alone', '\u200d'],
  ['with a byte-order mark inside', 'Ana\ufeffSouza'],
  ['with a right-to-left override', 'Ana\u202eazuoS'],
  ['with half a surrogate pair', 'Ana\ud83d'],
];

describe('texts', () => {
  test.each(NO_NAMES)('%s', async (_, name) => {
    await expectNoEffect(shop.server, async () => {
      const refused = { code: 'VALIDATION', field: 'name' };
      expect(await shop.refused('createUser', CREATE_USER(name))).toEqual(refused);
      expect(await shop.refused('updateUser', { id: world.ana.id, name })).toEqual(refused);
      expect(await shop.refused('createProduct', CREATE_PRODUCT({ name }))).toEqual(refused);
      expect(await shop.refused('updateProduct', { id: world.product, name })).toEqual(refused);
    });
  });

  test('of another type, or none at all', async () => {
    await expectNoEffect(shop.server, async () => {
      for (const name of [7, true, null, {}, []]) {
        expect(await shop.refused('createUser', CREATE_USER(name))).toEqual({ code: 'VALIDATION', field: 'name' });
      }
      expect(await shop.refused('createUser', { email: uniqueEmail() })).toEqual({ code: 'VALIDATION', field: 'name' });
    });
  });

  test('the longest, in characters of 4 bytes, are kept whole', async () => {
    const name = '🐙'.repeat(200);
    const user = await shop.user({ name: `  ${name}  ` });
    const product = await shop.product({ name, description: '𝄞'.repeat(5_000) });
    const query = `query ($user: ID!, $product: ID!) {
      user(id: $user, minVersion: 1) { name } product(id: $product, minVersion: 1) { name description }
    }`;
    expect(await shop.server.ok(query, { user: user.id, product: product.id })).toEqual({
      user: { name },
      product: { name, description: '𝄞'.repeat(5_000) },
    });
    await settled(shop.server);
  });

  test('other texts: descriptions, cancel reasons and searches have their limits too', async () => {
    await expectNoEffect(shop.server, async () => {
      const description = 'x'.repeat(5_001);
      const refusedDescription = { code: 'VALIDATION', field: 'description' };
      expect(await shop.refused('createProduct', CREATE_PRODUCT({ description }))).toEqual(refusedDescription);
      expect(await shop.refused('updateProduct', { id: world.product, description: 'a\u0000b' })).toEqual(
        refusedDescription,
      );
      for (const reason of ['x'.repeat(501), 'a\u200bb']) {
        expect(await shop.refused('cancelOrder', { id: world.awaiting.id, reason })).toEqual({
          code: 'VALIDATION',
          field: 'reason',
        });
      }
      for (const search of ['x'.repeat(101), 'a\u0000b']) {
        for (const [list, type] of [
          ['products', 'ProductFilter'],
          ['users', 'UserFilter'],
        ]) {
          const query = `query ($filter: ${type}) { ${list}(filter: $filter) { totalCount } }`;
          expect(await shop.refusal(query, { filter: { search } })).toEqual({
            code: 'VALIDATION',
            field: 'filter.search',
          });
        }
      }
    });
  });
});

test.each([
  '',
  ' ',
  'ana',
  'ana@',
  '@example.com',
  'ana@example',
  'ana@@example.com',
  'ana@exa mple.com',
  'ana souza@example.com',
  'ana@-example.com',
  'ana@example.com,eva@example.com',
  'Ana <ana@example.com>',
  'ana@example..com',
  'ana@example.com\u0000',
  'ana\u200b@example.com',
  'ana@example.com\r\nBcc: eva@example.com',
  `${'a'.repeat(65)}@example.com`,
  `ana@${'a'.repeat(250)}.com`,
])('the e-mail address %j', async (email) => {
  await expectNoEffect(shop.server, async () => {
    const refused = { code: 'VALIDATION', field: 'email' };
    expect(await shop.refused('createUser', CREATE_USER('Ana', email))).toEqual(refused);
    expect(await shop.refused('updateUser', { id: world.ana.id, email })).toEqual(refused);
  });
});

describe('quantities', () => {
  const order = (quantity: unknown) => ({ userId: world.ana.id, items: [{ productId: world.product, quantity }] });
  const NO_QUANTITIES = [0, -1, 1.5, 10_001, 2 ** 31, 2 ** 53, 1e300, 'NaN', '1', '', true, null, [], {}];

  test.each(NO_QUANTITIES)('%j', async (quantity) => {
    await expectNoEffect(shop.server, async () => {
      expect(await shop.refused('createOrder', order(quantity))).toEqual({
        code: 'VALIDATION',
        field: 'items.0.quantity',
      });
    });
  });

  test.each(['NaN', 'Infinity', '-1', '1.5', '1e400', '99999999999999999999', '0'])(
    'written as %s',
    async (literal) => {
      await expectNoEffect(shop.server, async () => {
        const query = `mutation { createOrder(input: {
        userId: "${world.ana.id}", items: [{ productId: "${world.product}", quantity: ${literal} }]
      }) { order { id } } }`;
        expect(await shop.refusal(query)).toEqual({ code: 'VALIDATION', field: 'items.0.quantity' });
      });
    },
  );

  test.each([-1, 1.5, 1_000_000_001, 2 ** 40, 'NaN', '1'])('a stock of %j', async (stock) => {
    await expectNoEffect(shop.server, async () => {
      const refused = { code: 'VALIDATION', field: 'stock' };
      expect(await shop.refused('createProduct', CREATE_PRODUCT({ stock }))).toEqual(refused);
      expect(await shop.refused('updateProduct', { id: world.product, stock })).toEqual(refused);
    });
  });
});

const NO_AMOUNTS = [
  '1.001',
  1.001,
  '-0.01',
  -1,
  '10000000.01',
  10_000_000.01,
  1e21,
  '1e3',
  'NaN',
  'Infinity',
  '',
  ' 1.00',
  '1,00',
  '0x10',
  '+1.00',
  '.5',
  '1.',
  '٣.00',
  '9'.repeat(400),
  true,
  [],
  {},
];

test.each(NO_AMOUNTS)('the price %j', async (price) => {
  await expectNoEffect(shop.server, async () => {
    const refused = { code: 'VALIDATION', field: 'price' };
    expect(await shop.refused('createProduct', CREATE_PRODUCT({ price }))).toEqual(refused);
    expect(await shop.refused('updateProduct', { id: world.product, price })).toEqual(refused);
  });
});

test.each(['1.001', '-1.00', '10000000.01', 'NaN', '99999999999999999999', 'null'])(
  'the price written as %s',
  async (literal) => {
    await expectNoEffect(shop.server, async () => {
      const query = `mutation { createProduct(input: { name: "Lamp", price: ${literal}, stock: 1 }) { product { id } } }`;
      expect(await shop.refusal(query)).toEqual({ code: 'VALIDATION', field: 'price' });
    });
  },
);

test.each<[string, string, Input]>([
  ['a literal', '{ name: "Lamp", price: "1.001", stock: 1 }', {}],
  ['a variable', '{ name: "Lamp", price: $price, stock: 1 }', { price: '1.001' }],
])('a price in %s after a mutation that could be done', async (_, product, variables) => {
  const user = () => `createUser(input: { name: "Ana Souza", email: "${uniqueEmail()}" }) { user { id } }`;
  const declared = Object.keys(variables).length === 0 ? '' : '($price: Decimal!)';
  const query = `mutation ${declared} {
    a: ${user()} b: createProduct(input: ${product}) { product { id } } c: ${user()}
  }`;
  await expectNoEffect(shop.server, async () => {
    expect(await shop.refusal(query, variables)).toEqual({ code: 'VALIDATION', field: 'price' });
  });
});

test.each([...NO_AMOUNTS, 0, '0', '0.00', '-0.00'])('an amount of money of %j', async (amount) => {
  await expectNoEffect(shop.server, async () => {
    const refused = { code: 'VALIDATION', field: 'amount' };
    const { anas, evas } = world;
    expect(await shop.refused('deposit', { accountId: anas, amount })).toEqual(refused);
    expect(await shop.refused('transfer', { fromAccountId: anas, toAccountId: evas, amount })).toEqual(refused);
  });
});

test('an error says what is wrong without showing the inside', async () => {
  const { data, errors } = await shop.server.graphql(MUTATIONS.createProduct, {
    input: CREATE_PRODUCT({ price: '1.001' }),
  });
  expect(data ?? null).toBeNull();
  expect(errors).toHaveLength(1);
  expect(errors?.[0]?.message).toMatch(/decimal with at most two places/);
  expect(JSON.stringify(errors)).not.toMatch(/stacktrace|node_modules|127\.0\.0\.1|SQLITE/);
});
