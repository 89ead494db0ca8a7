import { MongoClient, MongoServerError } from 'mongodb';
import { RateLimiterMongo } from 'rate-limiter-flexible';
import type { MongoSettings } from '../shared/config/engines.js';
import { databaseOf } from '../shared/document-store/mongodb-client.js';
import { WINDOW_SECONDS, type Counter } from './rate-limits.js';

const COLLECTION = 'rate_limits';

/** A request waits for its count, so a store that does not answer is given up soon. */
const PATIENCE_MS = 1_000; // 1 second

/** Counts of one client wait for each other on the server, so more connections would only wait there. */
const CONNECTIONS = 10;

export interface MongoRateLimits {
  /** A counter per purpose, by a name that no other has; a key may consume so many points in a minute. */
  counter(name: string, points: number): Counter;
  /** Makes the indexes, of which one removes what has expired. Counting works without, and nothing is removed then. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

/** Counts in MongoDB: one upsert for each count, and from the refusal of a key until its minute is over none. */
export function openMongoRateLimits({ url, tls }: MongoSettings, namespace: string): MongoRateLimits {
  const client = new MongoClient(url, {
    appName: 'tributary-gateway',
    maxPoolSize: CONNECTIONS,
    serverSelectionTimeoutMS: PATIENCE_MS,
    connectTimeoutMS: PATIENCE_MS,
    socketTimeoutMS: PATIENCE_MS,
    waitQueueTimeoutMS: PATIENCE_MS,
    // What is lost with a failover is some seconds of counting.
    w: 1,
    ...(tls && { ...tls, tls: true }),
  });
  const dbName = databaseOf({ url, namespace });
  const limiter = (keyPrefix: string, points: number): Counter => {
    const counter = new RateLimiterMongo({
      storeClient: client,
      dbName,
      tableName: COLLECTION,
      keyPrefix,
      points,
      duration: WINDOW_SECONDS,
      inMemoryBlockOnConsumed: points + 1,
      // By itself it would report a failure to the console.
      disableIndexesCreation: true,
    });
    return {
      // Two gateways that meet a new client at once both insert it. Where the server does not call that a duplicate key, as
      // FerretDB does not, the one that loses asks again.
      consume: (key, taken) =>
        counter.consume(key, taken).catch((error: unknown) => {
          if (error instanceof MongoServerError) return counter.consume(key, taken);
          throw error;
        }),
    };
  };
  return {
    counter: limiter,
    prepare: async () => {
      const collection = client.db(dbName).collection(COLLECTION);
      await collection.createIndexes([
        { key: { expire: -1 }, expireAfterSeconds: 0 },
        { key: { key: 1 }, unique: true },
      ]);
    },
    close: () => client.close(),
  };
}
