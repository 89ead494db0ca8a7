/** Before the engine tests: does every engine answer, through the drivers that the tests use? */
import { Kafka, logLevel } from 'kafkajs';
import { MongoClient } from 'mongodb';
import { createConnection } from 'mysql2/promise';
import { URLS } from './state.mjs';

const ANSWER_MS = 10_000;

const asked = {
  async KAFKA_BROKERS(brokers) {
    const retry = { retries: 2 };
    const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING, retry }).admin();
    try {
      await admin.connect();
      await admin.describeCluster();
    } finally {
      await admin.disconnect();
    }
  },
  async MYSQL_URL(uri) {
    const connection = await createConnection({ uri, connectTimeout: ANSWER_MS });
    try {
      await connection.query('SELECT 1');
    } finally {
      await connection.end();
    }
  },
  async MONGO_URL(url) {
    const client = new MongoClient(url, { serverSelectionTimeoutMS: ANSWER_MS });
    try {
      await client.db().command({ ping: 1 });
    } finally {
      await client.close();
    }
  },
};

/** @throws Error with a line per engine that has no address or does not answer */
export default async function checkEngines() {
  const trouble = await Promise.all(
    URLS.map(async (name) => {
      const url = process.env[name];
      if (!url) return `${name} is not set; npm run test:engines sets it.`;
      return asked[name](url).then(
        () => undefined,
        (error) => `${name}: nothing answers at ${url.replace(/\/\/[^@/]*@/, '//')}: ${error.message}`,
      );
    }),
  );
  const lines = trouble.filter((line) => line !== undefined);
  if (lines.length > 0) throw new Error(lines.join('\n'));
}
