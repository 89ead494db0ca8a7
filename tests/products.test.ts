import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { PRODUCT_FIELDS, Shop, type ProductView } from './shop.js';
import { startTestSystem, userIdentity } from './system.js';
import { until } from './until.js';

let shop: Shop;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
});

afterAll(() => shop.server.dispose());

const PRODUCT = `query ($id: ID!, $minVersion: Int) { product(id: $id, minVersion: $minVersion) { ${PRODUCT_FIELDS} description } }`;
const PRODUCTS = `query ($filter: ProductFilter, $sort: ProductSort, $first: Int, $after: String) {
  products(filter: $filter, sort: $sort, first: $first, after: $after) {
    edges { cursor node { name } }
    nodes { name price available }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}`;

interface ProductList {
  readonly edges: readonly { readonly cursor: string; readonly node: { readonly name: string } }[];
  readonly nodes: readonly ProductView[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
  readonly totalCount: number;
}

const list = async (variables: Readonly<Record<string, unknown>>, identity = ANONYMOUS) =>
  (await shop.server.ok<{ products: ProductList }>(PRODUCTS, variables, identity)).products;

const update = (input: Readonly<Record<string, unknown>>) => shop.run<ProductView>('updateProduct', input);

/** Products that only a search for the answered mark finds. */
async function shelf(...products: readonly Readonly<Record<string, unknown>>[]): Promise<string> {
  const mark = `x${newId().replaceAll('-', '')}`;
  for (const { name, ...rest } of products) await shop.product({ ...rest, name: `${String(name)} ${mark}` });
  await until(async () => (await list({ filter: { search: mark } })).totalCount === products.length);
  return mark;
}

const names = ({ nodes }: ProductList): string[] => nodes.map(({ name }) => name.replace(/ \S+$/, ''));

test('a new product has its whole stock available', async () => {
  const { id, version } = await shop.product({ name: 'iPhone 15', price: '5999.99', stock: 10, description: '128 GB' });
  expect((await shop.server.ok(PRODUCT, { id, minVersion: version }, ANONYMOUS)).product).toEqual({
    id,
    version: 1,
    name: 'iPhone 15',
    description: '128 GB',
    price: '5999.99',
    stock: 10,
    reserved: 0,
    available: 10,
  });
});

test('price, stock, name and description change alone, and what is left out stays', async () => {
  const { id } = await shop.product({ name: 'Lamp', price: '10.00', stock: 5, description: 'Warm' });
  expect(await update({ id, price: 12.5 })).toMatchObject({ name: 'Lamp', price: '12.50', stock: 5, version: 2 });
  expect(await update({ id, stock: 7 })).toMatchObject({ name: 'Lamp', price: '12.50', stock: 7, version: 3 });
  expect(await update({ id, name: 'Desk Lamp' })).toMatchObject({ name: 'Desk Lamp', price: '12.50', version: 4 });
  expect(await update({ id, description: '', price: null })).toMatchObject({ price: '12.50', version: 5 });
  expect((await shop.server.ok(PRODUCT, { id, minVersion: 5 })).product).toMatchObject({
    name: 'Desk Lamp',
    description: '',
    price: '12.50',
    stock: 7,
  });
});

test('a change meant for another version is refused and changes nothing', async () => {
  const { id } = await shop.product({ price: '10.00' });
  await update({ id, price: '11.00', expectedVersion: 1 });
  const refused = { code: 'CONFLICT', field: 'expectedVersion' };
  expect(await shop.refused('updateProduct', { id, price: '12.00', expectedVersion: 1 })).toEqual(refused);
  expect(await shop.refused('deleteProduct', { id, expectedVersion: 3 })).toEqual(refused);
  expect((await shop.server.ok(PRODUCT, { id, minVersion: 2 })).product).toMatchObject({ price: '11.00', version: 2 });
});

test('of changes meant for one version at once one is made', async () => {
  const { id } = await shop.product({ stock: 1 });
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      shop.refused('updateProduct', { id, stock: 100 + index, expectedVersion: 1 }),
    ),
  );
  expect(answers.filter((refusal) => refusal === undefined)).toHaveLength(1);
  expect(await update({ id, stock: 1 })).toMatchObject({ version: 3 });
});

test('products are found by words of the name, price range and stock', async () => {
  const mark = await shelf(
    { name: 'Café em Grãos', price: '79.90', stock: 3 },
    { name: 'Cafeteira', price: '250.00', stock: 0 },
    { name: 'Chá Verde', price: '12.00', stock: 1 },
  );
  const found = async ({ search = '', ...filter }: Readonly<Record<string, unknown>> & { readonly search?: string }) =>
    names(await list({ filter: { ...filter, search: `${mark} ${search}` }, sort: 'NAME_ASC' }));
  expect(await found({ search: 'CAFE' })).toEqual(['Café em Grãos', 'Cafeteira']);
  expect(await found({ search: 'grãos café' })).toEqual(['Café em Grãos']);
  expect(await found({ search: 'afe' })).toEqual([]);
  expect(await found({ minPrice: '79.90' })).toEqual(['Café em Grãos', 'Cafeteira']);
  expect(await found({ maxPrice: 79.9 })).toEqual(['Café em Grãos', 'Chá Verde']);
  expect(await found({ minPrice: '12.01', maxPrice: '249.99' })).toEqual(['Café em Grãos']);
  expect(await found({ inStock: true })).toEqual(['Café em Grãos', 'Chá Verde']);
  expect(await found({ inStock: false })).toEqual(['Cafeteira']);
  expect(await found({ inStock: true, search: 'caf', maxPrice: '100' })).toEqual(['Café em Grãos']);
});

test('a product whose every piece is reserved is not in stock', async () => {
  const mark = await shelf({ name: 'Last One', stock: 1 });
  const { id: userId } = await shop.user();
  const { nodes } = (
    await shop.server.ok<{ products: { nodes: ProductView[] } }>(
      `query ($filter: ProductFilter) { products(filter: $filter) { nodes { ${PRODUCT_FIELDS} } } }`,
      { filter: { search: mark } },
    )
  ).products;
  const order = await shop.orderIn('AWAITING_PAYMENT', userId, [nodes[0]!.id, 1]);
  await until(async () => (await list({ filter: { search: mark, inStock: true } })).totalCount === 0);
  expect(await list({ filter: { search: mark, inStock: false } })).toMatchObject({ totalCount: 1 });
  await shop.cancel(order.id);
  await until(async () => (await list({ filter: { search: mark, inStock: true } })).totalCount === 1);
});

test('every sort orders as its name says, and pages neither skip nor repeat', async () => {
  const mark = await shelf(
    { name: 'Delta', price: '3.00' },
    { name: 'álamo', price: '1.00' },
    { name: 'Bravo', price: '3.00' },
    { name: 'Charlie', price: '20.00' },
    { name: 'Echo', price: '1.00' },
  );
  const paged = async (sort: string | undefined): Promise<string[]> => {
    const found: string[] = [];
    for (let after: string | null = null; ;) {
      const page: ProductList = await list({ filter: { search: mark }, ...(sort && { sort }), first: 2, after });
      expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
      expect(page.edges.map(({ node }) => node.name)).toEqual(page.nodes.map(({ name }) => name));
      expect(page.pageInfo.startCursor).toBe(page.edges[0]?.cursor ?? null);
      expect(page.pageInfo.endCursor).toBe(page.edges.at(-1)?.cursor ?? null);
      expect(page.totalCount).toBe(5);
      found.push(...names(page));
      if (!page.pageInfo.hasNextPage) return found;
      after = page.pageInfo.endCursor;
    }
  };
  expect(await paged('NAME_ASC')).toEqual(['álamo', 'Bravo', 'Charlie', 'Delta', 'Echo']);
  expect(await paged('NAME_DESC')).toEqual(['Echo', 'Delta', 'Charlie', 'Bravo', 'álamo']);
  expect(await paged('CREATED_AT_ASC')).toEqual(['Delta', 'álamo', 'Bravo', 'Charlie', 'Echo']);
  expect(await paged(undefined)).toEqual(['Echo', 'Charlie', 'Bravo', 'álamo', 'Delta']);
  const prices = new Map([
    ['Delta', 3],
    ['álamo', 1],
    ['Bravo', 3],
    ['Charlie', 20],
    ['Echo', 1],
  ]);
  const cheapest = await paged('PRICE_ASC');
  expect(cheapest.map((name) => prices.get(name))).toEqual([1, 1, 3, 3, 20]);
  expect(new Set(cheapest).size).toBe(5);
  expect((await paged('PRICE_DESC')).map((name) => prices.get(name))).toEqual([20, 3, 3, 1, 1]);
});

test('a product added while somebody pages shifts no page', async () => {
  const mark = await shelf({ name: 'Bravo' }, { name: 'Charlie' }, { name: 'Delta' });
  const args = { filter: { search: mark }, sort: 'NAME_ASC', first: 2 };
  const first = await list(args);
  await shop.product({ name: `Alpha ${mark}` });
  await until(async () => (await list(args)).totalCount === 4);
  const second = await list({ ...args, after: first.pageInfo.endCursor });
  expect([...names(first), ...names(second)]).toEqual(['Bravo', 'Charlie', 'Delta']);
});

test('the stock cannot be set below what is reserved', async () => {
  const [{ id: userId }, { id }] = [await shop.user(), await shop.product({ stock: 5 })];
  await shop.orderIn('AWAITING_PAYMENT', userId, [id, 3]);
  await shop.stockReaches(id, 5, 3);
  expect(await shop.refused('updateProduct', { id, stock: 2 })).toEqual({ code: 'CONFLICT', field: 'stock' });
  expect(await update({ id, stock: 3 })).toMatchObject({ stock: 3, reserved: 3, available: 0 });
});

test('a product with reservations stays until they are gone', async () => {
  const [{ id: userId }, { id }] = [await shop.user(), await shop.product({ stock: 5 })];
  const order = await shop.orderIn('AWAITING_PAYMENT', userId, [id, 3]);
  expect(await shop.refused('deleteProduct', { id })).toEqual({ code: 'CONFLICT', field: 'id' });
  await shop.cancel(order.id);
  await shop.stockReaches(id, 5, 0);
  expect(await shop.refused('deleteProduct', { id })).toBeUndefined();
});

test('a deleted product is gone from the catalogue, orders keep its name and price', async () => {
  const { id: userId } = await shop.user();
  const mark = newId().replaceAll('-', '');
  const { id } = await shop.product({ name: `Lamp x${mark}`, price: '19.90' });
  const kept = await shop.product({ name: 'Kept' });
  const order = await shop.orderIn('COMPLETED', userId, [id, 2], [kept.id, 1]);
  await shop.stockReaches(id, 8, 0);
  await shop.run('deleteProduct', { id });

  await until(async () => (await shop.refusal(PRODUCT, { id }))?.code === 'NOT_FOUND');
  expect((await list({ filter: { search: `x${mark}` } })).totalCount).toBe(0);
  const { order: read } = await shop.server.ok(
    'query ($id: ID!) { order(id: $id) { total items { name unitPrice quantity product { id name } } } }',
    { id: order.id },
  );
  expect(read).toEqual({
    total: '49.80',
    items: [
      { name: `Lamp x${mark}`, unitPrice: '19.90', quantity: 2, product: null },
      { name: 'Kept', unitPrice: '10.00', quantity: 1, product: { id: kept.id, name: 'Kept' } },
    ],
  });
  const gone = { code: 'NOT_FOUND', field: 'id' };
  expect(await shop.refused('updateProduct', { id, price: '1.00' })).toEqual(gone);
  expect(await shop.refused('deleteProduct', { id })).toEqual(gone);
  await until(
    async () =>
      (await shop.refused('createOrder', { userId, items: [{ productId: id, quantity: 1 }] }))?.field ===
      'items.0.productId',
  );
});

test('repeats with one idempotency key change a product once, also at once', async () => {
  const created = { name: `Lamp ${newId()}`, price: '1.00', stock: 1, idempotencyKey: newId() };
  const made = await Promise.all(Array.from({ length: 10 }, () => shop.run<ProductView>('createProduct', created)));
  expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  const { id } = made[0]!;

  const changed = { id, stock: 9, idempotencyKey: newId() };
  const answers = await Promise.all(Array.from({ length: 10 }, () => update(changed)));
  expect(answers).toEqual(Array.from({ length: 10 }, () => expect.objectContaining({ version: 2, stock: 9 })));
  await update({ id, stock: 4 });
  expect(await update(changed)).toEqual(answers[0]);
  expect((await shop.server.ok(PRODUCT, { id, minVersion: 3 })).product).toMatchObject({ stock: 4, version: 3 });
  expect(await shop.refused('updateProduct', { ...changed, stock: 10 })).toEqual({
    code: 'CONFLICT',
    field: 'idempotencyKey',
  });
});

test('anyone reads the catalogue, only administrators change it', async () => {
  const { id } = await shop.product();
  const user = userIdentity((await shop.user()).id);
  for (const identity of [ANONYMOUS, user]) {
    await until(async () => (await shop.refusal(PRODUCT, { id }, identity)) === undefined);
    expect(await shop.refusal(PRODUCTS, {}, identity)).toBeUndefined();
    const refused = { code: identity === user ? 'FORBIDDEN' : 'UNAUTHENTICATED', field: undefined };
    expect(await shop.refused('createProduct', { name: 'Lamp', price: '1.00', stock: 1 }, identity)).toEqual(refused);
    expect(await shop.refused('updateProduct', { id, price: '1.00' }, identity)).toEqual(refused);
    expect(await shop.refused('deleteProduct', { id }, identity)).toEqual(refused);
  }
  expect(await shop.productNow(id)).toMatchObject({ version: 1 });
});
