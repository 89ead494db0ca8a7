/** Federation 2 as others write it: subgraphs with every directive compose, plan, and answer rightly through the gateway. */
import { afterEach, expect, test } from '@jest/globals';
import { getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import { LINK, startForeign, startForeignGraph, type ForeignGraph, type ForeignSpec } from './tiny-subgraphs.js';

const running: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop();
});

/** Starts subgraphs and a gateway over them. `calls` tells what a subgraph was asked, and forgets it. */
async function start(...specs: readonly ForeignSpec[]) {
  const subgraphs = await Promise.all(specs.map(startForeign));
  running.push(...subgraphs);
  const graph: ForeignGraph = await startForeignGraph(subgraphs);
  running.push(graph);
  const calls = (name: string): string[] =>
    subgraphs
      .find((subgraph) => subgraph.name === name)!
      .calls.splice(0)
      .map(({ query }) => query);
  return { ask: (query: string, variables?: Record<string, unknown>) => graph.ask(query, variables), calls, subgraphs };
}

type Reference = Readonly<Record<string, unknown>>;
const itself = (reference: Reference): Reference => reference;

const catalogue: ForeignSpec = {
  name: 'catalogue',
  sdl: `${LINK('@key', '@shareable', '@tag', '@inaccessible')}
    type Product @key(fields: "id") @key(fields: "sku region { code }") @tag(name: "public") {
      id: ID!
      sku: String!
      region: Region!
      name: String! @shareable @tag(name: "search")
      weight: Int!
      cost: Int! @inaccessible
    }
    type Region @shareable { code: String! }
    type Query { product(id: ID!): Product, products: [Product!]! }
  `,
  resolvers: {
    Query: {
      product: (_: unknown, { id }: { id: string }) => productOf(id),
      products: () => ['1', '2'].map(productOf),
    },
    Product: {
      __resolveReference: ({ id, sku }: { id?: string; sku?: string }) => productOf(id ?? sku?.slice(4) ?? ''),
    },
  },
};

const productOf = (id: string) => ({
  id,
  sku: `sku-${id}`,
  region: { code: 'pt' },
  name: `Product ${id}`,
  weight: Number(id) * 100,
  cost: 7,
});

test('@requires: a field gets what it needs of another subgraph, hidden and nested fields too', async () => {
  const { ask, calls } = await start(catalogue, {
    name: 'shipping',
    sdl: `${LINK('@key', '@external', '@requires', '@shareable')}
      type Product @key(fields: "id") {
        id: ID!
        weight: Int! @external
        cost: Int! @external
        region: Region! @external
        shipping(express: Boolean = false): Int! @requires(fields: "weight cost")
        carrier: String! @requires(fields: "region { code }")
      }
      type Region @shareable { code: String! }
    `,
    resolvers: {
      Product: {
        shipping: ({ weight, cost }: { weight: number; cost: number }, { express }: { express: boolean }) =>
          weight + cost + (express ? 1000 : 0),
        carrier: ({ region }: { region: { code: string } }) => `carrier of ${region.code}`,
      },
    },
  });
  expect(await ask('{ products { fast: shipping(express: true) slow: shipping carrier } }')).toEqual({
    data: {
      products: [
        { fast: 1107, slow: 107, carrier: 'carrier of pt' },
        { fast: 1207, slow: 207, carrier: 'carrier of pt' },
      ],
    },
  });
  expect(calls('shipping')).toHaveLength(1);
});

test('@key: an entity is found by any of its keys, compound and nested ones too', async () => {
  const { ask } = await start(catalogue, {
    name: 'shelves',
    sdl: `${LINK('@key', '@shareable')}
      type Shelf { label: String!, product: Product! }
      type Product @key(fields: "sku region { code }", resolvable: false) { sku: String!, region: Region! }
      type Region @shareable { code: String! }
      type Query { shelves: [Shelf!]! }
    `,
    resolvers: {
      Query: { shelves: () => [{ label: 'A', product: { sku: 'sku-2', region: { code: 'pt' } } }] },
    },
  });
  expect(await ask('{ shelves { label product { id name } } }')).toEqual({
    data: { shelves: [{ label: 'A', product: { id: '2', name: 'Product 2' } }] },
  });
});

test('@provides and @external: what a subgraph gives on one path is not fetched a second time', async () => {
  const { ask, calls } = await start(
    { ...catalogue, sdl: catalogue.sdl.replace('weight: Int!', 'weight: Int! @shareable') },
    {
      name: 'orders',
      sdl: `${LINK('@key', '@external', '@provides')}
        type Line { quantity: Int!, product: Product! @provides(fields: "weight") }
        type Product @key(fields: "id") { id: ID!, weight: Int! @external, lines: [Line!]! }
        type Query { lines: [Line!]! }
      `,
      resolvers: {
        Query: { lines: () => [{ quantity: 2, product: { id: '1', weight: 100 } }] },
        Product: { lines: ({ id }: { id: string }) => [{ quantity: 3, product: { id, weight: 300 } }] },
      },
    },
  );
  expect(await ask('{ lines { quantity product { id weight } } }')).toEqual({
    data: { lines: [{ quantity: 2, product: { id: '1', weight: 100 } }] },
  });
  expect(calls('catalogue')).toEqual([]);
  expect(await ask('{ lines { product { weight name } } }')).toEqual({
    data: { lines: [{ product: { weight: 100, name: 'Product 1' } }] },
  });
  expect(calls('catalogue')).toHaveLength(1);
});

test('@inaccessible and @tag: hidden fields and types are not there for clients, tags change nothing', async () => {
  const { ask } = await start(catalogue);
  const { errors } = await ask('{ product(id: "1") { cost } }');
  expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining('cost') as unknown })]);
  const { data } = await ask(getIntrospectionQuery());
  const schema = (data as unknown as IntrospectionQuery).__schema;
  expect(JSON.stringify(schema)).not.toMatch(/cost|join__|link__|inaccessible|"tag"/);
  expect(schema.types.map(({ name }) => name)).toContain('Product');
  expect(await ask('{ product(id: "1") { name } }')).toEqual({ data: { product: { name: 'Product 1' } } });
});

test('@override: a field comes from the subgraph that took it over', async () => {
  const { ask, calls } = await start(catalogue, {
    name: 'names',
    sdl: `${LINK('@key', '@override')}
      type Product @key(fields: "id") { id: ID!, weight: Int! @override(from: "catalogue") }
    `,
    resolvers: { Product: { weight: () => 9 } },
  });
  expect(await ask('{ product(id: "1") { weight name } }')).toEqual({
    data: { product: { weight: 9, name: 'Product 1' } },
  });
  expect(calls('catalogue').join()).not.toContain('weight');
  expect(calls('names')).toHaveLength(1);
});

const media: ForeignSpec = {
  name: 'media',
  sdl: `${LINK('@key')}
    interface Media @key(fields: "id") { id: ID!, title: String! }
    type Book implements Media @key(fields: "id") { id: ID!, title: String!, pages: Int! }
    type Film implements Media @key(fields: "id") { id: ID!, title: String!, minutes: Int! }
    union Found = Book | Film
    type Query { media: [Media!]!, search: [Found!]! }
  `,
  resolvers: {
    Query: { media: () => ['b1', 'f1'].map(mediaOf), search: () => ['f2', 'b2'].map(mediaOf) },
    Media: {
      __resolveReference: ({ id }: { id: string }) => mediaOf(id),
      __resolveType: ({ __typename }: { __typename: string }) => __typename,
    },
    Book: { __resolveReference: ({ id }: { id: string }) => mediaOf(id) },
    Film: { __resolveReference: ({ id }: { id: string }) => mediaOf(id) },
  },
};

const mediaOf = (id: string) =>
  id.startsWith('b')
    ? { __typename: 'Book', id, title: `Book ${id}`, pages: 100 }
    : { __typename: 'Film', id, title: `Film ${id}`, minutes: 90 };

test('@interfaceObject: a subgraph adds a field to every implementation, and finds out which one it has', async () => {
  const { ask } = await start(media, {
    name: 'ratings',
    sdl: `${LINK('@key', '@interfaceObject')}
      type Media @key(fields: "id") @interfaceObject { id: ID!, stars: Int! }
      type Query { best: Media!, rated: [Media!]! }
    `,
    resolvers: {
      Query: { best: () => ({ id: 'f1' }), rated: () => [{ id: 'b1' }, { id: 'f1' }] },
      Media: { __resolveReference: itself, stars: ({ id }: { id: string }) => (id.startsWith('b') ? 3 : 5) },
    },
  });
  expect(await ask('{ media { __typename title stars ... on Film { minutes stars } } }')).toEqual({
    data: {
      media: [
        { __typename: 'Book', title: 'Book b1', stars: 3 },
        { __typename: 'Film', title: 'Film f1', stars: 5, minutes: 90 },
      ],
    },
  });
  expect(await ask('{ best { __typename id stars title } rated { ... on Book { pages } stars } }')).toEqual({
    data: {
      best: { __typename: 'Film', id: 'f1', stars: 5, title: 'Film f1' },
      rated: [{ pages: 100, stars: 3 }, { stars: 5 }],
    },
  });
});

test('interfaces and unions are completed per type, under aliases, fragments and conditions', async () => {
  const { ask } = await start(media, {
    name: 'prices',
    sdl: `${LINK('@key')}
      type Book @key(fields: "id") { id: ID!, price: Int! }
      type Film @key(fields: "id") { id: ID!, price: Int! }
    `,
    resolvers: {
      Book: { __resolveReference: itself, price: () => 10 },
      Film: { __resolveReference: itself, price: () => 20 },
    },
  });
  const query = `
    query ($cheap: Boolean!) {
      found: search { kind: __typename ... on Film { costs: price } ...book }
    }
    fragment book on Book { costs: price @skip(if: $cheap) pages @include(if: $cheap) }
  `;
  expect(await ask(query, { cheap: true })).toEqual({
    data: {
      found: [
        { kind: 'Film', costs: 20 },
        { kind: 'Book', pages: 100 },
      ],
    },
  });
  expect(await ask(query, { cheap: false })).toEqual({
    data: {
      found: [
        { kind: 'Film', costs: 20 },
        { kind: 'Book', costs: 10 },
      ],
    },
  });
});

test('@shareable: a field that several have comes from the one at hand, and value types are put together', async () => {
  const { ask, calls } = await start(catalogue, {
    name: 'search',
    sdl: `${LINK('@key', '@shareable')}
      type Product @key(fields: "id") { id: ID!, name: String! @shareable }
      type Query { find: [Product!]! }
    `,
    resolvers: {
      Query: { find: () => [{ id: '1', name: 'from search' }] },
      Product: { __resolveReference: ({ id }: { id: string }) => ({ id, name: 'from search' }) },
    },
  });
  expect(await ask('{ find { id name } }')).toEqual({ data: { find: [{ id: '1', name: 'from search' }] } });
  expect(calls('catalogue')).toEqual([]);
});

test('@composeDirective: directives of others are kept in the supergraph and harm nobody', async () => {
  const cached: ForeignSpec = {
    name: 'cached',
    sdl: `
      extend schema
        @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@composeDirective"])
        @link(url: "https://example.com/cached/v1.0", import: ["@cached"])
        @composeDirective(name: "@cached")
      directive @cached(seconds: Int!) on FIELD_DEFINITION
      type Query { time: Int! @cached(seconds: 5) }
    `,
    resolvers: { Query: { time: () => 12 } },
  };
  const { ask } = await start(catalogue, cached);
  expect(await ask('{ time product(id: "1") { name } }')).toEqual({
    data: { time: 12, product: { name: 'Product 1' } },
  });
});

test.each([
  [
    'context',
    `${LINK('@key', '@context', '@fromContext')}
      type Cart @key(fields: "id") @context(name: "cart") { id: ID!, currency: String!, line: Line! }
      type Line @key(fields: "id") { id: ID!, price(currency: String @fromContext(field: "$cart { currency }")): Int! }
      type Query { cart: Cart! }`,
  ],
  ['authenticated', `${LINK('@authenticated')} type Query { secret: String @authenticated }`],
])('a supergraph with the feature %s, which is not served, is refused by its name', async (feature, sdl) => {
  const subgraphs = await Promise.all([{ name: 'one', sdl, resolvers: {} }].map(startForeign));
  running.push(...subgraphs);
  await expect(startForeignGraph(subgraphs)).rejects.toThrow(
    `feature https://specs.apollo.dev/${feature}/v0.1 is for: SECURITY but is unsupported`,
  );
});

test('an entity that its subgraph does not know is null, with everything else there', async () => {
  const { ask } = await start(
    {
      name: 'carts',
      sdl: `${LINK('@key')}
        type Cart { lines: [Line!]! }
        type Line { quantity: Int!, item: Item }
        type Item @key(fields: "id", resolvable: false) { id: ID! }
        type Query { cart: Cart! }
      `,
      resolvers: {
        Query: { cart: () => ({ lines: ['1', 'gone', '1'].map((id, quantity) => ({ quantity, item: { id } })) }) },
      },
    },
    {
      name: 'items',
      sdl: `${LINK('@key')}
        type Item @key(fields: "id") { id: ID!, label: String! }
      `,
      resolvers: {
        Item: { __resolveReference: ({ id }: { id: string }) => (id === 'gone' ? null : { id, label: `Item ${id}` }) },
      },
    },
  );
  const { data } = await ask('{ cart { lines { quantity item { label } } } }');
  expect(data).toEqual({
    cart: {
      lines: [
        { quantity: 0, item: { label: 'Item 1' } },
        { quantity: 1, item: null },
        { quantity: 2, item: { label: 'Item 1' } },
      ],
    },
  });
});

test('a mutation runs its fields one after the other, whichever subgraphs they belong to', async () => {
  const done: string[] = [];
  const writer = (name: string): ForeignSpec => ({
    name,
    sdl: `${LINK('@key')}
      type Thing @key(fields: "id") { id: ID!, ${name}: Int! }
      type Query { ${name}Things: [Thing!]! }
      type Mutation { ${name}Write(n: Int!): Thing! }
    `,
    resolvers: {
      Mutation: {
        [`${name}Write`]: (_: unknown, { n }: { n: number }) => {
          done.push(`${name} ${n}`);
          return { id: String(n), [name]: n };
        },
      },
      Thing: { __resolveReference: ({ id }: { id: string }) => ({ id, [name]: Number(id) }) },
    },
  });
  const { ask } = await start(writer('left'), writer('right'));
  expect(
    await ask('mutation { a: leftWrite(n: 1) { right } b: rightWrite(n: 2) { left } c: leftWrite(n: 3) { id } }'),
  ).toEqual({ data: { a: { right: 1 }, b: { left: 2 }, c: { id: '3' } } });
  expect(done).toEqual(['left 1', 'right 2', 'left 3']);
});

test('every subgraph gets the token made for it, and needs not look at it', async () => {
  const { ask, subgraphs } = await start(catalogue, media);
  await ask('{ products { name } media { title } }');
  const audiences = subgraphs.map(({ name, calls }) => {
    const [claims = ''] = String(calls[0]?.headers['x-tributary-identity']).split('.');
    return [name, (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { aud: string }).aud];
  });
  expect(audiences).toEqual([
    ['catalogue', 'catalogue'],
    ['media', 'media'],
  ]);
});
