import type { KafkaMessage } from 'kafkajs';
import type { AtHand, Delivery, Source } from './delivery.js';
import type { StoredRecord } from './port.js';

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
  readonly delivery: Delivery;
  /** The records before `next` were handled; false when the partition belongs to somebody else by now. */
  readonly onHandled?: (next: number) => boolean;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** One partition on its way to one handler: what was fetched and not handled yet. */
export class Lane implements Source {
  /** Where to fetch next. */
  position: number;
  /** Not fetched before this time (milliseconds since the epoch): see the fetcher. */
  blockedUntil = 0;
  /** Called when the lane wants records again, and when all it had were handled. */
  onRoom: () => void = () => undefined;
  private readonly waiting: StoredRecord[] = [];
  /** Of the values that wait. */
  private characters = 0;
  private endOffset = 0;
  private left = false;

  constructor(private readonly options: LaneOptions) {
    this.position = options.from;
    options.delivery.add(this);
  }

  /** On the brokers. */
  get topic(): string {
    return this.options.wireTopic;
  }

  get partition(): number {
    return this.options.partition;
  }

  get pending(): boolean {
    return this.waiting.length > 0;
  }

  /** Nothing of it is in a handler. */
  get idle(): boolean {
    return this.options.delivery.isIdle(this);
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
    if (this.pending) this.options.delivery.wake();
    // Only what nobody may see was there, such as the marks of transactions: it counts as handled.
    else this.options.onHandled?.(next);
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

  peek(limit: number): AtHand {
    const { topic, partition } = this.options;
    return { topic, partition, records: this.waiting.slice(0, limit), endOffset: this.endOffset };
  }

  handled(count: number): boolean {
    const wasFull = this.full;
    const records = this.waiting.splice(0, count);
    for (const record of records) this.characters -= record.value.length;
    const last = records.at(-1);
    if (last && this.options.onHandled?.(last.offset + 1) === false) return false;
    if (!this.pending || (wasFull && !this.full)) this.onRoom();
    return true;
  }

  /** Takes no further batch; resolves when the one in hand has ended. */
  async leave(): Promise<void> {
    this.left = true;
    await this.options.delivery.leave(this);
  }

  report(error: unknown): void {
    try {
      this.options.onError?.(error);
    } catch {
      // A listener that throws must not end delivery; there is nobody left to tell.
    }
  }
}
