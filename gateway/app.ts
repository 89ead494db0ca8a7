import { fastifyApolloHandler } from '@as-integrations/fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError, OperationTypeNode, type GraphQLScalarType } from 'graphql';
import type { Config } from '../shared/config/config.js';
import { AppError, type ErrorCode } from '../shared/errors/errors.js';
import { errorBody } from '../shared/graphql/errors.js';
import { createRequestContext, REQUEST_ID_HEADER, requestIdOf } from '../shared/graphql/request.js';
import { registerHealth } from '../shared/http/health.js';
import { close, createHttpApp, listen, refuseOtherMethods } from '../shared/http/http.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Metrics } from '../shared/observability/metrics.js';
import type { Check, Service } from '../shared/service/service.js';
import { makeApollo } from './apollo.js';
import type { Authenticate, GatewayContext } from './context.js';
import { SubgraphDataSource } from './data-source.js';
import { Documents } from './documents.js';
import { makeFederation } from './federation.js';
import { registerGraphiql } from './graphiql.js';
import { IdentityTokens } from './identity-tokens.js';
import { LIMITS, variablesOverLimit } from './limits.js';
import { Origins } from './origins.js';
import { SubscriptionExecutor } from './subscriptions/execute.js';
import { SubscriptionPlanner } from './subscriptions/plan.js';
import { ClientSockets, SOCKET_DEFAULTS, type SocketOptions } from './subscriptions/server.js';
import { Upstream } from './subscriptions/upstream.js';

/** Where a subgraph is. */
export interface SubgraphAddress {
  /** `http://127.0.0.1:4003/graphql` */
  readonly url: string;
  /** Its graphql-ws endpoint; the same address under ws: when absent. */
  readonly wsUrl?: string;
}

export interface GatewayDeps {
  readonly config: Pick<Config, 'host' | 'ports'> & Partial<Pick<Config, 'demoExposed'>>;
  readonly identitySecret: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly supergraphSdl: string;
  /** Addresses by subgraph; they win over those in the supergraph. */
  readonly subgraphs: Readonly<Record<string, SubgraphAddress>>;
  readonly authenticate: Authenticate;
  /** How custom scalars are read, by name. Others are passed on as they are, for the subgraphs to refuse. */
  readonly scalars?: Readonly<Record<string, GraphQLScalarType>>;
  /** Web pages that may call the gateway, besides its own and Apollo Sandbox: `https://shop.example`. */
  readonly allowedOrigins?: readonly string[];
  /** Subscriptions of which only the newest event counts, so that slow clients may skip some; `stockChanged` when absent. */
  readonly latestValueFields?: readonly string[];
  readonly sockets?: Partial<SocketOptions>;
}

export interface Gateway extends Service {
  /** Base address, `http://127.0.0.1:4000`, once started. */
  readonly url: string;
  /** Open WebSockets of clients. */
  readonly clientSockets: number;
}

const PATH = '/graphql';

/** The gateway: GraphQL over HTTP and WebSocket at `/graphql`, Sandbox on the same address, GraphiQL at `/graphiql`. */
export function buildGateway(deps: GatewayDeps): Gateway {
  const { config, log, metrics, now } = deps;
  const tokens = new IdentityTokens(deps.identitySecret, now);
  const addresses = new Map(Object.entries(deps.subgraphs));
  const sources = new Map<string, SubgraphDataSource>();
  const upstreams = new Map<string, Upstream>();
  const documents = new Documents();
  // In demo mode a page from anywhere that gets through would act as the administrator, wherever we listen.
  const origins = new Origins(config.demoExposed === true ? '127.0.0.1' : config.host, deps.allowedOrigins);

  const federation = makeFederation(deps.supergraphSdl, deps.scalars ?? {}, log, (name, declared) => {
    const address = addresses.get(name) ?? { url: declared ?? '' };
    addresses.set(name, address);
    const source = new SubgraphDataSource(name, address.url, tokens);
    sources.set(name, source);
    return source;
  });
  const upstreamOf = (name: string): Upstream => {
    const known = upstreams.get(name);
    if (known !== undefined) return known;
    const address = addresses.get(name);
    if (address === undefined) throw new Error(`The supergraph has no subgraph ${name}.`);
    const upstream = new Upstream(name, address.wsUrl ?? address.url.replace(/^http/, 'ws'), tokens, log);
    upstreams.set(name, upstream);
    return upstream;
  };
  const apollo = makeApollo(federation, log, metrics);
  const app = createHttpApp({ log, bodyLimit: LIMITS.bodyBytes, errorBody });

  let sockets: ClientSockets | undefined;
  let url = '';
  let stopped: Promise<void> | undefined;

  const checks = (): Promise<readonly Check[]> =>
    Promise.all(
      [...sources].map(async ([name, source]): Promise<Check> => {
        try {
          await source.ping();
          return { name, ok: true };
        } catch {
          return { name, ok: false, detail: `The ${name} service does not answer.` };
        }
      }),
    );

  return {
    name: 'gateway',
    get url() {
      return url;
    },
    get clientSockets() {
      return sockets?.size ?? 0;
    },
    checks,
    start: async () => {
      await apollo.start();
      registerHealth(app, { name: 'gateway', checks, metrics });
      registerBrowserRules(app, origins);
      registerGraphiql(app, PATH);
      app.get('/', (_request, reply) => reply.redirect(PATH));
      app.route({
        method: ['GET', 'POST'],
        url: PATH,
        handler: fastifyApolloHandler(apollo, {
          context: (request) => admit(request, deps, documents),
        }),
      });
      refuseOtherMethods(app, PATH, ['GET', 'POST']);
      const planner = new SubscriptionPlanner(federation, new Set(deps.latestValueFields ?? ['stockChanged']));
      sockets = new ClientSockets(app.server, {
        path: PATH,
        log,
        authenticate: deps.authenticate,
        allows: ({ origin, host }) => origins.allows(origin, host),
        documents,
        apollo,
        schema: () => federation.schema(),
        executor: new SubscriptionExecutor(federation, planner, metrics),
        upstreamOf,
        options: { ...SOCKET_DEFAULTS, ...deps.sockets },
      });
      url = await listen(app, { host: config.host, port: config.ports.gateway, variable: 'GATEWAY_PORT' });
    },
    stop: () => {
      stopped ??= (async () => {
        await sockets?.stop();
        await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
        await close(app);
        await apollo.stop();
        await Promise.all([...sources.values()].map((source) => source.close()));
      })();
      return stopped;
    },
  };
}

/**
 * Who asks, after a look at what is asked for: limits are refused before Apollo Server parses anything.
 * Rejects with a GraphQLError that carries its HTTP status.
 */
async function admit(
  request: FastifyRequest,
  { authenticate, log }: GatewayDeps,
  documents: Documents,
): Promise<GatewayContext> {
  const { query, operationName, variables } = ((request.method === 'GET' ? request.query : request.body) ??
    {}) as Asked;
  const tooDeep = variablesOverLimit(request.method === 'GET' ? parsed(variables) : variables);
  if (tooDeep !== undefined) throw withStatus(400, 'VALIDATION', tooDeep.message);
  if (typeof query === 'string' && query !== '') {
    const name = typeof operationName === 'string' ? operationName : undefined;
    const { operation } = parseOr400(documents, query, name);
    if (operation.operation === OperationTypeNode.SUBSCRIPTION) {
      throw withStatus(400, 'VALIDATION', `Subscriptions are served over WebSocket (graphql-transport-ws) at ${PATH}.`);
    }
  }
  try {
    return createRequestContext(await authenticate({ headers: request.headers }), request.headers, log);
  } catch (error) {
    if (error instanceof AppError) throw withStatus(STATUS[error.code] ?? 500, error.code, error.message);
    throw error;
  }
}

interface Asked {
  readonly query?: unknown;
  readonly operationName?: unknown;
  readonly variables?: unknown;
}

/** Variables as they stand in an address. What is no JSON is left for Apollo Server to refuse. */
function parsed(variables: unknown): unknown {
  if (typeof variables !== 'string') return undefined;
  try {
    return JSON.parse(variables);
  } catch {
    return undefined;
  }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
};

const withStatus = (status: number, code: ErrorCode, message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code, http: { status } } });

function parseOr400(documents: Documents, query: string, operationName: string | undefined) {
  try {
    return documents.parse(query, operationName);
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const { message, nodes, source, positions, extensions } = error;
    throw new GraphQLError(message, {
      nodes: nodes ?? null,
      source: source ?? null,
      positions: positions ?? null,
      extensions: { code: 'GRAPHQL_PARSE_FAILED', ...extensions, http: { status: 400 } },
    });
  }
}

/** Request ids for everybody; for browsers, which pages may call and read the answers. */
function registerBrowserRules(app: FastifyInstance, origins: Origins): void {
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    // The context reads it from here, so that answer and logs bear the same one.
    const requestId = requestIdOf(request.headers);
    request.headers[REQUEST_ID_HEADER] = requestId;
    void reply.header(REQUEST_ID_HEADER, requestId);
    const { origin, host } = request.headers;
    if (origin === undefined) return undefined;
    if (!origins.allows(origin, host)) {
      return reply.code(403).send(errorBody('FORBIDDEN', `Pages of ${origin} may not call this gateway.`));
    }
    void reply.headers({
      'access-control-allow-origin': origin,
      'access-control-expose-headers': REQUEST_ID_HEADER,
      vary: 'origin',
    });
    if (request.method !== 'OPTIONS') return undefined;
    return reply
      .headers({
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': request.headers['access-control-request-headers'] ?? 'content-type',
        'access-control-max-age': '600',
      })
      .code(204)
      .send();
  });
}
