import { setImmediate as breathe } from 'node:timers/promises';
import type { KafkaMessage } from 'kafkajs';
import type { Batch, StoredRecord } from './port.js';

/** Pause after a rejected batch: doubles from the first to the last. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 5_000;

/** With so much at hand a partition is not asked for more: enough to work on until the next answer. */
const ENOUGH_RECORDS = 500;
const ENOUGH_CHARACTERS = 1024 * 1024;

export interface LaneOptions {
  /** Name in the port, and on the brokers. */
  readonly topic: string;
  readonly wireTopic: string;
  readonly partition: number;
  /** Offset of the first record wanted. */
  readonly from: number;
  readonly maxBatch: number;
  readonly onBatch: (batch: Batch) => void | Promise<void>;
  /** Awaited before each batch; false ends the lane. */
  readonly ready?: () => Promise<boolean>;
  /** The batch before `next` has resolved; false when the partition belongs to somebody else by now. */
  readonly onHandled?: (next: number) => boolean;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * One partition on its way to one handler: what was fetched and not handled yet, and the loop that hands it over, a batch
 * at a time. A rejected batch comes again after a pause, whatever else is fetched meanwhile.
 */
export class Lane {
  /** Where to fetch next. */
  position: number;
  /** Not fetched before this time (milliseconds since the epoch): see the fetcher. */
  blockedUntil = 0;
  /** Called when the lane wants more than it did. */
  onHungry: () => void = () => undefined;
  private readonly waiting: StoredRecord[] = [];
  /** Of the values that wait. */
  private characters = 0;
  private endOffset = 0;
  private running: Promise<void> | null = null;
  private left = false;
  private endPause: (() => void) | null = null;

  constructor(private readonly options: LaneOptions) {
    this.position = options.from;
  }

  /** On the brokers. */
  get topic(): string {
    return this.options.wireTopic;
  }

  get partition(): number {
    return this.options.partition;
  }

  /** Nothing of it is waiting or in a handler. */
  get idle(): boolean {
    return this.running === null;
  }

  wants(): boolean {
    return !this.left && !this.full && Date.now() >= this.blockedUntil;
  }

  private get full(): boolean {
    return this.waiting.length >= ENOUGH_RECORDS || this.characters >= ENOUGH_CHARACTERS;
  }

  /** Takes what was fetched at `position`; the partition goes on at `next`. */
  accept(records: readonly StoredRecord[], next: number, endOffset: number): void {
    if (this.left) return;
    this.endOffset = endOffset;
    this.position = next;
    for (const record of records) {
      this.waiting.push(record);
      this.characters += record.value.length;
    }
    if (this.waiting.length > 0) this.running ??= this.run().finally(() => (this.running = null));
    // Only what nobody may see was there, such as the marks of transactions: it counts as handled.
    else if (this.idle) this.options.onHandled?.(next);
  }

  /** A record as the port shows it. What other producers may leave out, a value or a header's, is the empty text. */
  stored({ key, value, headers = {}, offset, timestamp }: KafkaMessage): StoredRecord {
    return {
      topic: this.options.topic,
      partition: this.options.partition,
      offset: Number(offset),
      timestamp: Number(timestamp),
      key: key === null ? null : key.toString(),
      value: value === null ? '' : value.toString(),
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, text]) => [
          name,
          (Array.isArray(text) ? text.at(-1) : text)?.toString() ?? '',
        ]),
      ),
    };
  }

  /** Goes on elsewhere, because what lay at `position` is not there (any more). */
  jump(position: number): void {
    const { topic, partition } = this.options;
    this.report(
      new Error(
        `${topic}/${partition} has no record ${this.position} (dropped by retention before it was read, or the log was ` +
          `made anew); going on at ${position}.`,
      ),
    );
    this.position = position;
  }

  /** Takes no further batch; resolves when the one in hand has ended. */
  async leave(): Promise<void> {
    this.left = true;
    this.endPause?.();
    await this.running;
  }

  report(error: unknown): void {
    try {
      this.options.onError?.(error);
    } catch {
      // A listener that throws must not end delivery; there is nobody left to tell.
    }
  }

  private async run(): Promise<void> {
    const { maxBatch, ready, onHandled } = this.options;
    let pause = FIRST_PAUSE_MS;
    while (this.waiting.length > 0 && !this.left) {
      if ((ready && !(await ready())) || this.left) return;
      const records = this.waiting.slice(0, maxBatch);
      try {
        await this.hand(records);
        pause = FIRST_PAUSE_MS;
      } catch (error) {
        // A handler that leaves a stale batch by throwing does what it was asked to.
        if (this.left) return;
        this.report(error);
        await this.pause(pause);
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
        continue;
      }
      const wasFull = this.full;
      this.waiting.splice(0, records.length);
      for (const record of records) this.characters -= record.value.length;
      const last = records.at(-1);
      // Also when leaving meanwhile: what was handled is committed if the partition is still ours.
      if (last && onHandled && !onHandled(last.offset + 1)) return;
      if (wasFull && !this.full) this.onHungry();
      // So that a backlog starves nobody.
      await breathe();
    }
  }

  private async hand(records: readonly StoredRecord[]): Promise<void> {
    const { topic, partition, onBatch } = this.options;
    const { endOffset } = this;
    await onBatch({ topic, partition, records, endOffset, isStale: () => this.left });
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.endPause = end;
    });
  }
}
