import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Versioned } from '../../shared/document-store/port.js';
import { newId } from '../../shared/ids/ids.js';
import { parseCursor, parseFirst, readPage, type ListSpec } from './relay.js';
import { ADMIN, as, happened, openTestbed, order, PAST, product, user, type Testbed } from './testbed.js';
import { project } from './views.js';

let bed: Testbed;
const buyer = newId();

const SPEC: ListSpec = {
  list: 'orders',
  collection: 'orders',
  filter: [{ field: 'deleted', is: { eq: false } }],
  sort: { field: 'createdAt', direction: 'desc' },
};

beforeAll(async () => {
  bed = await openTestbed();
  // Many of the same instant: pages must not lose any of them.
  const orders = Array.from({ length: 47 }, (_, i) =>
    order({ userId: buyer, createdAt: PAST + Math.floor(i / 10), total: (i % 5) * 100, deleted: i % 23 === 11 }),
  );
  const products = Array.from({ length: 5 }, () => product());
  await bed.documents.putIfNewer(
    'orders',
    orders.map((doc) => ({ id: doc.id, version: 1, doc })),
  );
  const made = products.flatMap((one) => project(happened('product.created', { product: one })));
  await bed.documents.putIfNewer('products', made);
});

afterAll(() => bed.close());

interface Connection {
  readonly edges: readonly { readonly cursor: string; readonly node: { readonly id: string } }[];
  readonly nodes: readonly { readonly id: string }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly endCursor: string | null;
  };
  readonly totalCount: number;
}

const PAGE = `query ($first: Int, $after: String, $sort: OrderSort, $filter: OrderFilter) {
  orders(first: $first, after: $after, sort: $sort, filter: $filter) {
    edges { cursor node { id } } nodes { id } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

async function walk(sort: string, first: number): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | null = null; ;) {
    const { data } = await bed.ask(ADMIN, PAGE, { sort, first, after });
    const { nodes, edges, pageInfo, totalCount } = data?.['orders'] as Connection;
    expect(totalCount).toBe(45);
    expect(pageInfo.hasPreviousPage).toBe(after !== null);
    expect(edges.map(({ node }) => node)).toEqual(nodes);
    expect(pageInfo.endCursor).toBe(edges.at(-1)?.cursor ?? null);
    ids.push(...nodes.map(({ id }) => id));
    if (!pageInfo.hasNextPage) return ids;
    expect(nodes).toHaveLength(first);
    after = pageInfo.endCursor;
  }
}

describe('pages', () => {
  test.each(['CREATED_AT_DESC', 'CREATED_AT_ASC', 'TOTAL_DESC', 'TOTAL_ASC'])(
    'by %s make up the whole list, each order once, whatever their size',
    async (sort) => {
      const whole = await walk(sort, 100);
      expect(new Set(whole).size).toBe(45);
      for (const first of [1, 7, 9, 15, 45]) expect(await walk(sort, first)).toEqual(whole);
    },
  );

  test('of a user go on as well, and their first page is the same as the later ones', async () => {
    const id = buyer;
    await bed.documents.putIfNewer('users', project(happened('user.created', { user: user({ id }) })));
    const query = `query ($id: ID!, $after: String) {
      user(id: $id) { orders(first: 20, after: $after) { nodes { id } totalCount pageInfo { hasNextPage endCursor } } }
    }`;
    const ids: string[] = [];
    let after: string | null = null;
    do {
      const { data } = await bed.ask(as(id), query, { id, after });
      const { orders } = data?.['user'] as { orders: Connection };
      expect(orders.totalCount).toBe(45);
      ids.push(...orders.nodes.map((node) => node.id));
      after = orders.pageInfo.hasNextPage ? orders.pageInfo.endCursor : null;
    } while (after !== null);
    expect(ids).toEqual(await walk('CREATED_AT_DESC', 100));
  });

  test.each([0, -1, 101, 10_000])('of %i are refused', async (first) => {
    for (const list of ['orders', 'products', 'users']) {
      const { error } = await bed.ask(ADMIN, `{ ${list}(first: ${first}) { totalCount } }`);
      expect(error).toMatchObject({ code: 'VALIDATION', field: 'first' });
    }
  });

  test('have 20 items unless asked for more or fewer', () => {
    expect([parseFirst(null), parseFirst(undefined), parseFirst(1), parseFirst(100)]).toEqual([20, 20, 1, 100]);
  });
});

describe('a cursor', () => {
  const refusal = async (variables: Record<string, unknown>) => (await bed.ask(ADMIN, PAGE, variables)).error;

  async function cursorOf(variables: Record<string, unknown>): Promise<string> {
    const { data } = await bed.ask(ADMIN, PAGE, { first: 1, ...variables });
    return (data?.['orders'] as Connection).pageInfo.endCursor ?? '';
  }

  test('of another sort, filter or list is refused', async () => {
    const cursor = await cursorOf({ sort: 'CREATED_AT_DESC' });
    const mistake = { code: 'VALIDATION', field: 'after' };
    expect(await refusal({ after: cursor })).toBeNull();
    expect(await refusal({ after: cursor, sort: 'CREATED_AT_ASC' })).toMatchObject(mistake);
    expect(await refusal({ after: cursor, filter: { status: ['PAID'] } })).toMatchObject(mistake);
    expect(await refusal({ after: cursor, filter: { userId: buyer } })).toMatchObject(mistake);
    const elsewhere = await bed.ask(ADMIN, 'query ($after: String) { products(after: $after) { totalCount } }', {
      after: cursor,
    });
    expect(elsewhere.error).toMatchObject(mistake);
  });

  test('of a user is refused to another, whose list is another', async () => {
    const { data } = await bed.ask(as(buyer), PAGE, { first: 1 });
    const cursor = (data?.['orders'] as Connection).pageInfo.endCursor;
    expect((await bed.ask(as(newId()), PAGE, { after: cursor })).error).toMatchObject({
      code: 'VALIDATION',
      field: 'after',
    });
  });

  test('does not hang on the order in which statuses are named', async () => {
    const cursor = await cursorOf({ filter: { status: ['PAID', 'PENDING'] } });
    expect(await refusal({ after: cursor, filter: { status: ['PENDING', 'PAID', 'PENDING'] } })).toBeNull();
  });

  test('that is garbage is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String(), fc.json()), (garbage) => {
        expect(() => parseCursor(SPEC, garbage)).toThrow(
          expect.objectContaining({ code: 'VALIDATION', field: 'after' }),
        );
        const packed = Buffer.from(garbage).toString('base64url');
        expect(() => parseCursor(SPEC, packed)).toThrow(
          expect.objectContaining({ code: 'VALIDATION', field: 'after' }),
        );
      }),
    );
  });

  test('of something that has left the list meanwhile still stands where it stood', async () => {
    const page = await readPage<ReturnType<typeof order>>(bed.documents, SPEC, { first: 10 });
    const last = page.nodes.at(-1);
    const rest = await readPage<ReturnType<typeof order>>(bed.documents, SPEC, { after: page.pageInfo.endCursor });
    const tombstone = { id: last?.id, version: 2, doc: { ...last, deleted: true } } as Versioned<object>;
    await bed.documents.putIfNewer('orders', [tombstone]);
    const again = await readPage<ReturnType<typeof order>>(bed.documents, SPEC, { after: page.pageInfo.endCursor });
    expect(again.nodes).toEqual(rest.nodes);
  });
});
