import { openMysqlDatabase } from '../../shared/database/mysql.js';
import type { Database } from '../../shared/database/port.js';
import { serverAddresses, type EngineSettings } from '../../shared/config/engines.js';
import { openMongoDatabase } from '../../shared/document-store/mongodb-client.js';
import { openMongoDocumentStore } from '../../shared/document-store/mongodb.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { openKafkaView } from './kafka-view.js';
import { Opened, type Stores } from './stores.js';

/** Always there, and readable for every user: what is asked of the server itself is asked in it. */
const CATALOG = 'information_schema';

/** Kafka, MySQL and MongoDB, each by itself. No database, topic or collection is made. */
export async function openServers(settings: Extract<EngineSettings, { kind: 'servers' }>): Promise<Stores> {
  const { namespace, mysql, kafka, mongo } = settings;
  const addresses = serverAddresses(settings);
  const opened = new Opened();
  const log = silentLogger();
  const open = (name: string, prefix: string): Promise<Database> =>
    openMysqlDatabase({ ...mysql, poolSize: 2, name, namespace: prefix, migrations: [], log });
  const server = async (): Promise<Database> => {
    const one = await opened.once('mysql', () => open(CATALOG, ''));
    if (one === null) throw new Error('MySQL was not opened.');
    return one;
  };
  const database = openMongoDatabase({ ...mongo, namespace });
  return {
    titles: {
      databases: { title: `MySQL at ${addresses.mysql}`, variable: 'MYSQL_URL' },
      eventLog: { title: `Kafka at ${addresses.kafka}`, variable: 'KAFKA_BROKERS' },
      documents: { title: `MongoDB at ${addresses.mongo}`, variable: 'MONGO_URL' },
    },
    inUse: null,
    database: (subgraph) =>
      opened.once(subgraph, async () => {
        const name = `tributary_${subgraph}`;
        const full = (namespace === '' ? name : `${namespace}_${name}`).replaceAll('-', '_');
        const found = await (
          await server()
        ).read('SELECT 1 AS found FROM information_schema.schemata WHERE schema_name = ?', [full]);
        // Opening one that is not there would make it.
        return found.length === 0 ? null : open(name, namespace);
      }),
    eventLog: () =>
      opened.once('kafka', () => openKafkaView({ ...kafka, namespace, clientId: 'tributary-doctor', log })),
    documents: () =>
      opened.once('mongodb', async () => {
        const documents = await openMongoDocumentStore({ ...mongo, namespace });
        try {
          await documents.ping();
        } catch (error) {
          await documents.close().catch(() => undefined);
          throw error;
        }
        return documents;
      }),
    async collections() {
      const names = (await database.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
      const indexes = names.map(async (name) => {
        const found = await database.collection(name).indexes();
        return [name, found.map((index) => index.name ?? '')] as const;
      });
      return new Map(await Promise.all(indexes));
    },
    clocks: [
      {
        title: 'MySQL',
        async read() {
          const rows = await (await server()).read<{ at: number }>('SELECT UNIX_TIMESTAMP(NOW(3)) AS at');
          return Number(rows[0]?.at) * 1_000;
        },
      },
      {
        title: 'MongoDB',
        async read() {
          const { localTime } = await database.command({ hello: 1 });
          return localTime instanceof Date ? localTime.getTime() : Number.NaN;
        },
      },
    ],
    async close() {
      await opened.close();
      await database.client.close().catch(() => undefined);
    },
  };
}
