/** Rate limits counted in a real MongoDB: several gateways count as one. */
import { afterAll, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { databaseOf } from '../shared/document-store/mongodb-client.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { makeRateLimits } from './rate-limits.js';

const url = process.env['MONGO_URL'] ?? 'mongodb://127.0.0.1:27017/tributary';
const namespace = `limits_${newId().slice(-12)}`;
const engines = (address: string) =>
  ({
    kind: 'servers',
    namespace,
    mongo: { url: address },
    mysql: { url: 'mysql://nobody@127.0.0.1', poolSize: 2 },
    kafka: { brokers: [] },
  }) as const;
const gateway = (address = url) =>
  makeRateLimits({ store: 'mongodb', perClient: 50, perSubgraph: 50 }, engines(address), silentLogger());

afterAll(async () => {
  const client = new MongoClient(url);
  await client.db(databaseOf({ url, namespace })).dropDatabase();
  await client.close();
});

test('two gateways admit together what one may, also when both ask at once', async () => {
  const both = [gateway(), gateway()];
  await Promise.all(both.map((one) => one.start()));
  try {
    const results: PromiseSettledResult<void>[] = [];
    for (let round = 0; round < 10; round++) {
      const asked = both.flatMap((one) => Array.from({ length: 3 }, () => one.admit('user:1')));
      results.push(...(await Promise.allSettled(asked)));
    }
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(50);
    const refusal = results.find((result) => result.status === 'rejected');
    expect(refusal?.reason).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: expect.any(Number) } });
    await Promise.all(both.map((one) => one.admit('user:2')));
    await Promise.all(both.map((one) => one.admitSubgraph('user:1', 'order')));
  } finally {
    await Promise.all(both.map((one) => one.stop()));
  }
});

test('counts go away by themselves: there is an index that removes what has expired', async () => {
  const client = new MongoClient(url);
  try {
    const indexes = await client.db(databaseOf({ url, namespace })).collection('rate_limits').indexes();
    expect(indexes).toContainEqual(expect.objectContaining({ key: { expire: -1 }, expireAfterSeconds: 0 }));
    expect(indexes).toContainEqual(expect.objectContaining({ key: { key: 1 }, unique: true }));
  } finally {
    await client.close();
  }
});

test('a store that is away holds up neither the start nor a request', async () => {
  const alone = gateway('mongodb://127.0.0.1:1/tributary');
  await alone.start();
  try {
    for (let i = 0; i < 50; i++) await alone.admit('user:1');
    await expect(alone.admit('user:1')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  } finally {
    await alone.stop();
  }
});
