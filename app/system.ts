import { randomBytes } from 'node:crypto';
import { buildGateway } from '../gateway/app.js';
import type { Config } from '../shared/config/config.js';
import { SCALARS } from '../shared/graphql/scalars.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Metrics } from '../shared/observability/metrics.js';
import type { Service } from '../shared/service/service.js';
import { inTurn } from '../shared/service/worker.js';
import { buildBalance, type BalanceSubgraph } from '../subgraphs/balance/app.js';
import { buildOrder, type OrderSubgraph } from '../subgraphs/order/app.js';
import { buildProduct, type ProductSubgraph } from '../subgraphs/product/app.js';
import { buildQuery } from '../subgraphs/query/app.js';
import { buildUser, type UserSubgraph } from '../subgraphs/user/app.js';
import supergraphSdl from '../supergraph.graphql';
import type { Engines } from './engines.js';

export interface SystemDeps {
  readonly config: Config;
  readonly engines: Engines;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
  /** Who a client is, by its HTTP headers or WebSocket connection parameters. */
  readonly authenticate: Parameters<typeof buildGateway>[0]['authenticate'];
}

/** Everything in one process. */
export interface System {
  readonly user: UserSubgraph;
  readonly product: ProductSubgraph;
  readonly order: OrderSubgraph;
  readonly balance: BalanceSubgraph;
  readonly gatewayUrl: string;
  /** Stops taking work, finishes what is in hand, closes the engines. */
  stop(): Promise<void>;
}

/**
 * Starts every API and worker on the given engines, the read side first and the gateway last.
 * Rejects with PortInUse when a port is taken; whatever had started is stopped again.
 */
export async function startSystem({ config, engines, log, metrics, now, authenticate }: SystemDeps): Promise<System> {
  const identitySecret = config.identitySecret ?? randomBytes(32).toString('hex');
  const deps = {
    config,
    identitySecret,
    log,
    metrics,
    now,
    eventLog: engines.eventLog,
    openDatabase: engines.openDatabase,
  };

  const started: Service[] = [];
  const opened: { close(): Promise<void> }[] = [engines];
  const stop = () =>
    inTurn([
      ...started
        .splice(0)
        .reverse()
        .map((service) => () => service.stop()),
      ...opened
        .splice(0)
        .reverse()
        .map((one) => () => one.close()),
    ]);
  const open = async <T extends { close(): Promise<void> }>(built: Promise<T>): Promise<T> => {
    const one = await built;
    opened.push(one);
    return one;
  };
  const start = async (service: Service): Promise<void> => {
    started.push(service);
    await service.start();
  };

  try {
    const query = await open(buildQuery({ ...deps, documents: engines.documents }));
    const user = await open(buildUser(deps));
    const product = await open(buildProduct(deps));
    const order = await open(buildOrder(deps));
    const balance = await open(buildBalance(deps));
    for (const { worker, api } of [query, user, product, order, balance]) {
      await start(worker);
      await start(api);
    }
    // Where they listen, not where they were told to: a port 0 is any free one.
    const urls = { user: user.api.url, product: product.api.url, order: order.api.url, balance: balance.api.url };
    const gateway = buildGateway({
      config,
      identitySecret,
      log,
      metrics,
      now,
      authenticate,
      scalars: SCALARS,
      supergraphSdl,
      subgraphs: Object.fromEntries(
        Object.entries({ ...urls, query: query.url }).map(([name, url]) => [name, { url: `${url}/graphql` }]),
      ),
    });
    await start(gateway);
    return { user, product, order, balance, gatewayUrl: gateway.url, stop };
  } catch (error) {
    await stop().catch((failure: unknown) => log.error({ err: failure }, 'could not stop cleanly'));
    throw error;
  }
}
