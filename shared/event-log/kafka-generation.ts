import { setTimeout as delay } from 'node:timers/promises';
import { byTopic, type KafkaBroker } from './kafka-client.js';
import type { Lane } from './kafka-lane.js';

/**
 * Positions are written this long after the first of them moved: one request for all partitions. Whatever a crash within
 * it repeats, handlers know already.
 */
const COMMIT_AFTER_MS = 1_000;
/** After a failure. */
const COMMIT_AGAIN_MS = 2_000;
/** Between attempts to commit the last positions. */
const LAST_COMMITS_MS = 100;

export interface GenerationOptions {
  readonly groupId: string;
  readonly id: number;
  readonly memberId: string;
  /** When the brokers took us for a member (milliseconds since the epoch). */
  readonly seenAt: number;
  readonly coordinate: () => Promise<KafkaBroker>;
  readonly beforeCommit: (() => Promise<void>) | undefined;
  /** The coordinator refused a commit or could not be asked. */
  readonly onRefused: (error: unknown) => void;
  readonly onError: (error: unknown) => void;
}

/** What a member has between two rebalances: its partitions, and how far they were handled. */
export class Generation {
  lanes: readonly Lane[] = [];
  /** When the brokers last took us for a member (milliseconds since the epoch). */
  seenAt: number;
  /** Somebody else waits: finish and join again. */
  ending = false;
  /** Too late to finish: the partitions belong to others, nothing is committed any more. */
  fenced = false;
  /** Handled and not yet committed: the offset to go on at. */
  private readonly handled = new Map<Lane, number>();
  private commitTimer: NodeJS.Timeout | null = null;
  private committing: Promise<void> | null = null;

  constructor(private readonly options: GenerationOptions) {
    this.seenAt = options.seenAt;
  }

  /** Notes that the lane goes on at `next`, to be committed soon; false when the partition belongs to somebody else. */
  handle(lane: Lane, next: number): boolean {
    if (this.fenced) return false;
    this.handled.set(lane, next);
    this.commitAfter(COMMIT_AFTER_MS);
    return true;
  }

  /** Throws what the coordinator answers instead. */
  async beat(): Promise<void> {
    const { groupId, id: groupGenerationId, memberId, coordinate } = this.options;
    const coordinator = await coordinate();
    const asked = Date.now();
    await coordinator.heartbeat({ groupId, groupGenerationId, memberId });
    this.seenAt = asked;
  }

  /** Lets the handlers end and commits what they did, trying for so many milliseconds; then the generation is over. */
  async drain(patience: () => number): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.leave()));
    const begun = Date.now();
    while (this.handled.size > 0 && !this.fenced && Date.now() - begun < patience()) {
      await this.commit();
      // Not on the bell, which every failure rings: each heartbeat's would bring the next commit, and the other way round.
      if (this.handled.size > 0 && !this.fenced) await delay(LAST_COMMITS_MS);
    }
    if (this.commitTimer) clearTimeout(this.commitTimer);
    // Over: what a commit still under way is told must not touch the next generation.
    this.fenced = true;
  }

  /** Writes what was handled so far; what could not be written is written with what comes next. */
  private async commit(): Promise<void> {
    while (this.committing) await this.committing;
    if (this.handled.size === 0 || this.fenced) return;
    this.committing = this.commitNow().finally(() => (this.committing = null));
    await this.committing;
  }

  private async commitNow(): Promise<void> {
    const { handled } = this;
    const { groupId, id: groupGenerationId, memberId, coordinate, beforeCommit, onRefused, onError } = this.options;
    const offsets = [...handled].map(([lane, next]) => ({ topic: lane.topic, partition: lane.partition, lane, next }));
    try {
      await beforeCommit?.();
    } catch (error) {
      onError(error);
      this.commitAfter(COMMIT_AGAIN_MS);
      return;
    }
    // Another generation may have begun meanwhile.
    if (this.fenced) return;
    try {
      const coordinator = await coordinate();
      const topics = byTopic(offsets, ({ partition, next }) => ({ partition, offset: `${next}` }));
      await coordinator.offsetCommit({ groupId, groupGenerationId, memberId, topics });
      for (const { lane, next } of offsets) if (handled.get(lane) === next) handled.delete(lane);
    } catch (error) {
      onRefused(error);
      if (!this.fenced) this.commitAfter(COMMIT_AGAIN_MS);
    }
  }

  private commitAfter(milliseconds: number): void {
    this.commitTimer ??= setTimeout(() => {
      this.commitTimer = null;
      void this.commit();
    }, milliseconds);
  }
}
