import type { IncomingHttpHeaders, Server as HttpServer } from 'node:http';
import type { ApolloServer } from '@apollo/server';
import {
  GraphQLError,
  OperationTypeNode,
  type ExecutionArgs,
  type ExecutionResult,
  type FormattedExecutionResult,
  type GraphQLSchema,
} from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { AppError } from '../../shared/errors/errors.js';
import { toClientError } from '../../shared/graphql/errors.js';
import { createRequestContext, requestIdOf } from '../../shared/graphql/request.js';
import {
  serveWebSocket,
  type ConnectionParams,
  type SocketExtra,
  type WebSocketEndpoint,
} from '../../shared/graphql/websocket.js';
import type { Identity } from '../../shared/identity/identity.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Authenticate, GatewayContext } from '../context.js';
import type { Documents } from '../documents.js';
import { LIMITS, variablesOverLimit } from '../limits.js';
import type { PreparedSubscription, SubscriptionExecutor } from './execute.js';
import { StreamFailed } from './stream.js';
import type { Upstream } from './upstream.js';

export const SOCKET_DEFAULTS = {
  /** Operations of one socket at a time. */
  operationsPerSocket: 100,
  /** Events that wait for a client that reads slowly. */
  maxWaiting: 1_000,
  /** How long a subgraph may be away before its subscribers are told. */
  resumeWithinMs: 30_000, // 30 seconds
};

export type SocketOptions = typeof SOCKET_DEFAULTS;

/** A client that sends and never reads is cut off when that much waits for it. */
const MAX_UNSENT_BYTES = 16_777_216; // 16 MiB

/** Queries and mutations in hand get that long at shutdown. */
const FINISH_WITHIN_MS = 2_000; // 2 seconds

export interface ClientSocketDeps {
  readonly path: string;
  readonly log: Logger;
  readonly authenticate: Authenticate;
  readonly allows: (headers: IncomingHttpHeaders) => boolean;
  readonly documents: Documents;
  readonly apollo: ApolloServer<GatewayContext>;
  /** What clients see. */
  readonly schema: () => GraphQLSchema;
  readonly executor: SubscriptionExecutor;
  readonly upstreamOf: (subgraph: string) => Upstream;
  readonly options: SocketOptions;
}

interface Session extends SocketExtra {
  identity?: Identity;
}

interface SessionContext {
  readonly extra: Session;
  readonly connectionParams?: Readonly<ConnectionParams>;
  readonly subscriptions: Readonly<Record<string, unknown>>;
}

/** What an operation takes along through graphql-ws, as its context value. */
interface Operation {
  readonly source: string;
  readonly context: GatewayContext;
  readonly subscription: PreparedSubscription | undefined;
}

/**
 * graphql-transport-ws for clients: subscriptions, and queries and mutations through the same execution as over HTTP.
 * Apollo Server knows nothing of these sockets, so limits, Origin check and error mapping are applied here.
 */
export class ClientSockets {
  private readonly deps: ClientSocketDeps;
  private readonly endpoint: WebSocketEndpoint;
  private readonly inHand = new Set<Promise<unknown>>();
  private stopping = false;

  constructor(server: HttpServer, deps: ClientSocketDeps) {
    this.deps = deps;
    this.endpoint = serveWebSocket(server, {
      path: deps.path,
      log: deps.log,
      maxPayload: LIMITS.bodyBytes,
      accept: ({ headers }) => !this.stopping && deps.allows(headers),
      server: {
        onConnect: (context: SessionContext) => this.admit(context),
        onPing: ({ extra }) => cutIfDeaf(extra),
        onSubscribe: (context: SessionContext, _id, payload) => this.accept(context, payload),
        execute: (args) => this.execute(args),
        subscribe: (args) => this.subscribe(args),
        // Mapped already; graphql-ws by itself would call toJSON on every error.
        onNext: (_context, _id, _payload, _args, result) => result as FormattedExecutionResult,
        onError: (_context, _id, { extensions }, errors) => {
          const context = { requestId: requestIdOf(extensions ?? {}), log: deps.log };
          return errors.flatMap(causesOf).map((error) => toClientError(error, context));
        },
      },
    });
  }

  /** How many are open. */
  get size(): number {
    return this.endpoint.connections();
  }

  /** Lets queries and mutations in hand finish, then says goodbye to everybody (1001): clients connect again elsewhere. */
  async stop(): Promise<void> {
    this.stopping = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, FINISH_WITHIN_MS)));
    await Promise.race([Promise.allSettled(this.inHand), late]);
    clearTimeout(timer);
    await this.endpoint.close();
  }

  /** False closes the socket with 4403. */
  private async admit({ extra, connectionParams }: SessionContext): Promise<boolean> {
    const { authenticate, log } = this.deps;
    try {
      const { headers } = extra.request;
      extra.identity = await authenticate({ headers, ...(connectionParams !== undefined && { connectionParams }) });
      return true;
    } catch (error) {
      if (!(error instanceof AppError)) log.error({ err: error }, 'authentication failed unexpectedly');
      return false;
    }
  }

  private accept(
    { extra, subscriptions }: SessionContext,
    { query, operationName, variables, extensions }: SubscribePayload,
  ): ExecutionArgs | readonly GraphQLError[] {
    const { documents, executor, schema, log, options } = this.deps;
    cutIfDeaf(extra);
    try {
      if (this.stopping) throw new AppError('UNAVAILABLE', 'The gateway is shutting down; connect again.');
      if (extra.identity === undefined) throw new Error('Only admitted sockets get here.');
      // graphql-ws has already counted this one.
      if (Object.keys(subscriptions).length > options.operationsPerSocket) {
        throw new AppError('RATE_LIMITED', `A socket carries ${options.operationsPerSocket} operations at a time.`);
      }
      const tooDeep = variablesOverLimit(variables);
      if (tooDeep !== undefined) return [tooDeep];
      const { document, operation } = documents.parse(query, operationName);
      const subscription =
        operation.operation === OperationTypeNode.SUBSCRIPTION
          ? executor.prepare(document, operationName, variables ?? {})
          : undefined;
      if (isErrors(subscription)) return subscription;
      const context = createRequestContext(extra.identity, extensions ?? {}, log);
      const contextValue: Operation = { source: query, context, subscription };
      return {
        schema: schema(),
        document,
        operationName: operationName ?? null,
        variableValues: variables ?? {},
        contextValue,
      };
    } catch (error) {
      return [asError(error)];
    }
  }

  private subscribe({ contextValue }: ExecutionArgs): AsyncGenerator<ExecutionResult> {
    const { executor, upstreamOf, options } = this.deps;
    const { subscription, context } = contextValue as Operation;
    if (subscription === undefined) throw new Error('A subscription is prepared before it is opened.');
    const { maxWaiting, resumeWithinMs } = options;
    const upstream = upstreamOf(subscription.plan.subgraph);
    const results = executor.open({ ...subscription, context, upstream, maxWaiting, resumeWithinMs });
    return results as AsyncGenerator<ExecutionResult>;
  }

  private async execute({ contextValue, variableValues, operationName }: ExecutionArgs): Promise<ExecutionResult> {
    const { source, context } = contextValue as Operation;
    const running = this.deps.apollo.executeOperation(
      {
        query: source,
        ...(variableValues != null && { variables: { ...variableValues } }),
        ...(operationName != null && { operationName }),
      },
      { contextValue: context },
    );
    this.inHand.add(running);
    try {
      const { body } = await running;
      if (body.kind !== 'single') throw new Error('Incremental delivery is not on offer.');
      return body.singleResult as ExecutionResult;
    } catch (error) {
      const result: FormattedExecutionResult = { errors: [toClientError(error, context)] };
      return result as ExecutionResult;
    } finally {
      this.inHand.delete(running);
    }
  }
}

function cutIfDeaf({ socket }: SocketExtra): void {
  if (socket.bufferedAmount > MAX_UNSENT_BYTES) socket.terminate();
}

const isErrors = (value: unknown): value is readonly GraphQLError[] => Array.isArray(value);

const asError = (error: unknown): GraphQLError =>
  error instanceof GraphQLError
    ? error
    : new GraphQLError('', { originalError: error instanceof Error ? error : new Error(String(error)) });

/** The errors a stream ended on, as the subgraph sent them, or the error itself. */
const causesOf = (error: GraphQLError): readonly GraphQLError[] =>
  error.originalError instanceof StreamFailed
    ? error.originalError.errors.map(
        ({ message, path, extensions }) =>
          new GraphQLError(message, { path: path ?? null, extensions: extensions ?? null }),
      )
    : [error];
