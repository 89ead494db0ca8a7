import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
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

export type BalanceSubgraph = WriteSubgraph<BalanceCommands>;

/** Accounts and payments: API, and a worker that collects for orders. */
export async function buildBalance(deps: BalanceDeps): Promise<BalanceSubgraph> {
  const { log, now, provider = createSandboxProvider({ now }) } = deps;
  const { walletCore } = deps.config;
  const side = await openWriteSide('balance', [Initial1700000000000], deps);
  const { database } = side;
  const store = new BalanceStore(side.outbox);
  if (walletCore === 'own') await store.openSystemAccounts(database, now);
  const calls = new ProviderCalls(database);
  const commands = balanceCommands({ commands: side.commands, database, store, now, walletCore });
  return {
    commands,
    api: side.api(typeDefs, balanceResolvers({ database, store, commands, walletCore })),
    worker: side.worker(
      [payments({ store, calls, now, walletCore }), users(store)],
      [createProviderWorker({ database, store, calls, provider, log, now })],
    ),
    close: () => side.close(),
  };
}
