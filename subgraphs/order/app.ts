import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
import { orderCommands, type OrderCommands } from './commands.js';
import { ORDER_MIGRATIONS } from './migrations/index.js';
import { orderReactions } from './reactions.js';
import { Replicas } from './replicas.js';
import { orderResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { OrderStore } from './store.js';
import { TimerWorker } from './timers.js';

export type OrderSubgraph = WriteSubgraph<OrderCommands>;

/** Orders: API, and a worker that moves them on when stock and payments answer, or when it is time. */
export async function buildOrder(deps: SubgraphDeps): Promise<OrderSubgraph> {
  const { config, log, metrics, now } = deps;
  const side = await openWriteSide('order', ORDER_MIGRATIONS, deps);
  const store = new OrderStore(side.outbox, config.orderTimes);
  const replicas = new Replicas(side.database, now);
  const { walletCore, verifiedOrders } = config;
  const commands = orderCommands({ commands: side.commands, store, replicas, now, walletCore, verifiedOrders });
  return {
    commands,
    api: side.api(typeDefs, orderResolvers({ database: side.database, store, commands })),
    worker: side.worker(orderReactions({ store, replicas, log, now }), [
      new TimerWorker({ database: side.database, store, times: config.orderTimes, log, metrics, now }),
    ]),
    close: () => side.close(),
  };
}
