import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  Kafka,
  logLevel,
  type Admin,
  type Cluster,
  type ISocketFactory,
  type KafkaConfig,
  type Message,
  type PartitionMetadata,
  type SASLOptions,
} from 'kafkajs';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import type { TlsOptions } from '../config/tls.js';
import { EngineUnavailable } from '../errors/errors.js';
import type { Logger } from '../observability/logger.js';

export interface KafkaConnectionOptions {
  /** `host:port` of one broker at least; the others are learnt from it. */
  readonly brokers: readonly string[];
  /** Goes before the names of topics and groups, so that several systems can share the brokers. */
  readonly namespace?: string;
  readonly clientId: string;
  readonly tls?: TlsOptions;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  readonly log: Logger;
  /** Makes the connections, when something else than plain sockets shall (a test that cuts the line). */
  readonly socketFactory?: ISocketFactory;
}

/** An answer that takes longer is lost; the request is made again. */
const REQUEST_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** The same complaint of kafkajs is a warning once in this time. */
const REPEATED_WARNING_MS = 60_000;

interface TopicPartitions<P> {
  readonly topic: string;
  readonly partitions: readonly P[];
}

interface FetchedPartition {
  readonly partition: number;
  readonly messages: readonly { readonly value: Buffer | null }[];
}

/** What the event log asks of a broker: one request each, without retries; rejects with the broker's error. */
export interface KafkaBroker {
  produce(request: {
    topicData: readonly TopicPartitions<{ partition: number; firstSequence: number; messages: readonly Message[] }>[];
    producerId: string;
    producerEpoch: number;
    acks: number;
    timeout: number;
  }): Promise<unknown>;
  initProducerId(request: { transactionTimeout: number }): Promise<{ producerId: string; producerEpoch: number }>;
  fetch(request: {
    maxWaitTime: number;
    minBytes: number;
    maxBytes: number;
    isolationLevel: number;
    topics: readonly TopicPartitions<{ partition: number; fetchOffset: string; maxBytes: number }>[];
  }): Promise<{ responses: readonly { topicName: string; partitions: readonly FetchedPartition[] }[] }>;
  listOffsets(request: {
    replicaId: number;
    isolationLevel: number;
    topics: readonly TopicPartitions<{ partition: number; timestamp: number }>[];
  }): Promise<{ responses: readonly TopicPartitions<{ partition: number; offset: string }>[] }>;
  offsetFetch(request: {
    groupId: string;
    topics: readonly TopicPartitions<{ partition: number }>[];
  }): Promise<{ responses: readonly TopicPartitions<{ partition: number; offset: string }>[] }>;
  offsetCommit(request: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: readonly TopicPartitions<{ partition: number; offset: string }>[];
  }): Promise<unknown>;
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: readonly { name: string; metadata: Buffer }[];
  }): Promise<{
    generationId: number;
    leaderId: string;
    memberId: string;
    members: readonly { memberId: string; memberMetadata: Buffer }[];
  }>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
}

/**
 * A broker that takes whoever joins a group for its static member of that name (KIP-345). kafkajs writes such names into
 * requests, but leaves no way to say one.
 */
export function asInstance(broker: KafkaBroker, groupInstanceId: string): KafkaBroker {
  const { lookupRequest } = broker as KafkaBroker & RequestMaker;
  const named: RequestMaker = {
    lookupRequest: (key, versions) => {
      const request = lookupRequest(key, versions);
      return (fields) => request({ ...fields, groupInstanceId });
    },
  };
  return Object.assign(Object.create(broker) as KafkaBroker, named);
}

/** How kafkajs makes a request, in the newest version that it and the broker know. */
interface RequestMaker {
  readonly lookupRequest: (key: number, versions: unknown) => (fields: Readonly<Record<string, unknown>>) => unknown;
}

/** Connections to the brokers, and which of them leads which partition of the topics it was told of. */
export interface KafkaCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  findBroker(node: { nodeId: string }): Promise<KafkaBroker>;
  findGroupCoordinator(group: { groupId: string }): Promise<KafkaBroker>;
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
}

/**
 * kafkajs asks for nothing, but looks every millisecond, per connection and for ever, whether something it held back may
 * go. Here it looks when something is held back.
 */
RequestQueue.prototype.scheduleCheckPendingRequests = function () {
  if (this.throttleCheckTimeoutId || this.pending.length === 0) return;
  this.throttleCheckTimeoutId = setTimeout(
    () => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    },
    Math.max(this.throttledUntil - Date.now(), 10),
  );
};

/**
 * kafkajs as the event log uses it: its connections, its knowledge of the cluster and its protocol. Its producer and its
 * consumer are left alone: the one goes on sending after it has rejected, and the other fetches nothing while a single
 * handler takes long.
 */
export class KafkaClient {
  private readonly config: KafkaConfig;
  private readonly prefix: string;
  private readonly open = new Map<KafkaCluster, Line>();
  private closed = false;
  private readonly goodbyes = new Set<Promise<void>>();

  constructor({ brokers, namespace, clientId, tls, sasl, log, socketFactory = plainOrTls }: KafkaConnectionOptions) {
    this.prefix = namespace ? `${namespace}.` : '';
    const told = logTo(log);
    this.config = {
      brokers: [...brokers],
      clientId,
      ...(tls && { ssl: { ...tls } }),
      ...(sasl && { sasl: { ...sasl } as SASLOptions }),
      socketFactory,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      authenticationTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Whoever calls tries again by itself, and knows for how long.
      retry: { retries: 1, initialRetryTime: 100, maxRetryTime: 1_000, factor: 0.2, multiplier: 2 },
      logLevel: logLevel.WARN,
      logCreator: () => told,
    };
  }

  /** The name on the brokers of a topic or group. */
  wire(name: string): string {
    return this.prefix + name;
  }

  admin(): Admin {
    return new Kafka(this.config).admin();
  }

  /** A cluster of its own: its connections, not made yet. kafkajs hands it to whoever assigns partitions, and only there. */
  cluster(): KafkaCluster {
    // Who is still asking tries again after every failure, and would connect behind our back.
    if (this.closed) throw closedLog();
    const line = new Line(this.config.socketFactory ?? plainOrTls);
    const captured: Cluster[] = [];
    new Kafka({ ...this.config, socketFactory: line.socketFactory }).consumer({
      groupId: 'unused',
      allowAutoTopicCreation: false,
      partitionAssigners: [
        ({ cluster }) => {
          captured.push(cluster);
          return {
            name: '',
            version: 0,
            assign: async () => [],
            protocol: () => ({ name: '', metadata: Buffer.alloc(0) }),
          };
        },
      ],
    });
    const cluster = captured[0] as unknown as KafkaCluster;
    this.open.set(cluster, line);
    return cluster;
  }

  /** Cuts the cluster's connections and lets it make no others; what it was asked is rejected. */
  release(cluster: KafkaCluster | null): void {
    const line = cluster && this.open.get(cluster);
    if (!line) return;
    this.open.delete(cluster);
    line.cut();
    const goodbye: Promise<void> = cluster
      .disconnect()
      .catch(() => undefined)
      .finally(() => this.goodbyes.delete(goodbye));
    this.goodbyes.add(goodbye);
  }

  /** Releases every cluster and makes no other; resolves when all are gone. */
  async close(): Promise<void> {
    this.closed = true;
    for (const cluster of this.open.keys()) this.release(cluster);
    await Promise.all(this.goodbyes);
  }
}

export const closedLog = (): EngineUnavailable =>
  new EngineUnavailable('event log', new Error('The event log is closed.'));

const RELEASED = 'released by its owner';
const KEEP_ALIVE_MS = 60_000;

/** The sockets of one cluster. kafkajs waits for what is under way before it disconnects, and may connect again after it. */
class Line {
  private readonly sockets = new Set<Socket>();
  private isCut = false;

  constructor(private readonly inner: ISocketFactory) {}

  readonly socketFactory: ISocketFactory = (wanted) => {
    if (this.isCut) throw new Error(RELEASED);
    const socket = this.inner(wanted);
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    return socket;
  };

  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy(new Error(RELEASED));
  }
}

const plainOrTls: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const secure = ssl as typeof ssl | null;
  const socket = secure
    ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), ...secure }, onConnect)
    : connectPlain({ host, port }, onConnect);
  return socket.setKeepAlive(true, KEEP_ALIVE_MS);
};

/** kafkajs tells as errors what it also rejects with; those who got the rejection say what it meant. */
function logTo(log: Logger): (entry: { namespace: string; level: logLevel; log: { message: string } }) => void {
  const warned = new Map<string, number>();
  return ({ namespace, level, log: { message, ...details } }) => {
    if (message.includes(RELEASED)) return;
    const text = `Kafka client: ${message}`;
    const context = { part: namespace, ...('broker' in details && { broker: details['broker'] }) };
    const answered = namespace === 'Connection' && message.startsWith('Response ');
    const last = warned.get(message) ?? -Infinity;
    if (level > logLevel.WARN || answered || Date.now() - last < REPEATED_WARNING_MS) return log.debug(context, text);
    if (warned.size > 100) warned.clear();
    warned.set(message, Date.now());
    log.warn(context, text);
  };
}

/** The Kafka error code by name, through whatever kafkajs wrapped around it; '' for errors that no broker sent. */
export function errorType(error: unknown): string {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 6; cause = cause.cause, depth++) {
    if ('type' in cause && typeof cause.type === 'string') return cause.type;
  }
  return '';
}

export interface PartitionId {
  /** Its name on the brokers. */
  readonly topic: string;
  readonly partition: number;
}

export const partitionsOf = (cluster: KafkaCluster, topics: readonly string[]): PartitionId[] =>
  topics.flatMap((topic) =>
    cluster
      .findTopicPartitionMetadata(topic)
      .map(({ partitionId }) => ({ topic, partition: partitionId }))
      .sort((a, b) => a.partition - b.partition),
  );

/** The partitions by the node that leads each; throws while one has no leader. */
export function byLeader<P extends PartitionId>(cluster: KafkaCluster, partitions: Iterable<P>): Map<string, P[]> {
  const nodes = new Map<string, P[]>();
  for (const partition of partitions) {
    const known = cluster.findTopicPartitionMetadata(partition.topic);
    const leader = known.find(({ partitionId }) => partitionId === partition.partition)?.leader;
    if (leader === undefined || leader < 0) throw new Error(`${partition.topic}/${partition.partition} has no leader.`);
    const node = nodes.get(`${leader}`) ?? [];
    nodes.set(`${leader}`, node);
    node.push(partition);
  }
  return nodes;
}

/** Groups by topic, in the shape of Kafka's requests. */
export function byTopic<P extends PartitionId, R>(
  partitions: Iterable<P>,
  part: (partition: P) => R,
): { topic: string; partitions: R[] }[] {
  const topics = new Map<string, R[]>();
  for (const partition of partitions) {
    const parts = topics.get(partition.topic) ?? [];
    topics.set(partition.topic, parts);
    parts.push(part(partition));
  }
  return [...topics].map(([topic, parts]) => ({ topic, partitions: parts }));
}

export const idOf = ({ topic, partition }: PartitionId): string => `${topic}/${partition}`;

const EARLIEST = -2;
const LATEST = -1;

/** First and next offset of each partition, by `idOf`. */
export async function offsetRanges(
  cluster: KafkaCluster,
  partitions: readonly PartitionId[],
): Promise<Map<string, { readonly first: number; readonly next: number }>> {
  const [first, next] = await Promise.all([
    listOffsets(cluster, partitions, EARLIEST),
    listOffsets(cluster, partitions, LATEST),
  ]);
  return new Map([...first].map(([id, offset]) => [id, { first: offset, next: next.get(id) ?? offset }]));
}

async function listOffsets(
  cluster: KafkaCluster,
  partitions: readonly PartitionId[],
  timestamp: number,
): Promise<Map<string, number>> {
  const answers = await Promise.all(
    [...byLeader(cluster, partitions)].map(async ([nodeId, led]) => {
      const broker = await cluster.findBroker({ nodeId });
      const topics = byTopic(led, ({ partition }) => ({ partition, timestamp }));
      return (await broker.listOffsets({ replicaId: -1, isolationLevel: 0, topics })).responses;
    }),
  );
  return offsetsOf(answers.flat());
}

/** By `idOf`; -1 where the group has committed nothing. */
export async function committedOffsets(
  coordinator: KafkaBroker,
  groupId: string,
  partitions: readonly PartitionId[],
): Promise<Map<string, number>> {
  const topics = byTopic(partitions, ({ partition }) => ({ partition }));
  return offsetsOf((await coordinator.offsetFetch({ groupId, topics })).responses);
}

const offsetsOf = (
  topics: readonly TopicPartitions<{ readonly partition: number; readonly offset: string }>[],
): Map<string, number> =>
  new Map(
    topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => [idOf({ topic, partition }), Number(offset)] as const),
    ),
  );
