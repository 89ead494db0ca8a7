import { readFile } from 'node:fs/promises';
import { beforeAll, expect, test } from '@jest/globals';
import { getOperationAST, Kind, OperationTypeNode, parse, specifiedRules, validate } from 'graphql';
import { SCALARS } from '../../shared/graphql/scalars.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { makeFederation, type Federation } from '../federation.js';
import { measure } from '../limits.js';
import { SubscriptionPlanner } from '../subscriptions/plan.js';
import { Upstream } from '../subscriptions/upstream.js';
import { OPERATIONS } from './operations.js';

let federation: Federation;
beforeAll(async () => {
  const sdl = await readFile('supergraph.graphql', 'utf8');
  federation = makeFederation(sdl, SCALARS, silentLogger(), ({ name }) => ({
    source: { process: () => Promise.resolve({}) },
    upstream: new Upstream(
      name,
      'ws://nowhere.invalid',
      { connectionParams: () => ({}), extensions: () => ({}) },
      silentLogger(),
    ),
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }));
});

const named = OPERATIONS.map((operation) => {
  const document = parse(operation.query);
  const node = getOperationAST(document);
  return [node?.name?.value ?? '', { ...operation, document, node }] as const;
});

test.each(named)('%s is valid against the supergraph, within the limits, and has its variables', (_name, ready) => {
  const { document, node, variables = {} } = ready;
  expect(validate(federation.current().schema, document, specifiedRules)).toEqual([]);
  expect(() => measure(document)).not.toThrow();
  const declared = (node?.variableDefinitions ?? []).map(({ variable }) => variable.name.value);
  expect(declared).toEqual(expect.arrayContaining(Object.keys(variables)));
  for (const { variable, type, defaultValue } of node?.variableDefinitions ?? []) {
    if (type.kind === Kind.NON_NULL_TYPE && defaultValue === undefined)
      expect(variables).toHaveProperty(variable.name.value);
  }
});

test('names are unique: they title the tabs', () => {
  expect(new Set(named.map(([name]) => name)).size).toBe(OPERATIONS.length);
});

test.each([
  ['orderStatusChanged', 'cursor'],
  ['balanceChanged', 'cursor'],
  ['stockChanged', 'latest'],
])('%s can be resumed: %s', (field, resumption) => {
  const planner = new SubscriptionPlanner(new Set(['stockChanged']));
  const plans = named
    .filter(([, { node }]) => node?.operation === OperationTypeNode.SUBSCRIPTION)
    .map(([, { document }]) => planner.plan(federation.current(), document, undefined));
  expect(plans).toEqual(expect.arrayContaining([expect.objectContaining({ subgraph: 'query', field, resumption })]));
});
