import { EngineUnavailable } from '../errors/errors.js';
import {
  closedLog,
  committedOffsets,
  idOf,
  KafkaClient,
  offsetRanges,
  partitionsOf,
  type KafkaConnectionOptions,
} from './kafka-client.js';
import { Delivery, singly } from './delivery.js';
import { Fetcher } from './kafka-fetcher.js';
import { GroupMember } from './kafka-group.js';
import { Lane } from './kafka-lane.js';
import { KafkaLink, NoSuchTopic } from './kafka-link.js';
import { KafkaProducer } from './kafka-producer.js';
import { createTopics, readLogId } from './kafka-topics.js';
import type {
  EventLog,
  LogRecord,
  PartitionRange,
  SubscribeOptions,
  Subscription,
  Tail,
  TailOptions,
  TopicSpec,
} from './port.js';

export interface KafkaEventLogOptions extends KafkaConnectionOptions {
  /** Copies of each topic that is made; -1, also when absent, leaves it to the brokers. */
  readonly replicationFactor?: number;
  /**
   * This process over all its lives: when it is killed and started again, it goes on with its partitions at once, not when
   * the session of its last life has run out. Letters, digits, `.`, `_` and `-`; none where it has no name of its own.
   */
  readonly instanceId?: string | undefined;
  /** A member without a sign of life for this long is dead and its partitions move on; 10 s when absent. */
  readonly sessionTimeoutMs?: number;
  /** How long a partition that shall move to another member waits for the batch in hand; 30 s when absent. */
  readonly rebalanceTimeoutMs?: number;
}

const TAIL_BATCH = 500;
const BROKERS_CHOOSE = -1;

/**
 * Opens the event log on Kafka 2.1 and later. Rejects with `EngineUnavailable` when no broker answers for 10 s.
 *
 * Beyond the port: records of foreign producers may be compressed by gzip; other codecs stop their partition, which is
 * reported every 5 s, while all others go on. `enforceRetention` does nothing, Kafka sees to it.
 */
export async function openKafkaEventLog(options: KafkaEventLogOptions): Promise<EventLog> {
  const client = new KafkaClient(options);
  const link = new KafkaLink(client);
  const producer = new KafkaProducer(client);
  try {
    const logId = await readLogId(client, link, producer, options.replicationFactor ?? BROKERS_CHOOSE);
    return new KafkaEventLog(options, logId, client, link, producer);
  } catch (error) {
    await client.close();
    throw error;
  }
}

class KafkaEventLog implements EventLog {
  private readonly open = new Set<{ stop(): Promise<void> }>();
  /** Per topic the question that was sent, and the one that waits for it. */
  private readonly asked = new Map<string, Promise<readonly PartitionRange[]>>();
  private readonly queued = new Map<string, Promise<readonly PartitionRange[]>>();
  private closing: Promise<void> | null = null;
  private closed = false;

  constructor(
    private readonly options: KafkaEventLogOptions,
    readonly logId: string,
    private readonly client: KafkaClient,
    private readonly link: KafkaLink,
    private readonly producer: KafkaProducer,
  ) {}

  async ensureTopics(topics: readonly TopicSpec[]): Promise<void> {
    this.assertOpen();
    await createTopics(this.client, this.link, topics, this.options.replicationFactor ?? BROKERS_CHOOSE);
  }

  async append(records: readonly LogRecord[]): Promise<void> {
    this.assertOpen();
    if (records.length > 0) await this.producer.append(records);
  }

  async subscribe(subscription: SubscribeOptions): Promise<Subscription> {
    this.assertOpen(this.closing !== null);
    const { client } = this;
    const topics = [...new Set(subscription.topics)];
    await this.known(topics);
    this.assertOpen(this.closing !== null);
    const { instanceId, sessionTimeoutMs = 10_000, rebalanceTimeoutMs = 30_000 } = this.options;
    const member = new GroupMember({ client, subscription, instanceId, sessionTimeoutMs, rebalanceTimeoutMs });
    const stop = async (): Promise<void> => {
      await member.stop();
      this.open.delete(handle);
    };
    const handle: Subscription = { stop, lag: () => this.lag(subscription.group, topics) };
    this.open.add(handle);
    try {
      await member.joined();
    } catch (error) {
      await stop();
      throw error;
    }
    return handle;
  }

  async tail({ topics: names, from, paceMs, onBatch, onError }: TailOptions): Promise<Tail> {
    this.assertOpen(this.closing !== null);
    const { client } = this;
    const topics = [...new Set(names)];
    const started = new Map<string, Map<number, number>>();
    const lanes: Lane[] = [];
    for (const topic of topics) {
      const positions = new Map<number, number>();
      started.set(topic, positions);
      for (const range of await this.ranges(topic)) {
        const position = tailPosition(topic, range, from);
        positions.set(range.partition, position);
        lanes.push(
          new Lane({
            topic,
            wireTopic: client.wire(topic),
            partition: range.partition,
            from: position,
            delivery: new Delivery({ maxBatch: TAIL_BATCH, onBatches: singly(onBatch), onError }),
            onError,
          }),
        );
      }
    }
    this.assertOpen(this.closing !== null);
    const fetcher = new Fetcher({
      client,
      topics: topics.map((topic) => client.wire(topic)),
      beyondEnd: 'next',
      paceMs,
      onError: (error) => lanes[0]?.report(new EngineUnavailable('event log', error)),
    });
    fetcher.follow(lanes);
    const tail: Tail = {
      started,
      stop: async () => {
        fetcher.stop();
        await Promise.all(lanes.map((lane) => lane.leave()));
        this.open.delete(tail);
      },
    };
    this.open.add(tail);
    return tail;
  }

  /** Calls of the same moment share one question; none gets an answer to a question asked before it. */
  async ranges(topic: string): Promise<readonly PartitionRange[]> {
    this.assertOpen();
    const queued = this.queued.get(topic);
    if (queued) return queued;
    const earlier = this.asked.get(topic) ?? Promise.resolve();
    const answer: Promise<readonly PartitionRange[]> = earlier
      .catch(() => undefined)
      .then(() => {
        this.queued.delete(topic);
        this.asked.set(topic, answer);
        return this.askRanges(topic);
      });
    this.queued.set(topic, answer);
    return answer;
  }

  async enforceRetention(): Promise<void> {
    // Kafka deletes by the topics' retention.ms.
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async shut(): Promise<void> {
    await Promise.allSettled([...this.open].map((reader) => reader.stop()));
    this.closed = true;
    await this.producer.ended();
    await this.client.close();
  }

  private async askRanges(name: string): Promise<PartitionRange[]> {
    const topic = this.client.wire(name);
    return this.about([name], async (cluster) => {
      const partitions = partitionsOf(cluster, [topic]);
      const ranges = await offsetRanges(cluster, partitions);
      return partitions.map((partition) => {
        const { first = 0, next = 0 } = ranges.get(idOf(partition)) ?? {};
        return { partition: partition.partition, first, next };
      });
    });
  }

  private async lag(
    group: string,
    names: readonly string[],
  ): Promise<{ topic: string; partition: number; lag: number }[]> {
    const groupId = this.client.wire(group);
    return this.about(names, async (cluster) => {
      const partitions = names.flatMap((name) =>
        partitionsOf(cluster, [this.client.wire(name)]).map((partition) => ({ ...partition, name })),
      );
      const coordinator = await cluster.findGroupCoordinator({ groupId });
      const [committed, ranges] = await Promise.all([
        committedOffsets(coordinator, groupId, partitions),
        offsetRanges(cluster, partitions),
      ]);
      return partitions.map((partition) => {
        const { first = 0, next = 0 } = ranges.get(idOf(partition)) ?? {};
        const position = Math.max(committed.get(idOf(partition)) ?? -1, first);
        return { topic: partition.name, partition: partition.partition, lag: Math.max(0, next - position) };
      });
    });
  }

  private async known(topics: readonly string[]): Promise<void> {
    await this.about(topics, async () => undefined);
  }

  private async about<T>(topics: readonly string[], work: Parameters<typeof this.link.run<T>>[1]): Promise<T> {
    this.assertOpen();
    try {
      return await this.link.run(
        topics.map((topic) => this.client.wire(topic)),
        work,
      );
    } catch (error) {
      if (!(error instanceof NoSuchTopic)) throw error;
      throw new Error(`There is no topic ${topics.join(' or ')}; ensureTopics makes it.`, { cause: error });
    }
  }

  /** While closing, handlers that finish their batch may still append; nothing new begins to read. */
  private assertOpen(closed = this.closed): void {
    if (closed) throw closedLog();
  }
}

/** Within the records there are; an offset beyond the end begins at the end. */
function tailPosition(topic: string, { partition, first, next }: PartitionRange, from: TailOptions['from']): number {
  if (from === 'end') return next;
  if (from === 'start') return first;
  const wanted = typeof from === 'function' ? from(topic, partition) : next - from.last;
  return Math.min(Math.max(wanted, first), next);
}
