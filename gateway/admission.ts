import { GraphQLError, OperationTypeNode, type GraphQLSchema } from 'graphql';
import { AppError, validationError } from '../shared/errors/errors.js';
import type { Carrier } from '../shared/graphql/request.js';
import type { Identity } from '../shared/identity/identity.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Metrics } from '../shared/observability/metrics.js';
import { OpenSockets } from './addresses.js';
import { clientKeyOf, createGatewayContext, type GatewayContext } from './context.js';
import { Costs } from './cost.js';
import type { DebugSettings } from './debug.js';
import type { Documents, ParsedOperation } from './documents.js';
import { variablesOverLimit } from './limits.js';
import { PersistedQueries } from './persisted-queries.js';
import type { RateLimits } from './rate-limits.js';

/** What a client asks for, as it came: a JSON body, an address read into one, the payload of a `subscribe` message. */
export interface Asked {
  readonly query?: unknown;
  readonly operationName?: unknown;
  readonly variables?: unknown;
  readonly extensions?: unknown;
}

/** Who asks, and from where: see addresses.ts. */
export interface Asking {
  readonly identity: Identity;
  readonly address: string;
}

/** An operation that keeps the limits and has been counted. Not yet validated. */
export interface AdmittedOperation extends ParsedOperation {
  readonly source: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly context: GatewayContext;
}

export interface AdmissionSettings {
  /** What an operation may cost: see cost.ts. */
  readonly maxCost: number;
  /** Whether clients may ask about the schema. */
  readonly introspection: boolean;
  readonly requestTimeoutMs: number;
  readonly socketsPerAddress: number;
  /** Nobody when absent. */
  readonly debug?: DebugSettings;
}

export interface AdmissionDeps extends AdmissionSettings {
  /** What clients see now. */
  readonly schema: () => GraphQLSchema;
  readonly documents: Documents;
  readonly rateLimits: RateLimits;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'requests'>;
}

/**
 * Points of an operation in the rate limit, of a mutation for each of its fields, which are transactions of their own. A
 * costly one has a point more for each thousand of its cost.
 */
const POINTS = { query: 1, subscription: 2, mutation: 5 } as const;
const COST_PER_POINT = 1_000;

/** The one door for operations, over HTTP, WebSocket and SSE alike. Whatever is refused is refused before anything is run. */
export class Admission {
  private readonly deps: AdmissionDeps;
  private readonly persisted = new PersistedQueries();
  private readonly costs = new Costs();
  private readonly sockets: OpenSockets;

  constructor(deps: AdmissionDeps) {
    this.deps = deps;
    this.sockets = new OpenSockets(deps.socketsPerAddress);
  }

  /**
   * Parses, measures and counts an operation; its time runs from now. What is refused counts as a query.
   * @param carrier headers of the request, or `extensions` of the WebSocket operation: request id and trace
   * @throws GraphQLError or AppError: VALIDATION for what cannot be read or is over a limit, RATE_LIMITED with
   *   `retryAfter` in seconds, PERSISTED_QUERY_NOT_FOUND
   */
  async admit(asked: Asked, { identity, address }: Asking, carrier: Carrier): Promise<AdmittedOperation> {
    const { rateLimits, requestTimeoutMs: timeoutMs, log, metrics, debug } = this.deps;
    const client = clientKeyOf(identity, address);
    try {
      let points = 1;
      try {
        const read = this.read(asked);
        points = read.points;
        const context = createGatewayContext({ identity, address, timeoutMs, ...(debug && { debug }) }, carrier, log);
        return { ...read.operation, context };
      } finally {
        // Also what cannot be read: a client that is over its limit is told so before anything else.
        await rateLimits.admit(client, points);
      }
    } catch (error) {
      metrics.requests.inc({ service: 'gateway', operation: 'unknown', outcome: codeOf(error) });
      throw error;
    }
  }

  /**
   * Counts a WebSocket or an SSE stream of an address.
   * @returns to be called when it is closed; more than once does no harm
   * @throws AppError RATE_LIMITED with `retryAfter` when the address has as many as it may
   */
  openSocket(address: string): () => void {
    return this.sockets.take(address);
  }

  /** Counts a client that could not be authenticated, so that guessing is limited. @throws AppError RATE_LIMITED */
  countRefused(address: string): Promise<void> {
    return this.deps.rateLimits.admit(`address:${address}`);
  }

  private read(asked: Asked) {
    const { schema, maxCost, introspection } = this.deps;
    const operationName = textOrNothing(asked.operationName, 'operationName');
    const variables = objectOrNothing(asked.variables, 'variables') ?? {};
    const extensions = objectOrNothing(asked.extensions, 'extensions');
    const tooDeep = variablesOverLimit(variables);
    if (tooDeep !== undefined) throw tooDeep;
    const persisted = extensions?.['persistedQuery'];
    const source = this.sourceOf(asked.query, persisted);
    const parsed = this.deps.documents.parse(source, operationName);
    const { document, operation, introspects } = parsed;
    if (introspects && !introspection) throw refusal('Questions about the schema are not answered here.');
    const cost = this.costs.of(schema(), document, operation, variables);
    if (cost > maxCost) throw refusal(`The operation costs ${Math.round(cost)}; ${maxCost} are allowed.`);
    if (persisted != null) this.persisted.remember(source, persisted);
    const times = isMutation(parsed) ? (parsed.rootFields.get(operation) ?? 1) : 1;
    const points = POINTS[operation.operation] * times + Math.floor(cost / COST_PER_POINT);
    return { operation: { ...parsed, source, operationName, variables }, points };
  }

  private sourceOf(query: unknown, persisted: unknown): string {
    // Empty where a protocol asks for one, as graphql-transport-ws does, and the client has only the hash.
    const given = textOrNothing(query, 'query') || undefined;
    if (persisted != null) return this.persisted.resolve(given, persisted);
    if (given === undefined) throw validationError('query', 'There is no query.');
    return given;
  }
}

export const isMutation = ({ operation }: ParsedOperation): boolean =>
  operation.operation === OperationTypeNode.MUTATION;

export const isSubscription = ({ operation }: ParsedOperation): boolean =>
  operation.operation === OperationTypeNode.SUBSCRIPTION;

const refusal = (message: string): GraphQLError => new GraphQLError(message, { extensions: { code: 'VALIDATION' } });

const codeOf = (error: unknown): string => {
  if (error instanceof AppError) return error.code;
  return error instanceof GraphQLError ? 'VALIDATION' : 'INTERNAL';
};

function textOrNothing(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw validationError(field, `${field} must be a string.`);
}

function objectOrNothing(value: unknown, field: string): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw validationError(field, `${field} must be an object.`);
}
