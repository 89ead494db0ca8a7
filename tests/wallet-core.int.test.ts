import { Kafka, logLevel } from 'kafkajs';
import { openNamespace, type Namespace } from './namespace.js';
import { walletCoreSuite, type WalletCore } from './wallet-core-suite.js';

/** A service of its own: bare Kafka, JSON values, no keys, no headers, and nothing of ours but the names of two topics. */
async function foreignService({ name, brokers }: Namespace): Promise<WalletCore> {
  const kafka = new Kafka({ clientId: 'wallet-core', brokers: [...brokers], logLevel: logLevel.NOTHING });
  const topics = { balances: `${name}.balances`, transactions: `${name}.transactions` };
  const heard = new Map<string, string[]>(Object.values(topics).map((topic) => [topic, []]));

  const producer = kafka.producer();
  await producer.connect();
  const consumer = kafka.consumer({ groupId: `${name}.wallet-core-${Date.now()}`, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topics: Object.values(topics), fromBeginning: true });
  await consumer.run({
    eachMessage: ({ topic, message }) => {
      heard.get(topic)?.push(message.value?.toString() ?? '');
      return Promise.resolve();
    },
  });

  return {
    async send(topic, ...values) {
      await producer.send({ topic: topics[topic], messages: values.map((value) => ({ value })) });
    },
    heard: (topic) => Promise.resolve(heard.get(topics[topic]) ?? []),
    async close() {
      await producer.disconnect();
      await consumer.disconnect();
    },
  };
}

walletCoreSuite(() => {
  const namespace = openNamespace();
  return Promise.resolve({
    settings: namespace.settings,
    walletCore: () => foreignService(namespace),
    dispose: () => namespace.dispose(),
  });
});
