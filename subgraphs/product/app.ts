import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
import { productCommands, type ProductCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { reservations } from './reactions.js';
import { productResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { ProductStore } from './store.js';

export type ProductSubgraph = WriteSubgraph<ProductCommands>;

/** The catalogue and its stock: API, and a worker that reserves for orders. */
export async function buildProduct(deps: SubgraphDeps): Promise<ProductSubgraph> {
  const side = await openWriteSide('product', [Initial1700000000000], deps);
  const store = new ProductStore(side.outbox);
  const commands = productCommands({ store, commands: side.commands, now: deps.now });
  return {
    commands,
    api: side.api(typeDefs, productResolvers({ database: side.database, store, commands })),
    worker: side.worker([reservations({ store, now: deps.now })]),
    close: () => side.close(),
  };
}
