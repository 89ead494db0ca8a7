import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import type { AccountState, ProductState, UserState } from '../../shared/events/states.js';
import { isYoung } from '../../shared/ids/ids.js';
import { readUntil, saveNewer, waitForYoung } from '../../shared/replicas/replicas.js';

interface ProductRow {
  readonly id: string;
  readonly name: string;
  /** Cents. */
  readonly price: number;
  readonly deleted: number;
}

interface UserRow {
  readonly id: string;
  readonly verified: number;
  readonly deleted: number;
}

interface AccountRow {
  readonly id: string;
  readonly user_id: string | null;
}

/** A product as orders need it. */
export type CatalogueEntry = Pick<ProductState, 'name' | 'price'>;

/** Who orders what. */
export interface Parties {
  readonly userId: string;
  readonly productIds: readonly string[];
}

export interface KnownParties {
  /** By id; those that do not exist or are no longer sold are missing. */
  readonly products: ReadonlyMap<string, CatalogueEntry>;
  /** Undefined if there is no such user, or they are deleted. */
  readonly customer: { readonly verified: boolean } | undefined;
  /** Ids of which nothing has been heard here. */
  readonly unknown: readonly string[];
}

/**
 * What orders need to know of products, users and accounts, kept here so that no command calls another subgraph.
 * A replica runs behind by the time its events take. An id it does not know is therefore waited for, up to two seconds
 * and only if it is young enough to be on its way; never inside a transaction.
 */
export class Replicas {
  constructor(
    private readonly database: Database,
    private readonly now: () => number,
  ) {}

  /** What is known now, read together. */
  async parties(reader: Pick<Transaction, 'query'>, { userId, productIds }: Parties): Promise<KnownParties> {
    const [[user], products] = await Promise.all([
      reader.query<UserRow>('SELECT * FROM users WHERE id = ?', [userId]),
      reader.query<ProductRow>(`SELECT * FROM products WHERE id IN (${placeholders(productIds.length)})`, productIds),
    ]);
    const known = new Set([user, ...products].map((row) => row?.id));
    return {
      unknown: [userId, ...productIds].filter((id) => !known.has(id)),
      products: new Map(products.filter((row) => row.deleted === 0).map((row) => [row.id, row])),
      customer: user?.deleted === 0 ? { verified: user.verified === 1 } : undefined,
    };
  }

  /**
   * Waits, up to two seconds, for what may be on its way as far as is known: users and products that were made a moment ago,
   * and where it matters the confirmation of an address, which any customer may have given a moment ago. False, at once, if
   * there is nothing to wait for.
   */
  async waitForNews(known: KnownParties, parties: Parties, mustBeVerified: boolean): Promise<boolean> {
    const mayCome = ({ unknown, customer }: KnownParties): boolean =>
      (mustBeVerified && customer?.verified === false) || unknown.some((id) => isYoung(id, this.now()));
    if (!mayCome(known)) return false;
    const reader = { query: this.database.read.bind(this.database) };
    await readUntil(
      () => this.parties(reader, parties),
      (found) => !mayCome(found),
    );
    return true;
  }

  /** Whose account it is (null for the house's own); undefined if there is no such account. */
  async accountOwner(id: string): Promise<string | null | undefined> {
    const [row] = await waitForYoung([id], this.now, () =>
      this.database.read<AccountRow>('SELECT * FROM accounts WHERE id = ?', [id]),
    );
    return row?.user_id;
  }

  saveProducts(tx: Transaction, states: readonly ProductState[]): Promise<void> {
    return saveNewer(tx, 'products', states, ({ id, version, name, price, deleted }) => ({
      id,
      version,
      name,
      price,
      deleted,
    }));
  }

  saveUsers(tx: Transaction, states: readonly UserState[]): Promise<void> {
    return saveNewer(tx, 'users', states, ({ id, version, verified, deleted }) => ({ id, version, verified, deleted }));
  }

  saveAccounts(tx: Transaction, states: readonly AccountState[]): Promise<void> {
    return saveNewer(tx, 'accounts', states, ({ id, version, userId }) => ({ id, version, user_id: userId }));
  }
}
