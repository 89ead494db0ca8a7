/** What the servers do without us: the yardsticks of `npm run bench -- --engines`. */
import { Kafka, logLevel } from 'kafkajs';
import { MongoClient } from 'mongodb';
import { createPool, type PoolConnection } from 'mysql2/promise';
import { newId } from '../shared/ids/ids.js';
import { concurrently } from './client.js';

export interface BareRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Records per second through kafkajs' idempotent producer, acks of all, in batches of that size. */
export async function bareSends(
  brokers: readonly string[],
  topic: string,
  partitions: number,
  records: readonly BareRecord[],
  batch: number,
): Promise<number> {
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  // The first one finds the leaders and gets its producer id.
  await producer.send({ topic, messages: [{ key: 'first', value: 'first' }] });
  const begun = performance.now();
  for (let from = 0; from < records.length; from += batch) {
    await producer.send({ topic, acks: -1, messages: records.slice(from, from + batch) });
  }
  const seconds = (performance.now() - begun) / 1_000;
  await producer.disconnect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  return records.length / seconds;
}

export interface BareInsert {
  readonly table: string;
  readonly row: () => Readonly<Record<string, string | number | null>>;
}

/** Transactions per second of those inserts through mysql2, so many at a time on a pool of that size. */
export async function bareTransactions(
  options: { readonly url: string; readonly database: string; readonly poolSize: number; readonly atATime: number },
  count: number,
  inserts: readonly BareInsert[],
): Promise<number> {
  const { url, database, poolSize, atATime } = options;
  const pool = createPool({ uri: `${url}/${database}`, connectionLimit: poolSize, timezone: 'Z' });
  const prepared = new Set<unknown>();
  const transaction = async (connection: PoolConnection): Promise<void> => {
    const session = connection.threadId;
    if (!prepared.has(session)) await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    prepared.add(session);
    await connection.beginTransaction();
    for (const { table, row } of inserts) {
      const values = row();
      const names = Object.keys(values);
      const marks = names.map(() => '?').join(', ');
      await connection.execute(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks})`, Object.values(values));
    }
    await connection.commit();
  };
  const run = (times: number): Promise<void> =>
    concurrently(times, atATime, async () => {
      const connection = await pool.getConnection();
      try {
        await transaction(connection);
      } finally {
        connection.release();
      }
    });
  await run(poolSize * 10);
  const begun = performance.now();
  await run(count);
  const seconds = (performance.now() - begun) / 1_000;
  await pool.end();
  return count / seconds;
}

/**
 * Documents per second through `bulkWrite` alone, in unordered bulks of that size: copies of what is in the larger
 * collections of a database, into empty ones with the same indexes.
 */
export async function bareInserts(url: string, database: string, larger: number, bulk: number): Promise<number> {
  const client = new MongoClient(url, { retryWrites: false });
  await client.connect();
  const [from, to] = [client.db(database), client.db(`bare-${newId()}`)];
  let [count, seconds] = [0, 0];
  for (const { name } of await from.listCollections({}, { nameOnly: true }).toArray()) {
    const source = from.collection(name);
    if ((await source.countDocuments()) < larger) continue;
    const documents = await source.find().toArray();
    const target = await to.createCollection(name);
    for (const { key } of await source.indexes()) await target.createIndex(key, {}, {});
    const begun = performance.now();
    for (let at = 0; at < documents.length; at += bulk) {
      const writes = documents.slice(at, at + bulk).map((document) => ({ insertOne: { document } }));
      await target.bulkWrite(writes, { ordered: false });
    }
    seconds += (performance.now() - begun) / 1_000;
    count += documents.length;
  }
  await to.dropDatabase();
  await client.close();
  return count / seconds;
}
