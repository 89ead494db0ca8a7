import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import type { GraphQLError, GraphQLSchema } from 'graphql';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { RequestContext } from './context.js';
import { toClientError, type ErrorContext } from './errors.js';
import { requestIdOf } from './request.js';

/** A subgraph's Apollo Server: nothing that reports, caches or shows pages; parsed documents are kept. */
export function createApollo<C extends RequestContext>(
  schema: GraphQLSchema,
  service: string,
  { log, metrics }: { readonly log: Logger; readonly metrics: Metrics },
): ApolloServer<C> {
  const errors = errorFormatting(log);
  return new ApolloServer<C>({
    schema,
    introspection: true,
    csrfPrevention: false,
    persistedQueries: false,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    logger: log,
    formatError: errors.formatError,
    plugins: [
      requestPlugin(service, metrics, errors.remember),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
    ],
  });
}

/**
 * `formatError` for Apollo Server, which does not tell it the request: `remember` notes the errors of a request first.
 */
export function errorFormatting(log: Logger) {
  const contexts = new WeakMap<object, ErrorContext>();
  return {
    remember: (errors: readonly GraphQLError[], context: ErrorContext): void => {
      for (const error of errors) contexts.set(error, context);
    },
    formatError: (_formatted: unknown, error: unknown) => {
      const known = typeof error === 'object' && error !== null ? contexts.get(error) : undefined;
      return toClientError(error, known ?? { requestId: requestIdOf({}), log });
    },
  };
}

/** Counts and times every operation; one plugin, since each of Apollo's hooks costs an await. */
export function requestPlugin<C extends RequestContext>(
  service: string,
  metrics: Metrics,
  remember: (errors: readonly GraphQLError[], context: ErrorContext) => void,
): ApolloServerPlugin<C> {
  return {
    requestDidStart: () => {
      const stopTimer = metrics.requestSeconds.startTimer({ service });
      return Promise.resolve({
        didEncounterErrors: ({ errors, contextValue }) => {
          remember(errors, contextValue);
          return Promise.resolve();
        },
        willSendResponse: ({ operation, response }) => {
          const type = operation?.operation ?? 'unknown';
          const failure = response.body.kind === 'single' ? response.body.singleResult.errors?.[0] : undefined;
          const outcome = failure === undefined ? 'ok' : String(failure.extensions?.['code']);
          metrics.requests.inc({ service, operation: type, outcome });
          stopTimer({ operation: type });
          return Promise.resolve();
        },
      });
    },
  };
}
