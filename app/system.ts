import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { buildGateway } from '../gateway/app.js';
import { ConfigError, SUBGRAPHS, type Config, type SubgraphName } from '../shared/config/config.js';
import { JWKS_PATH, makeVerifier } from '../shared/identity/tokens.js';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { createHealthServer } from '../shared/http/health-server.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Metrics } from '../shared/observability/metrics.js';
import type { Check, QueryDeps, Service, SubgraphDeps } from '../shared/service/service.js';
import { inTurn } from '../shared/service/worker.js';
import type { BalanceSubgraph } from '../subgraphs/balance/app.js';
import type { OrderSubgraph } from '../subgraphs/order/app.js';
import type { ProductSubgraph } from '../subgraphs/product/app.js';
import type { QuerySubgraph } from '../subgraphs/query/app.js';
import type { UserSubgraph } from '../subgraphs/user/app.js';
import builtInSupergraph from '../supergraph.graphql';
import { DEMO_ADMIN } from './demo.js';
import type { Engines } from './engines.js';
import { PROCESS_NAMES, PROCESSES, type ProcessName } from './processes.js';

export interface SystemDeps {
  readonly config: Config;
  readonly engines: Engines;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
  /** Who a client is; by its access token, or the lack of one, when absent. */
  readonly authenticate?: Parameters<typeof buildGateway>[0]['authenticate'];
}

/** The subgraphs by name. */
export interface Subgraphs {
  readonly user: UserSubgraph;
  readonly product: ProductSubgraph;
  readonly order: OrderSubgraph;
  readonly balance: BalanceSubgraph;
  readonly query: QuerySubgraph;
}

/** What runs in this process. */
export interface Running {
  /** Those of which a half runs here. */
  readonly subgraphs: Partial<Subgraphs>;
  /** Where the gateway listens; empty where it does not run here. */
  readonly gatewayUrl: string;
  /** Has the gateway look into the file with its supergraph; nothing where it does not run here, or has no file. */
  readonly reloadSupergraph: () => Promise<void>;
  /** Stops taking work, finishes what is in hand, closes the engines. */
  readonly stop: () => Promise<void>;
}

/** Services of one subgraph in the order in which they started. */
type Lane = Pick<Service, 'stop'>[];

/** The last started is the first to stop. */
const stopLane = (lane: Lane): Promise<void> =>
  inTurn(
    lane
      .splice(0)
      .reverse()
      .map((service) => () => service.stop()),
  );

/** Waits for all of them, whatever becomes of the others, and rejects with the first failure. */
async function together(steps: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(steps);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** Everything in one process. */
export interface System extends Subgraphs {
  readonly gatewayUrl: string;
  readonly reloadSupergraph: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

type Build<N extends SubgraphName> = (deps: SubgraphDeps & QueryDeps) => Promise<Subgraphs[N]>;

/** Only what a process runs is loaded: a worker does without the gateway, and a gateway without databases. */
const LOADERS: { readonly [N in SubgraphName]: () => Promise<Build<N>> } = {
  user: async () => (await import('../subgraphs/user/app.js')).buildUser,
  product: async () => (await import('../subgraphs/product/app.js')).buildProduct,
  order: async () => (await import('../subgraphs/order/app.js')).buildOrder,
  balance: async () => (await import('../subgraphs/balance/app.js')).buildBalance,
  query: async () => (await import('../subgraphs/query/app.js')).buildQuery,
};

/** A subgraph that does not run: its commands work, its events wait in the outbox for a worker. */
export async function buildSubgraph<N extends SubgraphName>(
  name: N,
  deps: SubgraphDeps & QueryDeps,
): Promise<Subgraphs[N]> {
  return (await LOADERS[name]())(deps);
}

/**
 * Starts every API and worker on the given engines, the gateway last.
 * Rejects with PortInUse when a port is taken; whatever had started is stopped again.
 */
export async function startSystem(deps: SystemDeps): Promise<System> {
  const { subgraphs, ...running } = await startProcesses(PROCESS_NAMES, deps, { health: false });
  return { ...(subgraphs as Subgraphs), ...running };
}

/**
 * Starts some of the processes in this one: subgraphs side by side, in each the worker before its API; then the gateway,
 * which finds the subgraphs that do not run here by their settings. `health` gives every worker a listener of its own for
 * /livez, /readyz and /metrics.
 * Rejects with PortInUse when a port is taken; whatever had started is stopped again, the engines included.
 */
export async function startProcesses(
  names: readonly ProcessName[],
  { config, engines, log, metrics, now, ...rest }: SystemDeps,
  { health }: { readonly health: boolean },
): Promise<Running> {
  const identitySecret = config.identitySecret ?? randomBytes(32).toString('hex');
  const { eventLog, documents, openDatabase } = engines;
  const jwksUrl = (): URL => new URL(JWKS_PATH, urlOf('user'));
  const deps = { config, identitySecret, log, metrics, now, eventLog, documents, openDatabase, jwksUrl };

  const subgraphs: { -readonly [N in SubgraphName]?: Subgraphs[N] } = {};
  const opened: { close(): Promise<void> }[] = [engines];
  const lanes: Lane[] = [];
  const lane = (): Lane => {
    const one: Lane = [];
    lanes.push(one);
    return one;
  };
  const gatewayLane: Lane = [];
  const stop = () =>
    inTurn([
      () => stopLane(gatewayLane),
      // Side by side: leaving a consumer group takes a moment, and there are many.
      () => together(lanes.splice(0).map(stopLane)),
      ...opened
        .splice(0)
        .reverse()
        .map((one) => () => one.close()),
    ]);
  const start = async (into: Lane, service: Service): Promise<void> => {
    into.push(service);
    await service.start();
  };
  const runs = (part: SubgraphName | 'gateway', half: 'api' | 'worker'): ProcessName | undefined =>
    names.find((name) => PROCESSES[name].part === part && PROCESSES[name].half === half);
  const startWorker = async (into: Lane, name: ProcessName, worker: Service): Promise<void> => {
    if (!health) return start(into, worker);
    let ready = false;
    const checks = async (): Promise<readonly Check[]> => [{ name: 'started', ok: ready }, ...(await worker.checks())];
    const { variable, port } = PROCESSES[name];
    const server = createHealthServer({ name, host: config.host, port: port(config), variable, checks, log, metrics });
    // Stopped last, so that a drain can be watched.
    into.push(server);
    await server.start();
    await start(into, worker);
    ready = true;
    into.push({ stop: async () => void (ready = false) });
  };
  const startSubgraph = async (part: SubgraphName): Promise<void> => {
    const subgraph = await buildSubgraph(part, deps);
    opened.push(subgraph);
    Object.assign(subgraphs, { [part]: subgraph });
    const [worker, api] = [runs(part, 'worker'), runs(part, 'api')];
    const into = lane();
    if (worker !== undefined) await startWorker(into, worker, subgraph.worker);
    if (api !== undefined) await start(into, subgraph.api);
  };
  // Where they listen, not where they were told to: a port 0 is any free one.
  const urlOf = (part: SubgraphName): string => {
    if (runs(part, 'api') === undefined) return config.subgraphUrls[part];
    const url = part === 'query' ? subgraphs.query?.url : subgraphs[part]?.api.url;
    return url ?? config.subgraphUrls[part];
  };

  try {
    const parts = SUBGRAPHS.filter((part) => names.some((name) => PROCESSES[name].part === part));
    // One by one: what several have in common is loaded once either way.
    for (const part of parts) await LOADERS[part]();
    await together(parts.map(startSubgraph));
    if (runs('gateway', 'api') === undefined) {
      return { subgraphs, gatewayUrl: '', reloadSupergraph: () => Promise.resolve(), stop };
    }
    const { buildGateway } = await import('../gateway/app.js');
    const { SCALARS } = await import('../shared/graphql/scalars.js');
    const gateway = buildGateway({
      config,
      identitySecret,
      log,
      metrics,
      now,
      authenticate: rest.authenticate ?? (await byToken(config, jwksUrl, now)),
      scalars: SCALARS,
      ...(await supergraphOf(config)),
      subgraphs: Object.fromEntries(SUBGRAPHS.map((name) => [name, { url: `${urlOf(name)}/graphql` }])),
    });
    await start(gatewayLane, gateway);
    return { subgraphs, gatewayUrl: gateway.url, reloadSupergraph: () => gateway.reloadSupergraph(), stop };
  } catch (error) {
    await stop().catch((failure: unknown) => log.error({ err: failure }, 'could not stop cleanly'));
    throw error;
  }
}

/** Clients by their access tokens; whoever has none is the demo administrator in demo mode, else anonymous. */
async function byToken({ auth }: Config, jwksUrl: () => URL, now: () => number) {
  const { authenticateByToken } = await import('../gateway/auth.js');
  const verifier = makeVerifier({ jwksUrl, oidc: auth.oidc, now });
  return authenticateByToken({ verifier, withoutToken: auth.mode === 'demo' ? DEMO_ADMIN : ANONYMOUS });
}

/** @throws ConfigError when the file that SUPERGRAPH names cannot be read */
async function supergraphOf({ supergraph: { path, pollMs } }: Config) {
  if (path === undefined) return { supergraphSdl: builtInSupergraph };
  try {
    return { supergraphSdl: await readFile(path, 'utf8'), supergraphFile: { path, pollMs } };
  } catch (error) {
    const { code = 'it failed' } = error as NodeJS.ErrnoException;
    throw new ConfigError(`SUPERGRAPH: ${path} cannot be read: ${code}. \`npm run compose\` writes one`, {
      cause: error,
    });
  }
}
