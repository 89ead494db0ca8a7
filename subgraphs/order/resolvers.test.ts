import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { OrderState, OrderStatus } from '../../shared/events/states.js';
import { ANONYMOUS, type Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import type { OrderCommand } from './order.js';
import { accountState, admin, productState, startOrder, user, userState, type OrderTestbed } from './testing.js';

/** Ids that were made long ago: nobody waits for them. */
const id = (n: number): string => `0190a000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const phone = id(11);
const cover = id(12);
const gone = id(13);
const nothing = id(99);
const anaId = id(21);
const beaId = id(22);
const goneUser = id(23);
const anaWallet = id(31);
const beaWallet = id(32);
const house = id(33);
const ana = user(anaId);
const bea = user(beaId);

const ORDER = `id version status total userId
  items { productId name quantity unitPrice subtotal }
  payment { method status reference }
  cancelReason history { version status reason } createdAt updatedAt`;
const MUTATIONS = {
  createOrder: `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { ${ORDER} } } }`,
  payOrder: `mutation ($input: PayOrderInput!) { payOrder(input: $input) { order { ${ORDER} } } }`,
  cancelOrder: `mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { order { ${ORDER} } } }`,
  updateOrderStatus: `mutation ($input: UpdateOrderStatusInput!) { updateOrderStatus(input: $input) { order { ${ORDER} } } }`,
  deleteOrder: 'mutation ($input: DeleteOrderInput!) { deleteOrder(input: $input) { id } }',
};
type Mutation = keyof typeof MUTATIONS;

interface OrderAnswer {
  readonly id: string;
  readonly version: number;
  readonly status: OrderStatus;
}

let bed: OrderTestbed;

beforeAll(async () => {
  bed = await startOrder({ worker: false });
  await bed.database.transaction(async (tx) => {
    await bed.replicas.saveProducts(tx, [
      productState({ id: phone, name: 'iPhone 15', price: 599_999 }),
      productState({ id: cover, name: 'Cover', price: 1_990 }),
      productState({ id: gone, deleted: true }),
    ]);
    await bed.replicas.saveUsers(tx, [
      userState({ id: anaId }),
      userState({ id: beaId }),
      userState({ id: goneUser, deleted: true }),
    ]);
    await bed.replicas.saveAccounts(tx, [
      accountState({ id: anaWallet, userId: anaId }),
      accountState({ id: beaWallet, userId: beaId }),
      accountState({ id: house, kind: 'SALES' }),
    ]);
  });
});
afterAll(() => bed.stop());

beforeEach(() => bed.database.transaction((tx) => tx.execute('DELETE FROM orders')));

const send = (mutation: Mutation, input: object, identity: Identity) =>
  bed.graphql(MUTATIONS[mutation], { input }, identity);

/** The order that a mutation answers. */
async function ok(
  mutation: Mutation,
  input: object,
  identity: Identity = ana,
): Promise<OrderAnswer & Record<string, unknown>> {
  const { data, errors } = await send(mutation, input, identity);
  expect(errors).toBeUndefined();
  const payload = (data as Record<string, Record<string, unknown>> | null)?.[mutation] ?? {};
  return (payload['order'] ?? payload) as OrderAnswer & Record<string, unknown>;
}

/** The refusal has this code and field, and the database is as it was. */
async function refused(
  mutation: Mutation,
  input: object,
  identity: Identity,
  code: string,
  field?: string,
): Promise<void> {
  const before = await bed.contents();
  const { errors } = await send(mutation, input, identity);
  expect(errors?.map(({ extensions }) => ({ code: extensions.code, field: extensions.field }))).toEqual([
    { code, field },
  ]);
  expect(await bed.contents()).toEqual(before);
}

const one = [{ productId: phone, quantity: 1 }];
const toReach: Record<OrderStatus, OrderCommand[]> = {
  PENDING: [],
  AWAITING_PAYMENT: [{ type: 'stockReserved', at: 1 }],
  PAID: [
    { type: 'stockReserved', at: 1 },
    { type: 'pay', attempt: { paymentId: 'p1', method: 'PIX', accountId: null }, at: 2 },
    { type: 'paymentCompleted', paymentId: 'p1', reference: 'ref', at: 3 },
  ],
  PROCESSING: [],
  COMPLETED: [],
  CANCELED: [{ type: 'cancel', reason: 'no longer needed', at: 1 }],
};
toReach.PROCESSING = [...toReach.PAID, { type: 'startProcessing', at: 4 }];
toReach.COMPLETED = [...toReach.PROCESSING, { type: 'complete', at: 5 }];

/** An order of Ana's in this status. */
async function anOrder(status: OrderStatus = 'PENDING'): Promise<OrderState> {
  const { id: orderId } = await ok('createOrder', { items: one });
  await bed.database.transaction(async (tx) => {
    for (const command of toReach[status]) await bed.store.update(tx, orderId, () => command, null);
  });
  return bed.order(orderId);
}

test('an order takes names and prices from the catalogue', async () => {
  const items = [
    { productId: phone.toUpperCase(), quantity: 2, expectedUnitPrice: '5999.99' },
    { productId: cover, quantity: 3, expectedUnitPrice: 19.9 },
  ];
  const order = await ok('createOrder', { items });
  expect(order).toMatchObject({
    version: 1,
    status: 'PENDING',
    total: '12059.68',
    userId: anaId,
    items: [
      { productId: phone, name: 'iPhone 15', quantity: 2, unitPrice: '5999.99', subtotal: '11999.98' },
      { productId: cover, name: 'Cover', quantity: 3, unitPrice: '19.90', subtotal: '59.70' },
    ],
    payment: null,
    cancelReason: null,
    history: [{ version: 1, status: 'PENDING', reason: null }],
  });
  expect((await bed.contents()).outbox.at(-1)).toMatchObject({ topic: 'orders', aggregate_id: order.id, version: 1 });
});

test('an administrator orders for somebody', async () => {
  expect(await ok('createOrder', { items: one, userId: beaId }, admin)).toMatchObject({ userId: beaId });
});

const item = (more: object): object => ({
  items: [
    { productId: cover, quantity: 1 },
    { productId: phone, quantity: 1, ...more },
  ],
});
const many = (count: number): object => ({
  items: Array.from({ length: count }, (_, n) => ({ productId: id(1_000 + n), quantity: 1 })),
});

test.each<[string, object, Identity, string, string | undefined]>([
  ['nobody', { items: one }, ANONYMOUS, 'UNAUTHENTICATED', undefined],
  ['no items', { items: [] }, ana, 'VALIDATION', 'items'],
  ['101 items', many(101), ana, 'VALIDATION', 'items'],
  ['a malformed product id', item({ productId: 'phone' }), ana, 'VALIDATION', 'items.1.productId'],
  ['an unknown product', item({ productId: nothing }), ana, 'NOT_FOUND', 'items.1.productId'],
  ['a product no longer sold', item({ productId: gone }), ana, 'NOT_FOUND', 'items.1.productId'],
  ['the same product twice', item({ productId: cover.toUpperCase() }), ana, 'VALIDATION', 'items.1.productId'],
  ['a quantity of zero', item({ quantity: 0 }), ana, 'VALIDATION', 'items.1.quantity'],
  ['a negative quantity', item({ quantity: -1 }), ana, 'VALIDATION', 'items.1.quantity'],
  ['a fractional quantity', item({ quantity: 1.5 }), ana, 'VALIDATION', 'items.1.quantity'],
  ['a quantity that is no number', item({ quantity: NaN }), ana, 'VALIDATION', 'items.1.quantity'],
  ['a large quantity', item({ quantity: 10_001 }), ana, 'VALIDATION', 'items.1.quantity'],
  ['a huge quantity', item({ quantity: 1e12 }), ana, 'VALIDATION', 'items.1.quantity'],
  ['another price', item({ expectedUnitPrice: '5999.98' }), ana, 'CONFLICT', 'items.1.expectedUnitPrice'],
  ['a price with three decimals', item({ expectedUnitPrice: '1.999' }), ana, 'VALIDATION', 'items.1.expectedUnitPrice'],
  ['a malformed user id', { items: one, userId: 'bea' }, admin, 'VALIDATION', 'userId'],
  ['an unknown user', { items: one, userId: nothing }, admin, 'NOT_FOUND', 'userId'],
  ['a deleted user', { items: one, userId: goneUser }, admin, 'NOT_FOUND', 'userId'],
  ['a deleted user who is still logged in', { items: one }, user(goneUser), 'NOT_FOUND', 'userId'],
  ['somebody else', { items: one, userId: beaId }, ana, 'FORBIDDEN', 'userId'],
  ['a key that is too long', { items: one, idempotencyKey: 'k'.repeat(1_000) }, ana, 'VALIDATION', 'idempotencyKey'],
])('an order for or with %s is refused and leaves nothing behind', (_, input, identity, code, field) =>
  refused('createOrder', input, identity, code, field),
);

test('the price that is there comes with the conflict', async () => {
  const { errors } = await send('createOrder', item({ expectedUnitPrice: 1 }), ana);
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', unitPrice: '5999.99' });
});

test('100 items are an order', async () => {
  const ids = Array.from({ length: 100 }, (_, n) => id(2_000 + n));
  await bed.database.transaction((tx) =>
    bed.replicas.saveProducts(
      tx,
      ids.map((product) => productState({ id: product })),
    ),
  );
  const order = await ok('createOrder', { items: ids.map((productId) => ({ productId, quantity: 10_000 })) });
  expect(order['total']).toBe('5999990000.00');
});

test('a payment of a pending order is kept; of one that awaits it, it is requested', async () => {
  const pending = await anOrder();
  expect(await ok('payOrder', { id: pending.id, method: 'PIX' })).toMatchObject({
    version: 2,
    status: 'PENDING',
    payment: { method: 'PIX', status: 'WAITING_FOR_STOCK', reference: null },
  });
  const awaiting = await anOrder('AWAITING_PAYMENT');
  expect(await ok('payOrder', { id: awaiting.id, method: 'WALLET', accountId: anaWallet.toUpperCase() })).toMatchObject(
    {
      version: 3,
      payment: { method: 'WALLET', status: 'REQUESTED' },
    },
  );
  const [first, second] = [(await bed.order(pending.id)).payment, (await bed.order(awaiting.id)).payment];
  expect(second).toMatchObject({ accountId: anaWallet });
  expect(first?.paymentId).not.toBe(second?.paymentId);
});

test('an administrator pays with the account of the customer, not with another', async () => {
  const { id: orderId } = await anOrder('AWAITING_PAYMENT');
  await refused('payOrder', { id: orderId, method: 'WALLET', accountId: beaWallet }, admin, 'VALIDATION', 'accountId');
  expect(await ok('payOrder', { id: orderId, method: 'WALLET', accountId: anaWallet }, admin)).toMatchObject({
    version: 3,
  });
});

test.each<[string, OrderStatus, object, Identity, string, string | undefined]>([
  ['by nobody', 'AWAITING_PAYMENT', {}, ANONYMOUS, 'UNAUTHENTICATED', undefined],
  ['by somebody else', 'AWAITING_PAYMENT', {}, bea, 'FORBIDDEN', undefined],
  ['with a malformed id', 'AWAITING_PAYMENT', { id: '42' }, ana, 'VALIDATION', 'id'],
  ['that is not there', 'AWAITING_PAYMENT', { id: nothing }, ana, 'NOT_FOUND', 'id'],
  ['by an unknown method', 'AWAITING_PAYMENT', { method: 'CASH' }, ana, 'VALIDATION', 'method'],
  ['from no account', 'AWAITING_PAYMENT', { method: 'WALLET' }, ana, 'VALIDATION', 'accountId'],
  ['by PIX from an account', 'AWAITING_PAYMENT', { accountId: anaWallet }, ana, 'VALIDATION', 'accountId'],
  [
    'from a malformed account',
    'AWAITING_PAYMENT',
    { method: 'WALLET', accountId: 'x' },
    ana,
    'VALIDATION',
    'accountId',
  ],
  [
    'from an unknown account',
    'AWAITING_PAYMENT',
    { method: 'WALLET', accountId: nothing },
    ana,
    'NOT_FOUND',
    'accountId',
  ],
  [
    'from a foreign account',
    'AWAITING_PAYMENT',
    { method: 'WALLET', accountId: beaWallet },
    ana,
    'VALIDATION',
    'accountId',
  ],
  [
    "from the house's account",
    'AWAITING_PAYMENT',
    { method: 'WALLET', accountId: house },
    ana,
    'VALIDATION',
    'accountId',
  ],
  ['at another version', 'AWAITING_PAYMENT', { expectedVersion: 1 }, ana, 'CONFLICT', 'expectedVersion'],
  ['that is paid', 'PAID', {}, ana, 'INVALID_STATE', 'id'],
  ['that is being prepared', 'PROCESSING', {}, ana, 'INVALID_STATE', 'id'],
  ['that is completed', 'COMPLETED', {}, ana, 'INVALID_STATE', 'id'],
  ['that is canceled', 'CANCELED', {}, ana, 'INVALID_STATE', 'id'],
])('paying an order %s is refused and leaves nothing behind', async (_, status, more, identity, code, field) => {
  const { id: orderId } = await anOrder(status);
  await refused('payOrder', { id: orderId, method: 'PIX', ...more }, identity, code, field);
});

test('an order is not paid twice at once', async () => {
  for (const status of ['PENDING', 'AWAITING_PAYMENT'] as const) {
    const { id: orderId } = await anOrder(status);
    await ok('payOrder', { id: orderId, method: 'PIX' });
    await refused('payOrder', { id: orderId, method: 'PIX' }, ana, 'INVALID_STATE', 'id');
  }
});

test('an order that is canceled says why', async () => {
  const [first, second, third] = [await anOrder(), await anOrder('AWAITING_PAYMENT'), await anOrder('PAID')];
  const reason = '  Too late 🙁  ';
  expect(await ok('cancelOrder', { id: first.id, reason, expectedVersion: 1 })).toMatchObject({
    status: 'CANCELED',
    cancelReason: 'Too late 🙁',
    history: [{ status: 'PENDING' }, { version: 2, status: 'CANCELED', reason: 'Too late 🙁' }],
  });
  expect(await ok('cancelOrder', { id: second.id })).toMatchObject({ cancelReason: 'Canceled by the customer' });
  expect(await ok('cancelOrder', { id: third.id, reason: '' }, admin)).toMatchObject({
    cancelReason: 'Canceled by an administrator',
  });
});

test.each<[string, OrderStatus, object, Identity, string, string | undefined]>([
  ['by nobody', 'PENDING', {}, ANONYMOUS, 'UNAUTHENTICATED', undefined],
  ['by somebody else', 'PENDING', {}, bea, 'FORBIDDEN', undefined],
  ['with a malformed id', 'PENDING', { id: 'x'.repeat(10_000) }, ana, 'VALIDATION', 'id'],
  ['that is not there', 'PENDING', { id: nothing }, ana, 'NOT_FOUND', 'id'],
  ['for a reason without end', 'PENDING', { reason: '🙁'.repeat(501) }, ana, 'VALIDATION', 'reason'],
  ['for a reason with a NUL', 'PENDING', { reason: 'a\u0000b' }, ana, 'VALIDATION', 'reason'],
  ['for a reason with invisible characters', 'PENDING', { reason: 'a\u200Bb' }, ana, 'VALIDATION', 'reason'],
  ['at another version', 'PENDING', { expectedVersion: 2 }, ana, 'CONFLICT', 'expectedVersion'],
  ['that is canceled', 'CANCELED', {}, ana, 'INVALID_STATE', 'id'],
  ['that is being prepared', 'PROCESSING', {}, ana, 'INVALID_STATE', 'id'],
  ['that is completed', 'COMPLETED', {}, ana, 'INVALID_STATE', 'id'],
])('canceling an order %s is refused and leaves nothing behind', async (_, status, more, identity, code, field) => {
  const { id: orderId } = await anOrder(status);
  await refused('cancelOrder', { id: orderId, ...more }, identity, code, field);
});

test('a wrong expected version is answered with the one that is there', async () => {
  const { id: orderId } = await anOrder('AWAITING_PAYMENT');
  const { errors } = await send('cancelOrder', { id: orderId, expectedVersion: 1 }, ana);
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'expectedVersion', version: 2 });
  expect(await ok('cancelOrder', { id: orderId, expectedVersion: 2 })).toMatchObject({ version: 3 });
});

test('a paid order is prepared, then completed, by an administrator', async () => {
  const { id: orderId } = await anOrder('PAID');
  expect(await ok('updateOrderStatus', { id: orderId, status: 'PROCESSING' }, admin)).toMatchObject({
    status: 'PROCESSING',
  });
  expect(await ok('updateOrderStatus', { id: orderId, status: 'COMPLETED' }, admin)).toMatchObject({
    status: 'COMPLETED',
  });
});

test.each<[string, OrderStatus, object, Identity, string, string | undefined]>([
  ['by nobody', 'PAID', {}, ANONYMOUS, 'UNAUTHENTICATED', undefined],
  ['by its customer', 'PAID', {}, ana, 'FORBIDDEN', undefined],
  ['to an unknown status', 'PAID', { status: 'LOST' }, admin, 'VALIDATION', 'status'],
  ['to a status that comes by itself', 'AWAITING_PAYMENT', { status: 'PAID' }, admin, 'VALIDATION', 'status'],
  ['to CANCELED', 'PAID', { status: 'CANCELED' }, admin, 'VALIDATION', 'status'],
  ['with a malformed id', 'PAID', { id: '' }, admin, 'VALIDATION', 'id'],
  ['that is not there', 'PAID', { id: nothing }, admin, 'NOT_FOUND', 'id'],
  ['past PROCESSING', 'PAID', { status: 'COMPLETED' }, admin, 'INVALID_STATE', 'id'],
  ['that is not paid', 'AWAITING_PAYMENT', {}, admin, 'INVALID_STATE', 'id'],
  ['that is canceled', 'CANCELED', {}, admin, 'INVALID_STATE', 'id'],
  ['twice', 'PROCESSING', {}, admin, 'INVALID_STATE', 'id'],
  ['at another version', 'PAID', { expectedVersion: 1 }, admin, 'CONFLICT', 'expectedVersion'],
])('moving an order %s is refused and leaves nothing behind', async (_, status, more, identity, code, field) => {
  const { id: orderId } = await anOrder(status);
  await refused('updateOrderStatus', { id: orderId, status: 'PROCESSING', ...more }, identity, code, field);
});

test.each<[string, OrderStatus, object, Identity, string, string | undefined]>([
  ['by nobody', 'CANCELED', {}, ANONYMOUS, 'UNAUTHENTICATED', undefined],
  ['by somebody else', 'CANCELED', {}, bea, 'FORBIDDEN', undefined],
  ['with a malformed id', 'CANCELED', { id: 'x' }, ana, 'VALIDATION', 'id'],
  ['that is not there', 'CANCELED', { id: nothing }, ana, 'NOT_FOUND', 'id'],
  ['that is pending', 'PENDING', {}, ana, 'INVALID_STATE', 'id'],
  ['that is paid', 'PAID', {}, ana, 'INVALID_STATE', 'id'],
  ['at another version', 'CANCELED', { expectedVersion: 1 }, ana, 'CONFLICT', 'expectedVersion'],
])('deleting an order %s is refused and leaves nothing behind', async (_, status, more, identity, code, field) => {
  const { id: orderId } = await anOrder(status);
  await refused('deleteOrder', { id: orderId, ...more }, identity, code, field);
});

test('a deleted order is nowhere to be found', async () => {
  const { id: orderId } = await anOrder('CANCELED');
  expect(await ok('deleteOrder', { id: orderId })).toEqual({ id: orderId });
  expect((await bed.order(orderId)).deleted).toBe(true);
  for (const mutation of ['cancelOrder', 'deleteOrder'] as const) {
    await refused(mutation, { id: orderId }, ana, 'NOT_FOUND', 'id');
  }
  await refused('payOrder', { id: orderId, method: 'PIX' }, ana, 'NOT_FOUND', 'id');
  expect(await entities([{ id: orderId }], ana)).toEqual({ data: { _entities: [null] } });
});

test('a repeated key answers the first success, whatever has changed since', async () => {
  const product = id(50);
  await bed.database.transaction((tx) => bed.replicas.saveProducts(tx, [productState({ id: product, price: 100 })]));
  const input = { items: [{ productId: product, quantity: 1, expectedUnitPrice: 1 }], idempotencyKey: newId() };
  const first = await ok('createOrder', input);
  await bed.database.transaction((tx) =>
    bed.replicas.saveProducts(tx, [productState({ id: product, version: 2, deleted: true })]),
  );
  const before = await bed.contents();
  expect(await ok('createOrder', input)).toEqual(first);
  expect(await bed.contents()).toEqual(before);
  await refused('createOrder', { ...input, items: one }, ana, 'CONFLICT', 'idempotencyKey');

  const { id: orderId } = await anOrder();
  const pay = { id: orderId, method: 'PIX', idempotencyKey: newId() };
  const paying = await ok('payOrder', pay);
  expect(await ok('payOrder', pay)).toEqual(paying);
  await refused('payOrder', { ...pay, method: 'BOLETO' }, ana, 'CONFLICT', 'idempotencyKey');
});

test('twins with one key make one order', async () => {
  const input = { items: one, idempotencyKey: newId() };
  const answers = await Promise.all(Array.from({ length: 5 }, () => ok('createOrder', input)));
  expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
  expect((await bed.contents()).orders).toHaveLength(1);
});

test('a key of a refused call can be used again', async () => {
  const { id: orderId } = await anOrder('AWAITING_PAYMENT');
  const idempotencyKey = newId();
  await refused(
    'payOrder',
    { id: orderId, method: 'WALLET', accountId: nothing, idempotencyKey },
    ana,
    'NOT_FOUND',
    'accountId',
  );
  expect(await ok('payOrder', { id: orderId, method: 'PIX', idempotencyKey })).toMatchObject({ version: 3 });
});

test('of many cancels at once exactly one succeeds', async () => {
  const { id: orderId } = await anOrder();
  const answers = await Promise.all(Array.from({ length: 10 }, () => send('cancelOrder', { id: orderId }, ana)));
  const codes = answers.map(({ errors }) => errors?.[0]?.extensions.code ?? 'OK').sort();
  expect(codes).toEqual([...Array.from({ length: 9 }, () => 'INVALID_STATE'), 'OK']);
  expect(await bed.order(orderId)).toMatchObject({ version: 2, status: 'CANCELED' });
});

const entities = (keys: readonly object[], identity: Identity) =>
  bed.graphql(
    'query ($keys: [_Any!]!) { _entities(representations: $keys) { ... on Order { id version status } } }',
    { keys: keys.map((key) => ({ __typename: 'Order', ...key })) },
    identity,
  );

test('the gateway finds orders by either key, those the caller may see', async () => {
  const order = await anOrder('AWAITING_PAYMENT');
  const expected = { id: order.id, version: 2, status: 'AWAITING_PAYMENT' };
  for (const identity of [ana, admin]) {
    const keys = [{ id: order.id }, { id: order.id, version: 1 }, { id: nothing }];
    expect(await entities(keys, identity)).toEqual({ data: { _entities: [expected, expected, null] } });
  }
  for (const [identity, code] of [
    [bea, 'FORBIDDEN'],
    [ANONYMOUS, 'UNAUTHENTICATED'],
  ] as const) {
    const { data, errors } = await entities([{ id: order.id }], identity);
    expect({ data, code: errors?.[0]?.extensions.code }).toEqual({ data: { _entities: [null] }, code });
  }
});

test('50 references are one read', async () => {
  const orders = await Promise.all(Array.from({ length: 50 }, () => anOrder()));
  const { database } = bed;
  const read = database.read.bind(database);
  let reads = 0;
  database.read = (...args) => {
    reads += 1;
    return read(...args);
  };
  try {
    const { data } = await entities(
      orders.map((order) => ({ id: order.id })),
      ana,
    );
    expect((data as unknown as { _entities: OrderAnswer[] })._entities.map((order) => order.id)).toEqual(
      orders.map((order) => order.id),
    );
    expect(reads).toBe(1);
  } finally {
    database.read = read;
  }
});
