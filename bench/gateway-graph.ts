/** The graph that gateways are measured on, and what is asked of it. */
import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])';

export const CATALOGUE_SDL = `${LINK}
  type Product @key(fields: "id") { id: ID!, name: String!, price: Float!, tags: [String!]! }
  type Query { product(id: ID!): Product, products(first: Int!): [Product!]! }
  type Mutation { rename(id: ID!, name: String!): Product! }`;

export const STOCK_SDL = `${LINK}
  type Product @key(fields: "id") { id: ID!, stock: Int!, reviews: [Review!]! }
  type Review { id: ID!, body: String!, rating: Int! }`;

export type Places = Readonly<Record<'catalogue' | 'stock', string>>;

export function supergraphOf({ catalogue, stock }: Places): string {
  const { supergraphSdl, errors } = composeServices([
    { name: 'catalogue', url: catalogue, typeDefs: parse(CATALOGUE_SDL) },
    { name: 'stock', url: stock, typeDefs: parse(STOCK_SDL) },
  ]);
  if (supergraphSdl === undefined) throw new Error(errors.map(({ message }) => message).join('\n'));
  return supergraphSdl;
}

export const SCENARIOS = [
  { name: 'one hop', query: '{ product(id: "7") { id name price tags } }' },
  { name: 'two hops', query: '{ product(id: "7") { id name price stock reviews { id body rating } } }' },
  { name: 'list of 50 with entities', query: '{ products(first: 50) { id name price stock } }' },
  { name: 'mutation with a hop', query: 'mutation { rename(id: "7", name: "new") { id name stock } }' },
] as const;

const product = (id: string, name = `Product ${id}`) => ({ id, name, price: 9.5, tags: ['a', 'b'] });

export const catalogueResolvers = {
  Query: {
    product: (_: unknown, { id }: { id: string }) => product(id),
    products: (_: unknown, { first }: { first: number }) =>
      Array.from({ length: first }, (_item, index) => product(String(index))),
  },
  Mutation: { rename: (_: unknown, { id, name }: { id: string; name: string }) => product(id, name) },
};

export const stockResolvers = {
  Product: {
    __resolveReference: ({ id }: { id: string }) => ({
      id,
      stock: Number(id) + 1,
      reviews: [1, 2, 3].map((rating) => ({ id: `${id}-${rating}`, body: 'Does what it says.', rating })),
    }),
  },
};
