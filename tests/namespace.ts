import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { MongoClient } from 'mongodb';
import { databaseOf } from '../shared/document-store/mongodb-client.js';
import { mysqlDatabases } from '../shared/database/testing.js';

/** A part of real servers that nobody else uses, for a test. */
export interface Namespace {
  readonly name: string;
  readonly brokers: readonly string[];
  /** What a system gets to run in it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Removes everything in it; nothing may run there any more. */
  dispose(): Promise<void>;
}

/** @throws Error if KAFKA_BROKERS, MYSQL_URL or MONGO_URL is not set. */
export function openNamespace(): Namespace {
  const name = `t${randomUUID().slice(0, 8)}`;
  const servers = Object.fromEntries(
    ['KAFKA_BROKERS', 'MYSQL_URL', 'MONGO_URL'].map((variable) => {
      const value = process.env[variable] ?? '';
      if (value === '') throw new Error(`Tests on servers need their addresses: ${variable} is missing.`);
      return [variable, value] as const;
    }),
  );
  const { KAFKA_BROKERS = '', MONGO_URL = '' } = servers;
  const brokers = KAFKA_BROKERS.split(',');
  return {
    name,
    brokers,
    settings: { ...servers, NAMESPACE: name },
    async dispose() {
      await mysqlDatabases(name).dispose();
      const mongo = new MongoClient(MONGO_URL);
      await mongo.db(databaseOf({ url: MONGO_URL, namespace: name })).dropDatabase();
      await mongo.close();
      const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      const ours = (one: string): boolean => one.startsWith(`${name}.`);
      const { groups } = await admin.listGroups();
      await admin.deleteGroups(groups.map(({ groupId }) => groupId).filter(ours));
      await admin.deleteTopics({ topics: (await admin.listTopics()).filter(ours) });
      await admin.disconnect();
    },
  };
}
