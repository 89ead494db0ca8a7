import { HeaderMap } from '@apollo/server';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, Kind, parse, type GraphQLSchema } from 'graphql';
import type { SubgraphName } from '../config/config.js';
import { registerHealth } from '../http/health.js';
import { close, createHttpApp, listen } from '../http/http.js';
import { IDENTITY_HEADER, verifyIdentity, type Identity } from '../identity/identity.js';
import { failureOf, tracer, type Span } from '../observability/tracing.js';
import type { Check, Service, SubgraphDeps } from '../service/service.js';
import { within } from '../time/within.js';
import { createApollo } from './apollo.js';
import type { RequestContext } from './context.js';
import { errorBody } from './errors.js';
import { createRequestContext, DEBUG_HEADER, millisecondsLeft, TRACEPARENT_HEADER } from './request.js';
import { SCALARS } from './scalars.js';
import { subscriptionHooks } from './subscriptions.js';
import { serveWebSocket, type WebSocketEndpoint } from './websocket.js';

export { PortInUse } from '../http/http.js';

/** Where a subgraph serves GraphQL, over HTTP (POST) and WebSocket alike. */
export const GRAPHQL_PATH = '/graphql';

/** A federated fetch names every entity it wants, so requests are larger than a client's may be. */
const BODY_LIMIT = 8 * 1024 * 1024; // 8 MiB

/** Longer than that nobody waits to hear how old an answer is. */
const STALENESS_WITHIN_MS = 500; // half a second
const NOTHING = Promise.resolve(undefined);

export interface GraphqlServiceOptions<C extends RequestContext> {
  /** `order-api`. */
  readonly name: string;
  /** Audience of the identity tokens it takes, and prefix of its port's variable. */
  readonly subgraph: SubgraphName;
  /** 0 takes any free port; `url` tells which. */
  readonly port: number;
  /** The text of schema.graphql. */
  readonly typeDefs: string;
  /** `Resolvers` of the generated types. Scalars are added here. */
  readonly resolvers: object;
  readonly deps: Pick<SubgraphDeps, 'config' | 'identitySecret' | 'log' | 'metrics' | 'now'>;
  /** What resolvers get beyond the request: called once per request, or once per subscription. */
  readonly context?: (base: RequestContext) => C;
  /** What the service depends on, for /readyz. */
  readonly checks?: () => Promise<readonly Check[]>;
  /** Whether to serve subscriptions over graphql-ws. */
  readonly websocket?: boolean | { readonly maxPayload?: number };
  /** How far behind its answers are; told to callers that ask with DEBUG_HEADER, in `extensions.tributary`. */
  readonly staleness?: () => Promise<Staleness>;
  readonly extraRoutes?: (app: FastifyInstance) => void;
}

/** What the views lack of the log. */
export interface Staleness {
  /** Records that are not yet in them. */
  readonly records: number;
  /** How long the oldest of those has been in the log, in milliseconds: 0 when there is none, null when it is unknown. */
  readonly milliseconds: number | null;
}

export interface GraphqlService extends Service {
  /** Base address, such as `http://127.0.0.1:4003`, once started. */
  readonly url: string;
}

/**
 * A subgraph's API. Every call needs an identity token made for this subgraph, introspection and `_entities` included:
 * without one it answers 401 and executes nothing. Errors are mapped by errors.ts. A caller that says how long it waits
 * (DEADLINE_HEADER) is answered 504 by then, whatever becomes of what it asked for. `stop` lets requests in hand finish,
 * closes idle connections at once and WebSockets with 1001. Runs once: a stopped service does not start again.
 */
export function createGraphqlService<C extends RequestContext = RequestContext>(
  options: GraphqlServiceOptions<C>,
): GraphqlService {
  const { name, subgraph, deps } = options;
  const { config, identitySecret, metrics, now } = deps;
  const log = deps.log.child({ service: name });
  const schema = buildSchema(options.typeDefs, options.resolvers);
  const context = options.context ?? ((base: RequestContext) => base as C);
  const identify = (token: unknown) => verifyIdentity(token, subgraph, identitySecret, now());
  const apollo = createApollo<C>(schema, name, { log, metrics });
  const app = createHttpApp({ log, bodyLimit: BODY_LIMIT, errorBody });

  const identityOf = (request: FastifyRequest): Identity => {
    try {
      return identify(request.headers[IDENTITY_HEADER]);
    } catch (error) {
      metrics.requests.inc({ service: name, operation: 'unknown', outcome: 'UNAUTHENTICATED' });
      throw unauthenticated(error);
    }
  };
  const contextOf = (request: FastifyRequest): C =>
    context(createRequestContext(identityOf(request), request.headers, log));

  /** An answer does not wait long for what it says besides, and does not fail of it. */
  const stalenessNow = () =>
    within(STALENESS_WITHIN_MS, options.staleness?.() ?? NOTHING, () => undefined).catch(() => undefined);

  /** A span around the answer, under the caller's. */
  const traced = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const span = startSpan(name, request);
    if (span === undefined) return serve(request, reply);
    let failure: string | undefined;
    try {
      return await serve(request, reply);
    } catch (error) {
      failure = failureOf(error);
      throw error;
    } finally {
      span.set('http.response.status_code', reply.statusCode);
      span.end(failure ?? (reply.statusCode >= 500 ? String(reply.statusCode) : undefined));
    }
  };

  const serve = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const said: { staleness?: Staleness | undefined } = {};
    const running = apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: 'POST', headers: headersOf(request), search: '', body: request.body },
      context: async () => {
        const made = contextOf(request);
        // Before anything is read: what follows can only be newer than it says.
        if (request.headers[DEBUG_HEADER] === '1') said.staleness = await stalenessNow();
        return made;
      },
    });
    const left = millisecondsLeft(request.headers);
    const answer = await (left === undefined ? running : within(left, running, () => undefined));
    if (answer === undefined) return reply.code(504).send(errorBody('UNAVAILABLE', 'The caller waits no longer.'));
    const { status, headers, body } = answer;
    if (body.kind !== 'complete') throw new Error('Incremental delivery is not served.');
    for (const [header, value] of headers) void reply.header(header, value);
    const text = said.staleness === undefined ? body.string : withExtension(body.string, said);
    return reply.code(status ?? 200).send(text);
  };

  app.post(GRAPHQL_PATH, traced);

  let serving = false;
  let stopped: Promise<void> | undefined;
  let sockets: WebSocketEndpoint | undefined;
  let url = '';

  const checks = async (): Promise<readonly Check[]> => [
    { name: 'listener', ok: serving },
    ...((await options.checks?.()) ?? []),
  ];
  registerHealth(app, { name, checks, metrics, log });
  options.extraRoutes?.(app);

  const stop = async (): Promise<void> => {
    if (!serving) return;
    serving = false;
    await Promise.all([sockets?.close(), close(app)]);
    await apollo.stop();
  };

  return {
    name,
    checks,
    get url() {
      return url;
    },
    async start() {
      await apollo.start();
      if (options.websocket !== undefined && options.websocket !== false) {
        const server = subscriptionHooks({ service: name, schema, identify, context, log, metrics });
        sockets = serveWebSocket(app.server, {
          path: GRAPHQL_PATH,
          log,
          server,
          ...(options.websocket === true ? {} : options.websocket),
        });
      }
      url = await listen(app, { host: config.host, port: options.port, variable: `${subgraph.toUpperCase()}_PORT` });
      serving = true;
    },
    stop: () => (stopped ??= stop()),
  };
}

/** The federated schema, with those of our scalars that it declares. */
function buildSchema(typeDefs: string, resolvers: object): GraphQLSchema {
  const document = parse(typeDefs);
  const declared = new Set(
    document.definitions.map((definition) =>
      definition.kind === Kind.SCALAR_TYPE_DEFINITION ? definition.name.value : '',
    ),
  );
  const scalars = Object.fromEntries(Object.entries(SCALARS).filter(([scalar]) => declared.has(scalar)));
  return buildSubgraphSchema([{ typeDefs: document, resolvers: { ...scalars, ...resolvers } }]);
}

/** Begins the span of a request, whose context is then the span's; undefined when tracing is off. */
function startSpan(service: string, { headers, body }: FastifyRequest): Span | undefined {
  if (tracer === undefined) return undefined;
  const { operationName } = (body ?? {}) as { readonly operationName?: unknown };
  const span = tracer.start(`${service} POST ${GRAPHQL_PATH}`, 'server', headers[TRACEPARENT_HEADER] as string, {
    'http.request.method': 'POST',
    'http.route': GRAPHQL_PATH,
    'url.path': GRAPHQL_PATH,
    ...(typeof operationName === 'string' && { 'graphql.operation.name': operationName }),
  });
  headers[TRACEPARENT_HEADER] = span.traceparent;
  return span;
}

/** An answer with one more thing under `extensions.tributary`. */
function withExtension(text: string, extension: object): string {
  const { extensions, ...answer } = JSON.parse(text) as { readonly extensions?: object };
  return JSON.stringify({ ...answer, extensions: { ...extensions, tributary: extension } });
}

/** Only what Apollo looks at: Fastify has already parsed the body by its content type. */
function headersOf({ headers }: FastifyRequest): HeaderMap {
  const map = new HeaderMap([['content-type', 'application/json']]);
  if (headers.accept !== undefined) map.set('accept', headers.accept);
  return map;
}

/** Makes Apollo answer 401 instead of its 500 for a context that could not be made. */
const unauthenticated = (error: unknown): GraphQLError => {
  const originalError = error instanceof Error ? error : new Error(String(error));
  return new GraphQLError(originalError.message, { originalError, extensions: { http: { status: 401 } } });
};
