import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import { AppError } from '../../shared/errors/errors.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import type { UserState } from '../../shared/events/states.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { saveNewer, waitForYoung } from '../../shared/replicas/replicas.js';
import { SYSTEM_ACCOUNTS, type AccountKind, type AccountState } from './account.js';
import { open, type Moved, type Opened, type TransactionState } from './ledger.js';
import type { PaymentBook } from './payments.js';

export interface AccountRow {
  readonly id: string;
  readonly version: number;
  readonly user_id: string | null;
  readonly kind: AccountKind;
  readonly balance: number;
  readonly created_at: number;
  readonly updated_at: number;
}

interface BookRow {
  readonly order_id: string;
  readonly version: number;
  readonly attempts: string;
  readonly closed: number;
  readonly updated_at: number;
}

interface UserRow {
  readonly id: string;
  readonly deleted: number;
}

export const fromRow = ({ user_id, created_at, updated_at, ...rest }: AccountRow): AccountState => ({
  ...rest,
  userId: user_id,
  createdAt: created_at,
  updatedAt: updated_at,
});

const toRow = ({ userId, createdAt, updatedAt, ...rest }: AccountState) => ({
  ...rest,
  user_id: userId,
  created_at: createdAt,
  updated_at: updatedAt,
});

const transactionRow = ({ fromAccountId, toAccountId, createdAt, ...rest }: TransactionState) => ({
  ...rest,
  from_account_id: fromAccountId,
  to_account_id: toAccountId,
  created_at: createdAt,
});

const bookRow = ({ orderId, attempts, closed, updatedAt, version }: PaymentBook) => ({
  order_id: orderId,
  version,
  attempts: JSON.stringify(attempts),
  closed,
  updated_at: updatedAt,
});

const systemIds: ReadonlySet<string> = new Set(SYSTEM_ACCOUNTS.map(({ id }) => id));

export const isSystemAccount = (id: string): boolean => systemIds.has(id);

/** Accounts, transactions, payment books and the replica of users. Books are locked before accounts. */
export class BalanceStore {
  constructor(private readonly outbox: Outbox) {}

  /**
   * The accounts by id, locked until the transaction ends: in id order, the house's own last. Those take part in many
   * movements, so they are held for the shortest time; and one order for all means no deadlock.
   */
  async lockAccounts(tx: Transaction, ids: Iterable<string>): Promise<Map<string, AccountState>> {
    const wanted = [...new Set(ids)];
    const rows = await tx.lock<AccountRow>(
      'accounts',
      'id',
      wanted.filter((id) => !isSystemAccount(id)),
    );
    const system = await tx.lock<AccountRow>('accounts', 'id', wanted.filter(isSystemAccount));
    return new Map([...rows, ...system].map((row) => [row.id, fromRow(row)]));
  }

  /** The accounts by id as last committed. */
  async findAccounts(db: Database, ids: readonly string[]): Promise<Map<string, AccountState>> {
    const rows = await db.read<AccountRow>(`SELECT * FROM accounts WHERE id IN (${placeholders(ids.length)})`, ids);
    return new Map(rows.map((row) => [row.id, fromRow(row)]));
  }

  /** @throws AppError CONFLICT (field `id`) if the id is taken. */
  async openAccount(tx: Transaction, { account, events }: Opened, traceparent: string | null): Promise<AccountState> {
    if ((await tx.insertNew('accounts', ['id'], [toRow(account)])) === 0) {
      throw new AppError('CONFLICT', `Account ${account.id} exists already.`, { field: 'id' });
    }
    this.outbox.append(tx, events, traceparent);
    return account;
  }

  /** Opens the house's own accounts where they are missing, whoever else is doing the same at the moment. */
  async openSystemAccounts(db: Database, now: () => number): Promise<void> {
    const known = await this.findAccounts(db, [...systemIds]);
    if (known.size === systemIds.size) return;
    await db.transaction(async (tx) => {
      for (const { id, kind } of SYSTEM_ACCOUNTS) {
        const { account, events } = open({ id, userId: null, kind }, now());
        if ((await tx.insertNew('accounts', ['id'], [toRow(account)])) === 1) this.outbox.append(tx, events);
      }
    });
  }

  /** Saves movements in their order; the accounts were locked before. Publishes nothing: see `publish`. */
  saveMovements(tx: Transaction, moved: readonly Moved[]): void {
    const accounts = new Map(moved.flatMap(({ from, to }) => [from, to]).map((account) => [account.id, account]));
    tx.deferred.upsert('accounts', ['id'], [...accounts.values()].map(toRow));
    tx.deferred.insert(
      'transactions',
      moved.map(({ transaction }) => transactionRow(transaction)),
    );
  }

  publish(tx: Transaction, events: readonly AnyNewEvent[], traceparent: string | null = null): void {
    this.outbox.append(tx, events, traceparent);
  }

  /** The payment books by order, locked in id order until the transaction ends. */
  async lockBooks(tx: Transaction, orderIds: Iterable<string>): Promise<Map<string, PaymentBook>> {
    const rows = await tx.lock<BookRow>('payments', 'order_id', [...new Set(orderIds)]);
    return new Map(
      rows.map(({ order_id, version, attempts, closed, updated_at }) => [
        order_id,
        {
          orderId: order_id,
          version,
          attempts: JSON.parse(attempts) as PaymentBook['attempts'],
          closed: closed === 1,
          updatedAt: updated_at,
        },
      ]),
    );
  }

  /**
   * A book that was not there when it was locked could be made by another process meanwhile: the transaction then fails as a
   * CONFLICT, so that neither overwrites the other.
   */
  saveBooks(tx: Transaction, fresh: readonly PaymentBook[], changed: readonly PaymentBook[]): void {
    tx.deferred.insert('payments', fresh.map(bookRow));
    tx.deferred.upsert('payments', ['order_id'], changed.map(bookRow));
  }

  saveUsers(tx: Transaction, users: readonly UserState[]): Promise<void> {
    return saveNewer(tx, 'users', users, ({ id, version, deleted }) => ({ id, version, deleted }));
  }

  /** Whether the user exists and is not deleted. Waits for one that was made a moment ago; never inside a transaction. */
  async hasUser(db: Database, id: string, now: () => number): Promise<boolean> {
    const rows = await waitForYoung([id], now, () =>
      db.read<UserRow>('SELECT id, deleted FROM users WHERE id = ?', [id]),
    );
    return rows[0]?.deleted === 0;
  }

  /**
   * Money that comes to people goes to people that exist. What is given back goes back all the same: it must not vanish.
   * @throws AppError CONFLICT if the account's user is known to be deleted.
   */
  async requireLivingOwner(tx: Transaction, { userId }: AccountState, field: string): Promise<void> {
    if (userId === null) return;
    const [owner] = await tx.query<UserRow>('SELECT id, deleted FROM users WHERE id = ?', [userId]);
    if (owner?.deleted === 1) {
      throw new AppError('CONFLICT', 'The user of this account was deleted; it takes no more money.', { field });
    }
  }
}
