import { fastifyApolloHandler } from '@as-integrations/fastify';
import type { GraphQLScalarType } from 'graphql';
import type { Config } from '../shared/config/config.js';
import { errorBody } from '../shared/graphql/errors.js';
import { registerHealth } from '../shared/http/health.js';
import { close, createHttpApp, limitConnections, listen, type Timeouts } from '../shared/http/http.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Metrics } from '../shared/observability/metrics.js';
import type { Check, Service } from '../shared/service/service.js';
import { addressOf, clientAddress } from './addresses.js';
import { Admission } from './admission.js';
import { makeApollo } from './apollo.js';
import type { Authenticate } from './context.js';
import { DirectRuns } from './direct.js';
import { Documents } from './documents.js';
import { makeFederation } from './federation.js';
import { registerGraphiql } from './graphiql.js';
import { acceptSocket, registerBrowserRules, registerGraphqlOverHttp } from './http.js';
import { IdentityTokens } from './identity-tokens.js';
import { registerInbox } from './inbox/serve.js';
import { LIMITS } from './limits.js';
import { registerLive } from './live/serve.js';
import { OperationMeter } from './operation-meter.js';
import { Origins } from './origins.js';
import { makeRateLimits } from './rate-limits.js';
import { runWith } from './run.js';
import { createSubscriptions, type SocketOptions } from './subscriptions/index.js';
import { serveSupergraph, type SupergraphSource } from './supergraph.js';
import { linkTo, type SubgraphAddress } from './supergraph-links.js';
import { registerVerify } from './verify/serve.js';

export interface GatewayDeps extends SupergraphSource {
  readonly config: Pick<Config, 'host' | 'ports' | 'limits'> &
    Partial<Pick<Config, 'auth' | 'demoExposed' | 'engines' | 'debug'>>;
  readonly identitySecret: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Addresses by subgraph; they win over those in the supergraph. */
  readonly subgraphs: Readonly<Record<string, SubgraphAddress>>;
  readonly authenticate: Authenticate;
  /** How custom scalars are read, by name. Others are passed on as they are, for the subgraphs to refuse. */
  readonly scalars?: Readonly<Record<string, GraphQLScalarType>>;
  readonly timeouts?: Partial<Timeouts>;
  /** Subscriptions of which only the newest event counts, so that slow clients may skip some; `stockChanged` when absent. */
  readonly latestValueFields?: readonly string[];
  readonly sockets?: Partial<SocketOptions>;
}

export interface Gateway extends Service {
  /** Base address, `http://127.0.0.1:4000`, once started. */
  readonly url: string;
  /** Open WebSockets of clients. */
  readonly clientSockets: number;
  /** Looks into the supergraph's file now; without one nothing changes. */
  reloadSupergraph(): Promise<void>;
}

const PATH = '/graphql';

/**
 * The gateway: GraphQL over HTTP and WebSocket at `/graphql`, Sandbox on the same address, GraphiQL at `/graphiql`, one
 * order's life at `/live`; in demo mode every mail that was sent at `/inbox`.
 */
export function buildGateway(deps: GatewayDeps): Gateway {
  const { config, log, metrics, now } = deps;
  const tokens = new IdentityTokens(deps.identitySecret, now);
  const userUrl = deps.subgraphs['user']?.url;
  const documents = new Documents();
  // In demo mode a page from anywhere that gets through would act as the administrator, wherever we listen.
  const bound = config.demoExposed === true ? '127.0.0.1' : config.host;
  const { limits } = config;
  const origins = new Origins(bound, limits.allowedOrigins, limits.introspection, config.auth?.mode === 'demo');
  const rateLimits = makeRateLimits(limits.rates, config.engines, log);

  const admit = limits.rates === undefined ? {} : { admit: rateLimits.admitSubgraph };
  const link = linkTo(deps.subgraphs, tokens, log, { metrics, ...admit });
  const supergraph = serveSupergraph(deps, deps, (sdl, validate) =>
    makeFederation(sdl, deps.scalars ?? {}, log, link, { validate }),
  );
  const { federation } = supergraph;
  const apollo = makeApollo(federation, log);
  const schema = () => federation.current().schema;
  const debug = config.debug === undefined ? {} : { debug: config.debug };
  const admission = new Admission({ ...limits, ...debug, schema, documents, rateLimits, log, metrics });
  const app = createHttpApp({ log, bodyLimit: LIMITS.bodyBytes, errorBody, timeouts: deps.timeouts ?? {} });
  // A proxy has all connections in its own name.
  if (limits.trustedProxies === 0) limitConnections(app, limits.connectionsPerAddress, addressOf);

  const run = runWith(
    apollo,
    new DirectRuns(() => federation.current()),
    new OperationMeter(metrics),
    limits.introspection,
  );
  const subscriptions = createSubscriptions({
    current: () => federation.current(),
    // The address says where somebody is, not who: subgraphs decide nothing by it.
    identityKey: ({ identity: { role, userId } }) => `${role} ${userId ?? ''}`,
    latestValueFields: deps.latestValueFields ?? ['stockChanged'],
    suggestions: limits.introspection,
    admit: (asked, asking, carrier) => admission.admit(asked, asking, carrier),
    execute: async (operation) => (await run(operation)).result,
    options: { operationsPerSocket: limits.operationsPerSocket, ...deps.sockets },
    log,
    metrics,
    now,
  });
  let url = '';
  let stopped: Promise<void> | undefined;

  const checks = async (): Promise<readonly Check[]> => [
    { name: 'supergraph', ok: true, detail: federation.current().hash },
    ...(await Promise.all(
      [...federation.current().subgraphs].map(async ([name, subgraph]): Promise<Check> => {
        try {
          await subgraph.ping();
          return { name, ok: true };
        } catch {
          return { name, ok: false, detail: `The ${name} service does not answer.` };
        }
      }),
    )),
  ];

  return {
    name: 'gateway',
    get url() {
      return url;
    },
    get clientSockets() {
      return subscriptions.clientSockets;
    },
    checks,
    reloadSupergraph: () => supergraph.reload(),
    start: async () => {
      await supergraph.start();
      await apollo.start();
      await rateLimits.start();
      registerHealth(app, { name: 'gateway', checks, metrics, log });
      registerBrowserRules(app, origins);
      registerGraphiql(app, PATH);
      registerLive(app);
      registerVerify(app, { admission, run, trustedProxies: limits.trustedProxies });
      if (config.auth?.mode === 'demo' && userUrl !== undefined) registerInbox(app, { userUrl, tokens, log });
      app.get('/', (_request, reply) => reply.redirect(PATH));
      registerGraphqlOverHttp(app, {
        path: PATH,
        admission,
        authenticate: deps.authenticate,
        trustedProxies: limits.trustedProxies,
        run,
        streams: subscriptions.eventStreams,
        page: fastifyApolloHandler(apollo, { context: () => Promise.reject(new Error('A page asks for nothing.')) }),
        log,
      });
      subscriptions.serveSockets(app.server, {
        path: PATH,
        authenticate: deps.authenticate,
        accept: (request) => acceptSocket(request, origins, admission, limits.trustedProxies),
        addressOf: (request) => clientAddress(request, limits.trustedProxies),
        countRefused: (address) => admission.countRefused(address),
      });
      url = await listen(app, { host: config.host, port: config.ports.gateway, variable: 'GATEWAY_PORT' });
    },
    stop: () => {
      stopped ??= (async () => {
        await subscriptions.stop();
        await close(app);
        await apollo.stop();
        await supergraph.stop();
        await rateLimits.stop();
      })();
      return stopped;
    },
  };
}
