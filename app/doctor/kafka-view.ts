import kafkajs, { type Admin, type ConfigResourceTypes } from 'kafkajs';
import { errorType, KafkaClient, type KafkaConnectionOptions } from '../../shared/event-log/kafka-client.js';
import { KafkaLink, NoSuchTopic } from '../../shared/event-log/kafka-link.js';
import { knownLogId } from '../../shared/event-log/kafka-topics.js';
import type { GroupView, LogView, Place, TopicView } from './log-view.js';

/** Kafka says from which offset on records are younger than something, so an age is one of these at least. */
const AGES_MS = [60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000];

/** The same for records from the future: by so much at least. */
const AHEAD_MS = [1_000, 5_000, 60_000, 600_000, 3_600_000, 86_400_000];

type Configs = ReadonlyMap<string, string>;

/** Rejects as kafkajs does when no broker lets us in. */
export async function openKafkaView(options: KafkaConnectionOptions): Promise<LogView> {
  const client = new KafkaClient(options);
  const admin = client.admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    const [first] = brokers;
    const settings =
      first === undefined
        ? undefined
        : await configsOf(admin, kafkajs.ConfigResourceTypes.BROKER, [String(first.nodeId)]);
    const auto = settings?.get(String(first?.nodeId))?.get('auto.create.topics.enable');
    return new KafkaView(client, admin, brokers.length, auto === undefined ? null : auto === 'true');
  } catch (error) {
    await admin.disconnect().catch(() => undefined);
    await client.close();
    throw error;
  }
}

type Ranges = ReadonlyMap<number, { readonly low: number; readonly high: number }>;
type Offsets = ReadonlyMap<number, number>;

/** The log on brokers. */
export class KafkaView implements LogView {
  private readonly ranges = new Map<string, Promise<Ranges>>();
  /** Where records are younger than one of the ages, by topic and age. */
  private readonly younger = new Map<string, Promise<Offsets>>();

  constructor(
    private readonly client: KafkaClient,
    private readonly admin: Admin,
    readonly brokers: number,
    readonly autoCreates: boolean | null,
  ) {}

  /** Rejects as the log does, but for the topic that is to bear its name: without it there is none. */
  async logId(): Promise<string | null> {
    try {
      return await knownLogId(this.client, new KafkaLink(this.client));
    } catch (error) {
      if (error instanceof NoSuchTopic) return null;
      throw error;
    }
  }

  async topics(): Promise<ReadonlyMap<string, TopicView>> {
    const prefix = this.client.wire('');
    // Another system's names may begin with ours.
    const names = (await this.admin.listTopics()).filter((name) => name.startsWith(prefix));
    if (names.length === 0) return new Map();
    const { topics } = await this.admin.fetchTopicMetadata({ topics: names });
    const configs = await configsOf(this.admin, kafkajs.ConfigResourceTypes.TOPIC, names);
    return new Map(
      topics.map(({ name, partitions }): [string, TopicView] => {
        const config = configs.get(name);
        return [
          name.slice(prefix.length),
          {
            partitions: partitions.length,
            retentionMs: config === undefined ? undefined : limitOf(config.get('retention.ms')),
            broker:
              config === undefined
                ? null
                : {
                    cleanup: config.get('cleanup.policy') ?? 'delete',
                    retentionBytes: limitOf(config.get('retention.bytes')),
                    minInSync: Number(config.get('min.insync.replicas') ?? 1),
                    copies: Math.min(...partitions.map(({ replicas }) => replicas.length)),
                    inSync: Math.min(...partitions.map(({ isr }) => isr.length)),
                  },
          },
        ];
      }),
    );
  }

  async ends(topic: string): Promise<Offsets> {
    const ranges = await this.rangesOf(topic);
    return new Map([...ranges].map(([partition, { high }]) => [partition, high]));
  }

  async group(name: string, topics: readonly string[]): Promise<GroupView> {
    const groupId = this.client.wire(name);
    const [{ groups }, committed, ...ends] = await Promise.all([
      this.admin.describeGroups([groupId]),
      this.admin.fetchOffsets({ groupId, topics: topics.map((topic) => this.client.wire(topic)) }),
      ...topics.map((topic) => this.rangesAtFirst(topic)),
    ]);
    const positions = new Map(
      committed.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }) => [`${topic}/${partition}`, Number(offset)] as const),
      ),
    );
    const places = topics.flatMap((topic, index) =>
      [...(ends[index] ?? [])].map(([partition, { low, high }]) => {
        const position = positions.get(`${this.client.wire(topic)}/${partition}`) ?? -1;
        return { topic, partition, position: Math.max(position, low), next: high };
      }),
    );
    const members = groups[0]?.members.length ?? 0;
    return { known: members > 0 || [...positions.values()].some((offset) => offset >= 0), members, places };
  }

  async age({ topic, partition, position }: Place, now: number): Promise<number | null> {
    let age = 0;
    for (const least of AGES_MS) {
      const younger = await this.youngerThan(topic, least, now);
      if (position >= (younger.get(partition) ?? 0)) return age;
      age = least;
    }
    return age;
  }

  async ahead(topics: readonly string[], now: number): Promise<number> {
    let ahead = 0;
    for (const least of AHEAD_MS) {
      const found = await Promise.all(
        topics.map(async (topic) => {
          const [ends, later] = await Promise.all([this.rangesAtFirst(topic), this.offsetsAt(topic, now + least)]);
          return [...later].some(([partition, offset]) => offset < (ends.get(partition)?.high ?? 0));
        }),
      );
      if (!found.includes(true)) return ahead;
      ahead = least;
    }
    return ahead;
  }

  async close(): Promise<void> {
    await this.admin.disconnect().catch(() => undefined);
    await this.client.close();
  }

  /** Asked once: lags of all groups are of the same moment. */
  private rangesAtFirst(topic: string): Promise<Ranges> {
    return once(this.ranges, topic, () => this.rangesOf(topic));
  }

  private async rangesOf(topic: string): Promise<Ranges> {
    const found = await this.admin.fetchTopicOffsets(this.client.wire(topic));
    return new Map(found.map(({ partition, low, high }) => [partition, { low: Number(low), high: Number(high) }]));
  }

  /** Asked once too: of all groups and partitions, which are looked at within seconds. */
  private youngerThan(topic: string, age: number, now: number): Promise<Offsets> {
    return once(this.younger, `${topic} ${age}`, () => this.offsetsAt(topic, now - age));
  }

  /** Of the first record of each partition that is not older than a moment; the end where there is none. */
  private async offsetsAt(topic: string, moment: number): Promise<Offsets> {
    const found = await this.admin.fetchTopicOffsetsByTimestamp(this.client.wire(topic), moment);
    return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]));
  }
}

function once<T>(asked: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const known = asked.get(key);
  const one = known ?? ask();
  if (known === undefined) asked.set(key, one);
  return one;
}

const limitOf = (value: string | undefined): number | null =>
  value === undefined || Number(value) < 0 ? null : Number(value);

/** Settings by the name of what they are of. None where there is one that we have no right to see: kafkajs tells no others then. */
async function configsOf(
  admin: Admin,
  type: ConfigResourceTypes,
  names: readonly string[],
): Promise<ReadonlyMap<string, Configs>> {
  const resources = names.map((name) => ({ type, name }));
  const { resources: found } = await admin
    .describeConfigs({ resources, includeSynonyms: false })
    .catch((error: unknown) => {
      if (errorType(error).endsWith('_AUTHORIZATION_FAILED')) return { resources: [] };
      throw error;
    });
  return new Map(
    found.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  );
}
