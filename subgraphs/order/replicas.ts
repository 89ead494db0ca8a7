import type { Database, Transaction } from '../../shared/database/port.js';
import type { AccountState, ProductState, UserState } from '../../shared/events/states.js';
import { createLookup, type Lookup } from '../../shared/replicas/lookup.js';
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

/**
 * What orders need to know of products, users and accounts, kept here so that no command calls another subgraph.
 * A replica runs behind by the time its events take. An id it does not know is therefore waited for, up to two seconds
 * and only if it is young enough to be on its way. Never call the reading methods inside a transaction.
 */
export class Replicas {
  private readonly lookups: {
    readonly products: Lookup<ProductRow>;
    readonly users: Lookup<UserRow>;
    readonly accounts: Lookup<AccountRow>;
  };

  constructor(
    database: Database,
    private readonly now: () => number,
  ) {
    this.lookups = {
      products: createLookup(database, 'products'),
      users: createLookup(database, 'users'),
      accounts: createLookup(database, 'accounts'),
    };
  }

  /** By id; those that do not exist or are no longer sold are missing. */
  async products(ids: readonly string[]): Promise<Map<string, CatalogueEntry>> {
    const rows = await this.known(this.lookups.products, ids);
    return new Map(rows.filter((row) => row.deleted === 0).map((row) => [row.id, row]));
  }

  /**
   * The user, unless there is none or they are deleted. Where it matters whether their address is confirmed, one who has
   * not done so as far as is known here is looked at again for up to two seconds: they may have done it a moment ago.
   */
  async customer(id: string, mustBeVerified: boolean): Promise<{ readonly verified: boolean } | undefined> {
    const read = (): Promise<readonly UserRow[]> => this.known(this.lookups.users, [id]);
    const [row] = await readUntil(read, ([row]) => !mustBeVerified || row?.deleted !== 0 || row.verified === 1);
    return row?.deleted === 0 ? { verified: row.verified === 1 } : undefined;
  }

  /** Whose account it is (null for the house's own); undefined if there is no such account. */
  async accountOwner(id: string): Promise<string | null | undefined> {
    const [row] = await this.known(this.lookups.accounts, [id]);
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

  private known<R extends { readonly id: string }>(lookup: Lookup<R>, ids: readonly string[]): Promise<readonly R[]> {
    return waitForYoung(ids, this.now, () => lookup(ids));
  }
}
