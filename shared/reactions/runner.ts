import type { Database } from '../database/port.js';
import type { EventLog, Subscription } from '../event-log/port.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { Outbox } from '../outbox/outbox.js';
import { purgeBefore } from '../outbox/purge.js';
import { watchLag } from '../service/lag.js';
import type { Check } from '../service/service.js';
import { Consumer } from './consumer.js';
import { Parked } from './parked.js';
import type { Reaction } from './reaction.js';
import { Report } from './report.js';
import { Retrier } from './retrier.js';

/** Most messages in one transaction: it holds its locks for some tens of milliseconds. */
const MAX_BATCH = 300;
const PACE_MS = 5;
const PURGE_MS = 3_600_000;
const DAY = 86_400_000;

/** A failed batch comes again within 5 s; a failure older than this belongs to a partition that has moved on or away. */
const TROUBLE_MS = 15_000;

export interface ReactionRunnerOptions {
  readonly database: Database;
  readonly outbox: Outbox;
  readonly eventLog: EventLog;
  readonly reactions: readonly Reaction[];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Waits before each retry of a failing message, in milliseconds: 1, 2, 4, 8 and 16 s when absent. Then it is dead. */
  readonly retryDelaysMs?: readonly number[];
  /**
   * How long the inbox remembers, in milliseconds; 31 days when absent. Must be longer than the topics keep records (30
   * days): a group that lost its positions reads its topics from the first record, and the inbox alone tells it what it
   * has done. Nothing is forgotten in the first hour after a start, in which relays that were down send their repeats.
   */
  readonly inboxRetentionMs?: number;
}

export interface ReactionRunner {
  start(): Promise<void>;
  /** Finishes the batches in hand. Safe to call twice. */
  stop(): Promise<void>;
  checks(): Promise<readonly Check[]>;
}

/**
 * Runs the reactions of one subgraph: a consumer group each, every event's effect exactly once, in the order of its key.
 * A message that fails is parked and tried again without holding up other keys; a log or database that is away holds up
 * everything and counts against nothing.
 */
export const createReactionRunner = (options: ReactionRunnerOptions): ReactionRunner => new Runner(options);

interface Trouble {
  readonly at: number;
  readonly message: string;
}

class Runner implements ReactionRunner {
  private readonly consumers: readonly Consumer[];
  private readonly retrier: Retrier;
  private readonly subscriptions = new Map<string, Subscription>();
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly trouble = new Map<string, Trouble>();
  private purging: Promise<void> = Promise.resolve();
  private endLag: () => void = () => undefined;

  constructor(private readonly options: ReactionRunnerOptions) {
    const {
      database,
      outbox,
      reactions,
      log,
      metrics,
      now,
      retryDelaysMs = [1_000, 2_000, 4_000, 8_000, 16_000],
    } = options;
    const names = reactions.map((reaction) => reaction.consumer);
    if (new Set(names).size < names.length)
      throw new TypeError(`Two reactions share a consumer name: ${names.join(', ')}.`);
    const parked = new Parked({ outbox, now, retryDelaysMs });
    this.consumers = reactions.map((reaction) => {
      const report = new Report(reaction.consumer, log, metrics);
      return new Consumer({ reaction, database, parked, report, now, onParked: () => this.retrier.wake() });
    });
    this.retrier = new Retrier({ database, consumers: this.consumers, log, metrics, now });
  }

  async start(): Promise<void> {
    this.retrier.start();
    for (const [index, { consumer, topics, paceMs = PACE_MS }] of this.options.reactions.entries()) {
      const taker = this.consumers[index] as Consumer;
      const subscription = await this.options.eventLog.subscribe({
        group: consumer,
        topics,
        maxBatch: MAX_BATCH,
        paceMs,
        onBatches: async (batches) => {
          await taker.take(batches);
          this.trouble.delete(consumer);
        },
        onError: (error) => this.onError(consumer, error),
      });
      this.subscriptions.set(consumer, subscription);
    }
    this.endLag = watchLag(this.subscriptions, this.options);
    this.every(PURGE_MS, () => {
      this.purging = this.purge();
    });
  }

  async stop(): Promise<void> {
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    this.endLag();
    await Promise.all([...this.subscriptions.values()].map((subscription) => subscription.stop()));
    this.subscriptions.clear();
    await this.retrier.stop();
    await this.purging;
  }

  async checks(): Promise<readonly Check[]> {
    return this.consumers.map(({ name }) => {
      const trouble = this.trouble.get(name);
      if (!trouble || performance.now() - trouble.at > TROUBLE_MS) return { name, ok: true };
      return { name, ok: false, detail: 'Events wait; nothing is lost.' };
    });
  }

  private onError(consumer: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (this.trouble.get(consumer)?.message !== message) {
      this.options.log.warn({ err: error, consumer }, 'events wait; nothing is lost and no attempt is counted');
    }
    this.trouble.set(consumer, { at: performance.now(), message });
  }

  private async purge(): Promise<void> {
    const { database, now, log, inboxRetentionMs = 31 * DAY } = this.options;
    try {
      const rows = await purgeBefore(database, 'processed_events', 'processed_at', now() - inboxRetentionMs);
      if (rows > 0) log.debug({ rows }, 'inbox rows deleted');
    } catch (error) {
      log.warn({ err: error }, 'old inbox rows could not be deleted; trying again in an hour');
    }
  }

  private every(milliseconds: number, action: () => void): void {
    const timer = setInterval(action, milliseconds);
    timer.unref();
    this.timers.push(timer);
  }
}
