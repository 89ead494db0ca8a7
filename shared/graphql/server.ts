import { HeaderMap } from '@apollo/server';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GraphQLError, Kind, parse, type GraphQLSchema } from 'graphql';
import type { SubgraphName } from '../config/config.js';
import { registerHealth } from '../http/health.js';
import { close, createHttpApp, listen } from '../http/http.js';
import { IDENTITY_HEADER, verifyIdentity, type Identity } from '../identity/identity.js';
import type { Check, Service, SubgraphDeps } from '../service/service.js';
import { createApollo } from './apollo.js';
import type { RequestContext } from './context.js';
import { errorBody } from './errors.js';
import { createRequestContext } from './request.js';
import { SCALARS } from './scalars.js';
import { subscriptionHooks } from './subscriptions.js';
import { serveWebSocket, type WebSocketEndpoint } from './websocket.js';

export { PortInUse } from '../http/http.js';

/** Where a subgraph serves GraphQL, over HTTP (POST) and WebSocket alike. */
export const GRAPHQL_PATH = '/graphql';

/** A federated fetch names every entity it wants, so requests are larger than a client's may be. */
const BODY_LIMIT = 8 * 1024 * 1024; // 8 MiB

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
  readonly extraRoutes?: (app: FastifyInstance) => void;
}

export interface GraphqlService extends Service {
  /** Base address, such as `http://127.0.0.1:4003`, once started. */
  readonly url: string;
}

/**
 * A subgraph's API. Every call needs an identity token made for this subgraph, introspection and `_entities` included:
 * without one it answers 401 and executes nothing. Errors are mapped by errors.ts. `stop` lets requests in hand finish,
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

  app.post(GRAPHQL_PATH, async (request, reply) => {
    const { status, headers, body } = await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: 'POST', headers: headersOf(request), search: '', body: request.body },
      context: () => new Promise((resolve) => resolve(contextOf(request))),
    });
    if (body.kind !== 'complete') throw new Error('Incremental delivery is not served.');
    for (const [header, value] of headers) void reply.header(header, value);
    return reply.code(status ?? 200).send(body.string);
  });

  let serving = false;
  let stopped: Promise<void> | undefined;
  let sockets: WebSocketEndpoint | undefined;
  let url = '';

  const checks = async (): Promise<readonly Check[]> => [
    { name: 'listener', ok: serving },
    ...((await options.checks?.()) ?? []),
  ];
  registerHealth(app, { name, checks, metrics });
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
