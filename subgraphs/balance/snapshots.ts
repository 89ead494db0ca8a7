import { RowSnapshots } from '../../shared/outbox/snapshots.js';
import type { TransactionKind } from './ledger.js';
import { fromRow, type AccountRow } from './store.js';

export const accountSnapshots = new RowSnapshots<AccountRow>('accounts', (row) => {
  const account = fromRow(row);
  return { type: 'account.snapshot', subject: account.id, sequence: account.version, data: { account } };
});

interface TransactionRow {
  readonly id: string;
  readonly kind: TransactionKind;
  readonly from_account_id: string;
  readonly to_account_id: string;
  readonly amount: number;
  readonly created_at: number;
}

/** A transaction never changes, so its version is 1. */
export const transactionSnapshots = new RowSnapshots<TransactionRow>('transactions', (row) => {
  const { id, kind, from_account_id: fromAccountId, to_account_id: toAccountId, amount, created_at: createdAt } = row;
  return {
    type: 'transaction.snapshot',
    subject: fromAccountId,
    sequence: 1,
    data: { transaction: { id, kind, fromAccountId, toAccountId, amount, createdAt } },
  };
});
