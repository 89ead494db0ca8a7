/** The rules of an account: what may happen to it alone. What a movement between two of them is, says ledger.ts. */
import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { AccountKind, AccountState, TransactionState } from '../../shared/events/states.js';

export type { AccountKind, AccountState } from '../../shared/events/states.js';

/** Deposits come from here: minus its balance is all the money in the house. The only account that may go below zero. */
export const TREASURY_ID = '00000000-0000-8000-8000-000000000001';

/** `WALLET` payments go here; refunds come back from here. */
export const SALES_ID = '00000000-0000-8000-8000-000000000002';

/** The house's own accounts, the same in every installation. Permanent: transactions name them. */
export const SYSTEM_ACCOUNTS: readonly { readonly id: string; readonly kind: AccountKind }[] = [
  { id: TREASURY_ID, kind: 'TREASURY' },
  { id: SALES_ID, kind: 'SALES' },
];

/** What may be asked of an account. Ids and instants come in as data. */
export type AccountCommand =
  | {
      readonly type: 'open';
      readonly id: string;
      /** Null for the house's own. */
      readonly userId: string | null;
      readonly kind: AccountKind;
      readonly at: number;
    }
  /** The account's part in a transaction that names it as sender or receiver. */
  | { readonly type: 'book'; readonly transaction: TransactionState };

export type AccountEvent =
  | {
      readonly type: 'account.created';
      readonly id: string;
      readonly userId: string | null;
      readonly kind: AccountKind;
      readonly at: number;
    }
  | { readonly type: 'account.balance_changed'; readonly transaction: TransactionState };

/** Cents by which a transaction changes an account's balance: below zero for the sender, zero for strangers. */
export function effectOn(accountId: string, { fromAccountId, toAccountId, amount }: TransactionState): number {
  return (accountId === toAccountId ? amount : 0) - (accountId === fromAccountId ? amount : 0);
}

/**
 * The events a command leads to.
 * @throws AppError NOT_FOUND, CONFLICT, INSUFFICIENT_FUNDS (field `amount`), VALIDATION for a balance beyond what a number
 * holds exactly
 */
export function decide(state: AccountState | null, command: AccountCommand): AccountEvent[] {
  switch (command.type) {
    case 'open':
      if (state !== null) throw new AppError('CONFLICT', `Account ${command.id} exists already.`, { field: 'id' });
      return [{ ...command, type: 'account.created' }];
    case 'book': {
      if (state === null) throw new AppError('NOT_FOUND', 'There is no such account.', { field: 'id' });
      const balance = state.balance + effectOn(state.id, command.transaction);
      if (balance < 0 && balance < state.balance && state.kind !== 'TREASURY') {
        throw new AppError('INSUFFICIENT_FUNDS', 'There is not enough money in the account.', { field: 'amount' });
      }
      if (!Number.isSafeInteger(balance)) {
        throw new AppError('VALIDATION', 'No account can hold that much.', { field: 'amount' });
      }
      return [{ type: 'account.balance_changed', transaction: command.transaction }];
    }
    default:
      return assertNever(command);
  }
}

/** The account after an event; its version rises by one. */
export function evolve(state: AccountState | null, event: AccountEvent): AccountState {
  if (event.type === 'account.created') {
    const { id, userId, kind, at } = event;
    return { id, version: 1, userId, kind, balance: 0, createdAt: at, updatedAt: at };
  }
  if (state === null) throw new Error(`${event.type} of an account that was never opened`);
  const { transaction } = event;
  return {
    ...state,
    version: state.version + 1,
    balance: state.balance + effectOn(state.id, transaction),
    // Clocks of several machines differ a little; an account's own times never run backwards.
    updatedAt: Math.max(state.updatedAt, transaction.createdAt),
  };
}
