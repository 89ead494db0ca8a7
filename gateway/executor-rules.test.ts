import { expect, test } from '@jest/globals';
import { operationFromDocument, Supergraph } from '@apollo/federation-internals';
import { QueryPlanner } from '@apollo/query-planner';
import { getOperationAST, parse, type ExecutionResult } from 'graphql';
import { composeSupergraph } from '../ops/compose.mjs';
import { silentLogger } from '../shared/observability/logger.js';
import type { GatewayContext } from './context.js';
import { Executor, type SubgraphAnswer, type SubgraphRequest } from './executor.js';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@inaccessible"])';
const url = 'http://nowhere.invalid';
const supergraph = Supergraph.build(
  composeSupergraph([
    {
      name: 'shop',
      url,
      sdl: `${LINK}
        type Item @key(fields: "id") { id: ID!, name: String! }
        interface Thing { id: ID! }
        type Open implements Thing { id: ID! }
        type Hidden implements Thing @inaccessible { id: ID! }
        enum Colour { RED BLACK @inaccessible }
        type Query { items: [Item], item(id: ID): Item, must: Item!, thing: Thing, colour: Colour, flag: Boolean }
        type Mutation { change: Item }`,
    },
    { name: 'stock', url, sdl: `${LINK} type Item @key(fields: "id") { id: ID!, stock: Int!, note: String }` },
  ]),
);
const apiSchema = supergraph.apiSchema();
const schema = apiSchema.toGraphQLJSSchema();
const planner = new QueryPlanner(supergraph);
const executor = new Executor(supergraph.schema.toGraphQLJSSchema());
const context = { requestId: 'r', log: silentLogger() } as unknown as GatewayContext;

type Answers = Readonly<Record<string, (request: SubgraphRequest) => SubgraphAnswer>>;

async function run(source: string, answers: Answers, variables: Record<string, unknown> = {}) {
  const document = parse(source);
  const operation = getOperationAST(document);
  if (operation == null) throw new Error('There is no operation.');
  const plan = planner.buildQueryPlan(operationFromDocument(apiSchema, document));
  const asked: SubgraphRequest[] = [];
  const sources = Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      {
        process: async ({ request }: { readonly request: SubgraphRequest }) => {
          asked.push(request);
          return structuredClone(await Promise.resolve(answer(request)));
        },
      },
    ]),
  );
  const result = await executor.run(plan, sources, { schema, operation, fragments: {} }, variables, context);
  return { ...plain(result), asked };
}

const plain = ({ data, errors }: ExecutionResult) => ({
  data,
  errors: errors?.map(({ message, path }) => ({ message, path })),
});

const item = (id: string) => ({ __typename: 'Item', id, name: `item ${id}` });
/** Answers for every representation that it is sent. */
const stockOf: Answers['stock'] = ({ variables }) => ({
  data: { _entities: (variables['representations'] as { id: string }[]).map(({ id }) => ({ stock: Number(id) })) },
});

test('an entity that a list has twice is asked for once, and is complete in both places', async () => {
  const shop = () => ({ data: { items: [item('1'), item('2'), null, item('1')] } });
  const { data, asked } = await run('{ items { id stock } }', { shop, stock: stockOf ?? shop });
  expect(data).toEqual({ items: [{ id: '1', stock: 1 }, { id: '2', stock: 2 }, null, { id: '1', stock: 1 }] });
  expect(asked[1]?.variables['representations']).toHaveLength(2);
  expect(JSON.parse(asked[1]?.body ?? '')).toMatchObject({ query: asked[1]?.query, variables: asked[1]?.variables });
});

test('two fetches of one plan that ask the same are one call', async () => {
  const shop = () => ({ data: { a: item('1'), b: item('1') } });
  const query = 'query Both { a: item(id: "1") { stock } b: item(id: "1") { stock } }';
  const { data, asked } = await run(query, { shop, stock: stockOf ?? shop });
  expect(data).toEqual({ a: { stock: 1 }, b: { stock: 1 } });
  expect(asked).toHaveLength(2);
});

test('an error of an entity has its path in each place of the answer that wanted it', async () => {
  const shop = () => ({ data: { items: [item('2'), item('1'), item('2')] } });
  const stock = () => ({
    data: {
      _entities: [
        { stock: 2, note: null },
        { stock: 1, note: 'n' },
      ],
    },
    errors: [{ message: 'No note.', path: ['_entities', 0, 'note'] }],
  });
  const { data, errors } = await run('{ items { note } }', { shop, stock });
  expect(data).toEqual({ items: [{ note: null }, { note: 'n' }, { note: null }] });
  const error = { message: 'No note.' };
  expect(errors).toEqual([
    { ...error, path: ['items', 0, 'note'] },
    { ...error, path: ['items', 2, 'note'] },
  ]);
});

test('what may not be null makes null what it is in, and is an error when nothing else explains it', async () => {
  const shop = () => ({ data: { items: [{ ...item('1'), name: null }, item('2')] } });
  const { data, errors } = await run('{ items { name } }', { shop });
  expect(data).toEqual({ items: [null, { name: 'item 2' }] });
  expect(errors).toEqual([{ message: 'String! must not be null.', path: ['items', 0, 'name'] }]);
});

test('a null that an error explains is told once, up to the whole answer', async () => {
  const shop = () => ({ data: null, errors: [{ message: 'Broken.', path: ['must'] }] });
  const { data, errors } = await run('{ must { name } }', { shop });
  expect([data, errors]).toEqual([null, [{ message: 'Broken.', path: ['must'] }]]);
});

test('one subgraph that fails costs its own fields only', async () => {
  const shop = () => ({ data: { item: item('1') } });
  const stock = () => {
    throw new Error('down');
  };
  const { data, errors } = await run('{ item { id name note } }', { shop, stock });
  expect(data).toEqual({ item: { id: '1', name: 'item 1', note: null } });
  expect(errors).toEqual([{ message: 'down', path: ['item'] }]);
});

test.each([
  ['a type', '{ thing { id } }', { thing: { __typename: 'Hidden', id: '1' } }, { thing: null }],
  ['a value of an enum', '{ colour }', { colour: 'BLACK' }, { colour: null }],
  ['a leaf of another type', '{ flag }', { flag: 'yes' }, { flag: null }],
  ['an object for a list', '{ items { id } }', { items: item('1') }, { items: null }],
])('%s that clients may not see is null, with an error', async (_name, query, answer, expected) => {
  const { data, errors } = await run(query, { shop: () => ({ data: answer }) });
  expect(data).toEqual(expected);
  expect(errors).toHaveLength(1);
});

test('names of fields that every object has are as good as others', async () => {
  const shop = () => ({
    data: JSON.parse('{"toString":true,"__proto__":{"__typename":"Item","id":"7"}}') as object as never,
  });
  const { data } = await run('{ toString: flag __proto__: item { id } constructor: flag }', { shop });
  expect(JSON.stringify(data)).toBe('{"toString":true,"__proto__":{"id":"7"},"constructor":null}');
});

test('what is skipped is neither asked for nor answered', async () => {
  const shop = () => ({ data: { item: item('1') } });
  const query =
    'query ($more: Boolean!, $less: Boolean = true) { item { id @skip(if: $less) name note @include(if: $more) } }';
  const { data, errors, asked } = await run(query, { shop, stock: stockOf ?? shop }, { more: false });
  expect([data, errors]).toEqual([{ item: { name: 'item 1' } }, undefined]);
  expect(asked).toHaveLength(1);
});

test('questions about the schema stand beside others', async () => {
  const shop = () => ({ data: { flag: true } });
  const { data } = await run('{ __typename flag __type(name: "Item") { name } }', { shop });
  expect(data).toEqual({ __typename: 'Query', flag: true, __type: { name: 'Item' } });
});
