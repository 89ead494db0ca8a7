import { MongoBulkWriteError, type AnyBulkWriteOperation, type Collection, type Db } from 'mongodb';
import { EngineUnavailable } from '../errors/errors.js';
import { within } from '../time/within.js';
import { checkCollection, checkLimit, checkText, newestOf } from './input.js';
import { isServerError, openMongoDatabase, translate, type MongoOptions } from './mongodb-client.js';
import { fromStored, toStored, type StoredDocument } from './mongodb-document.js';
import { findQueries, indexOf, pathOf, where, type Query } from './mongodb-query.js';
import type { CollectionSpec, DocumentStore, Filter, FindOptions, PerKeyOptions, Versioned } from './port.js';

/** How many of a batch of lists are read at a time: many enough to hide the way, few enough to leave others their turn. */
const LISTS_AT_A_TIME = 8;
/** Servers read it as a 32-bit number. */
const MAX_LIMIT = 2 ** 31 - 2;
/** Each means that somebody else has just written the same document. More in a row are no race any more. */
const MAX_ROUNDS = 50;

/**
 * From so many documents in their first version on, a batch inserts them apart from the others. An insert costs a server a
 * third of a guarded upsert, but is one more command, which costs as much as a few upserts.
 */
const WORTH_INSERTING = 8;

/**
 * The last defence: reads and writes of documents are given up after so long, whatever the driver still waits for. Its own
 * limits are per attempt and per command, and have left calls open for good (see mongodb-connection.ts), while those who
 * write wait for one call before they begin the next. What may be stored all the same is put again: nothing is stored twice.
 */
const ANSWER_MS = 15_000;

/** Indexes of large collections take their time. */
const INDEX_MS = 600_000;

const NAMESPACE_EXISTS = 48;
const DUPLICATE_KEY = 11_000;
/**
 * Failures of one document in a bulk that say nothing yet: the key is there (a newer version, or an older one that was just
 * inserted), the document was being written by somebody else, or FerretDB broke a deadlock of its PostgreSQL.
 */
const BEATEN_CODES: ReadonlySet<unknown> = new Set([DUPLICATE_KEY, 112, 16_908_292]);

class MongoDocumentStore implements DocumentStore {
  private readonly inHand = new Set<Promise<unknown>>();
  private closing: Promise<void> | null = null;

  constructor(private readonly db: Db) {}

  ensureCollections(collections: readonly CollectionSpec[]): Promise<void> {
    const wanted = () =>
      collections.map(({ name, indexes }) => ({ name: checked(name), indexes: indexes.map(indexOf) }));
    return this.answer(
      wanted,
      async (specs) => {
        for (const { name, indexes } of specs) {
          try {
            await this.db.createCollection(name);
          } catch (error) {
            if (!isServerError(error, NAMESPACE_EXISTS)) throw error;
          }
          if (indexes.length > 0) await this.collection(name).createIndexes(indexes);
        }
      },
      INDEX_MS,
    );
  }

  putIfNewer<D extends object>(collection: string, docs: readonly Versioned<D>[]): Promise<ReadonlySet<string>> {
    // Copied at once: the caller may go on to change its objects. In the order of ids, so that bulks which meet wait for
    // each other instead of locking each other out.
    const copies = () => {
      checkCollection(collection);
      return newestOf(docs)
        .map(toStored)
        .sort((a, b) => (a._id < b._id ? -1 : 1));
    };
    return this.answer(copies, async (rows) => {
      const stored = new Set<string>();
      let open: readonly StoredDocument[] = rows;
      for (let round = 1; open.length > 0; round += 1) {
        const { failed, lost } = await this.write(collection, open, round === MAX_ROUNDS);
        for (const { _id } of open) if (!failed.has(_id)) stored.add(_id);
        open = await this.stillNewer(
          collection,
          open.filter(({ _id }) => failed.has(_id) && !lost.has(_id)),
        );
      }
      return stored;
    });
  }

  get<D>(collection: string, id: string): Promise<Versioned<D> | null> {
    const check = () => {
      checkCollection(collection);
      checkText('id', id);
    };
    return this.answer(check, async () => {
      const found = await this.collection(collection).findOne({ _id: id });
      return found === null ? null : fromStored<D>(found);
    });
  }

  getMany<D>(collection: string, ids: readonly string[]): Promise<ReadonlyMap<string, Versioned<D>>> {
    const wanted = () => distinct('id', collection, ids);
    return this.answer(wanted, async (keys) => {
      if (keys.length === 0) return new Map();
      const batchSize = keys.length + 1;
      const found = await this.collection(collection)
        .find({ _id: { $in: keys } }, { batchSize })
        .toArray();
      return new Map(found.map((row) => [row._id, fromStored<D>(row)]));
    });
  }

  find<D>(collection: string, options: FindOptions): Promise<readonly Versioned<D>[]> {
    const queries = () => {
      checkCollection(collection);
      return findQueries(options);
    };
    return this.answer(queries, (parts) => this.read<D>(collection, parts, options.limit));
  }

  count(collection: string, filter?: Filter): Promise<number> {
    const condition = () => {
      checkCollection(collection);
      return where(filter);
    };
    return this.answer(condition, (matching) => this.collection(collection).countDocuments(matching));
  }

  /**
   * A small find for each key, which reads its index up to the limit and no further. One aggregation for all would read
   * everything that the keys have, or, as a union, leave the order of its parts open.
   */
  findPerKey<D>(
    collection: string,
    field: string,
    keys: readonly string[],
    { filter = [], sort, first }: PerKeyOptions,
  ): Promise<ReadonlyMap<string, readonly Versioned<D>[]>> {
    const queries = () => {
      checkLimit('first', first);
      const wanted = distinct(field, collection, keys);
      const ofKey = (key: string): FindOptions => ({
        filter: [{ field, is: { eq: key } }, ...filter],
        sort,
        limit: first,
      });
      return new Map(wanted.map((key) => [key, findQueries(ofKey(key))]));
    };
    return this.answer(queries, async (perKey) => {
      const found = new Map([...perKey.keys()].map((key): [string, readonly Versioned<D>[]] => [key, []]));
      const left = perKey.entries();
      const reader = async (): Promise<void> => {
        for (const [key, parts] of left) found.set(key, await this.read<D>(collection, parts, first));
      };
      await Promise.all(Array.from({ length: LISTS_AT_A_TIME }, reader));
      return found;
    });
  }

  countPerKey(
    collection: string,
    field: string,
    keys: readonly string[],
    filter?: Filter,
  ): Promise<ReadonlyMap<string, number>> {
    const query = () => {
      const wanted = distinct(field, collection, keys);
      const path = pathOf(field);
      return { wanted, path, matching: where(filter, { [path]: { $in: wanted } }) };
    };
    return this.answer(query, async ({ wanted, path, matching }) => {
      const found = new Map(wanted.map((key) => [key, 0]));
      if (wanted.length === 0) return found;
      const counted = this.collection(collection).aggregate<{ readonly _id: string; readonly total: number }>(
        [{ $match: matching }, { $group: { _id: `$${path}`, total: { $sum: 1 } } }],
        { batchSize: wanted.length + 1 },
      );
      for (const { _id, total } of await counted.toArray()) found.set(_id, total);
      return found;
    });
  }

  remove(collection: string, ids: readonly string[]): Promise<void> {
    const wanted = () => distinct('id', collection, ids);
    return this.answer(wanted, async (keys) => {
      if (keys.length > 0) await this.collection(collection).deleteMany({ _id: { $in: keys } });
    });
  }

  drop(collection: string): Promise<void> {
    return this.answer(
      () => checked(collection),
      async (name) => {
        await this.db.dropCollection(name);
      },
    );
  }

  ping(): Promise<void> {
    return this.answer(
      () => undefined,
      async () => {
        await this.db.command({ ping: 1 });
      },
    );
  }

  close(): Promise<void> {
    this.closing ??= Promise.allSettled(this.inHand).then(() => this.db.client.close());
    return this.closing;
  }

  /** `prepare` checks and copies before anything is awaited; what either throws, a caller gets as the port names it. */
  private answer<P, T>(prepare: () => P, work: (prepared: P) => Promise<T>, limitMs = ANSWER_MS): Promise<T> {
    const running = within(limitMs, this.run(prepare, work), (): never => {
      throw new EngineUnavailable('document store', new Error(`There was no answer within ${limitMs / 1_000} s.`));
    });
    this.inHand.add(running);
    const done = (): void => void this.inHand.delete(running);
    running.then(done, done);
    return running;
  }

  private async run<P, T>(prepare: () => P, work: (prepared: P) => Promise<T>): Promise<T> {
    try {
      if (this.closing !== null) throw new EngineUnavailable('document store', new Error('The store has been closed.'));
      const prepared = prepare();
      // Does nothing once it has succeeded: from then on the driver reconnects by itself, but a first attempt that failed
      // would stay failed.
      await this.db.client.connect();
      return await work(prepared);
    } catch (error) {
      throw translate(error);
    }
  }

  private collection(name: string): Collection<StoredDocument> {
    return this.db.collection<StoredDocument>(name);
  }

  private async read<D>(collection: string, parts: readonly Query[], limit: number): Promise<Versioned<D>[]> {
    const rows: StoredDocument[] = [];
    for (const { filter, sort } of parts) {
      const missing = Math.min(limit - rows.length, MAX_LIMIT);
      if (missing === 0) break; // to the server it would mean no limit
      // One more than the limit: the whole answer comes at once, and no cursor stays open.
      rows.push(
        ...(await this.collection(collection)
          .find(filter, { sort, limit: missing, batchSize: missing + 1 })
          .toArray()),
      );
    }
    return rows.map((row) => fromStored<D>(row));
  }

  /**
   * Puts each row where none or an older version is. Answers the ids where that failed because something is there, and
   * those of them that have lost for good.
   */
  private async write(
    collection: string,
    rows: readonly StoredDocument[],
    last: boolean,
  ): Promise<{ readonly failed: ReadonlySet<string>; readonly lost: ReadonlySet<string> }> {
    const firsts = rows.filter(isFirst).length;
    const inserts = firsts === rows.length || firsts >= WORTH_INSERTING;
    const writes = rows.map((row) => (inserts && isFirst(row) ? { insertOne: { document: row } } : guarded(row)));
    const [failed, lost] = [new Set<string>(), new Set<string>()];
    try {
      await this.collection(collection).bulkWrite(writes, { ordered: false });
    } catch (error) {
      // Without a majority nothing counts as stored, whatever else happened.
      if (last || !(error instanceof MongoBulkWriteError) || error.result.getWriteConcernError() !== undefined)
        throw error;
      const failures = [error.writeErrors].flat();
      if (failures.length === 0 || !failures.every(({ code }) => BEATEN_CODES.has(code))) throw error;
      for (const { index, code } of failures) {
        const row = rows[index];
        if (row === undefined) continue;
        failed.add(row._id);
        // Nothing is older than a first version.
        if (code === DUPLICATE_KEY && isFirst(row)) lost.add(row._id);
      }
    }
    return { failed, lost };
  }

  /** Of rows that met something: those newer than what is there now. The others have lost. */
  private async stillNewer(collection: string, rows: readonly StoredDocument[]): Promise<readonly StoredDocument[]> {
    if (rows.length === 0) return [];
    const ids = rows.map(({ _id }) => _id);
    const there = await this.collection(collection)
      .find<Pick<StoredDocument, '_id' | 'version'>>(
        { _id: { $in: ids } },
        { projection: { version: 1 }, batchSize: ids.length + 1 },
      )
      .toArray();
    const versions = new Map(there.map(({ _id, version }) => [_id, version]));
    return rows.filter(({ _id, version }) => (versions.get(_id) ?? 0) < version);
  }
}

const isFirst = ({ version }: StoredDocument): boolean => version === 1;

const guarded = ({ _id, ...replacement }: StoredDocument): AnyBulkWriteOperation<StoredDocument> => ({
  replaceOne: { filter: { _id, version: { $lt: replacement.version } }, replacement, upsert: true },
});

function checked(collection: string): string {
  checkCollection(collection);
  return collection;
}

function distinct(field: string, collection: string, texts: readonly string[]): string[] {
  checkCollection(collection);
  for (const text of texts) checkText(field, text);
  return [...new Set(texts)];
}

/**
 * The document store on MongoDB 7 or newer, or a server that speaks its protocol: no transactions and no change streams are
 * used. One database per namespace; a document is `{ _id, version, doc }`. Resolves without having asked the server: while
 * that is away, calls reject with `EngineUnavailable`, and work again once it is back.
 * @throws an error of the driver when the URL makes no sense.
 */
export function openMongoDocumentStore(options: MongoOptions): Promise<DocumentStore> {
  return Promise.resolve().then(() => new MongoDocumentStore(openMongoDatabase(options)));
}
