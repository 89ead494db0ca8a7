import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { MUTATIONS, Shop, type OrderStatus, type OrderView } from './shop.js';
import { startTestSystem, userIdentity } from './system.js';
import { until } from './until.js';

let shop: Shop;
let ana: string;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
  ana = (await shop.customer({ name: 'Ana Souza' })).id;
});

afterAll(() => shop.server.dispose());

const ORDERS = `query ($filter: OrderFilter, $sort: OrderSort, $first: Int, $after: String) {
  orders(filter: $filter, sort: $sort, first: $first, after: $after) {
    nodes { id status total userId createdAt } pageInfo { hasNextPage endCursor } totalCount
  }
}`;

interface OrderList {
  readonly nodes: readonly Pick<OrderView, 'id' | 'status' | 'total' | 'userId' | 'createdAt'>[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  readonly totalCount: number;
}

const list = async (variables: Readonly<Record<string, unknown>>, identity?: Parameters<Shop['refusal']>[2]) =>
  (await shop.server.ok<{ orders: OrderList }>(ORDERS, variables, identity)).orders;

const reachedStatuses = ({ history }: OrderView): OrderStatus[] => history.map(({ status }) => status);

const stepTo = (id: string, status: string) => shop.run<OrderView>('updateOrderStatus', { id, status });

test('a new order is PENDING at the prices of the catalogue', async () => {
  const phone = await shop.product({ name: 'iPhone 15', price: '5999.99' });
  const cable = await shop.product({ name: 'Cable', price: '0.10' });
  const order = await shop.order(ana, [phone.id, 1], [cable.id, 3]);
  expect(order).toMatchObject({
    version: 1,
    status: 'PENDING',
    total: '6000.29',
    userId: ana,
    payment: null,
    cancelReason: null,
    items: [
      { productId: phone.id, name: 'iPhone 15', quantity: 1, unitPrice: '5999.99', subtotal: '5999.99' },
      { productId: cable.id, name: 'Cable', quantity: 3, unitPrice: '0.10', subtotal: '0.30' },
    ],
    history: [{ version: 1, status: 'PENDING', reason: null }],
  });
  await shop.reaches(order.id, 'AWAITING_PAYMENT');
});

test('an order goes from PENDING to COMPLETED, and what was reserved leaves the stock', async () => {
  const { id: productId } = await shop.product({ stock: 10 });
  const { id } = await shop.order(ana, [productId, 4]);
  await shop.reaches(id, 'AWAITING_PAYMENT');
  await shop.stockReaches(productId, 10, 4);
  await shop.pay(id);
  await shop.reaches(id, 'PAID');
  expect(await stepTo(id, 'PROCESSING')).toMatchObject({ status: 'PROCESSING' });
  await shop.stockReaches(productId, 10, 4);
  const completed = await stepTo(id, 'COMPLETED');
  expect(completed).toMatchObject({ status: 'COMPLETED', payment: { method: 'PIX', status: 'COMPLETED' } });
  expect(reachedStatuses(completed)).toEqual(['PENDING', 'AWAITING_PAYMENT', 'PAID', 'PROCESSING', 'COMPLETED']);
  await shop.stockReaches(productId, 6, 0);
});

test('an order that the stock cannot serve is canceled as INSUFFICIENT_STOCK and holds nothing', async () => {
  const [plenty, scarce] = [await shop.product({ stock: 10 }), await shop.product({ stock: 1 })];
  const { id } = await shop.order(ana, [plenty.id, 2], [scarce.id, 2]);
  const canceled = await shop.reaches(id, 'CANCELED');
  expect(canceled).toMatchObject({ cancelReason: 'INSUFFICIENT_STOCK', payment: null });
  expect(canceled.history.at(-1)).toMatchObject({ status: 'CANCELED', reason: 'INSUFFICIENT_STOCK' });
  await shop.stockReaches(plenty.id, 10, 0);
  await shop.stockReaches(scarce.id, 1, 0);
});

test('of orders that together ask for more than there is, as many are served as the stock allows', async () => {
  const { id: productId } = await shop.product({ stock: 5 });
  const orders = await Promise.all(Array.from({ length: 10 }, () => shop.order(ana, [productId, 2])));
  const settled = await Promise.all(
    orders.map(({ id }) => shop.orderWhere(id, 'settled', ({ status }) => status !== 'PENDING')),
  );
  const served = settled.filter(({ status }) => status === 'AWAITING_PAYMENT');
  expect(served).toHaveLength(2);
  expect(settled.filter(({ cancelReason }) => cancelReason === 'INSUFFICIENT_STOCK')).toHaveLength(8);
  await shop.stockReaches(productId, 5, 4);
  for (const { id } of served) await shop.cancel(id);
  await shop.stockReaches(productId, 5, 0);
});

test('a cancel gives back exactly what was reserved', async () => {
  const [one, two] = [await shop.product({ stock: 10 }), await shop.product({ stock: 20 })];
  await shop.orderIn('AWAITING_PAYMENT', ana, [one.id, 1], [two.id, 5]);
  const { id } = await shop.orderIn('AWAITING_PAYMENT', ana, [one.id, 3], [two.id, 2]);
  await shop.stockReaches(one.id, 10, 4);
  await shop.stockReaches(two.id, 20, 7);
  const canceled = await shop.cancel(id, 'Found it cheaper');
  expect(canceled).toMatchObject({ status: 'CANCELED', cancelReason: 'Found it cheaper' });
  await shop.stockReaches(one.id, 10, 1);
  await shop.stockReaches(two.id, 20, 5);
});

test('a cancel that crosses the reservation leaves nothing reserved', async () => {
  const { id: productId } = await shop.product({ stock: 1_000 });
  const orders = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const order = await shop.order(ana, [productId, index + 1]);
      return shop.cancel(order.id);
    }),
  );
  expect(new Set(orders.map(({ status }) => status))).toEqual(new Set(['CANCELED']));
  const ids = orders.map(({ id }) => id);
  const left = `SELECT order_id FROM reservations WHERE status = 'RELEASED' AND order_id IN (${ids.map(() => '?').join()})`;
  const database = shop.server.databases.get('tributary_product');
  await until(async () => (await database?.read(left, ids))?.length === ids.length);
  await shop.stockReaches(productId, 1_000, 0);
  for (const order of orders) expect(await shop.orderNow(order.id)).toMatchObject({ status: 'CANCELED' });
});

test('a cancel without a reason names who canceled', async () => {
  const { id: productId } = await shop.product();
  const [mine, theirs] = [await shop.order(ana, [productId, 1]), await shop.order(ana, [productId, 1])];
  const byCustomer = await shop.run<OrderView>('cancelOrder', { id: mine.id }, userIdentity(ana));
  expect(byCustomer.cancelReason).toBe('Canceled by the customer');
  expect((await shop.cancel(theirs.id)).cancelReason).toBe('Canceled by an administrator');
});

test('an order that is being prepared, completed or canceled cannot be canceled', async () => {
  const { id: productId } = await shop.product();
  const refused = { code: 'INVALID_STATE', field: 'id' };
  for (const status of ['PROCESSING', 'COMPLETED', 'CANCELED'] as const) {
    const { id, version } = await shop.orderIn(status, ana, [productId, 1]);
    expect(await shop.refused('cancelOrder', { id })).toEqual(refused);
    expect(await shop.orderWhere(id, 'at that version', (order) => order.version >= version)).toMatchObject({
      status,
      version,
    });
  }
});

test('an order moves on only from PAID to PROCESSING to COMPLETED', async () => {
  const { id: productId } = await shop.product();
  const { id } = await shop.orderIn('AWAITING_PAYMENT', ana, [productId, 1]);
  const refused = { code: 'INVALID_STATE', field: 'id' };
  expect(await shop.refused('updateOrderStatus', { id, status: 'PROCESSING' })).toEqual(refused);
  expect(await shop.refused('updateOrderStatus', { id, status: 'COMPLETED' })).toEqual(refused);
  await shop.pay(id);
  await shop.reaches(id, 'PAID');
  expect(await shop.refused('updateOrderStatus', { id, status: 'COMPLETED' })).toEqual(refused);
  await stepTo(id, 'PROCESSING');
  expect(await shop.refused('updateOrderStatus', { id, status: 'PROCESSING' })).toEqual(refused);
  for (const status of ['PENDING', 'AWAITING_PAYMENT', 'PAID', 'CANCELED']) {
    expect(await shop.refused('updateOrderStatus', { id, status })).toEqual({ code: 'VALIDATION', field: 'status' });
  }
  expect(await stepTo(id, 'COMPLETED')).toMatchObject({ status: 'COMPLETED' });
});

test('only completed and canceled orders are deleted, and then they are gone from every read', async () => {
  const customer = await shop.user();
  const { id: productId } = await shop.product({ stock: 100 });
  for (const status of ['AWAITING_PAYMENT', 'PAID', 'PROCESSING'] as const) {
    const { id } = await shop.orderIn(status, ana, [productId, 1]);
    expect(await shop.refused('deleteOrder', { id })).toEqual({ code: 'INVALID_STATE', field: 'id' });
  }
  for (const status of ['COMPLETED', 'CANCELED'] as const) {
    const { id } = await shop.orderIn(status, customer.id, [productId, 1]);
    await until(async () => (await list({ filter: { userId: customer.id } })).totalCount === 1);
    expect(await shop.run('deleteOrder', { id })).toBe(id);
    await until(async () => (await list({ filter: { userId: customer.id } })).totalCount === 0);
    const gone = { code: 'NOT_FOUND', field: 'id' };
    expect(await shop.refusal('query ($id: ID!) { order(id: $id) { id } }', { id })).toEqual(gone);
    for (const mutation of ['cancelOrder', 'deleteOrder'] as const) {
      expect(await shop.refused(mutation, { id })).toEqual(gone);
    }
    expect(await shop.refused('payOrder', { id, method: 'PIX' })).toEqual(gone);
  }
});

test('an expected price that is no longer the price is refused', async () => {
  const { id: productId, name } = await shop.product({ price: '10.00' });
  const create = (expectedUnitPrice: string) => ({
    userId: ana,
    items: [{ productId, quantity: 1, expectedUnitPrice }],
  });
  expect(await shop.run<OrderView>('createOrder', create('10.00'))).toMatchObject({ total: '10.00' });
  await shop.run('updateProduct', { id: productId, price: '11.00' });
  // Orders hear of the new price by an event.
  const { errors } = await until(async () => {
    const answer = await shop.server.graphql(MUTATIONS.createOrder, { input: create('10.00') });
    return answer.errors !== undefined && answer;
  });
  expect(errors?.[0]?.extensions).toEqual({
    code: 'CONFLICT',
    field: 'items.0.expectedUnitPrice',
    unitPrice: '11.00',
  });
  expect(errors?.[0]?.message).toContain(name);
  expect(await shop.run<OrderView>('createOrder', create('11.00'))).toMatchObject({ total: '11.00' });
});

test('an order keeps its prices and names when the catalogue changes', async () => {
  const product = await shop.product({ name: 'Lamp', price: '10.00' });
  const { id, items, total } = await shop.orderIn('AWAITING_PAYMENT', ana, [product.id, 2]);
  const { version } = await shop.run<{ version: number }>('updateProduct', {
    id: product.id,
    name: 'Desk Lamp',
    price: '99.00',
  });
  await shop.server.ok('query ($id: ID!, $version: Int) { product(id: $id, minVersion: $version) { name } }', {
    id: product.id,
    version,
  });
  const query = `query ($id: ID!) {
    order(id: $id) { total items { productId name quantity unitPrice subtotal product { name price } } }
  }`;
  const { order } = await shop.server.ok(query, { id });
  expect(order).toEqual({
    total,
    items: items.map((item) => ({ ...item, product: { name: 'Desk Lamp', price: '99.00' } })),
  });
});

test('orders are listed by user, status and date', async () => {
  const customer = await shop.user();
  const { id: productId } = await shop.product({ stock: 100 });
  const made: Record<string, OrderView> = {};
  for (const [index, status] of (['CANCELED', 'AWAITING_PAYMENT', 'PAID'] as const).entries()) {
    made[status] = await shop.orderIn(status, customer.id, [productId, index + 1]);
  }
  const found = async (filter: Readonly<Record<string, unknown>>, sort?: string) =>
    (await list({ filter: { userId: customer.id, ...filter }, ...(sort && { sort }) })).nodes.map(
      ({ status }) => status,
    );

  await until(async () => (await found({ status: ['CANCELED'] })).length === 1);
  expect(await found({})).toEqual(['PAID', 'AWAITING_PAYMENT', 'CANCELED']);
  expect(await found({}, 'CREATED_AT_ASC')).toEqual(['CANCELED', 'AWAITING_PAYMENT', 'PAID']);
  expect(await found({}, 'TOTAL_DESC')).toEqual(['PAID', 'AWAITING_PAYMENT', 'CANCELED']);
  expect(await found({}, 'TOTAL_ASC')).toEqual(['CANCELED', 'AWAITING_PAYMENT', 'PAID']);
  expect(await found({ status: ['PAID', 'CANCELED'] })).toEqual(['PAID', 'CANCELED']);
  expect(await found({ status: ['COMPLETED'] })).toEqual([]);
  expect(await found({ status: [] })).toEqual([]);
  const middle = made['AWAITING_PAYMENT']!.createdAt;
  expect(await found({ createdAfter: middle })).toEqual(['PAID', 'AWAITING_PAYMENT']);
  expect(await found({ createdBefore: middle })).toEqual(['CANCELED']);
  expect(await found({ createdAfter: middle, createdBefore: made['PAID']!.createdAt })).toEqual(['AWAITING_PAYMENT']);
});

test('a list of orders is paged without gaps, and User.orders pages the same orders', async () => {
  const customer = await shop.user();
  const { id: productId } = await shop.product({ stock: 100 });
  const ids: string[] = [];
  for (let count = 0; count < 5; count++) ids.unshift((await shop.order(customer.id, [productId, 1])).id);
  await until(async () => (await list({ filter: { userId: customer.id } })).totalCount === 5);

  const collectPages = async (page: (after: string | null) => Promise<OrderList>): Promise<string[]> => {
    const found: string[] = [];
    for (let after: string | null = null; ;) {
      const { nodes, pageInfo, totalCount } = await page(after);
      expect(totalCount).toBe(5);
      found.push(...nodes.map(({ id }) => id));
      if (!pageInfo.hasNextPage) return found;
      after = pageInfo.endCursor;
    }
  };
  expect(await collectPages((after) => list({ filter: { userId: customer.id }, first: 2, after }))).toEqual(ids);
  const OF_USER = `query ($id: ID!, $after: String) { user(id: $id) { orders(first: 2, after: $after) {
    nodes { id } pageInfo { hasNextPage endCursor } totalCount } } }`;
  const ofUser = async (after: string | null) =>
    (await shop.server.ok<{ user: { orders: OrderList } }>(OF_USER, { id: customer.id, after })).user.orders;
  expect(await collectPages(ofUser)).toEqual(ids);
});

test('a change meant for another version is refused and changes nothing', async () => {
  const { id: productId } = await shop.product();
  const { id, version } = await shop.orderIn('AWAITING_PAYMENT', ana, [productId, 1]);
  const stale = { id, expectedVersion: version - 1 };
  const refused = { code: 'CONFLICT', field: 'expectedVersion' };
  expect(await shop.refused('payOrder', { ...stale, method: 'PIX' })).toEqual(refused);
  expect(await shop.refused('cancelOrder', stale)).toEqual(refused);
  expect(await shop.refused('updateOrderStatus', { ...stale, status: 'PROCESSING' })).toEqual(refused);
  expect(await shop.refused('deleteOrder', stale)).toEqual(refused);
  expect(await shop.orderNow(id)).toMatchObject({ status: 'AWAITING_PAYMENT', version });
  expect(await shop.run<OrderView>('cancelOrder', { id, expectedVersion: version })).toMatchObject({
    status: 'CANCELED',
    version: version + 1,
  });
});

test('repeats with one idempotency key have one effect, also at once', async () => {
  const { id: productId } = await shop.product({ stock: 100 });
  const items = [{ productId, quantity: 3 }];
  const create = { userId: ana, items, idempotencyKey: newId() };
  const made = await Promise.all(Array.from({ length: 10 }, () => shop.run<OrderView>('createOrder', create)));
  expect(new Set(made.map((order) => JSON.stringify(order))).size).toBe(1);
  const { id } = made[0]!;
  await shop.reaches(id, 'AWAITING_PAYMENT');
  await shop.stockReaches(productId, 100, 3);
  expect(await shop.run('createOrder', create)).toEqual(made[0]);

  const pay = { id, method: 'PIX', idempotencyKey: newId() };
  const paid = await Promise.all(Array.from({ length: 10 }, () => shop.run<OrderView>('payOrder', pay)));
  expect(new Set(paid.map((order) => JSON.stringify(order))).size).toBe(1);
  const after = await shop.reaches(id, 'PAID');
  expect(await shop.run('payOrder', pay)).toEqual(paid[0]);

  const cancel = { id, reason: 'Changed my mind', idempotencyKey: newId() };
  const canceled = await Promise.all(Array.from({ length: 10 }, () => shop.run<OrderView>('cancelOrder', cancel)));
  expect(new Set(canceled.map(({ version }) => version))).toEqual(new Set([after.version + 1]));
  await shop.stockReaches(productId, 100, 0);

  const conflict = { code: 'CONFLICT', field: 'idempotencyKey' };
  expect(await shop.refused('createOrder', { ...create, items: [{ productId, quantity: 4 }] })).toEqual(conflict);
  expect(await shop.refused('payOrder', { ...pay, method: 'BOLETO' })).toEqual(conflict);
  expect(await shop.refused('cancelOrder', { ...cancel, reason: 'Another' })).toEqual(conflict);
  // A key belongs to its mutation.
  expect(await shop.run('deleteOrder', { id, idempotencyKey: cancel.idempotencyKey })).toBe(id);
  expect(await shop.run('deleteOrder', { id, idempotencyKey: cancel.idempotencyKey })).toBe(id);
});

test('customers act on their own orders, administrators on all, strangers on none', async () => {
  const stranger = userIdentity((await shop.user()).id);
  const { id: productId } = await shop.product({ stock: 100 });
  const { id, version } = await shop.orderIn('AWAITING_PAYMENT', ana, [productId, 1]);
  const ORDER = 'query ($id: ID!) { order(id: $id) { id } }';
  for (const [identity, code] of [
    [ANONYMOUS, 'UNAUTHENTICATED'],
    [stranger, 'FORBIDDEN'],
  ] as const) {
    const refused = { code, field: undefined };
    expect(await shop.refusal(ORDER, { id }, identity)).toEqual(refused);
    expect(await shop.refused('payOrder', { id, method: 'PIX' }, identity)).toEqual(refused);
    expect(await shop.refused('cancelOrder', { id }, identity)).toEqual(refused);
    expect(await shop.refused('deleteOrder', { id }, identity)).toEqual(refused);
    expect(await shop.refused('updateOrderStatus', { id, status: 'PROCESSING' }, identity)).toEqual(refused);
    expect(await shop.refusal(ORDERS, { filter: { userId: ana } }, identity)).toEqual(refused);
    const items = [{ productId, quantity: 1 }];
    expect((await shop.refused('createOrder', { userId: ana, items }, identity))?.code).toBe(code);
  }
  expect(await shop.refusal(ORDERS, {}, ANONYMOUS)).toEqual({ code: 'UNAUTHENTICATED', field: undefined });
  expect(await list({}, stranger)).toMatchObject({ nodes: [], totalCount: 0 });
  expect(new Set((await list({}, userIdentity(ana))).nodes.map(({ userId }) => userId))).toEqual(new Set([ana]));
  expect(await shop.orderNow(id)).toMatchObject({ version, status: 'AWAITING_PAYMENT' });

  const mine = userIdentity(ana);
  const own = await shop.run<OrderView>('createOrder', { items: [{ productId, quantity: 1 }] }, mine);
  expect(own.userId).toBe(ana);
  await shop.run('payOrder', { id, method: 'PIX' }, mine);
  await shop.reaches(id, 'PAID');
  expect(await shop.refused('updateOrderStatus', { id, status: 'PROCESSING' }, mine)).toEqual({
    code: 'FORBIDDEN',
    field: undefined,
  });
  await shop.run('cancelOrder', { id }, mine);
  await shop.run('deleteOrder', { id }, mine);
});

test('the timeline of an order shows its stock and its payment, to its customer and administrators only', async () => {
  const { id: productId } = await shop.product();
  const { id } = await shop.orderIn('COMPLETED', ana, [productId, 1]);
  const TIMELINE = 'query ($id: ID!) { timeline(aggregateId: $id) { type version topic } }';
  const read = async () =>
    (
      await shop.server.ok<{ timeline: { type: string; topic: string; version: number }[] }>(
        TIMELINE,
        { id },
        userIdentity(ana),
      )
    ).timeline;
  const expected = [
    'order.created',
    'stock.reserved',
    'order.awaiting_payment',
    'order.payment_requested',
    'payment.completed',
    'order.paid',
    'order.processing',
    'order.completed',
    'stock.consumed',
  ];
  const timeline = await until(async () => {
    const entries = await read();
    return entries.length >= expected.length && entries;
  });
  expect(timeline.map(({ type }) => type)).toEqual(expected);
  const versions = timeline.filter(({ topic }) => topic === 'orders').map(({ version }) => version);
  expect(versions).toEqual([1, 2, 3, 4, 5, 6]);
  const stranger = userIdentity((await shop.user()).id);
  expect(await shop.refusal(TIMELINE, { id }, stranger)).toEqual({ code: 'FORBIDDEN', field: undefined });
  expect(await shop.refusal(TIMELINE, { id }, ANONYMOUS)).toEqual({ code: 'UNAUTHENTICATED', field: undefined });
});
