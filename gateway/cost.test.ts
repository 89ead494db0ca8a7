import { expect, test } from '@jest/globals';
import { buildSchema } from 'graphql';
import { Costs } from './cost.js';
import { Documents } from './documents.js';

const schema = buildSchema(`
  type Query { me: User, users(first: Int = 20, after: String): UserConnection!, tags: [String!]!, friends(first: Int): [User!] }
  type UserConnection { edges: [UserEdge!]!, nodes: [User!]!, totalCount: Int }
  type UserEdge { node: User!, cursor: String! }
  type User { id: ID!, name: String, orders(first: Int = 20): OrderConnection!, accounts: [Account!]! }
  type OrderConnection { nodes: [Order!]! }
  type Order { id: ID!, items: [Item!]! }
  type Item { id: ID! }
  type Account { id: ID! }
`);

function costOf(query: string, variables: Record<string, unknown> = {}): number {
  const { document, operation } = new Documents().parse(query, null);
  return new Costs().of(schema, document, operation, variables);
}

test.each<[string, number]>([
  ['{ me { id name } }', 3],
  ['{ tags }', 1],
  ['{ me { accounts { id } } }', 2 + 10],
  ['{ users { nodes { id } } }', 1 + 20 * 2],
  ['{ users(first: 5) { edges { cursor node { id } } totalCount } }', 1 + 5 * (1 + 3 + 1)],
  ['{ friends(first: 3) { id } }', 1 + 3],
  ['{ friends { id } }', 1 + 10],
  ['{ users(first: 0) { nodes { id } } }', 1],
  [
    '{ users(first: 10) { nodes { orders(first: 10) { nodes { items { id } } } } } }',
    1 + 10 * (1 + 1 + 10 * (1 + 1 + 10)),
  ],
  ['{ me { ...A ...A } } fragment A on User { accounts { id } }', 1 + 2 * 11],
  ['{ me { ... { ... on User { accounts { id } } } } }', 1 + 11],
  ['{ me { ...A } } fragment A on User { id ...A }', 2],
  ['{ nothing { of(first: 100) { this } } }', 3],
])('%s costs %i', (query, cost) => {
  expect(costOf(query)).toBe(cost);
});

test('a list of as many as a variable says counts by that, by its default, or by that of the argument', () => {
  const query = 'query ($n: Int = 4, $m: Int) { a: friends(first: $n) { id } b: users(first: $m) { totalCount } }';
  expect(costOf(query)).toBe(2 + 4 + 20);
  expect(costOf(query, { n: 7, m: 2 })).toBe(2 + 7 + 2);
  expect(costOf(query, { n: null, m: -1 })).toBe(2 + 4 + 0);
  expect(costOf(query, { n: 2 ** 31, m: 1.5 })).toBe(costOf(query));
});

test('fragments in circles and towers of fragments without fields are measured in no time', () => {
  const tower = Array.from({ length: 60 }, (_, i) => `fragment F${i} on User { ...F${i + 1} ...F${i + 1} }`).join(' ');
  expect(costOf(`{ me { ...F0 } } ${tower} fragment F60 on User { ...F0 }`)).toBe(1);
});

test('what was worked out for one schema does not count for another', () => {
  const costs = new Costs();
  const { document, operation } = new Documents().parse('{ tags { x } }', null);
  expect(costs.of(buildSchema('type Query { tags: T } type T { x: Int }'), document, operation, {})).toBe(2);
  expect(costs.of(buildSchema('type Query { tags: [T] } type T { x: Int }'), document, operation, {})).toBe(11);
});
