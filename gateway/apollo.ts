import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import { execute, Kind, OperationTypeNode, type FormattedExecutionResult, type OperationDefinitionNode } from 'graphql';
import { errorFormatting } from '../shared/graphql/apollo.js';
import type { Logger } from '../shared/observability/logger.js';
import type { GatewayContext } from './context.js';
import type { Federation } from './federation.js';
import { LIMITS } from './limits.js';

/** More mistakes than that in one document are not looked for. */
export const MAX_VALIDATION_ERRORS = 5;

/** Runs queries and mutations, whichever way they came in. */
export function makeApollo(federation: Federation, log: Logger): ApolloServer<GatewayContext> {
  const errors = errorFormatting(log);
  return new ApolloServer<GatewayContext>({
    gateway: federation.gateway,
    logger: log,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    parseOptions: { maxLexicalTokens: LIMITS.tokens },
    validationOptions: { maxErrors: MAX_VALIDATION_ERRORS },
    formatError: errors.formatError,
    plugins: [
      ApolloServerPluginLandingPageLocalDefault({ embed: { runTelemetry: false }, footer: false }),
      introspection,
      {
        requestDidStart: () =>
          Promise.resolve({
            didEncounterErrors: ({ errors: found, contextValue }) => {
              errors.remember(found, contextValue);
              return Promise.resolve();
            },
          }),
      },
    ],
  });
}

/**
 * Questions about the schema alone are answered by graphql-js: the gateway's own idea of introspection lacks what is
 * newer than itself (`isOneOf`), which tools ask for, and fails on it.
 */
const introspection: ApolloServerPlugin<GatewayContext> = {
  requestDidStart: () =>
    Promise.resolve({
      responseForOperation: async ({ schema, document, operation, request, response: { http } }) => {
        if (!isIntrospection(operation)) return null;
        const result = await execute({
          schema,
          document,
          operationName: request.operationName ?? null,
          variableValues: request.variables ?? null,
        });
        return { http, body: { kind: 'single', singleResult: result as FormattedExecutionResult } };
      },
    }),
};

const isIntrospection = ({ operation, selectionSet }: OperationDefinitionNode): boolean =>
  operation === OperationTypeNode.QUERY &&
  selectionSet.selections.every((selection) => selection.kind === Kind.FIELD && selection.name.value.startsWith('__'));
