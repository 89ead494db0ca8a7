import { setImmediate as breathe } from 'node:timers/promises';
import { EngineUnavailable } from '../errors/errors.js';
import type { LogFile, Partition } from './log-file.js';
import type { Batch } from './port.js';

/** Pause after a rejected batch: doubles from the first to the last. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 5_000;

export interface ReaderOptions {
  readonly file: LogFile;
  readonly partition: Partition;
  /** Offset of the first record wanted. */
  readonly from: number;
  readonly maxBatch: number;
  readonly onBatch: (batch: Batch) => void | Promise<void>;
  /** The batch before `next` has resolved; false when the partition belongs to somebody else by now. */
  readonly onHandled: (reader: Reader, next: number) => boolean;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Delivers one partition to one handler, a batch at a time, woken by appends. A rejected batch comes again after a
 * pause. Between batches it lets the event loop turn, so that a backlog starves nobody.
 */
export class Reader {
  private position: number;
  private running: Promise<void> | null = null;
  private left = false;
  private endPause: (() => void) | null = null;

  constructor(private readonly options: ReaderOptions) {
    this.position = options.from;
    options.partition.readers.add(this);
  }

  get leaving(): boolean {
    return this.left;
  }

  wake(): void {
    if (this.running || this.left || this.position >= this.options.partition.next) return;
    this.running = this.run().finally(() => {
      this.running = null;
      // An append between the last look and now found it running.
      this.wake();
    });
  }

  /** Takes no further batch; resolves when the one in hand has ended. */
  async leave(): Promise<void> {
    this.left = true;
    this.options.partition.readers.delete(this);
    this.endPause?.();
    await this.running;
  }

  private async run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (this.position < this.options.partition.next) {
      await breathe();
      if (this.left) return;
      try {
        const next = await this.deliver();
        // Also when leaving meanwhile: what was handled is committed if the partition is still ours.
        if (!this.options.onHandled(this, next)) return;
        this.position = next;
        pause = FIRST_PAUSE_MS;
      } catch (error) {
        // A handler that leaves a stale batch by throwing does what it was asked to.
        if (this.left) return;
        this.report(error);
        await this.pause(pause);
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
      }
      if (this.left) return;
    }
  }

  /** Hands over one batch and answers the offset after it. */
  private async deliver(): Promise<number> {
    const { file, partition, maxBatch, onBatch } = this.options;
    const from = Math.max(this.position, partition.first);
    if (from > this.position) {
      const unread = from - this.position;
      this.report(
        new Error(`${unread} records of ${partition.topic} were dropped by retention before they were read.`),
      );
      this.position = from;
    }
    if (from >= partition.next) return from;
    const endOffset = partition.next;
    let records;
    try {
      records = file.read(partition, from, maxBatch);
    } catch (error) {
      throw new EngineUnavailable('event log', error);
    }
    const { topic, number } = partition;
    await onBatch({ topic, partition: number, records, endOffset, isStale: () => this.left });
    return from + records.length;
  }

  private report(error: unknown): void {
    try {
      this.options.onError?.(error);
    } catch {
      // A listener that throws must not end delivery; there is nobody left to tell.
    }
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
