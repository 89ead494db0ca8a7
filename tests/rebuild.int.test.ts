import { Kafka, logLevel } from 'kafkajs';
import { openNamespace } from './namespace.js';
import { rebuildSuite } from './rebuild-suite.js';

rebuildSuite(() => {
  const namespace = openNamespace();
  return Promise.resolve({
    settings: namespace.settings,
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
    dispose: () => namespace.dispose(),
  });
});
