/** What the documents name exists: files, tests, commands, operations, metrics. readme.test.ts runs their examples. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { getVariableValues, Kind, parse, validate, type OperationDefinitionNode } from 'graphql';
import { LIMITS } from '../gateway/limits.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { apiSchema } from './api-schema.js';
import { readRequests, substitute, type HttpRequest } from './api-http.js';
import { linksIn } from './markdown.js';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

const isOutside = (target: string): boolean => /^[a-z]+:/.test(target) || target.startsWith('#');

test.each(DOCUMENTS)('every file that %s links to exists', (document) => {
  const missing = linksIn(readFileSync(document, 'utf8'))
    .filter(({ target }) => !isOutside(target))
    .filter(({ target }) => !existsSync(join(dirname(document), target.replace(/#.*/, ''))));
  expect(missing).toEqual([]);
});

test('every guarantee of the README has a test of that name', () => {
  const [, section = ''] = /^## What is guaranteed$([\s\S]*?)^## /m.exec(readFileSync('README.md', 'utf8')) ?? [];
  const cited = linksIn(section).filter(({ target }) => target.endsWith('.ts'));
  expect(cited.length).toBeGreaterThan(10);
  // Names stand in quotes that they may escape.
  const isThere = ({ text, target }: { text: string; target: string }): boolean =>
    readFileSync(target, 'utf8').replaceAll("\\'", "'").includes(text);
  expect(cited.filter((one) => !isThere(one))).toEqual([]);
});

test.each(DOCUMENTS)('every command that %s names exists', (document) => {
  const text = readFileSync(document, 'utf8');
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const missing = [
    ...[...text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)]
      .map(([, run, short]) => run ?? short ?? '')
      .filter((script) => !Object.hasOwn(scripts, script)),
    ...[...text.matchAll(/\bnode (ops\/[\w./-]+)/g)].map(([, file = '']) => file).filter((file) => !existsSync(file)),
  ];
  expect(missing).toEqual([]);
});

test('docs/operations.md lists every metric of ours, and no other', () => {
  const text = readFileSync('docs/operations.md', 'utf8');
  const listed = new Set(text.match(/\btributary_[a-z_]+\b(?=`)/g));
  const ours = createMetrics()
    .registry.getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => name.startsWith('tributary_'));
  // Names of databases look alike.
  const databases = ['tributary_user', 'tributary_product', 'tributary_order', 'tributary_balance'];
  expect([...listed].filter((name) => !databases.includes(name)).sort()).toEqual(ours.sort());
});

test('docs/limits.md tells the limits of the gateway', () => {
  const rows = readFileSync('docs/limits.md', 'utf8').match(/^\| .*\|$/gm) ?? [];
  const { bodyBytes, ...counts } = LIMITS;
  const told = [`${bodyBytes / 2 ** 20} MiB`, ...Object.values(counts).map((limit) => limit.toLocaleString('en-US'))];
  expect(
    told.filter((limit) => !rows.some((row) => row.endsWith(`| ${limit} |`) || row.includes(`| ${limit}  `))),
  ).toEqual([]);
});

interface Operation {
  readonly name: string;
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

/** The GraphQL operation of a request; null for REST. */
function operationOf({ name, method, body }: HttpRequest, values: Readonly<Record<string, string>>): Operation | null {
  if (method === 'GET') return null;
  const text = substitute(body, values);
  const json =
    method === 'POST' ? text : text.slice(text.indexOf('=== wait-for-server') + '=== wait-for-server'.length);
  const parsed = JSON.parse(json) as Partial<Operation> & { payload?: Partial<Operation> };
  const { query = '', variables = {} } = parsed.payload ?? parsed;
  return { name, query, variables };
}

const { requests, variables: VALUES } = readRequests();
const OPERATIONS = requests.map((request) => operationOf(request, VALUES)).filter((one) => one !== null);
const schema = apiSchema();
const definitionOf = (query: string): OperationDefinitionNode => {
  const [definition] = parse(query).definitions;
  if (definition?.kind !== Kind.OPERATION_DEFINITION) throw new Error(`Not an operation: ${query}`);
  return definition;
};

test.each(OPERATIONS)('api.http, $name: the graph accepts operation and variables', ({ query, variables }) => {
  expect(validate(schema, parse(query))).toEqual([]);
  // Values of our scalars are judged by the services: the composed schema takes any.
  expect(getVariableValues(schema, definitionOf(query).variableDefinitions ?? [], variables).errors).toBeUndefined();
});

test('api.http has every query, mutation and subscription; docs/api.md names them', () => {
  const sent = OPERATIONS.flatMap(({ query }) => {
    const { operation, selectionSet } = definitionOf(query);
    return selectionSet.selections.map((field) => `${operation} ${field.kind === Kind.FIELD ? field.name.value : ''}`);
  });
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const offered = roots.flatMap((type) =>
    Object.keys(type?.getFields() ?? {}).map((field) => `${type?.name.toLowerCase()} ${field}`),
  );
  expect([...new Set(sent)].sort()).toEqual(offered.sort());
  const reference = readFileSync('docs/api.md', 'utf8');
  const unnamed = offered.map((field) => field.split(' ')[1]).filter((field) => !reference.includes(`\`${field}\``));
  expect(unnamed).toEqual([]);
});

test('api.http calls every path that is served besides the graph', () => {
  const called = requests.filter(({ method }) => method === 'GET').map(({ url }) => url);
  expect(called).toEqual([
    '{{rest}}/balances/{{eva}}',
    '{{rest}}/accounts/{{eva}}',
    '{{gateway}}/livez',
    '{{gateway}}/readyz',
    '{{gateway}}/healthz',
    '{{gateway}}/metrics',
  ]);
});
