import { buildOperationContext, executeQueryPlan } from '@apollo/gateway';
import { operationFromDocument, Supergraph } from '@apollo/federation-internals';
import { QueryPlanner } from '@apollo/query-planner';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse, validate, type ExecutionResult } from 'graphql';
import { composeSupergraph, readSubgraphs } from '../ops/compose.mjs';
import { silentLogger } from '../shared/observability/logger.js';
import type { GatewayContext } from './context.js';
import { Executor } from './executor.js';
import { randomOperation, randomWorld, withoutUnusedVariables, type Faults } from './executor-world.js';

const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@external", "@requires", "@provides", "@inaccessible"])';

/** Everything that makes plans interesting, on three subgraphs. */
const SHOP = [
  {
    name: 'catalogue',
    sdl: `${LINK}
      interface Node { id: ID! }
      interface Sold implements Node { id: ID!, name: String, price(net: Boolean): Float }
      type Size @shareable { width: Int!, height: Int }
      type Info @shareable { one: Int, two: String, list: [Int] }
      type Product implements Node & Sold @key(fields: "id") {
        id: ID!, name: String, price(net: Boolean): Float, tags: [String!], size: Size, info: Info @shareable, parts: [[Part!]]
        related(first: Int): [Product], parent: Product!, owner: User
      }
      type Book implements Node & Sold @key(fields: "id") {
        id: ID!, name: String, price(net: Boolean): Float, title: String!, author: User!, genre: Genre
      }
      type Note { id: ID!, name: Int, text: String!, about: Product }
      type Part @key(fields: "id") { id: ID!, label: String }
      enum Genre { NOVEL POEM SECRET @inaccessible }
      union Result = Product | Book | Note
      type User @key(fields: "id") { id: ID! }
      type Query {
        products(first: Int): [Product!]!, product(id: ID): Product, node(id: ID): Node, sold: [Sold!]
        search(text: String): [Result], grid: [[Product]!], self: Query
      }`,
  },
  {
    name: 'stock',
    sdl: `${LINK}
      type Size @shareable { width: Int!, height: Int }
      type Info @shareable { one: Int, three: String, list: [Int] }
      type Product @key(fields: "id") {
        id: ID!, size: Size @external, name: String @external
        weight: Float!, stock: Int, info: Info @shareable, shipping(express: Boolean): String @requires(fields: "name size { width }")
        reviews(first: Int): [Review!]
      }
      type Book @key(fields: "id") { id: ID!, stock: Int!, reviews(first: Int): [Review] }
      type Part @key(fields: "id") { id: ID!, left: Int, of: Product }
      type Review { id: ID!, body: String, by: User, grid: [[User]], rating: Int! }
      type User @key(fields: "id") { id: ID! }
      type Query { reviews: [Review] }`,
  },
  {
    name: 'people',
    sdl: `${LINK}
      type User @key(fields: "id") { id: ID!, name: String!, email: String, friends: [User!], favourite: Product, role: Role }
      enum Role { GUEST MEMBER }
      type Product @key(fields: "id") { id: ID! }
      type Query { me: User, users: [User!] }`,
  },
];

const context = { requestId: 'r', log: silentLogger() } as unknown as GatewayContext;

async function prepare(subgraphs: readonly { readonly name: string; readonly sdl: string }[]) {
  const sdl = composeSupergraph(subgraphs.map((one) => ({ ...one, url: 'http://nowhere.invalid' })));
  const supergraph = Supergraph.build(sdl, { validateSupergraph: true });
  const apiSchema = supergraph.apiSchema();
  const schema = apiSchema.toGraphQLJSSchema();
  const supergraphSchema = supergraph.schema.toGraphQLJSSchema();
  const planner = new QueryPlanner(supergraph);
  const executor = new Executor(supergraphSchema);
  return {
    schema,
    /** Compares what both executors make of an operation, each with a world of its own that answers alike. */
    both(text: string) {
      const document = parse(text);
      const operation = buildOperationContext({ schema, operationDocument: document });
      const plan = planner.buildQueryPlan(operationFromDocument(apiSchema, document));
      const variables = { yes: true, upper: false };
      return async (seed: string, faults: Faults): Promise<void> => {
        const ours = randomWorld(subgraphs, seed, faults);
        const theirs = randomWorld(subgraphs, seed, faults);
        const request = { request: { variables }, context: {}, logger: silentLogger(), metrics: {} };
        const stock = await executeQueryPlan(
          plan,
          theirs.sources as never,
          request as never,
          operation,
          supergraphSchema,
          apiSchema,
        );
        const result = await executor.run(plan, ours.sources, operation, variables, context);
        expectSame(result, stock);
        expect(ours.asked.length).toBeLessThanOrEqual(theirs.asked.length);
      };
    },
  };
}

function expectSame(result: ExecutionResult, stock: ExecutionResult): void {
  expect(plain(result.data)).toEqual(plain(stock.data));
  const gaps = stock.extensions?.['valueCompletion'];
  if (gaps === undefined) expect(messages(result)).toEqual(expect.arrayContaining(messages(stock)));
  else expect(result.errors?.length).toBeGreaterThan(0);
  if (stock.errors === undefined && gaps === undefined) expect(result.errors).toBeUndefined();
  for (const { path } of result.errors ?? []) {
    if (path !== undefined) expect([path, leadsToNull(result.data, path)]).toEqual([path, true]);
  }
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

const messages = ({ errors = [] }: ExecutionResult): string[] => errors.map(({ message }) => message).sort();

/** Whether the path ends at a null, or at a null on the way to it. */
function leadsToNull(data: unknown, path: readonly (string | number)[]): boolean {
  let value = data;
  for (const element of path) {
    if (value == null) return true;
    value = (value as Record<string | number, unknown>)[element];
  }
  return value == null;
}

const picks = fc.array(fc.nat(1_000), { minLength: 400, maxLength: 400 });
const worlds = [
  { name: 'answers in order', faults: { nulls: 0, lost: 0 } },
  { name: 'nulls, errors and unknown entities', faults: { nulls: 12, lost: 0 } },
  { name: 'values lost on the way', faults: { nulls: 5, lost: 3 } },
];

describe.each([
  ['a graph of three subgraphs', () => prepare(SHOP)],
  ['our own graph', async () => prepare(await readSubgraphs())],
])('%s', (_graph, make) => {
  const graph = make();

  test.each(worlds)("$name come out as from Apollo's own executor", async ({ faults }) => {
    const { schema, both } = await graph;
    await fc.assert(
      fc.asyncProperty(picks, fc.string({ maxLength: 8 }), async (numbers, seed) => {
        let position = 0;
        const text = withoutUnusedVariables(
          randomOperation(schema, (below) => (numbers[position++ % numbers.length] ?? 0) % below),
        );
        fc.pre(validate(schema, parse(text)).length === 0);
        const compare = both(text);
        // Planning is what takes long.
        for (const world of ['a', 'b', 'c', 'd']) await compare(`${seed}${world}`, faults);
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });
});
