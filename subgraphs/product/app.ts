import { createCommands } from '../../shared/commands/commands.js';
import { createGraphqlService, type GraphqlService } from '../../shared/graphql/server.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { createRelay } from '../../shared/outbox/relay.js';
import { createReactionRunner } from '../../shared/reactions/runner.js';
import type { Subgraph, SubgraphDeps } from '../../shared/service/service.js';
import { createWorker } from '../../shared/service/worker.js';
import { productCommands, type ProductCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { reservations } from './reactions.js';
import { productResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { ProductStore } from './store.js';

export interface ProductSubgraph extends Subgraph {
  readonly api: GraphqlService;
  readonly commands: ProductCommands;
}

/** The catalogue and its stock: API, and a worker that reserves for orders. */
export async function buildProduct(deps: SubgraphDeps): Promise<ProductSubgraph> {
  const { config, eventLog, log, metrics, now } = deps;
  const database = await deps.openDatabase({ name: 'tributary_product', migrations: [Initial1700000000000] });
  await database.migrate();

  const outbox = new Outbox('tributary/product', now);
  const store = new ProductStore(outbox);
  const commands = productCommands({ store, now, commands: createCommands({ database, now, log }) });

  return {
    commands,
    api: createGraphqlService({
      name: 'product-api',
      subgraph: 'product',
      port: config.ports.product,
      typeDefs,
      resolvers: productResolvers({ database, store, commands }),
      deps,
    }),
    worker: createWorker('product-worker', [
      createRelay({ name: 'tributary_product', database, outbox, eventLog, log, metrics, now }),
      createReactionRunner({
        database,
        outbox,
        eventLog,
        log,
        metrics,
        now,
        reactions: [reservations({ store, outbox, now })],
      }),
    ]),
    close: () => database.close(),
  };
}
