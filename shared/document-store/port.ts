/**
 * Texts are well-formed and without NUL. Numbers that are compared or sorted by are integers, or decimals of up to 15
 * digits: engines read longer ones from JSON with other last bits.
 */
export type Scalar = string | number | boolean | null;

export interface Versioned<D> {
  readonly id: string;
  /** At least 1; the greater one is the newer. */
  readonly version: number;
  readonly doc: D;
}

/**
 * All conditions of one field must hold. Dotted paths reach into objects, not into arrays; the field `id` is the
 * document's id. A field holds one type throughout a collection, or null; a missing field counts as null.
 * - `eq` and `in` take null too. Ranges never match null, and a range against null matches nothing.
 * - Texts compare by their UTF-8 bytes: case and accents count.
 * - `prefix` matches texts and any element of an array, also when empty; the other conditions are not for arrays.
 */
export interface Condition {
  readonly eq?: Scalar;
  readonly in?: readonly Scalar[];
  readonly gt?: Scalar;
  readonly gte?: Scalar;
  readonly lt?: Scalar;
  readonly lte?: Scalar;
  readonly prefix?: string;
}

/** Every clause must hold; a field may stand in several clauses (`search` prefixes of several words). */
export type Filter = readonly { readonly field: string; readonly is: Condition }[];

/** Ties are broken by id in the same direction. Nulls sort lowest, texts by their UTF-8 bytes, false before true. */
export interface Sort {
  readonly field: string;
  readonly direction: 'asc' | 'desc';
}

/** The last item already seen: its sort value and id. It need not be there any more. */
export interface Position {
  readonly value: Scalar;
  readonly id: string;
}

export interface FindOptions {
  readonly filter?: Filter;
  readonly sort: Sort;
  readonly after?: Position;
  /** 0 gives nothing. */
  readonly limit: number;
}

export interface PerKeyOptions {
  readonly filter?: Filter;
  readonly sort: Sort;
  /** Per key; 0 gives nothing. */
  readonly first: number;
}

export interface IndexSpec {
  /** In order; together they answer one shape of query. Ids are added at the end by the adapter. */
  readonly fields: readonly string[];
}

export interface CollectionSpec {
  /** Lower-case letters, digits, `_` and `-`, a letter first; up to 100 characters. */
  readonly name: string;
  readonly indexes: readonly IndexSpec[];
}

/**
 * Documents by id, newest version wins. Contract (contract.ts):
 * - `putIfNewer` stores a document only where none or an older version is there, also when callers race; what it stored is
 *   durable and visible to every later read.
 * - Within one call the newest of several versions of an id wins, the first of equal ones. A call that rejects may
 *   have stored some of its documents: repeat it.
 * - Documents come back as JSON gives them, whatever their keys; later changes of the caller's object do not show.
 * - A collection that is not there reads as empty, and is made by the first put, without indexes.
 * - Names, fields, ids and values that cannot be kept exactly are `VALIDATION` (input.ts).
 * - Reads never see part of a document. An engine that cannot be reached rejects with `EngineUnavailable`.
 */
export interface DocumentStore {
  /** Creates what is missing, indexes on full collections too; removes nothing. */
  ensureCollections(collections: readonly CollectionSpec[]): Promise<void>;
  /** Answers the ids whose document was stored; the others were not newer. */
  putIfNewer<D extends object>(collection: string, docs: readonly Versioned<D>[]): Promise<ReadonlySet<string>>;
  get<D>(collection: string, id: string): Promise<Versioned<D> | null>;
  /** Only the ids that exist. */
  getMany<D>(collection: string, ids: readonly string[]): Promise<ReadonlyMap<string, Versioned<D>>>;
  /** Sorted; up to `limit`. */
  find<D>(collection: string, options: FindOptions): Promise<readonly Versioned<D>[]>;
  count(collection: string, filter?: Filter): Promise<number>;
  /**
   * For each key up to `first` documents whose `field` equals it, sorted; none is an empty list. One call for a batch of
   * lists. With an index on the field, what the filter sets equal, and the sort, it costs what it answers, however many
   * documents a key has.
   */
  findPerKey<D>(
    collection: string,
    field: string,
    keys: readonly string[],
    options: PerKeyOptions,
  ): Promise<ReadonlyMap<string, readonly Versioned<D>[]>>;
  /** For each key how many documents' `field` equals it, 0 too. It costs what it counts. */
  countPerKey(
    collection: string,
    field: string,
    keys: readonly string[],
    filter?: Filter,
  ): Promise<ReadonlyMap<string, number>>;
  /** Unconditional; for state that is not versioned by events. */
  remove(collection: string, ids: readonly string[]): Promise<void>;
  drop(collection: string): Promise<void>;
  /** Resolves when the store answers. */
  ping(): Promise<void>;
  /** Finishes what was put; after it every call rejects with `EngineUnavailable`, but for `close`. */
  close(): Promise<void>;
}
