/** Accounts as readers see them: ours and those of a foreign Wallet Core, each id once. */
import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import type { AccountState } from '../../shared/events/states.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { FOREIGN_ACCOUNTS, type AccountDoc, type ForeignAccountDoc } from './views.js';

type Own = Versioned<AccountState>;
type Foreign = Versioned<ForeignAccountDoc>;

/**
 * The same store, whose `accounts` also answers for foreign ones. The two kinds are kept apart, so that neither can
 * overwrite the other in whatever order their events come; who wins is decided here, each time:
 *
 * Ours win. When all accounts are handed over, the foreign side wins where it has spoken since: the account stays its
 * owner's, and its version goes on from the last one it had here.
 *
 * Searching `accounts` by `find` and `count` finds ours only: foreign ones have no owner and are in no list.
 */
export function withForeignAccounts(documents: DocumentStore, mode: WalletCoreMode): DocumentStore {
  const foreignOf = (ids: readonly string[]): Promise<ReadonlyMap<string, Foreign>> =>
    ids.length === 0 ? Promise.resolve(new Map()) : documents.getMany<ForeignAccountDoc>(FOREIGN_ACCOUNTS, ids);

  const accounts = async (ids: readonly string[]): Promise<ReadonlyMap<string, Versioned<AccountDoc>>> => {
    const own = await documents.getMany<AccountState>('accounts', ids);
    const foreign = await foreignOf(mode === 'own' ? ids.filter((id) => !own.has(id)) : ids);
    const found = new Map<string, Versioned<AccountDoc>>();
    for (const id of ids) {
      const account = merge(own.get(id), foreign.get(id));
      if (account !== undefined) found.set(id, account);
    }
    return found;
  };

  const handedOver = async (lists: ReadonlyMap<string, readonly Own[]>) => {
    const foreign = await foreignOf([...lists.values()].flat().map(({ id }) => id));
    return new Map(
      [...lists].map(([key, list]) => [key, list.map((own) => merge(own, foreign.get(own.id)) ?? own)] as const),
    );
  };

  return {
    // The collection's name stands for the type of its documents.
    async get<D>(collection: string, id: string) {
      if (collection !== 'accounts') return documents.get<D>(collection, id);
      return ((await accounts([id])).get(id) ?? null) as Versioned<D> | null;
    },
    async getMany<D>(collection: string, ids: readonly string[]) {
      if (collection !== 'accounts') return documents.getMany<D>(collection, ids);
      return (await accounts(ids)) as ReadonlyMap<string, Versioned<D>>;
    },
    async findPerKey<D>(...args: Parameters<DocumentStore['findPerKey']>) {
      if (args[0] !== 'accounts' || mode === 'own') return documents.findPerKey<D>(...args);
      const lists = await handedOver(await documents.findPerKey<AccountState>(...args));
      return lists as ReadonlyMap<string, readonly Versioned<unknown>[]> as ReadonlyMap<
        string,
        readonly Versioned<D>[]
      >;
    },
    ensureCollections: (collections) => documents.ensureCollections(collections),
    putIfNewer: (collection, docs) => documents.putIfNewer(collection, docs),
    find: (collection, options) => documents.find(collection, options),
    count: (collection, filter) => documents.count(collection, filter),
    countPerKey: (...args) => documents.countPerKey(...args),
    remove: (collection, ids) => documents.remove(collection, ids),
    drop: (collection) => documents.drop(collection),
    ping: () => documents.ping(),
    close: () => documents.close(),
  };
}

/** What is known of an account; `foreign` is only given where it may win. */
function merge(own: Own | undefined, foreign: Foreign | undefined): Versioned<AccountDoc> | undefined {
  if (foreign === undefined) return own;
  const { id, version, doc } = foreign;
  const { balance, createdAt, updatedAt, replaces } = doc;
  if (own === undefined) {
    return { id, version, doc: { id, version, userId: null, balance, createdAt, updatedAt, origin: 'foreign' } };
  }
  // It changed here after the foreign side last spoke: that was in a time before, or in the very moment of handing over.
  if (own.version > replaces) return own;
  const raised = own.version + version;
  const times = { createdAt: own.doc.createdAt, updatedAt: Math.max(own.doc.updatedAt, updatedAt) };
  return { id, version: raised, doc: { ...own.doc, version: raised, balance, ...times, origin: 'foreign' } };
}
