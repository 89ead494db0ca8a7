/** The one place where errors become GraphQL errors. What is not meant for clients is masked and logged. */
import { GraphQLError, Kind, type GraphQLFormattedError } from 'graphql';
import { AppError, ERROR_CODES, type ErrorCode } from '../errors/errors.js';
import type { Logger } from '../observability/logger.js';
import { fieldOf } from './field-path.js';

/** The request an error belongs to. */
export interface ErrorContext {
  readonly requestId: string;
  readonly log: Logger;
}

/** Apollo Server's own codes for requests it will not run: all of them are mistakes of the client. */
const REQUEST_CODES: ReadonlySet<unknown> = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
]);

const isErrorCode = (code: unknown): code is ErrorCode => (ERROR_CODES as readonly unknown[]).includes(code);

/**
 * The error as clients see it, `extensions.code` always one of ERROR_CODES:
 * - an AppError gives its code, message, field and details; thrown by a scalar, it gets the path of its input field;
 * - an error another subgraph has already mapped passes, without what the gateway added to it;
 * - what graphql-js says of a request it cannot run is VALIDATION, with the field where there is one;
 * - the rest is INTERNAL: message and stack go to the log, the client gets the request id.
 */
export function toClientError(error: unknown, { requestId, log }: ErrorContext): GraphQLFormattedError {
  const graphql = error instanceof GraphQLError ? error : undefined;
  const app = appErrorIn(error);
  if (app !== undefined && app.code !== 'INTERNAL') {
    if (app.code === 'UNAVAILABLE') log.warn({ err: app }, 'unavailable');
    const field = graphql !== undefined && isRequestError(graphql) ? fieldOf(graphql) : app.field;
    return located(graphql, app.message, { ...app.details, code: app.code, ...(field !== undefined && { field }) });
  }
  const code = graphql?.extensions['code'];
  if (graphql !== undefined && isErrorCode(code) && code !== 'INTERNAL') {
    const { serviceName, stacktrace, http, ...extensions } = graphql.extensions;
    return located(graphql, graphql.message, extensions);
  }
  if (graphql !== undefined && (REQUEST_CODES.has(code) || (code === undefined && isRequestError(graphql)))) {
    const field = fieldOf(graphql);
    return located(graphql, graphql.message, { code: 'VALIDATION', ...(field !== undefined && { field }) });
  }
  log.error({ err: rootOf(error), requestId }, 'unexpected error');
  const message = `Something went wrong on our side. Name request ${requestId} when you report it.`;
  return located(graphql, message, { code: 'INTERNAL', requestId });
}

/** For answers that never reached GraphQL: a body that is too large, a route that is not there. */
export const errorBody = (code: ErrorCode, message: string) => ({ errors: [{ message, extensions: { code } }] });

function located(
  error: GraphQLError | undefined,
  message: string,
  extensions: Record<string, unknown>,
): GraphQLFormattedError {
  return {
    message,
    ...(error?.locations !== undefined && { locations: error.locations }),
    ...(error?.path !== undefined && { path: error.path }),
    extensions,
  };
}

const originalOf = (error: unknown): unknown => (error instanceof GraphQLError ? error.originalError : undefined);

function rootOf(error: unknown): unknown {
  const original = originalOf(error);
  return original === undefined ? error : rootOf(original);
}

function appErrorIn(error: unknown): AppError | undefined {
  const root = rootOf(error);
  return root instanceof AppError ? root : undefined;
}

/**
 * Whether graphql-js made the error from the request itself. Before execution such errors have a place in the document
 * and no path; an argument refused during execution names the argument's node, anything else there the field's.
 */
function isRequestError(error: GraphQLError): boolean {
  const root = rootOf(error);
  if (!(root instanceof GraphQLError || root instanceof AppError) || error.locations === undefined) return false;
  return error.path === undefined || error.nodes?.[0]?.kind !== Kind.FIELD;
}
