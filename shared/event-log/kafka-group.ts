import { createHash } from 'node:crypto';
import { EngineUnavailable } from '../errors/errors.js';
import { PROTOCOL, shareOf, shareOut, wishesOf, wishFor } from './kafka-assignment.js';
import { Bell } from './kafka-bell.js';
import {
  asInstance,
  committedOffsets,
  errorType,
  idOf,
  offsetRanges,
  partitionsOf,
  type KafkaBroker,
  type KafkaClient,
  type KafkaCluster,
  type PartitionId,
} from './kafka-client.js';
import { Delivery } from './delivery.js';
import { Fetcher } from './kafka-fetcher.js';
import { Generation } from './kafka-generation.js';
import { Lane } from './kafka-lane.js';
import { GIVE_UP_MS } from './kafka-link.js';
import type { SubscribeOptions } from './port.js';

const DEFAULT_MAX_BATCH = 100;
/** A rebalance begins at each member's next heartbeat. */
const HEARTBEAT_MS = 1_000;
/** Members seldom come alone: for so long after a rebalance, the next one is looked out for more often. */
const EARLY_MS = 2_000;
const EARLY_HEARTBEAT_MS = 100;
/** Whoever stops asks brokers that do not answer for so long: they shall not hold up what else has to stop. */
const STOP_MS = 3_000;
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 2_000;
/** What brokers answer while they settle (a coordinator being made, a leader chosen) is trouble only after this time. */
const SETTLING_MS = 5_000;

/** The broker no longer counts us as a member of this generation. */
const FENCED: ReadonlySet<string> = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID']);

export interface MemberOptions {
  readonly client: KafkaClient;
  readonly subscription: SubscribeOptions;
  /** The name of this process, see `KafkaEventLogOptions`. */
  readonly instanceId: string | undefined;
  /** Without a heartbeat for this long a member is dead, its partitions move on. */
  readonly sessionTimeoutMs: number;
  /** A partition that shall move waits this long for the batch in hand. */
  readonly rebalanceTimeoutMs: number;
}

/**
 * A member of a consumer group, by Kafka's classic protocol. Its heartbeat does not depend on handlers, and it joins the
 * next generation only when all its handlers have ended: so a partition has one handler at a time, in this process too.
 */
export class GroupMember {
  private readonly groupId: string;
  /**
   * With what it wants to read: the brokers give whoever comes under a name what it had, not what it asks for. So an upgrade
   * that reads more is another member, and so are two of one group in a process.
   */
  private readonly instanceId: string | undefined;
  /** On the brokers; and back. */
  private readonly names: ReadonlyMap<string, string>;
  private readonly fetcher: Fetcher;
  private readonly bell = new Bell();
  private cluster: KafkaCluster | null = null;
  private coordinator: KafkaBroker | null = null;
  private memberId = '';
  private stopping = false;
  private serving = false;
  private readonly running: Promise<void>;
  private down = false;
  private downSince = 0;
  private lastError: unknown;
  private hasJoined = false;

  constructor(private readonly options: MemberOptions) {
    const { client, subscription, instanceId } = options;
    this.groupId = client.wire(subscription.group);
    const topics = createHash('sha256')
      .update([...subscription.topics].sort().join())
      .digest('hex');
    this.instanceId = instanceId && `${instanceId}-${topics.slice(0, 8)}`;
    this.names = new Map(subscription.topics.map((topic) => [client.wire(topic), topic]));
    this.fetcher = new Fetcher({
      client,
      topics: [...this.names.keys()],
      beyondEnd: 'first',
      paceMs: subscription.paceMs,
      onError: (error) => this.report(new EngineUnavailable('event log', error)),
    });
    this.running = this.run();
  }

  /** Resolves once the member takes part; rejects with `EngineUnavailable` when the brokers cannot be reached. */
  async joined(): Promise<void> {
    const deadline = Date.now() + GIVE_UP_MS + this.options.rebalanceTimeoutMs;
    while (!this.hasJoined) {
      if (Date.now() > deadline || this.stopping) throw new EngineUnavailable('event log', this.lastError);
      await this.bell.wait(deadline - Date.now() + 1);
    }
  }

  /** Lets the batches in hand finish, commits them and leaves the group. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.bell.ring();
    // A join takes as long as the slowest member: half a minute where the brokers say nothing.
    const hurry = setTimeout(() => {
      if (!this.serving) this.options.client.release(this.cluster);
    }, STOP_MS);
    await this.running;
    clearTimeout(hurry);
  }

  private async run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!this.stopping) {
      let generation;
      try {
        generation = await this.join();
      } catch (error) {
        if (this.stopping) break;
        const again = ['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'].includes(errorType(error));
        this.afterError(error);
        if (again) continue;
        await this.bell.wait(pause);
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
        continue;
      }
      pause = FIRST_PAUSE_MS;
      this.hasJoined = true;
      this.bell.ring();
      this.fetcher.follow(generation.lanes);
      this.serving = true;
      await this.serve(generation);
      this.serving = false;
    }
    this.fetcher.stop();
    await this.leave();
  }

  private async join(): Promise<Generation> {
    const { sessionTimeoutMs, rebalanceTimeoutMs, subscription } = this.options;
    const { groupId, instanceId, memberId } = this;
    const coordinator = await this.coordinate();
    // By name only at first, to succeed whom this process was before it died. Afterwards whoever bears the name is a twin
    // who took it from us, and we would take it from each other for ever.
    const asked = instanceId === undefined || this.hasJoined ? coordinator : asInstance(coordinator, instanceId);
    const joined = await asked.joinGroup({
      groupId,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      memberId,
      groupProtocols: [{ name: PROTOCOL, metadata: wishFor(this.names.keys()) }],
    });
    this.memberId = joined.memberId;
    const { generationId } = joined;
    const seenAt = Date.now();
    const groupAssignment = joined.leaderId === joined.memberId ? await this.assign(joined.members) : [];
    const sync = await coordinator.syncGroup({ groupId, generationId, memberId: joined.memberId, groupAssignment });
    const mine = shareOf(sync.memberAssignment);
    const positions = mine.length > 0 ? await this.positions(coordinator, mine) : new Map<string, number>();
    const { maxBatch = DEFAULT_MAX_BATCH, onBatches, onError, beforeCommit } = subscription;
    const generation = new Generation({
      groupId,
      id: generationId,
      memberId: joined.memberId,
      seenAt,
      coordinate: () => this.coordinate(),
      beforeCommit,
      onRefused: (error) => this.refused(generation, error),
      onError: (error) => this.report(error),
    });
    const delivery = new Delivery({ maxBatch, onBatches, onError, ready: () => this.proven(generation) });
    generation.lanes = mine.map(({ topic, partition }) => {
      const lane: Lane = new Lane({
        topic: this.names.get(topic) ?? topic,
        wireTopic: topic,
        partition,
        from: positions.get(idOf({ topic, partition })) ?? 0,
        delivery,
        onError,
        onHandled: (next) => generation.handle(lane, next),
      });
      return lane;
    });
    this.up();
    return generation;
  }

  private async assign(members: Parameters<typeof shareOut>[0]): Promise<ReturnType<typeof shareOut>> {
    const topics = wishesOf(members);
    const cluster = await this.connect();
    // A member of a newer version may want topics that this one does not know of.
    await cluster.addMultipleTargetTopics(topics);
    await cluster.refreshMetadata();
    return shareOut(members, partitionsOf(cluster, topics));
  }

  /** Where the group goes on: behind what it has committed, or at the first record there is. */
  private async positions(coordinator: KafkaBroker, partitions: readonly PartitionId[]): Promise<Map<string, number>> {
    const [committed, ranges] = await Promise.all([
      committedOffsets(coordinator, this.groupId, partitions),
      offsetRanges(await this.connect(), partitions),
    ]);
    return new Map(
      partitions.map((partition) => {
        const id = idOf(partition);
        const first = ranges.get(id)?.first ?? 0;
        const position = committed.get(id) ?? -1;
        if (position >= 0 && position < first) {
          this.report(
            new Error(`${first - position} records of ${id} were dropped by retention before they were read.`),
          );
        }
        return [id, Math.max(position, first)];
      }),
    );
  }

  /** Heartbeats until the generation is over and its handlers have ended. */
  private async serve(generation: Generation): Promise<void> {
    const earlyUntil = performance.now() + EARLY_MS;
    let drained = false;
    let draining: Promise<void> | null = null;
    while (!drained) {
      if (!draining && (this.stopping || generation.ending || generation.fenced)) {
        this.fetcher.follow([]);
        const patience = (): number => (this.stopping ? STOP_MS : GIVE_UP_MS);
        draining = generation.drain(patience).then(() => {
          drained = true;
          this.bell.ring();
        });
      }
      await this.bell.wait(performance.now() < earlyUntil ? EARLY_HEARTBEAT_MS : HEARTBEAT_MS);
      if (!drained) await this.beat(generation);
    }
  }

  private async beat(generation: Generation): Promise<void> {
    try {
      await generation.beat();
      this.up();
    } catch (error) {
      this.refused(generation, error);
    }
  }

  /**
   * Whether another batch may begin. After a silence that may have cost the membership (a process stopped and continued)
   * the brokers are heard first.
   */
  private async proven(generation: Generation): Promise<boolean> {
    const over = (): boolean => this.stopping || generation.ending || generation.fenced;
    while (Date.now() - generation.seenAt > this.options.sessionTimeoutMs && !over())
      await this.bell.wait(HEARTBEAT_MS);
    return !over();
  }

  /** What an error of the coordinator means for the generation. */
  private refused(generation: Generation, error: unknown): void {
    const type = errorType(error);
    if (generation.fenced) return;
    if (type === 'REBALANCE_IN_PROGRESS') generation.ending = true;
    else if (FENCED.has(type)) this.fence(generation, error);
    else this.afterError(error);
    this.bell.ring();
  }

  private fence(generation: Generation, error: unknown): void {
    const busy = generation.lanes.filter((lane) => !lane.idle).map((lane) => idOf(lane));
    generation.fenced = true;
    this.memberId = '';
    const inHand = busy.length > 0 ? ` The batches in hand of ${busy.join(', ')} will not be committed.` : '';
    this.report(
      new Error(
        `The group ${this.options.subscription.group} has gone on without this member, which joins again.${inHand}`,
        {
          cause: error,
        },
      ),
    );
  }

  private afterError(error: unknown): void {
    const type = errorType(error);
    this.lastError = error;
    if (type === 'REBALANCE_IN_PROGRESS') return;
    if (FENCED.has(type)) {
      this.memberId = '';
      return;
    }
    this.options.client.release(this.cluster);
    this.cluster = null;
    this.coordinator = null;
    this.downSince ||= Date.now();
    if (this.down || (type !== '' && Date.now() - this.downSince < SETTLING_MS)) return;
    this.down = true;
    this.report(new EngineUnavailable('event log', error));
  }

  private up(): void {
    this.down = false;
    this.downSince = 0;
    this.bell.ring();
  }

  private async leave(): Promise<void> {
    const { groupId, memberId } = this;
    if (memberId !== '' && this.coordinator)
      await this.coordinator.leaveGroup({ groupId, memberId }).catch(() => undefined);
    this.options.client.release(this.cluster);
  }

  private async coordinate(): Promise<KafkaBroker> {
    const cluster = await this.connect();
    this.coordinator ??= await cluster.findGroupCoordinator({ groupId: this.groupId });
    return this.coordinator;
  }

  private async connect(): Promise<KafkaCluster> {
    const cluster = (this.cluster ??= this.options.client.cluster());
    await cluster.connect();
    await cluster.addMultipleTargetTopics([...this.names.keys()]);
    return cluster;
  }

  private report(error: unknown): void {
    try {
      this.options.subscription.onError?.(error);
    } catch {
      // As in Lane.report.
    }
  }
}
