import { createCommands } from '../../shared/commands/commands.js';
import { createGraphqlService, type GraphqlService } from '../../shared/graphql/server.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { createRelay } from '../../shared/outbox/relay.js';
import { createReactionRunner } from '../../shared/reactions/runner.js';
import type { Subgraph, SubgraphDeps } from '../../shared/service/service.js';
import { createWorker } from '../../shared/service/worker.js';
import { orderCommands, type OrderCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { orderReactions } from './reactions.js';
import { Replicas } from './replicas.js';
import { orderResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { OrderStore } from './store.js';

export interface OrderSubgraph extends Subgraph {
  readonly api: GraphqlService;
  readonly commands: OrderCommands;
}

/** Orders: API, and a worker that moves them on when stock and payments answer. */
export async function buildOrder(deps: SubgraphDeps): Promise<OrderSubgraph> {
  const { config, eventLog, log, metrics, now } = deps;
  const database = await deps.openDatabase({ name: 'tributary_order', migrations: [Initial1700000000000] });
  await database.migrate();

  const outbox = new Outbox('tributary/order', now);
  const store = new OrderStore(outbox);
  const replicas = new Replicas(database, now);
  const commands = orderCommands({ commands: createCommands({ database, now, log }), store, replicas, now });

  return {
    commands,
    api: createGraphqlService({
      name: 'order-api',
      subgraph: 'order',
      port: config.ports.order,
      typeDefs,
      resolvers: orderResolvers({ database, store, commands }),
      deps,
    }),
    worker: createWorker('order-worker', [
      createRelay({ name: 'tributary_order', database, outbox, eventLog, log, metrics, now }),
      createReactionRunner({
        database,
        outbox,
        eventLog,
        log,
        metrics,
        now,
        reactions: orderReactions({ store, replicas, log, now }),
      }),
    ]),
    close: () => database.close(),
  };
}
