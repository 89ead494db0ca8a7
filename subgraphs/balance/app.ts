import { createCommands } from '../../shared/commands/commands.js';
import { createGraphqlService, type GraphqlService } from '../../shared/graphql/server.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { createRelay } from '../../shared/outbox/relay.js';
import { createReactionRunner } from '../../shared/reactions/runner.js';
import type { Subgraph, SubgraphDeps } from '../../shared/service/service.js';
import { createWorker } from '../../shared/service/worker.js';
import { balanceCommands, type BalanceCommands } from './commands.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { ProviderCalls } from './provider-calls.js';
import { createProviderWorker } from './provider-worker.js';
import { createSandboxProvider, type PaymentProvider } from './provider.js';
import { payments, users } from './reactions.js';
import { balanceResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { BalanceStore } from './store.js';

export interface BalanceDeps extends SubgraphDeps {
  /** Who collects from cards, PIX and BOLETO; the sandbox when absent. */
  readonly provider?: PaymentProvider;
}

export interface BalanceSubgraph extends Subgraph {
  readonly api: GraphqlService;
  readonly commands: BalanceCommands;
}

/** Accounts and payments: API, and a worker that collects for orders. */
export async function buildBalance(deps: BalanceDeps): Promise<BalanceSubgraph> {
  const { config, eventLog, log, metrics, now, provider = createSandboxProvider({ now }) } = deps;
  const database = await deps.openDatabase({ name: 'tributary_balance', migrations: [Initial1700000000000] });
  await database.migrate();

  const outbox = new Outbox('tributary/balance', now);
  const store = new BalanceStore(outbox);
  await store.openSystemAccounts(database, now);
  const calls = new ProviderCalls(database);
  const commands = balanceCommands({ commands: createCommands({ database, now, log }), database, store, now });

  return {
    commands,
    api: createGraphqlService({
      name: 'balance-api',
      subgraph: 'balance',
      port: config.ports.balance,
      typeDefs,
      resolvers: balanceResolvers({ database, store, commands }),
      deps,
    }),
    worker: createWorker('balance-worker', [
      createRelay({ name: 'tributary_balance', database, outbox, eventLog, log, metrics, now }),
      createProviderWorker({ database, store, calls, provider, log, now }),
      createReactionRunner({
        database,
        outbox,
        eventLog,
        log,
        metrics,
        now,
        reactions: [payments({ store, calls, now }), users(store)],
      }),
    ]),
    close: () => database.close(),
  };
}
