import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectNoEffect, settled } from './no-effect.js';
import { Shop } from './shop.js';
import { collect, startTestSystem, type GraphQLAnswer } from './system.js';
import { until } from './until.js';

let shop: Shop;
let world: { readonly ana: string; readonly account: string };

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
  const { id: ana } = await shop.user();
  const { id: product } = await shop.product();
  await shop.orderIn('AWAITING_PAYMENT', ana, [product, 1]);
  world = { ana, account: await shop.account(ana, '1.00') };
  await shop.balanceReaches(world.account, '1.00');
  await settled(shop.server);
});

afterAll(() => shop.server.dispose());

type Input = Readonly<Record<string, unknown>>;

describe('lists', () => {
  const LISTS: readonly [string, string, Input][] = [
    ['users', '', {}],
    ['products', '', {}],
    ['orders', '', {}],
    ['transactions', ', $accountId: ID!', {}],
  ];
  const listQuery = (list: string, extra: string): string =>
    `query ($first: Int, $after: String${extra}) {
      ${list}(first: $first, after: $after${extra === '' ? '' : ', accountId: $accountId'}) { totalCount pageInfo { endCursor } }
    }`;
  const ask = (list: string, extra: string, page: Input) =>
    shop.refusal(listQuery(list, extra), { ...page, ...(extra === '' ? {} : { accountId: world.account }) });

  test.each(LISTS)('%s of first 0, -1, 10000 and of no number', async (list, extra) => {
    for (const first of [0, -1, 101, 10_000, 2 ** 31, 1.5, 'ten']) {
      expect({ first, ...(await ask(list, extra, { first })) }).toEqual({ first, code: 'VALIDATION', field: 'first' });
    }
  });

  test.each(LISTS)('%s after a cursor that is garbage', async (list, extra) => {
    const GARBAGE = ['', 'x', 'null', '[]', '🐙', 'x'.repeat(5_000), Buffer.from('["a",1,"b"]').toString('base64url')];
    for (const after of GARBAGE)
      expect(await ask(list, extra, { after })).toEqual({ code: 'VALIDATION', field: 'after' });
  });

  test('a cursor of another list, another filter or another sort', async () => {
    const products =
      'query ($filter: ProductFilter, $sort: ProductSort, $after: String) { products(filter: $filter, sort: $sort, after: $after) { pageInfo { endCursor } } }';
    interface Answer {
      readonly products: { readonly pageInfo: { readonly endCursor: string } };
    }
    const { endCursor: after } = (await shop.server.ok<Answer>(products)).products.pageInfo;
    expect(await shop.refusal(products, { after })).toBeUndefined();
    const refused = { code: 'VALIDATION', field: 'after' };
    expect(await shop.refusal(products, { after, sort: 'NAME_ASC' })).toEqual(refused);
    expect(await shop.refusal(products, { after, filter: { inStock: true } })).toEqual(refused);
    for (const [list, extra] of LISTS.filter(([name]) => name !== 'products')) {
      expect(await ask(list, extra, { after })).toEqual(refused);
    }
    const nested = 'query ($id: ID!, $after: String) { user(id: $id) { orders(after: $after) { totalCount } } }';
    expect(await shop.refusal(nested, { id: world.ana, after })).toEqual(refused);
    for (const first of [0, -1, 10_000]) {
      const page = 'query ($id: ID!, $first: Int) { user(id: $id) { orders(first: $first) { totalCount } } }';
      expect(await shop.refusal(page, { id: world.ana, first })).toEqual({ code: 'VALIDATION', field: 'first' });
    }
  });

  test('unknown sorts and statuses, malformed dates, prices and users in filters', async () => {
    const of = (query: string, variables: Input) => shop.refusal(query, variables);
    const ORDERS =
      'query ($filter: OrderFilter, $sort: OrderSort) { orders(filter: $filter, sort: $sort) { totalCount } }';
    const PRODUCTS =
      'query ($filter: ProductFilter, $sort: ProductSort) { products(filter: $filter, sort: $sort) { totalCount } }';
    const refused = (field: string) => ({ code: 'VALIDATION', field });
    expect(await of(ORDERS, { sort: 'RANDOM' })).toEqual(refused('sort'));
    expect(await of(PRODUCTS, { sort: 'RANDOM' })).toEqual(refused('sort'));
    expect(await of(ORDERS, { filter: { status: ['PAID', 'LOST'] } })).toEqual(refused('filter.status.1'));
    for (const createdAfter of ['', 'yesterday', '2026-02-31T00:00:00Z', '2026-01-01', '2026-01-01T00:00:00', 0]) {
      expect(await of(ORDERS, { filter: { createdAfter } })).toEqual(refused('filter.createdAfter'));
    }
    expect(await of(ORDERS, { filter: { userId: 'x' } })).toEqual(refused('filter.userId'));
    expect(await of(PRODUCTS, { filter: { minPrice: '1.001' } })).toEqual(refused('filter.minPrice'));
    expect(await of(PRODUCTS, { filter: { maxPrice: 'much' } })).toEqual(refused('filter.maxPrice'));
    expect(await of('{ products(sort: RANDOM) { totalCount } }', {})).toEqual(refused('sort'));
  });
});

describe('what is too much', () => {
  /** Sends a body as it is, and answers its GraphQL errors and how long that took. */
  async function send(body: string): Promise<{ codes: (string | undefined)[]; status: number; ms: number }> {
    const began = performance.now();
    const response = await fetch(`${shop.server.system.gatewayUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const { errors } = (await response.json()) as GraphQLAnswer<unknown>;
    return {
      codes: (errors ?? []).map(({ extensions }) => extensions.code),
      status: response.status,
      ms: performance.now() - began,
    };
  }

  const deep = `{ products ${'{ nodes '.repeat(499)} { id } ${'}'.repeat(499)} }`;
  const aliases = `{ ${Array.from({ length: 10_000 }, (_, index) => `a${index}: me { id }`).join(' ')} }`;
  const HUGE: readonly [string, () => string, status: number][] = [
    ['a body of 2 MB', () => JSON.stringify({ query: '{ me { id } }', variables: { x: 'x'.repeat(2_097_152) } }), 413],
    ['a query of 2 MB', () => JSON.stringify({ query: `{ me { id } } #${'x'.repeat(2_097_152)}` }), 413],
    ['a query 500 levels deep', () => JSON.stringify({ query: deep }), 400],
    ['10,000 aliases', () => JSON.stringify({ query: aliases }), 400],
    [
      '10,000 aliases in a mutation',
      () =>
        JSON.stringify({ query: `mutation ${aliases.replaceAll('me { id }', 'deleteUser(input: {id: 1}) { id }')}` }),
      400,
    ],
    [
      'fragments that unfold to a billion fields',
      () => {
        const fragments = Array.from(
          { length: 30 },
          (_, index) => `fragment F${index} on User { ...F${index + 1} ...F${index + 1} }`,
        );
        return JSON.stringify({ query: `{ me { ...F0 } } ${fragments.join(' ')} fragment F30 on User { id }` });
      },
      400,
    ],
    [
      '1,000 lists in lists',
      () => JSON.stringify({ query: `{ product(id: ${'['.repeat(1_000)}${']'.repeat(1_000)}) { id } }` }),
      400,
    ],
    ['a body that is no JSON', () => '{ "query": ', 400],
    ['a body without a query', () => '{}', 400],
  ];

  test.each(HUGE)('%s is refused cheaply with a GraphQL error', async (_, body, status) => {
    await expectNoEffect(shop.server, async () => {
      const text = body();
      const answer = await send(text);
      expect(answer).toEqual({ codes: ['VALIDATION'], status, ms: expect.any(Number) });
      // Sent again twenty times it does not keep the gateway busy: an ordinary query still comes through.
      const flood = Promise.all(Array.from({ length: 20 }, () => send(text)));
      const began = performance.now();
      await shop.server.ok('{ me { id } }');
      expect(performance.now() - began).toBeLessThan(5_000);
      await flood;
    });
  });

  test('the same is refused over WebSocket, and the gateway lives on', async () => {
    for (const query of [deep, aliases]) {
      const { messages, state } = collect<unknown>(shop.server.socket(), query);
      const errors = await until(() => messages[0]?.errors ?? (state.error as GraphQLAnswer<unknown>['errors']));
      expect(errors[0]?.extensions.code).toBe('VALIDATION');
    }
    const { state } = collect<unknown>(shop.server.socket(), '{ me { id } }', { x: 'x'.repeat(2_097_152) });
    await until(() => state.error ?? state.completed);
    expect(state.error).toBeDefined();
    expect(await shop.server.ok('{ __typename }')).toEqual({ __typename: 'Query' });
  });
});
