import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
import { userCommands, type UserCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { accountsWithMoney, openOrders } from './reactions.js';
import { userResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { UserStore } from './store.js';

export type UserSubgraph = WriteSubgraph<UserCommands>;

/** The people: API, and a worker that keeps track of what ties them to us. */
export async function buildUser(deps: SubgraphDeps): Promise<UserSubgraph> {
  const side = await openWriteSide('user', [Initial1700000000000], deps);
  const store = new UserStore(side.outbox);
  const commands = userCommands({ store, commands: side.commands, now: deps.now });
  return {
    commands,
    api: side.api(typeDefs, userResolvers({ database: side.database, store, commands })),
    worker: side.worker([openOrders(store), accountsWithMoney(store)]),
    close: () => side.close(),
  };
}
