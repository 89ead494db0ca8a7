import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { ANONYMOUS } from '../../shared/identity/identity.js';
import { startSubgraph, userIdentity, type TestSubgraph } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { buildProduct, type ProductSubgraph } from './app.js';
import { rebuild } from './store.js';

const FIELDS = 'id version name description price stock reserved available';
const CREATE = `mutation ($input: CreateProductInput!) { createProduct(input: $input) { product { ${FIELDS} } } }`;
const UPDATE = `mutation ($input: UpdateProductInput!) { updateProduct(input: $input) { product { ${FIELDS} } } }`;
const DELETE = 'mutation ($input: DeleteProductInput!) { deleteProduct(input: $input) { id } }';
const UNKNOWN = '0190a000-0000-7000-8000-00000000dead';

let product: TestSubgraph<ProductSubgraph>;
beforeAll(async () => {
  product = await startSubgraph('product', buildProduct);
});
afterAll(() => product.dispose());

const phone = { name: 'iPhone 15', price: '5999.99', stock: 10 };

async function create(input: Readonly<Record<string, unknown>> = {}): Promise<string> {
  type Created = { createProduct: { product: { id: string } } };
  return (await product.ok<Created>(CREATE, { input: { ...phone, ...input } })).createProduct.product.id;
}

function orderEvent(
  type: 'order.created' | 'order.canceled' | 'order.completed',
  id: string,
  items: readonly { readonly productId: string; readonly quantity: number }[],
) {
  const order: OrderState = {
    id,
    version: 1,
    userId: 'u1',
    status: 'PENDING',
    items: items.map((item) => ({ ...item, name: 'x', unitPrice: 1 })),
    total: 1,
    payment: null,
    cancelReason: null,
    history: [{ version: 1, status: 'PENDING', at: 1, reason: null }],
    deleted: false,
    createdAt: 1,
    updatedAt: 1,
  };
  return { type, subject: id, sequence: 1, data: { order } };
}

const stockEvents = (orderId: string): string[] =>
  product.heard.filter(({ type, subject }) => subject === orderId && type.startsWith('stock.')).map(({ type }) => type);

async function everything(): Promise<unknown> {
  const rows = await product.database.read('SELECT * FROM products ORDER BY id');
  const events = await product.database.read('SELECT * FROM product_events ORDER BY product_id, version');
  const outbox = await product.database.read('SELECT COUNT(*) AS count FROM outbox');
  return { rows, events, outbox };
}

describe('the catalogue', () => {
  test('a product is created, changed, shown and deleted; every change is an event', async () => {
    const id = await create({ name: '  Café 📱  ', description: 'Line one\nline two' });
    const { updateProduct } = await product.ok<{ updateProduct: unknown }>(UPDATE, {
      input: { id, price: 10, stock: 12 },
    });
    const expected = {
      id,
      version: 2,
      name: 'Café 📱',
      description: 'Line one\nline two',
      price: '10.00',
      stock: 12,
      reserved: 0,
      available: 12,
    };
    expect(updateProduct).toEqual({ product: expected });
    const entity = `{ _entities(representations: [{ __typename: "Product", id: "${id}" }]) { ... on Product { ${FIELDS} } } }`;
    expect(await product.ok(entity, {}, ANONYMOUS)).toEqual({ _entities: [expected] });
    expect(await product.ok(DELETE, { input: { id } })).toEqual({ deleteProduct: { id } });
    expect(await product.ok(entity)).toEqual({ _entities: [null] });
    await until(() => product.heard.filter(({ subject }) => subject === id).length === 3);
    expect(product.heard.filter(({ subject }) => subject === id).map(({ type, sequence }) => [type, sequence])).toEqual(
      [
        ['product.created', 1],
        ['product.updated', 2],
        ['product.deleted', 3],
      ],
    );
  });

  test('snapshots that are lost come back from the events, row by row the same', async () => {
    const id = await create({ name: 'To be rebuilt' });
    await product.ok(UPDATE, { input: { id, description: 'changed', stock: 3 } });
    await create();
    await product.ok(DELETE, { input: { id: await create() } });
    const orderId = newId();
    await product.publish(orderEvent('order.created', orderId, [{ productId: id, quantity: 2 }]));
    await until(() => stockEvents(orderId).length === 1);
    const before = await everything();
    const [{ count } = { count: 0 }] = await product.database.read<{ count: number }>(
      'SELECT COUNT(*) AS count FROM products',
    );
    await product.database.transaction((tx) => tx.execute('DELETE FROM products'));
    expect(await rebuild(product.database)).toBe(count);
    expect(await everything()).toEqual(before);
    expect(await rebuild(product.database)).toBe(count);
    expect(await everything()).toEqual(before);
  });
});

describe('orders', () => {
  test('reserve, release and consume stock; repeats and crossings change nothing', async () => {
    const id = await create({ stock: 5 });
    const [kept, canceled, crossed, tooMuch] = [newId(), newId(), newId(), newId()];
    const items = [{ productId: id, quantity: 2 }];
    await product.publish(
      orderEvent('order.created', kept, items),
      orderEvent('order.created', kept, items),
      orderEvent('order.canceled', crossed, items),
      orderEvent('order.created', crossed, items),
      orderEvent('order.created', canceled, items),
      orderEvent('order.canceled', canceled, items),
      orderEvent('order.created', tooMuch, [{ productId: id, quantity: 6 }]),
      orderEvent('order.completed', kept, items),
    );
    await until(() => stockEvents(kept).length + stockEvents(canceled).length + stockEvents(tooMuch).length === 5);
    expect(stockEvents(kept)).toEqual(['stock.reserved', 'stock.consumed']);
    expect(stockEvents(canceled)).toEqual(['stock.reserved', 'stock.released']);
    expect(stockEvents(tooMuch)).toEqual(['stock.rejected']);
    expect(stockEvents(crossed)).toEqual([]);
    await until(async () => {
      const [row] = await product.database.read('SELECT stock, reserved FROM products WHERE id = ?', [id]);
      expect(row).toEqual({ stock: 3, reserved: 0 });
      return true;
    });
  });

  test('a burst for one product is served while the stock lasts, and not a piece more', async () => {
    const id = await create({ stock: 20 });
    const orders = Array.from({ length: 60 }, () => newId());
    await product.publish(
      ...orders.map((order) => orderEvent('order.created', order, [{ productId: id, quantity: 1 }])),
    );
    await until(() => orders.every((order) => stockEvents(order).length === 1));
    expect(orders.filter((order) => stockEvents(order)[0] === 'stock.reserved')).toHaveLength(20);
    expect(await product.database.read('SELECT stock, reserved FROM products WHERE id = ?', [id])).toEqual([
      { stock: 20, reserved: 20 },
    ]);
  });

  test('keep their product from being deleted and its stock from falling below what they hold', async () => {
    const id = await create();
    const order = newId();
    await product.publish(orderEvent('order.created', order, [{ productId: id, quantity: 4 }]));
    await until(() => stockEvents(order).length === 1);
    expect(await product.refusal(DELETE, { input: { id } })).toEqual({ code: 'CONFLICT', field: 'id' });
    expect(await product.refusal(UPDATE, { input: { id, stock: 3 } })).toEqual({ code: 'CONFLICT', field: 'stock' });
  });
});

describe('bad input is refused with code and field, and changes nothing', () => {
  let id: string;
  beforeAll(async () => {
    id = await create();
  });

  const values: [string, unknown, string][] = [
    ['name', '', 'empty'],
    ['name', ' \t ', 'blank'],
    ['name', 'x'.repeat(201), 'overlong'],
    ['name', '📱'.repeat(201), 'overlong in 4-byte characters'],
    ['name', 'zero\u200Bwidth', 'with a zero-width character'],
    ['name', 'nul\u0000', 'with a NUL'],
    ['name', 'bell\u0007', 'with a control character'],
    ['name', 'line\nbreak', 'of two lines'],
    ['name', 7, 'a number'],
    ['description', 'x'.repeat(5_001), 'overlong'],
    ['description', 'zero\u200Bwidth', 'with a zero-width character'],
    ['price', '19.999', 'with three decimals'],
    ['price', 19.999, 'a number with three decimals'],
    ['price', '-0.01', 'negative'],
    ['price', '10000000.01', 'above the limit'],
    ['price', 'NaN', 'not a number'],
    ['price', '1e3', 'with an exponent'],
    ['price', '', 'empty'],
    ['price', [1], 'a list'],
    ['stock', -1, 'negative'],
    ['stock', 1.5, 'fractional'],
    ['stock', 1_000_000_001, 'above the limit'],
    ['stock', 1e15, 'huge'],
    ['stock', 'NaN', 'not a number'],
  ];

  test.each(values)('createProduct: %s %j, %s', async (field, value) => {
    const before = await everything();
    expect(await product.refusal(CREATE, { input: { ...phone, [field]: value } })).toEqual({
      code: 'VALIDATION',
      field,
    });
    expect(await everything()).toEqual(before);
  });

  test.each(values)('updateProduct: %s %j, %s', async (field, value) => {
    const before = await everything();
    expect(await product.refusal(UPDATE, { input: { id, [field]: value } })).toEqual({ code: 'VALIDATION', field });
    expect(await everything()).toEqual(before);
  });

  test.each(['name', 'price', 'stock'])('createProduct: without %s', async (field) => {
    const input = Object.fromEntries(Object.entries(phone).filter(([key]) => key !== field));
    expect(await product.refusal(CREATE, { input })).toEqual({ code: 'VALIDATION', field });
  });

  test('200 characters of 4 bytes are a name', async () => {
    const name = '📱'.repeat(200);
    const found = await product.database.read('SELECT name FROM products WHERE id = ?', [await create({ name })]);
    expect(found).toEqual([{ name }]);
  });

  test.each([
    ['an unknown id', UNKNOWN, 'NOT_FOUND'],
    ['a malformed id', 'p1', 'VALIDATION'],
    ['an empty id', '', 'VALIDATION'],
  ])('updateProduct, deleteProduct: %s', async (_, bad, code) => {
    const before = await everything();
    expect(await product.refusal(UPDATE, { input: { id: bad, price: '1' } })).toEqual({ code, field: 'id' });
    expect(await product.refusal(DELETE, { input: { id: bad } })).toEqual({ code, field: 'id' });
    expect(await everything()).toEqual(before);
  });

  test('a version that is not there', async () => {
    const refused = { code: 'CONFLICT', field: 'expectedVersion' };
    expect(await product.refusal(UPDATE, { input: { id, price: '1', expectedVersion: 9 } })).toEqual(refused);
    expect(await product.refusal(DELETE, { input: { id, expectedVersion: 0 } })).toEqual(refused);
  });

  test('an idempotency key used for something else', async () => {
    const idempotencyKey = newId();
    const twins = await Promise.all([create({ idempotencyKey }), create({ idempotencyKey })]);
    expect(new Set(twins).size).toBe(1);
    const before = await everything();
    expect(await product.refusal(CREATE, { input: { ...phone, stock: 11, idempotencyKey } })).toEqual({
      code: 'CONFLICT',
      field: 'idempotencyKey',
    });
    expect(await everything()).toEqual(before);
  });

  test('somebody who is no administrator', async () => {
    const before = await everything();
    for (const [query, input] of [
      [CREATE, phone],
      [UPDATE, { id, price: '1' }],
      [DELETE, { id }],
    ] as const) {
      expect(await product.refusal(query, { input }, userIdentity(UNKNOWN))).toMatchObject({ code: 'FORBIDDEN' });
      expect(await product.refusal(query, { input }, ANONYMOUS)).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
    expect(await everything()).toEqual(before);
  });
});
