/**
 * Writes subgraphs/<name>/generated/schema-types.ts: the resolver types of a subgraph, from its schema.graphql.
 * `--check` writes nothing and fails when a file is stale.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { codegen } from '@graphql-codegen/core';
import * as typescript from '@graphql-codegen/typescript';
import * as resolvers from '@graphql-codegen/typescript-resolvers';
import { parse } from 'graphql';

const STATES = '../../../shared/events/states.js';
const CONTEXT = '../../../shared/graphql/context.js#RequestContext';

/** What a resolver's parent is, by GraphQL type: the states that events carry, everywhere they appear. */
const MAPPERS = {
  User: 'UserState',
  Product: 'ProductState',
  Order: 'OrderState',
  OrderItem: 'OrderItem',
  OrderPayment: 'OrderPayment',
  OrderHistoryEntry: 'OrderHistoryEntry',
  Account: 'AccountState',
  Transaction: 'TransactionState',
};

/**
 * Per subgraph: `context` is the resolvers' context (`module#Type`, seen from the generated file; RequestContext when
 * absent), `mappers` are further parent types.
 */
const SUBGRAPHS = {
  user: {},
  product: {},
  order: {},
  balance: {},
  query: {
    mappers: {
      Account: '../views.js#AccountDoc',
      UserConnection: '../reads.js#UserPage',
      ProductConnection: '../reads.js#ProductPage',
      OrderConnection: '../reads.js#OrderPage',
      TransactionConnection: '../reads.js#TransactionPage',
    },
  },
};

const HEADER = '// Generated from schema.graphql by `npm run codegen`. Do not edit.\n';

/** The text of a subgraph's generated file. */
async function generate(name, { context = CONTEXT, mappers = {} }) {
  const document = parse(await readFile(`subgraphs/${name}/schema.graphql`, 'utf8'));
  const declared = new Set(document.definitions.map((definition) => definition.name?.value));
  const states = Object.entries(MAPPERS).map(([type, state]) => [
    type,
    `${STATES}#${state}${state === type ? ' as ' + type + 'State' : ''}`,
  ]);
  const used = [...states, ...Object.entries(mappers)].filter(([type]) => declared.has(type));
  const output = await codegen({
    schema: document,
    documents: [],
    filename: `subgraphs/${name}/generated/schema-types.ts`,
    plugins: [{ typescript: {} }, { resolvers: {} }],
    pluginMap: { typescript, resolvers },
    config: {
      federation: true,
      useTypeImports: true,
      enumsAsTypes: true,
      immutableTypes: true,
      skipTypename: true,
      makeResolverTypeCallable: true,
      defaultScalarType: 'unknown',
      strictScalars: true,
      // Amounts are integer cents, instants milliseconds: shared/graphql/scalars.ts turns them into text and back.
      scalars: { Decimal: 'number', DateTime: 'number', JSON: 'unknown', _FieldSet: 'string' },
      // An absent input field arrives as undefined, an explicit null as null: exactOptionalPropertyTypes tells them apart.
      inputMaybeValue: 'T | null | undefined',
      mappers: Object.fromEntries(used),
      contextType: context,
    },
  });
  return `${HEADER}${output.trim()}\n`;
}

const check = process.argv.includes('--check');
const stale = [];
await Promise.all(
  Object.entries(SUBGRAPHS).map(async ([name, options]) => {
    const file = `subgraphs/${name}/generated/schema-types.ts`;
    const [before, after] = await Promise.all([readFile(file, 'utf8').catch(() => ''), generate(name, options)]);
    if (before === after) return;
    stale.push(relative('.', file));
    if (check) return;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, after);
  }),
);
if (check && stale.length > 0) {
  console.error(`Stale, run \`npm run codegen\`: ${stale.sort().join(', ')}`);
  process.exitCode = 1;
} else {
  for (const file of stale.sort()) console.log(`wrote ${file}`);
}
