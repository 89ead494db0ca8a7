/**
 * The one place that touches what @apollo/gateway keeps to itself: its planner and its two schemas. Both are needed for
 * subscriptions, which the gateway plans but refuses to run. The versions of the four Apollo packages are pinned.
 */
import { ApolloGateway, executeQueryPlan, type GraphQLDataSource } from '@apollo/gateway';
import { operationFromDocument, type Schema } from '@apollo/federation-internals';
import type { QueryPlan, QueryPlanner } from '@apollo/query-planner';
import {
  isScalarType,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLScalarType,
  type GraphQLSchema,
} from 'graphql';
import type { Logger } from '../shared/observability/logger.js';
import type { GatewayContext } from './context.js';

export type OperationContext = Parameters<typeof executeQueryPlan>[3];
export type { GraphQLDataSource, QueryPlan };

interface Privates {
  readonly apiSchema: Schema;
  readonly supergraphSchema: GraphQLSchema;
  readonly queryPlanner: QueryPlanner;
}

export interface Federation {
  readonly gateway: ApolloGateway;
  readonly sources: Readonly<Record<string, GraphQLDataSource>>;
  /** What clients see. Known once the gateway is loaded, as everything below. */
  schema(): GraphQLSchema;
  plan(document: DocumentNode, operationName: string | null | undefined): QueryPlan;
  /** Runs a plan against the given data sources. */
  run(
    plan: QueryPlan,
    sources: Readonly<Record<string, GraphQLDataSource>>,
    operation: OperationContext,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<ExecutionResult>;
}

/**
 * @param scalars how custom scalars are read: what one of them refuses is refused before anything is executed
 * @param makeSource makes the data source of a subgraph, given the address in the supergraph
 */
export function makeFederation(
  supergraphSdl: string,
  scalars: Readonly<Record<string, GraphQLScalarType>>,
  log: Logger,
  makeSource: (name: string, url: string | undefined) => GraphQLDataSource,
): Federation {
  // Read by the constructor: without it the gateway sends statistics home.
  process.env['APOLLO_TELEMETRY_DISABLED'] = '1';
  const sources: Record<string, GraphQLDataSource> = {};
  const gateway = new ApolloGateway({
    supergraphSdl,
    logger: log,
    validateSupergraph: false,
    __exposeQueryPlanExperimental: false,
    buildService: ({ name, url }) => (sources[name] ??= makeSource(name, url)),
  });
  gateway.onSchemaLoadOrUpdate(({ apiSchema }) => readScalars(apiSchema, scalars));
  const privates = gateway as unknown as Privates;
  return {
    gateway,
    sources,
    schema: () => {
      if (gateway.schema === undefined) throw new Error('The gateway is not loaded yet.');
      return gateway.schema;
    },
    plan: (document, operationName) => {
      const operation = operationFromDocument(
        privates.apiSchema,
        document,
        operationName == null ? {} : { operationName },
      );
      return privates.queryPlanner.buildQueryPlan(operation);
    },
    run: (plan, services, operation, variables, context) => {
      // The executor reads these four members of the many a request has.
      const request = { request: { variables }, context, logger: log, metrics: {} };
      return executeQueryPlan(
        plan,
        services as Record<string, GraphQLDataSource>,
        request as unknown as Parameters<typeof executeQueryPlan>[2],
        operation,
        privates.supergraphSchema,
        privates.apiSchema,
      );
    },
  };
}

/** Input only: answers are not serialized here, they pass as the subgraphs wrote them. */
function readScalars(schema: GraphQLSchema, scalars: Readonly<Record<string, GraphQLScalarType>>): void {
  for (const [name, { parseValue, parseLiteral }] of Object.entries(scalars)) {
    const type = schema.getType(name);
    if (isScalarType(type)) Object.assign(type, { parseValue, parseLiteral });
  }
}
