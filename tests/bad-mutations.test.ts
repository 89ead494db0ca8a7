/** What each mutation refuses by its own rules: items, methods, statuses, who owns what, keys and versions. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Identity } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { CREATE_PRODUCT, CREATE_USER, createWorld, type Input, type World } from './bad-input-tools.js';
import { SALES_ID, Shop, type MutationName, type OrderView } from './shop.js';
import { startTestSystem, userIdentity } from './system.js';
import { expectNoEffect, settled } from './no-effect.js';

interface MutationsWorld extends World {
  readonly second: string;
  readonly paid: OrderView;
  readonly canceled: OrderView;
  readonly evasOrder: OrderView;
  /** A key that createProduct was called with, and its input. */
  readonly used: Input;
}

let shop: Shop;
let world: MutationsWorld;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
  const given = await createWorld(shop);
  const { ana, eva, product } = given;
  const second = await shop.product({ stock: 100 });
  const used = { name: 'Lamp', price: '1.00', stock: 1, idempotencyKey: newId() };
  await shop.run('createProduct', used);
  world = {
    ...given,
    second: second.id,
    paid: await shop.orderIn('PAID', ana.id, [product, 1]),
    canceled: await shop.orderIn('CANCELED', ana.id, [product, 1]),
    evasOrder: await shop.orderIn('AWAITING_PAYMENT', eva.id, [product, 1]),
    used,
  };
  await settled(shop.server);
});

afterAll(() => shop.server.dispose());

interface Case {
  readonly what: string;
  readonly mutation: MutationName;
  readonly input: (world: MutationsWorld) => Input;
  readonly code?: string;
  readonly field: string | undefined;
  readonly as?: (world: MutationsWorld) => Identity;
}

const CASES: readonly Case[] = [
  {
    what: 'an order without items',
    mutation: 'createOrder',
    input: ({ ana }) => ({ userId: ana.id, items: [] }),
    field: 'items',
  },
  {
    what: 'an order of 101 items',
    mutation: 'createOrder',
    input: ({ ana }) => ({
      userId: ana.id,
      items: Array.from({ length: 101 }, () => ({ productId: newId(), quantity: 1 })),
    }),
    field: 'items',
  },
  {
    what: 'an order of 5,000 items',
    mutation: 'createOrder',
    input: ({ ana, product }) => ({
      userId: ana.id,
      items: Array.from({ length: 5_000 }, () => ({ productId: product, quantity: 1 })),
    }),
    field: 'items',
  },
  {
    what: 'an order that names a product twice',
    mutation: 'createOrder',
    input: ({ ana, product, second }) => ({
      userId: ana.id,
      items: [product, second, product].map((productId) => ({ productId, quantity: 1 })),
    }),
    field: 'items.2.productId',
  },
  {
    what: 'an order that names a product twice in other letters',
    mutation: 'createOrder',
    input: ({ ana, product }) => ({
      userId: ana.id,
      items: [product, product.toUpperCase()].map((productId) => ({ productId, quantity: 1 })),
    }),
    field: 'items.1.productId',
  },
  {
    what: 'an order at a price with three decimals',
    mutation: 'createOrder',
    input: ({ ana, product }) => ({
      userId: ana.id,
      items: [{ productId: product, quantity: 1, expectedUnitPrice: '10.000' }],
    }),
    field: 'items.0.expectedUnitPrice',
  },
  {
    what: 'an order at another price',
    mutation: 'createOrder',
    input: ({ ana, product }) => ({
      userId: ana.id,
      items: [{ productId: product, quantity: 1, expectedUnitPrice: '9.99' }],
    }),
    code: 'CONFLICT',
    field: 'items.0.expectedUnitPrice',
  },
  {
    what: 'paying a canceled order',
    mutation: 'payOrder',
    input: ({ canceled }) => ({ id: canceled.id, method: 'PIX' }),
    code: 'INVALID_STATE',
    field: 'id',
  },
  {
    what: 'paying a paid order',
    mutation: 'payOrder',
    input: ({ paid }) => ({ id: paid.id, method: 'PIX' }),
    code: 'INVALID_STATE',
    field: 'id',
  },
  {
    what: "paying somebody else's order",
    mutation: 'payOrder',
    input: ({ evasOrder }) => ({ id: evasOrder.id, method: 'PIX' }),
    code: 'FORBIDDEN',
    field: undefined,
    as: ({ ana }) => userIdentity(ana.id),
  },
  {
    what: "paying from somebody else's account",
    mutation: 'payOrder',
    input: ({ awaiting, evas }) => ({ id: awaiting.id, method: 'WALLET', accountId: evas }),
    field: 'accountId',
  },
  {
    what: 'WALLET without an account',
    mutation: 'payOrder',
    input: ({ awaiting }) => ({ id: awaiting.id, method: 'WALLET' }),
    field: 'accountId',
  },
  {
    what: 'PIX with an account',
    mutation: 'payOrder',
    input: ({ awaiting, anas }) => ({ id: awaiting.id, method: 'PIX', accountId: anas }),
    field: 'accountId',
  },
  {
    what: 'canceling twice',
    mutation: 'cancelOrder',
    input: ({ canceled }) => ({ id: canceled.id }),
    code: 'INVALID_STATE',
    field: 'id',
  },
  {
    what: 'a transfer to oneself',
    mutation: 'transfer',
    input: ({ anas }) => ({ fromAccountId: anas, toAccountId: anas, amount: '1.00' }),
    field: 'toAccountId',
  },
  {
    what: 'a transfer to oneself in other letters',
    mutation: 'transfer',
    input: ({ anas }) => ({ fromAccountId: anas, toAccountId: anas.toUpperCase(), amount: '1.00' }),
    field: 'toAccountId',
  },
  {
    what: 'a transfer of more than there is',
    mutation: 'transfer',
    input: ({ anas, evas }) => ({ fromAccountId: anas, toAccountId: evas, amount: '100.01' }),
    code: 'INSUFFICIENT_FUNDS',
    field: 'amount',
  },
  {
    what: "a transfer of the house's money",
    mutation: 'transfer',
    input: ({ anas }) => ({ fromAccountId: SALES_ID, toAccountId: anas, amount: '1.00' }),
    code: 'FORBIDDEN',
    field: 'fromAccountId',
  },
  {
    what: 'an unknown payment method',
    mutation: 'payOrder',
    input: ({ awaiting }) => ({ id: awaiting.id, method: 'CASH' }),
    field: 'method',
  },
  {
    what: 'an unknown order status',
    mutation: 'updateOrderStatus',
    input: ({ paid }) => ({ id: paid.id, status: 'SHIPPED' }),
    field: 'status',
  },
  {
    what: 'a status that nobody sets',
    mutation: 'updateOrderStatus',
    input: ({ awaiting }) => ({ id: awaiting.id, status: 'PAID' }),
    field: 'status',
  },
  {
    what: 'an unknown role',
    mutation: 'createUser',
    input: () => ({ ...CREATE_USER('Ana'), role: 'ROOT' }),
    field: 'role',
  },
  {
    what: 'an e-mail address that is taken',
    mutation: 'createUser',
    input: ({ eva }) => CREATE_USER('Eva', eva.email.toUpperCase()),
    code: 'CONFLICT',
    field: 'email',
  },
  {
    what: 'an idempotency key that was used with another input',
    mutation: 'createProduct',
    input: ({ used }) => ({ ...used, stock: 2 }),
    code: 'CONFLICT',
    field: 'idempotencyKey',
  },
  ...['', 'x'.repeat(256), 'a\u0000b', 'a\ud83d'].map((idempotencyKey): Case => ({
    what: `the idempotency key ${JSON.stringify(idempotencyKey).slice(0, 20)}`,
    mutation: 'createProduct',
    input: () => CREATE_PRODUCT({ idempotencyKey }),
    field: 'idempotencyKey',
  })),
  {
    what: 'a version that is not there',
    mutation: 'updateProduct',
    input: ({ product }) => ({ id: product, price: '2.00', expectedVersion: 0 }),
    code: 'CONFLICT',
    field: 'expectedVersion',
  },
  {
    what: 'a version that is no whole number',
    mutation: 'updateProduct',
    input: ({ product }) => ({ id: product, price: '2.00', expectedVersion: 1.5 }),
    field: 'expectedVersion',
  },
  {
    what: 'a field that does not exist',
    mutation: 'createProduct',
    input: () => CREATE_PRODUCT({ prise: '1.00' }),
    field: 'prise',
  },
];

test.each(CASES)('$what', async ({ mutation, input, code = 'VALIDATION', field, as }) => {
  await expectNoEffect(shop.server, async () => {
    expect(await shop.refused(mutation, input(world), as?.(world))).toEqual({ code, field });
  });
});
