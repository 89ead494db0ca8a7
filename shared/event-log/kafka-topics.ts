import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineUnavailable } from '../errors/errors.js';
import { byLeader, errorType, offsetRanges, type KafkaClient } from './kafka-client.js';
import { NoSuchTopic, type KafkaLink } from './kafka-link.js';
import type { KafkaProducer } from './kafka-producer.js';
import type { TopicSpec } from './port.js';

/** Brokers that start side by side with us may need this long before they make topics. */
const GIVE_UP_MS = 20_000;
const PAUSE_MS = 250;

/** The broker understood and will not: asking again changes nothing. */
const FINAL: ReadonlySet<string> = new Set([
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_PARTITIONS',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_CONFIG',
  'POLICY_VIOLATION',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
]);

/** Creates the topics that are not there yet, and waits until all have leaders; others may be doing the same. */
export async function createTopics(
  client: KafkaClient,
  link: KafkaLink,
  topics: readonly TopicSpec[],
  replicationFactor: number,
): Promise<void> {
  if (topics.length === 0) return;
  const deadline = Date.now() + GIVE_UP_MS;
  for (;;) {
    try {
      await createMissing(client, topics, replicationFactor);
      break;
    } catch (error) {
      const refused = causes(error).find((cause) => FINAL.has(errorType(cause)));
      if (refused) throw new Error(`Kafka will not make the topics: ${described(refused)}`, { cause: error });
      if (Date.now() + PAUSE_MS > deadline) throw new EngineUnavailable('event log', error);
      await delay(PAUSE_MS);
    }
  }
  const names = topics.map(({ name }) => client.wire(name));
  // A broker hears of a new topic a moment after the controller has made it.
  await link.run(
    names,
    async (cluster) =>
      offsetRanges(
        cluster,
        names.flatMap((topic) => [{ topic, partition: 0 }]),
      ),
    GIVE_UP_MS,
  );
}

async function createMissing(
  client: KafkaClient,
  topics: readonly TopicSpec[],
  replicationFactor: number,
): Promise<void> {
  const admin = client.admin();
  try {
    await admin.connect();
    const there = new Set(await admin.listTopics());
    const missing = topics.filter(({ name }) => !there.has(client.wire(name)));
    if (missing.length === 0) return;
    await admin.createTopics({
      waitForLeaders: false,
      timeout: GIVE_UP_MS,
      topics: missing.map(({ name, partitions, retentionMs }) => ({
        topic: client.wire(name),
        numPartitions: partitions,
        replicationFactor,
        configEntries: [
          { name: 'cleanup.policy', value: 'delete' },
          { name: 'retention.ms', value: `${retentionMs}` },
        ],
      })),
    });
  } catch (error) {
    // Whoever was quicker has made the same topics.
    if (!causes(error).every((cause) => errorType(cause) === 'TOPIC_ALREADY_EXISTS')) throw error;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

/** The errors of the single topics. */
const causes = (error: unknown): readonly unknown[] =>
  error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : [error];

const described = (error: unknown): string =>
  error instanceof Error ? `${'topic' in error ? `${String(error.topic)}: ` : ''}${error.message}` : String(error);

/** Its first record is the log's identity; kept for ever. */
const LOG_ID: TopicSpec = { name: 'tributary.log-id', partitions: 1, retentionMs: -1 };

/** The identity of the log's content, made by whoever comes first. Whoever comes at the same moment takes the same. */
export async function readLogId(
  client: KafkaClient,
  link: KafkaLink,
  producer: KafkaProducer,
  replicationFactor: number,
): Promise<string> {
  const known = await knownLogId(client, link).catch((error: unknown) => {
    if (error instanceof NoSuchTopic) return null;
    throw error;
  });
  if (known !== null) return known;
  await createTopics(client, link, [LOG_ID], replicationFactor);
  for (;;) {
    const value = await knownLogId(client, link);
    if (value !== null) return value;
    await producer.append([{ topic: LOG_ID.name, key: null, value: randomUUID(), headers: {} }]);
  }
}

/** Null while there is none. Rejects with `NoSuchTopic` where its topic is not there; makes nothing. */
export async function knownLogId(client: KafkaClient, link: KafkaLink): Promise<string | null> {
  const place = { topic: client.wire(LOG_ID.name), partition: 0 };
  return link.run(
    [place.topic],
    async (cluster) => {
      const range = [...(await offsetRanges(cluster, [place])).values()][0];
      if (!range || range.next === range.first) return null;
      const [nodeId = ''] = [...byLeader(cluster, [place]).keys()];
      const broker = await cluster.findBroker({ nodeId });
      const partitions = [{ partition: 0, fetchOffset: `${range.first}`, maxBytes: 4_096 }];
      const topics = [{ topic: place.topic, partitions }];
      const request = { maxWaitTime: 0, minBytes: 0, maxBytes: 65_536, isolationLevel: 0, topics };
      const [part] = (await broker.fetch(request)).responses[0]?.partitions ?? [];
      return part?.messages[0]?.value?.toString() ?? null;
    },
    0,
  );
}
