/** Double entry: money only ever moves from one account to another, so all balances together are always zero. */
import { AppError } from '../../shared/errors/errors.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import { fold } from '../../shared/events/fold.js';
import type { AccountState, TransactionKind, TransactionState } from '../../shared/events/states.js';
import { MAX_AMOUNT_CENTS } from '../../shared/money/money.js';
import { decide, evolve, type AccountEvent } from './account.js';

export type { TransactionKind, TransactionState } from '../../shared/events/states.js';

export interface Movement {
  readonly kind: TransactionKind;
  /** Cents. */
  readonly amount: number;
  readonly transactionId: string;
  readonly at: number;
}

export interface Moved {
  readonly from: AccountState;
  readonly to: AccountState;
  readonly transaction: TransactionState;
  /** Both accounts' changes, and the two messages of the Wallet Core. */
  readonly events: readonly AnyNewEvent[];
}

/** As events show it: the account after the event, with the transaction that changed it. */
const toData = (account: AccountState, event: AccountEvent) =>
  event.type === 'account.created' ? { account } : { account, transaction: event.transaction };

export interface Opened {
  readonly account: AccountState;
  readonly events: readonly AnyNewEvent[];
}

/** A new, empty account. */
export function open(account: Pick<AccountState, 'id' | 'userId' | 'kind'>, at: number): Opened {
  const { state, events } = fold(null, decide(null, { type: 'open', ...account, at }), evolve, toData);
  if (state === null) throw new Error('opening an account made none');
  return { account: state, events };
}

/**
 * What people may move at a time: 0.01 to 10,000,000.00. Orders may cost more, so their payments are not asked.
 * @throws AppError VALIDATION (field `amount`)
 */
export function checkAmount(cents: number): number {
  if (Number.isSafeInteger(cents) && cents >= 1 && cents <= MAX_AMOUNT_CENTS) return cents;
  throw new AppError('VALIDATION', 'An amount to move is 0.01 to 10,000,000.00.', { field: 'amount' });
}

/**
 * Moves money, or nothing at all.
 * @throws AppError VALIDATION for one account on both sides (field `toAccountId`) and for amounts out of bounds (`amount`),
 * INSUFFICIENT_FUNDS (`amount`) where any account but the treasury would go below zero
 */
export function move(from: AccountState, to: AccountState, { kind, amount, transactionId: id, at }: Movement): Moved {
  if (from.id === to.id) {
    throw new AppError('VALIDATION', 'Money moves between two different accounts.', { field: 'toAccountId' });
  }
  if (kind === 'DEPOSIT' || kind === 'TRANSFER') checkAmount(amount);
  if (!Number.isSafeInteger(amount) || amount < 1) {
    throw new AppError('VALIDATION', 'An amount to move is at least 0.01.', { field: 'amount' });
  }
  const transaction = { id, kind, fromAccountId: from.id, toAccountId: to.id, amount, createdAt: at };
  const sender = book(from, transaction);
  const receiver = book(to, transaction);
  return {
    from: sender.state,
    to: receiver.state,
    transaction,
    events: [...sender.events, ...receiver.events, ...walletCoreMessages(transaction, sender.state, receiver.state)],
  };
}

const book = (account: AccountState, transaction: TransactionState) =>
  fold(account, decide(account, { type: 'book', transaction }), evolve, toData);

/** The wallet reads amounts and balances as numbers in currency units. */
const units = (cents: number): number => cents / 100;

/** What the Full Cycle "Wallet Core" would publish for this movement. */
function walletCoreMessages({ id, amount }: TransactionState, from: AccountState, to: AccountState): AnyNewEvent[] {
  const accounts = { account_id_from: from.id, account_id_to: to.id };
  return [
    {
      type: 'TransactionCreated',
      subject: id,
      sequence: 1,
      data: { Name: 'TransactionCreated', Payload: { id, ...accounts, amount: units(amount) } },
    },
    {
      type: 'BalanceUpdated',
      subject: id,
      sequence: 1,
      data: {
        Name: 'BalanceUpdated',
        Payload: {
          ...accounts,
          balance_account_id_from: units(from.balance),
          balance_account_id_to: units(to.balance),
        },
      },
    },
  ];
}
