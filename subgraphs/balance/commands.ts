import type { CommandContext, Commands } from '../../shared/commands/commands.js';
import type { Database } from '../../shared/database/port.js';
import { AppError, notFound, validationError } from '../../shared/errors/errors.js';
import { mayAccess, requireAccess, requireAdmin, requireUser } from '../../shared/identity/identity.js';
import { newId, parseId } from '../../shared/ids/ids.js';
import { requireOwnAccounts, type WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { TREASURY_ID, type AccountState } from './account.js';
import type { CreateAccountInput, DepositInput, TransferInput } from './generated/schema-types.js';
import { checkAmount, move, open, type TransactionState } from './ledger.js';
import { isSystemAccount, type BalanceStore } from './store.js';

export interface BalanceCommands {
  /** `id` is for callers inside the system, demo data for one. */
  createAccount(context: CommandContext, input: CreateAccountInput, id?: string): Promise<AccountState>;
  deposit(context: CommandContext, input: DepositInput): Promise<TransactionState>;
  transfer(context: CommandContext, input: TransferInput): Promise<TransactionState>;
}

export interface BalanceCommandDeps {
  readonly commands: Commands;
  readonly database: Database;
  readonly store: BalanceStore;
  readonly now: () => number;
  readonly walletCore: WalletCoreMode;
}

/**
 * What people may do with their own accounts, and administrators with any but the house's own. All of it throws
 * UNAVAILABLE while a foreign Wallet Core keeps the accounts; only repeats still answer their first success.
 */
export function balanceCommands(deps: BalanceCommandDeps): BalanceCommands {
  const { commands, database, store, now, walletCore } = deps;
  return {
    async createAccount(context, input, id = newId()) {
      const userId = parseOwner(context, input);
      // Asked before the transaction, judged inside: a repeated call is to answer its first success, whatever changed since.
      const hasUser = await store.hasUser(database, userId, now);
      return commands.run(context, {
        mutation: 'createAccount',
        input,
        work: (tx) => {
          requireOwnAccounts(walletCore);
          if (!hasUser) throw notFound('user', userId, 'userId');
          return store.openAccount(tx, open({ id, userId, kind: 'USER' }, now()), context.traceparent);
        },
      });
    },

    async deposit(context, input) {
      requireAdmin(context.identity);
      const accountId = parseId(input.accountId, 'accountId');
      const amount = checkAmount(input.amount);
      if (isSystemAccount(accountId)) throw validationError('accountId', 'Deposits go to accounts of users.');
      const transactionId = newId();
      return commands.run(context, {
        mutation: 'deposit',
        input,
        work: async (tx) => {
          requireOwnAccounts(walletCore);
          const accounts = await store.lockAccounts(tx, [accountId, TREASURY_ID]);
          const account = accounts.get(accountId);
          const treasury = accounts.get(TREASURY_ID);
          if (account === undefined) throw notFound('account', accountId, 'accountId');
          if (treasury === undefined) throw new Error('There is no treasury.');
          await store.requireLivingOwner(tx, account, 'accountId');
          const moved = move(treasury, account, { kind: 'DEPOSIT', amount, transactionId, at: now() });
          store.saveMovements(tx, [moved]);
          store.publish(tx, moved.events, context.traceparent);
          return moved.transaction;
        },
      });
    },

    async transfer(context, input) {
      requireUser(context.identity);
      const fromAccountId = parseId(input.fromAccountId, 'fromAccountId');
      const toAccountId = parseId(input.toAccountId, 'toAccountId');
      const amount = checkAmount(input.amount);
      if (fromAccountId === toAccountId) {
        throw validationError('toAccountId', 'Money moves between two different accounts.');
      }
      // Money leaves the house by refunds and enters it by payments only: otherwise the books would not explain it.
      if (isSystemAccount(fromAccountId)) {
        throw new AppError('FORBIDDEN', "Nobody moves the house's own money.", { field: 'fromAccountId' });
      }
      if (isSystemAccount(toAccountId)) throw validationError('toAccountId', 'Transfers go to accounts of users.');
      const transactionId = newId();
      return commands.run(context, {
        mutation: 'transfer',
        input,
        work: async (tx) => {
          requireOwnAccounts(walletCore);
          const accounts = await store.lockAccounts(tx, [fromAccountId, toAccountId]);
          const from = accounts.get(fromAccountId);
          const to = accounts.get(toAccountId);
          if (from === undefined) throw notFound('account', fromAccountId, 'fromAccountId');
          requireAccess(context.identity, from.userId);
          if (to === undefined) throw notFound('account', toAccountId, 'toAccountId');
          await store.requireLivingOwner(tx, to, 'toAccountId');
          const moved = move(from, to, { kind: 'TRANSFER', amount, transactionId, at: now() });
          store.saveMovements(tx, [moved]);
          store.publish(tx, moved.events, context.traceparent);
          return moved.transaction;
        },
      });
    },
  };
}

/** Whose account it will be. */
function parseOwner({ identity }: CommandContext, { userId }: CreateAccountInput): string {
  const caller = requireUser(identity);
  if (userId === null || userId === undefined) return caller.userId;
  const owner = parseId(userId, 'userId');
  if (mayAccess(identity, owner)) return owner;
  throw new AppError('FORBIDDEN', 'Only administrators may open an account for somebody else.', { field: 'userId' });
}
