import {
  getOperationAST,
  GraphQLError,
  Kind,
  OperationTypeNode,
  parse,
  validate,
  type DocumentNode,
  type GraphQLSchema,
} from 'graphql';
import type { ServerOptions } from 'graphql-ws';
import { AppError } from '../errors/errors.js';
import { IDENTITY_EXTENSION, IDENTITY_HEADER, type Identity } from '../identity/identity.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { RequestContext } from './context.js';
import { takeCause } from './cause.js';
import { toClientError } from './errors.js';
import { createRequestContext, requestIdOf } from './request.js';
import type { ConnectionParams, SocketExtra } from './websocket.js';

const UNAUTHORIZED = 4401;

interface Extra extends SocketExtra {
  /** Root field of each running subscription, for the gauge. */
  running?: Map<string, string>;
}

interface SubscriptionOptions<C extends RequestContext> {
  readonly service: string;
  readonly schema: GraphQLSchema;
  readonly identify: (token: unknown) => Identity;
  readonly context: (base: RequestContext) => C;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/**
 * graphql-ws hooks of a subgraph. The socket is admitted by the token under IDENTITY_HEADER in the connection parameters
 * (closed with 4401 when there is none, 4403 when it is wrong); each operation runs for the identity in the token under
 * IDENTITY_EXTENSION in its own extensions, so that one socket serves many callers. Both are checked once: a running
 * subscription outlives its token, its resolver checks ownership per event. Subscriptions only.
 */
export function subscriptionHooks<C extends RequestContext>(
  options: SubscriptionOptions<C>,
): ServerOptions<ConnectionParams, SocketExtra> {
  const { service, schema, identify, context, log, metrics } = options;
  const count = (outcome: string) => metrics.requests.inc({ service, operation: 'subscription', outcome });
  const clientErrors = (
    errors: readonly GraphQLError[],
    request: { readonly requestId: string; readonly log: Logger },
  ) => errors.map((error) => toClientError(error, request));
  const ended = (extra: Extra, id: string) => {
    const field = extra.running?.get(id);
    if (field === undefined) return;
    extra.running?.delete(id);
    metrics.subscribers.dec({ service, field });
  };

  return {
    onConnect({ connectionParams, extra }) {
      const token = connectionParams?.[IDENTITY_HEADER];
      if (token === undefined) extra.socket.close(UNAUTHORIZED, 'Unauthorized');
      try {
        identify(token);
        return true;
      } catch {
        return false;
      }
    },

    onSubscribe(_ctx, _id, { query, operationName, variables, extensions }) {
      try {
        const identity = identify(extensions?.[IDENTITY_EXTENSION]);
        const document = parse(query);
        const problems = validate(schema, document);
        if (problems.length > 0) return problems;
        if (getOperationAST(document, operationName)?.operation !== OperationTypeNode.SUBSCRIPTION) {
          return [
            asGraphQLError(
              new AppError('VALIDATION', 'Only subscriptions are served here; queries and mutations go over HTTP.'),
            ),
          ];
        }
        const contextValue = context(createRequestContext(identity, extensions ?? {}, log));
        return {
          schema,
          document,
          operationName: operationName ?? null,
          variableValues: variables ?? null,
          contextValue,
        };
      } catch (error) {
        return [asGraphQLError(error)];
      }
    },

    onOperation({ extra }: { readonly extra: Extra }, id, _payload, { document, operationName }, result) {
      if (!(Symbol.asyncIterator in result)) return;
      count('ok');
      const field = rootField(document, operationName);
      (extra.running ??= new Map()).set(id, field);
      metrics.subscribers.inc({ service, field });
    },

    onNext({ extra }: { readonly extra: Extra }, id, _payload, { contextValue }, { errors, data = null }) {
      const mapped = errors && clientErrors(errors, contextValue as RequestContext);
      const tributary = takeCause(contextValue as RequestContext, mapped && String(mapped[0]?.extensions?.['code']));
      const extensions = tributary && { extensions: { tributary } };
      if (mapped === undefined) return extensions && { data, ...extensions };
      // A subscription that could not begin answers with its errors alone.
      if (extra.running?.has(id) !== true) count(String(mapped[0]?.extensions?.['code']));
      return { data, errors: mapped, ...extensions };
    },

    onError(_ctx, _id, { extensions }, errors) {
      const mapped = clientErrors(errors, { requestId: requestIdOf(extensions ?? {}), log });
      count(String(mapped[0]?.extensions?.['code']));
      return mapped;
    },

    onComplete: ({ extra }, id) => ended(extra, id),

    onDisconnect({ extra }: { readonly extra: Extra }) {
      for (const id of [...(extra.running?.keys() ?? [])]) ended(extra, id);
    },
  };
}

function asGraphQLError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  const originalError = error instanceof Error ? error : new Error(String(error));
  return new GraphQLError(originalError.message, { originalError });
}

function rootField(document: DocumentNode, operationName: string | null | undefined): string {
  const selection = getOperationAST(document, operationName)?.selectionSet.selections[0];
  return selection?.kind === Kind.FIELD ? selection.name.value : 'fragment';
}
