import { createCommands } from '../../shared/commands/commands.js';
import { createGraphqlService, type GraphqlService } from '../../shared/graphql/server.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { createRelay } from '../../shared/outbox/relay.js';
import { createReactionRunner } from '../../shared/reactions/runner.js';
import type { Subgraph, SubgraphDeps } from '../../shared/service/service.js';
import { createWorker } from '../../shared/service/worker.js';
import { userCommands, type UserCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { accountsWithMoney, openOrders } from './reactions.js';
import { userResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { UserStore } from './store.js';

export interface UserSubgraph extends Subgraph {
  readonly api: GraphqlService;
  readonly commands: UserCommands;
}

/** The people: API, and a worker that keeps track of what ties them to us. */
export async function buildUser(deps: SubgraphDeps): Promise<UserSubgraph> {
  const { config, eventLog, log, metrics, now } = deps;
  const database = await deps.openDatabase({ name: 'tributary_user', migrations: [Initial1700000000000] });
  await database.migrate();

  const outbox = new Outbox('tributary/user', now);
  const store = new UserStore(outbox);
  const commands = userCommands({ store, now, commands: createCommands({ database, now, log }) });

  return {
    commands,
    api: createGraphqlService({
      name: 'user-api',
      subgraph: 'user',
      port: config.ports.user,
      typeDefs,
      resolvers: userResolvers({ database, store, commands }),
      deps,
    }),
    worker: createWorker('user-worker', [
      createRelay({ name: 'tributary_user', database, outbox, eventLog, log, metrics, now }),
      createReactionRunner({
        database,
        outbox,
        eventLog,
        log,
        metrics,
        now,
        reactions: [openOrders(store), accountsWithMoney(store)],
      }),
    ]),
    close: () => database.close(),
  };
}
