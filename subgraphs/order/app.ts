import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
import { orderCommands, type OrderCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { orderReactions } from './reactions.js';
import { Replicas } from './replicas.js';
import { orderResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { OrderStore } from './store.js';

export type OrderSubgraph = WriteSubgraph<OrderCommands>;

/** Orders: API, and a worker that moves them on when stock and payments answer. */
export async function buildOrder(deps: SubgraphDeps): Promise<OrderSubgraph> {
  const { config, log, now } = deps;
  const side = await openWriteSide('order', [Initial1700000000000], deps);
  const store = new OrderStore(side.outbox);
  const replicas = new Replicas(side.database, now);
  const commands = orderCommands({ commands: side.commands, store, replicas, now, walletCore: config.walletCore });
  return {
    commands,
    api: side.api(typeDefs, orderResolvers({ database: side.database, store, commands })),
    worker: side.worker(orderReactions({ store, replicas, log, now })),
    close: () => side.close(),
  };
}
