import DataLoader from 'dataloader';
import type { DocumentStore, Filter, Sort, Versioned } from '../../shared/document-store/port.js';
import { AppError, notFound, validationError } from '../../shared/errors/errors.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { perRequest, type PerRequest } from '../../shared/graphql/per-request.js';
import { requireAccess, requireUser, type Identity } from '../../shared/identity/identity.js';
import { isYoung, parseId } from '../../shared/ids/ids.js';
import { pageOf, parseFirst, readPage, withNext, type Page, type PageArgs } from './relay.js';
import type { OrderDoc, ProductDoc, TransactionDoc, UserDoc, ViewName, Views } from './views.js';
import type { Waiter } from './waiter.js';

export type UserPage = Page<UserDoc>;
export type ProductPage = Page<ProductDoc>;
export type OrderPage = Page<OrderDoc>;
export type TransactionPage = Page<TransactionDoc>;

/** Views whose documents have versions that clients know. */
export type AggregateView = Exclude<ViewName, 'transactions'>;

export interface ReadsDeps {
  readonly documents: DocumentStore;
  readonly waiter: Waiter;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long a read waits for a version, in milliseconds. */
  readonly projectionWaitMs: number;
}

/** Lists that hang on a document of another view: one per value of `field`. */
export interface OwnedList<V extends ViewName = ViewName> {
  readonly list: string;
  readonly collection: V;
  readonly field: string;
  /** What must hold besides. */
  readonly filter: Filter;
  readonly sort: Sort;
}

const NAMES: Readonly<Record<AggregateView, string>> = {
  users: 'user',
  products: 'product',
  orders: 'order',
  accounts: 'account',
};

type Loaders = { readonly [V in AggregateView]: DataLoader<string, Versioned<Views[V]> | null> };

/**
 * What one request reads. Documents are remembered and read in batches: however many resolvers ask in the same moment, a
 * view is asked once.
 */
export class Reads {
  private readonly loaders: Loaders;
  private readonly lists = new Map<string, DataLoader<string, readonly Versioned<object>[]>>();
  private readonly counts = new Map<string, DataLoader<string, number>>();

  constructor(
    private readonly deps: ReadsDeps,
    private readonly identity: Identity,
  ) {
    this.loaders = {
      users: byId(deps.documents, 'users'),
      products: byId(deps.documents, 'products'),
      orders: byId(deps.documents, 'orders'),
      accounts: byId(deps.documents, 'accounts'),
    };
  }

  /** The document as it is, deleted or not; null when there is none. Whether the caller may see it is not asked. */
  byId<V extends AggregateView>(view: V, id: string): Promise<Versioned<Views[V]> | null> {
    return this.loaders[view].load(id);
  }

  /** As `byId`, but waits for `minVersion`, up to PROJECTION_WAIT_MS; then it answers what is there. */
  async atLeast<V extends AggregateView>(view: V, id: string, minVersion: number): Promise<Versioned<Views[V]> | null> {
    const there = await this.byId(view, id);
    if ((there?.version ?? 0) >= minVersion) return there;
    const { waiter, projectionWaitMs } = this.deps;
    const newer = await waiter.waitFor<Views[V]>(view, id, minVersion, projectionWaitMs);
    this.loaders[view].clear(id).prime(id, newer);
    return newer;
  }

  /**
   * A document for the query of the same name.
   * @throws AppError VALIDATION field `id` or `minVersion`; UNAUTHENTICATED, FORBIDDEN; NOT_FOUND field `id`, deleted ones
   * too; PROJECTION_PENDING when `minVersion` is not reached in time, with the version that is there (0: none).
   */
  async one<V extends AggregateView>(
    view: V,
    args: { readonly id: string; readonly minVersion?: number | null | undefined },
  ): Promise<Views[V]> {
    const id = parseId(args.id);
    const doc = await this.seen(view, id, parseMinVersion(args.minVersion));
    if (doc === null) throw notFound(NAMES[view], id);
    return doc;
  }

  /**
   * The document that another subgraph points at, at its version or newer; null when it is deleted.
   * @throws AppError VALIDATION, UNAUTHENTICATED, FORBIDDEN, PROJECTION_PENDING as `one`.
   */
  reference<V extends AggregateView>(
    view: V,
    key: { readonly id: string; readonly version: number },
  ): Promise<Views[V] | null> {
    return this.seen(view, parseId(key.id), parseMinVersion(key.version, 'version'));
  }

  /** What a visible document links to; null when it is deleted. An id just made elsewhere is waited for. */
  async linked<V extends AggregateView>(view: V, id: string): Promise<Views[V] | null> {
    const there = await this.byId(view, id);
    const found = there === null && isYoung(id, this.deps.now()) ? await this.atLeast(view, id, 1) : there;
    return found === null || isDeleted(found.doc) ? null : found.doc;
  }

  /**
   * A page of the list of one owner. First pages of many owners are read together, and so are their totals, which are
   * counted only where they are asked for.
   * @throws AppError VALIDATION field `first` or `after`.
   */
  async page<V extends ViewName>(list: OwnedList<V>, owner: string, args: PageArgs): Promise<Page<Views[V]>> {
    const filter = [{ field: list.field, is: { eq: owner } }, ...list.filter];
    const spec = { list: list.list, collection: list.collection, filter, sort: list.sort };
    const count = (): Promise<number> => this.countPerOwner(list).load(owner);
    if (args.after != null) return readPage<Views[V]>(this.deps.documents, spec, args, count);
    const first = parseFirst(args.first);
    const found = await this.perOwner(list, withNext(first)).load(owner);
    return pageOf(spec, found, { first, hasPreviousPage: false }, count);
  }

  /** Up to `first` documents of the list of one owner. */
  async all<V extends ViewName>(list: OwnedList<V>, owner: string, first: number): Promise<readonly Views[V][]> {
    const found = await this.perOwner(list, first).load(owner);
    return found.map(({ doc }) => doc);
  }

  private async seen<V extends AggregateView>(
    view: V,
    id: string,
    minVersion: number | null,
  ): Promise<Views[V] | null> {
    // Before anything is read or waited for, where that can be known.
    if (view === 'users') requireAccess(this.identity, id);
    else if (view !== 'products') requireUser(this.identity);
    const found = minVersion === null ? await this.byId(view, id) : await this.atLeast(view, id, minVersion);
    if (found !== null && view !== 'products') requireAccess(this.identity, ownerOf(found.doc));
    const version = found?.version ?? 0;
    if (minVersion !== null && version < minVersion) {
      throw new AppError(
        'PROJECTION_PENDING',
        `The read side is at version ${version} of this ${NAMES[view]}; try again.`,
        {
          details: { version, minVersion },
        },
      );
    }
    return found === null || isDeleted(found.doc) ? null : found.doc;
  }

  private perOwner<V extends ViewName>(
    list: OwnedList<V>,
    first: number,
  ): DataLoader<string, readonly Versioned<Views[V]>[]> {
    const name = `${list.list} ${first}`;
    const known = this.lists.get(name) ?? listLoader(this.deps.documents, list, first);
    this.lists.set(name, known);
    // The list's name stands for its collection, and with it for the type.
    return known as DataLoader<string, readonly Versioned<Views[V]>[]>;
  }

  private countPerOwner(list: OwnedList): DataLoader<string, number> {
    const known = this.counts.get(list.list) ?? countLoader(this.deps.documents, list);
    this.counts.set(list.list, known);
    return known;
  }
}

/** The reads of a request, by its context. */
export type ReadsOf = PerRequest<RequestContext, Reads>;

export const createReadsOf = (deps: ReadsDeps): ReadsOf => perRequest((context) => new Reads(deps, context.identity));

function byId<V extends AggregateView>(documents: DocumentStore, view: V) {
  return new DataLoader<string, Versioned<Views[V]> | null>(async (ids) => {
    const found = await documents.getMany<Views[V]>(view, ids);
    return ids.map((id) => found.get(id) ?? null);
  });
}

function listLoader(documents: DocumentStore, { collection, field, filter, sort }: OwnedList, first: number) {
  return new DataLoader<string, readonly Versioned<object>[]>(async (owners) => {
    const found = await documents.findPerKey<object>(collection, field, owners, { filter, sort, first });
    return owners.map((owner) => found.get(owner) ?? []);
  });
}

function countLoader(documents: DocumentStore, { collection, field, filter }: OwnedList) {
  return new DataLoader<string, number>(async (owners) => {
    const counted = await documents.countPerKey(collection, field, owners, filter);
    return owners.map((owner) => counted.get(owner) ?? 0);
  });
}

function parseMinVersion(version: number | null | undefined, field = 'minVersion'): number | null {
  if (version == null) return null;
  if (!Number.isSafeInteger(version) || version < 1) throw validationError(field, `${field} is a whole number from 1.`);
  return version;
}

/** Whose it is; null for what belongs to nobody here: products, the house's accounts and those of another wallet. */
export function ownerOf(doc: Views[AggregateView]): string | null {
  if ('userId' in doc) return doc.userId;
  return 'email' in doc ? doc.id : null;
}

/** Accounts are never deleted. */
export const isDeleted = (doc: object): boolean => 'deleted' in doc && doc.deleted === true;
