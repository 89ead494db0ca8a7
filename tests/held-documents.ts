import type { DocumentStore } from '../shared/document-store/port.js';

/** A document store whose writes can be held up: a read side that lags behind for as long as a test wants. */
export interface HeldDocuments {
  readonly documents: DocumentStore;
  /** From now on writes wait. Answers the function that lets them go on. */
  readonly hold: () => () => void;
}

/** Everything but the holding is the store's own. */
export function heldDocuments(store: DocumentStore): HeldDocuments {
  let free = Promise.resolve();
  const putIfNewer: DocumentStore['putIfNewer'] = async (collection, docs) => {
    await free;
    return store.putIfNewer(collection, docs);
  };
  return {
    documents: {
      putIfNewer,
      ensureCollections: (collections) => store.ensureCollections(collections),
      get: (collection, id) => store.get(collection, id),
      getMany: (collection, ids) => store.getMany(collection, ids),
      find: (collection, options) => store.find(collection, options),
      count: (collection, filter) => store.count(collection, filter),
      findPerKey: (collection, field, keys, options) => store.findPerKey(collection, field, keys, options),
      countPerKey: (collection, field, keys, filter) => store.countPerKey(collection, field, keys, filter),
      remove: (collection, ids) => store.remove(collection, ids),
      drop: (collection) => store.drop(collection),
      ping: () => store.ping(),
      close: () => store.close(),
    },
    hold() {
      let release = (): void => undefined;
      free = new Promise((resolve) => (release = resolve));
      return release;
    },
  };
}
