import { EngineUnavailable } from '../errors/errors.js';
import type { AtHand, Delivery, Source } from './delivery.js';
import type { LogFile, Partition } from './log-file.js';

export interface ReaderOptions {
  readonly file: LogFile;
  readonly partition: Partition;
  /** Offset of the first record wanted. */
  readonly from: number;
  readonly delivery: Delivery;
  /** The records before `next` were handled; false when the partition belongs to somebody else by now. */
  readonly onHandled: (reader: Reader, next: number) => boolean;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** One partition for one handler, from a position on, woken by appends. */
export class Reader implements Source {
  private position: number;
  private left = false;

  constructor(private readonly options: ReaderOptions) {
    this.position = options.from;
    options.partition.readers.add(this);
    options.delivery.add(this);
  }

  get pending(): boolean {
    return this.position < this.options.partition.next;
  }

  get leaving(): boolean {
    return this.left;
  }

  wake(): void {
    if (this.pending) this.options.delivery.wake();
  }

  /** Takes no further batch; resolves when the one in hand has ended. */
  async leave(): Promise<void> {
    this.left = true;
    this.options.partition.readers.delete(this);
    await this.options.delivery.leave(this);
  }

  peek(limit: number): AtHand {
    const { file, partition } = this.options;
    const { topic, number } = partition;
    if (partition.first > this.position) {
      const unread = partition.first - this.position;
      this.report(
        new Error(`${unread} records of ${partition.topic} were dropped by retention before they were read.`),
      );
      this.position = partition.first;
    }
    const endOffset = partition.next;
    if (!this.pending) return { topic, partition: number, records: [], endOffset };
    try {
      return { topic, partition: number, records: file.read(partition, this.position, limit), endOffset };
    } catch (error) {
      throw new EngineUnavailable('event log', error);
    }
  }

  handled(count: number): boolean {
    const next = this.position + count;
    if (!this.options.onHandled(this, next)) return false;
    this.position = next;
    return true;
  }

  private report(error: unknown): void {
    try {
      this.options.onError?.(error);
    } catch {
      // As in Delivery.
    }
  }
}
