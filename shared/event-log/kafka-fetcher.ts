import { setTimeout as delay } from 'node:timers/promises';
import FetchedBatch from 'kafkajs/src/consumer/batch.js';
import { Bell } from './kafka-bell.js';
import {
  byLeader,
  byTopic,
  errorType,
  idOf,
  offsetRanges,
  type KafkaBroker,
  type KafkaClient,
  type KafkaCluster,
} from './kafka-client.js';
import type { Lane } from './kafka-lane.js';

/** The broker answers as soon as there is a record, or after this time: it costs no latency and next to no work. */
const WAIT_MS = 2_000;
/** The same while a lane is left out because it has enough: it shall not wait long once it has not. */
const SHORT_WAIT_MS = 50;
const MAX_BYTES_PER_PARTITION = 1024 * 1024;
const MAX_BYTES = 10 * 1024 * 1024;
const READ_COMMITTED = 1;

const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 2_000;
/** What brokers answer while they settle (a leader being chosen) is trouble after so many answers of the kind. */
const SETTLING_ANSWERS = 5;
/** A partition that cannot be read is tried again after this time. */
const BLOCKED_MS = 5_000;
/** Nobody can begin with more while the handler works; but when it is done, more shall be at hand. */
const BUSY_MS = 20;

/** Errors of the way to the broker, or of the wrong one: connect again and learn who leads. All others are about records. */
const AWAY_NAMES: ReadonlySet<string> = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
  'KafkaJSSASLAuthenticationError',
]);
const AWAY_TYPES: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'BROKER_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'TOPIC_AUTHORIZATION_FAILED',
]);

export interface FetcherOptions {
  readonly client: KafkaClient;
  /** Names on the brokers. */
  readonly topics: readonly string[];
  /** Where a lane goes whose position is beyond the end: a group must miss nothing, a tail wants what comes. */
  readonly beyondEnd: 'first' | 'next';
  /**
   * How long to leave the brokers alone after an answer with records, in milliseconds, and then while the handler is busy
   * with them, for 20 ms more at most; not at all when absent.
   */
  readonly paceMs?: number | undefined;
  /** Hears of lost connections, once until the next success. */
  readonly onError: (error: unknown) => void;
}

/** Brings records to lanes, from whichever broker leads each of them, for as long as it takes. */
export class Fetcher {
  private lanes: readonly Lane[] = [];
  /** Changes with the lanes and with the connections; what belongs to an older one is dropped. */
  private round = 0;
  private readonly bell = new Bell();
  private cluster: KafkaCluster | null = null;
  private stopped = false;
  private failures = 0;
  private down = false;

  constructor(private readonly options: FetcherOptions) {
    void this.run();
  }

  /** From now on fetches for these lanes only. */
  follow(lanes: readonly Lane[]): void {
    this.lanes = lanes;
    for (const lane of lanes) lane.onRoom = () => this.bell.ring();
    this.begin();
  }

  /** Fetches no more; nothing reaches a lane after this. */
  stop(): void {
    this.stopped = true;
    this.follow([]);
  }

  /** A new round has new connections: on the old ones a broker may still be waiting for records to answer with. */
  private begin(): void {
    this.round++;
    this.options.client.release(this.cluster);
    this.cluster = null;
    this.bell.ring();
  }

  private async run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.stopped) {
      if (this.lanes.length === 0) {
        await this.bell.wait();
        continue;
      }
      const round = this.round;
      try {
        const cluster = await this.connect();
        if (round !== this.round) continue;
        const polls = [...byLeader(cluster, this.lanes)].map(([node, led]) => this.poll(cluster, node, led, round));
        await Promise.race([Promise.all(polls), this.ended(round)]);
        pause = FIRST_PAUSE_MS;
      } catch (error) {
        // Cut by ourselves, for the lanes of the next round.
        if (round !== this.round) continue;
        this.begin();
        this.failures++;
        if (!this.down && (errorType(error) === '' || this.failures >= SETTLING_ANSWERS)) {
          this.down = true;
          this.options.onError(error);
        }
        await this.bell.wait(pause);
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
      }
    }
  }

  private async connect(): Promise<KafkaCluster> {
    const cluster = this.options.client.cluster();
    this.options.client.release(this.cluster);
    this.cluster = cluster;
    await cluster.connect();
    await cluster.addMultipleTargetTopics(this.options.topics);
    return cluster;
  }

  private async ended(round: number): Promise<void> {
    while (round === this.round) await this.bell.wait();
  }

  /** Asks one broker for its lanes, again and again, while the round lasts. */
  private async poll(cluster: KafkaCluster, nodeId: string, lanes: readonly Lane[], round: number): Promise<void> {
    while (round === this.round) {
      const wanting = lanes.filter((lane) => lane.wants());
      if (wanting.length === 0) {
        await this.bell.wait(BLOCKED_MS);
        continue;
      }
      const broker = await cluster.findBroker({ nodeId });
      const { paceMs } = this.options;
      try {
        const some = await this.fetch(broker, wanting, round, wanting.length < lanes.length ? SHORT_WAIT_MS : WAIT_MS);
        if (some && paceMs !== undefined) await this.rest(lanes, paceMs, round);
      } catch (error) {
        if (isAway(error)) throw error;
        for (const lane of wanting) await this.fetchAlone(cluster, broker, lane, round);
      }
      this.down = false;
      this.failures = 0;
    }
  }

  /** What comes meanwhile comes together: a request costs about the same for one record and for a hundred. */
  private async rest(lanes: readonly Lane[], paceMs: number, round: number): Promise<void> {
    await delay(paceMs);
    const end = performance.now() + BUSY_MS;
    const isBusy = (): boolean => round === this.round && lanes.some((lane) => lane.pending);
    for (let left = BUSY_MS; left > 0 && isBusy(); left = end - performance.now()) await this.bell.wait(left);
  }

  /** Answers whether there were records. */
  private async fetch(
    broker: KafkaBroker,
    lanes: readonly Lane[],
    round: number,
    maxWaitTime: number,
  ): Promise<boolean> {
    const asked = new Map(lanes.map((lane) => [idOf(lane), { lane, offset: lane.position }]));
    const topics = byTopic(lanes, ({ partition, position }) => ({
      partition,
      fetchOffset: `${position}`,
      maxBytes: MAX_BYTES_PER_PARTITION,
    }));
    const isolationLevel = READ_COMMITTED;
    const answer = await broker.fetch({ maxWaitTime, minBytes: 1, maxBytes: MAX_BYTES, isolationLevel, topics });
    let some = false;
    if (round !== this.round) return some;
    for (const { topicName, partitions } of answer.responses) {
      for (const data of partitions) {
        const found = asked.get(idOf({ topic: topicName, partition: data.partition }));
        if (!found) continue;
        const batch = new FetchedBatch(topicName, `${found.offset}`, data);
        if (batch.rawMessages.length === 0) continue;
        const records = batch.messages.map((message) => found.lane.stored(message));
        found.lane.accept(records, Number(batch.lastOffset()) + 1, Number(batch.highWatermark));
        some = true;
      }
    }
    return some;
  }

  /** One answer for many fails as a whole; asked for singly, the partition at fault shows itself and the others go on. */
  private async fetchAlone(cluster: KafkaCluster, broker: KafkaBroker, lane: Lane, round: number): Promise<void> {
    try {
      await this.fetch(broker, [lane], round, 0);
    } catch (error) {
      if (isAway(error)) throw error;
      if (errorType(error) === 'OFFSET_OUT_OF_RANGE') {
        const range = (await offsetRanges(cluster, [lane])).get(idOf(lane));
        if (!range || round !== this.round) return;
        lane.blockedUntil = Date.now() + FIRST_PAUSE_MS;
        const outside = lane.position < range.first || lane.position > range.next;
        if (outside) lane.jump(lane.position < range.first ? range.first : range[this.options.beyondEnd]);
        return;
      }
      lane.blockedUntil = Date.now() + BLOCKED_MS;
      lane.report(
        new Error(
          `${idOf(lane)} cannot be read from offset ${lane.position} on, and waits there: ` +
            `${error instanceof Error ? error.message : String(error)}. Of compressed records only gzip is understood.`,
          { cause: error },
        ),
      );
    }
  }
}

function isAway(error: unknown): boolean {
  return (error instanceof Error && AWAY_NAMES.has(error.name)) || AWAY_TYPES.has(errorType(error));
}
