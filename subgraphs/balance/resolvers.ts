import DataLoader from 'dataloader';
import type { Database } from '../../shared/database/port.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { perRequest } from '../../shared/graphql/per-request.js';
import { mayAccess } from '../../shared/identity/identity.js';
import { parseId } from '../../shared/ids/ids.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import type { AccountState } from './account.js';
import type { BalanceCommands } from './commands.js';
import type { Resolvers } from './generated/schema-types.js';
import type { BalanceStore } from './store.js';

export function balanceResolvers({
  database,
  store,
  commands,
  walletCore,
}: {
  readonly database: Database;
  readonly store: BalanceStore;
  readonly commands: BalanceCommands;
  readonly walletCore: WalletCoreMode;
}): Resolvers {
  const accounts = perRequest(
    (_: RequestContext) =>
      new DataLoader<string, AccountState | null>(async (ids) => {
        const found = await store.findAccounts(database, ids);
        return ids.map((id) => found.get(id) ?? null);
      }),
  );

  return {
    Account: {
      /** Null for accounts of others, as for those that do not exist, and for all that are kept elsewhere by now. */
      async __resolveReference({ id }, context) {
        if (walletCore === 'external') return null;
        const account = await accounts(context).load(parseId(id));
        return account !== null && mayAccess(context.identity, account.userId) ? account : null;
      },
    },
    Mutation: {
      createAccount: async (_, { input }, context) => ({ account: await commands.createAccount(context, input) }),
      deposit: async (_, { input }, context) => ({ transaction: await commands.deposit(context, input) }),
      transfer: async (_, { input }, context) => ({ transaction: await commands.transfer(context, input) }),
    },
  };
}
