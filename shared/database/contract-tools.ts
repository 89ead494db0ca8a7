import { randomUUID } from 'node:crypto';
import type { Database, Transaction } from './port.js';

/** The contract's accounts, as its tests use them. */
export function accountsOf(db: () => Database) {
  const account = async (balance = 0): Promise<string> => {
    const id = randomUUID();
    await db().transaction((tx) => tx.insert('accounts', [{ id, balance }]));
    return id;
  };
  const balanceOf = async (id: string): Promise<number | undefined> =>
    (await db().read<{ balance: number }>('SELECT balance FROM accounts WHERE id = ?', [id]))[0]?.balance;
  const count = async (table: string): Promise<number | undefined> =>
    (await db().read<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.n;
  /** Locks, reads and writes. */
  const add = async (tx: Transaction, id: string, amount: number): Promise<void> => {
    const [row] = await tx.lock<{ balance: number }>('accounts', 'id', [id]);
    if (!row) throw new Error('The account is gone.');
    await tx.execute('UPDATE accounts SET balance = ? WHERE id = ?', [row.balance + amount, id]);
  };
  return { account, balanceOf, count, add };
}
