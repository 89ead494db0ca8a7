import { randomUUID } from 'node:crypto';
import { test } from '@jest/globals';
import { until } from '../../tests/until.js';
import type { Batch, EventLog, LogRecord, StoredRecord, SubscribeOptions, Subscription, TopicSpec } from './port.js';

/** One engine under test: its content outlives the logs opened on it. */
export interface EventLogHarness {
  /** Opens the log; after a close it opens the same content again. */
  open(): Promise<EventLog>;
  /**
   * What a process started after this one died by SIGKILL would find: nothing in hand is committed any more. `log` may
   * go on by itself (the suite lets its handlers end and closes it), but not touch what the answer sees.
   */
  crash(log: EventLog): Promise<EventLog>;
  /** Removes everything. */
  dispose(): Promise<void>;
}

/** What an adapter can do beyond the rest of the contract; the suite reports a missing one as a skip, by name. */
export interface EventLogFeatures {
  /** `crash` of the harness works. */
  readonly crash: boolean;
  /** A member that holds on to a batch loses its partition within two minutes. */
  readonly fencing: boolean;
  /** `enforceRetention` cuts at once and exactly. */
  readonly retention: boolean;
}

/** Engines across a network take seconds to join, minutes to give up on a member. */
export const TEST_TIMEOUT_MS = 180_000;
export const REBALANCE_TIMEOUT_MS = 120_000;

/** Retention of the suite's topics. */
export const HOUR_MS = 3_600_000;

/** A topic for a test. */
export const testTopic = (name: string, partitions: number): TopicSpec => ({ name, partitions, retentionMs: HOUR_MS });

export const PARTITIONS = 12;

/** What the parts of the suite share: the log of the moment and the usual steps on it. Names are never used twice. */
export class Suite {
  private current: EventLog | null = null;
  private opened: EventLogHarness | null = null;

  constructor(private readonly features: EventLogFeatures) {}

  get log(): EventLog {
    if (!this.current) throw new Error('The log is not open.');
    return this.current;
  }

  async begin(harness: EventLogHarness): Promise<void> {
    this.opened = harness;
    this.current = await harness.open();
  }

  async end(): Promise<void> {
    await this.current?.close();
    await this.opened?.dispose();
  }

  /** Closes the log and opens it again. */
  async reopen(): Promise<void> {
    await this.log.close();
    this.current = (await this.opened?.open()) ?? null;
  }

  /** Answers the log that died; `log` is the one after it. */
  async crash(): Promise<EventLog> {
    const dead = this.log;
    this.current = (await this.opened?.crash(dead)) ?? null;
    return dead;
  }

  promise(invariant: string, body: () => Promise<void>): void {
    test(invariant, body, TEST_TIMEOUT_MS);
  }

  promiseIf(feature: keyof EventLogFeatures, invariant: string, body: () => Promise<void>): void {
    if (this.features[feature]) this.promise(invariant, body);
    else test.skip(`${invariant} [not offered: ${feature}]`, body);
  }

  async newTopic(partitions = PARTITIONS): Promise<string> {
    const topic = `t-${randomUUID()}`;
    await this.log.ensureTopics([testTopic(topic, partitions)]);
    return topic;
  }

  join(group: string, topic: string, box: Inbox, more: Partial<SubscribeOptions> = {}): Promise<Subscription> {
    return this.log.subscribe({ group, topics: [topic], onBatches: box.onBatches, ...more });
  }

  /** All records of a topic, read from its start. */
  async everything(topic: string, count: number): Promise<readonly StoredRecord[]> {
    const box = inbox();
    const tail = await this.log.tail({ topics: [topic], from: 'start', onBatch: box.onBatch });
    await box.until(count);
    await tail.stop();
    return firstCopies(box.records);
  }
}

export const newGroup = (): string => `g-${randomUUID()}`;

/** Waits until the group has committed everything. */
export async function caughtUp(subscription: Subscription): Promise<void> {
  await until(async () => (await subscription.lag()).every(({ lag }) => lag === 0), { message: 'a lag of 0' });
}

/** A record with sensible fields where none are given. */
export const rec = (topic: string, fields: Partial<LogRecord> = {}): LogRecord => ({
  topic,
  key: 'key',
  value: '{}',
  headers: {},
  ...fields,
});

/** `count` records of as many keys, numbered in their values. */
export const recs = (
  topic: string,
  count: number,
  fields: (i: number) => Partial<LogRecord> = () => ({}),
): LogRecord[] => Array.from({ length: count }, (_, i) => rec(topic, { key: `key ${i}`, value: `${i}`, ...fields(i) }));

const place = ({ topic, partition, offset }: StoredRecord): string => `${topic}/${partition}@${offset}`;

/** Repeats removed: at least once is all that a log promises. */
export function firstCopies(records: readonly StoredRecord[]): StoredRecord[] {
  const seen = new Set<string>();
  return records.filter((record) => !seen.has(place(record)) && seen.add(place(record)));
}

/** A handler that keeps what it gets. */
export interface Inbox {
  readonly batches: readonly Batch[];
  readonly records: readonly StoredRecord[];
  readonly onBatch: (batch: Batch) => Promise<void>;
  readonly onBatches: (batches: readonly Batch[]) => Promise<void>;
  values(): string[];
  /** Resolves when `count` different records have come. */
  until(count: number): Promise<void>;
}

export function inbox(): Inbox {
  const batches: Batch[] = [];
  const records: StoredRecord[] = [];
  const different = new Set<string>();
  const onBatch = async (batch: Batch): Promise<void> => {
    batches.push(batch);
    records.push(...batch.records);
    for (const record of batch.records) different.add(place(record));
  };
  return {
    batches,
    records,
    onBatch,
    onBatches: async (all) => {
      for (const batch of all) await onBatch(batch);
    },
    values: () => records.map((record) => record.value),
    until: async (count) => {
      await until(() => different.size >= count, {
        message: () => `${count} records (${different.size} came)`,
        timeoutMs: 60_000,
      });
    },
  };
}

/** A promise and its handle. */
export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
