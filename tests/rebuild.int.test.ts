import { Kafka, logLevel } from 'kafkajs';
import { cuttable } from './cuttable.js';
import { openNamespace } from './namespace.js';
import { freePorts } from './ports.js';
import { rebuildSuite, type RebuildWorld } from './rebuild-suite.js';

async function openWorld(): Promise<RebuildWorld> {
  const namespace = openNamespace();
  const { MONGO_URL = '' } = namespace.settings;
  const [, before = '', host = '', port = '27017', after = ''] =
    /^(mongodb:\/\/(?:[^@/]*@)?)([^@/:,]+)(?::(\d+))?(.*)$/.exec(MONGO_URL) ?? [];
  const [way = 0] = await freePorts(1);
  const documents = cuttable(way, { host, port: Number(port) });
  await documents.mend();
  return {
    settings: { ...namespace.settings, MONGO_URL: `${before}127.0.0.1:${way}${after}` },
    documents,
    async cutLog() {
      const { brokers, name } = namespace;
      const admin = new Kafka({ clientId: 'retention', brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      for (const topic of (await admin.listTopics()).filter((one) => one.startsWith(`${name}.`))) {
        const ends = await admin.fetchTopicOffsets(topic);
        const cut = ends.filter(({ high, low }) => high !== low);
        if (cut.length === 0) continue;
        await admin.deleteTopicRecords({
          topic,
          partitions: cut.map(({ partition, high }) => ({ partition, offset: high })),
        });
      }
      await admin.disconnect();
    },
    async dispose() {
      await namespace.dispose();
      await documents.cut();
    },
  };
}

rebuildSuite(openWorld, { away: true });
