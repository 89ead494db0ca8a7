import { setImmediate as breathe } from 'node:timers/promises';
import type { Batch } from './port.js';

/** Pause after a rejected call: doubles from the first to the last. */
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 5_000;

export type AtHand = Omit<Batch, 'isStale'>;

/** One partition on its way to a handler: what is at hand of it, and how far it has come. */
export interface Source {
  /** Whether anything is at hand. */
  readonly pending: boolean;
  /** The oldest records at hand, at most `limit`, and the same again until they are `handled`. May throw: tried again. */
  peek(limit: number): AtHand;
  /** The first `count` records at hand were handled; false when the partition belongs to somebody else by now. */
  handled(count: number): boolean;
}

export interface DeliveryOptions {
  /** Most records in one call. */
  readonly maxBatch: number;
  readonly onBatches: (batches: readonly Batch[]) => void | Promise<void>;
  /** Awaited before each call; false ends delivery. */
  readonly ready?: () => Promise<boolean>;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Where a partition stands with its handler. */
interface Seat {
  readonly source: Source;
  /** Its last call was rejected, so that it is handed over alone, after a pause, until one resolves. */
  alone: boolean;
  pause: number;
  timer: NodeJS.Timeout | null;
  left: boolean;
}

/**
 * Hands partitions to one handler, a call at a time, each with what is at hand of all of them. After a rejected call its
 * partitions come singly, so that the one at fault pauses by itself. Between calls it lets the event loop turn: a backlog
 * starves nobody, and what arrives in the same moment goes together.
 */
export class Delivery {
  /** In the order of their turns. */
  private readonly seats = new Map<Source, Seat>();
  private inHand: ReadonlySet<Seat> = new Set();
  private call: Promise<void> = Promise.resolve();
  private running = false;
  private ended = false;

  constructor(private readonly options: DeliveryOptions) {}

  /** Nothing of the source is in the handler. */
  isIdle(source: Source): boolean {
    return ![...this.inHand].some((seat) => seat.source === source);
  }

  add(source: Source): void {
    this.seats.set(source, { source, alone: false, pause: FIRST_PAUSE_MS, timer: null, left: false });
    this.wake();
  }

  /** To be called whenever a source has got something. */
  wake(): void {
    if (this.running || this.ended) return;
    this.running = true;
    void this.run();
  }

  /** Hands over nothing more of the source; resolves when the call that has some of it has ended. */
  async leave(source: Source): Promise<void> {
    const seat = this.seats.get(source);
    if (seat) {
      seat.left = true;
      this.seats.delete(source);
      if (seat.timer) clearTimeout(seat.timer);
    }
    if (!this.isIdle(source)) await this.call;
  }

  private async run(): Promise<void> {
    for (;;) {
      await breathe();
      // What comes after this look finds nobody running, and wakes.
      if (![...this.seats.values()].some((seat) => isReady(seat))) break;
      const { ready } = this.options;
      if (ready && !(await ready())) {
        this.ended = true;
        break;
      }
      const taken = this.take();
      if (taken.size === 0) continue;
      this.inHand = new Set(taken.keys());
      this.call = this.hand(taken).finally(() => (this.inHand = new Set()));
      await this.call;
    }
    this.running = false;
  }

  /** What the next call gets: a partition that was rejected by itself, else what there is, taking turns. */
  private take(): Map<Seat, Batch> {
    const ready = [...this.seats.values()].filter(isReady);
    const alone = ready.find((seat) => seat.alone);
    const taken = new Map<Seat, Batch>();
    let left = this.options.maxBatch;
    for (const seat of alone ? [alone] : ready) {
      if (left === 0) break;
      const { source } = seat;
      let found: AtHand;
      try {
        found = source.peek(left);
      } catch (error) {
        this.failed([seat], error);
        continue;
      }
      if (found.records.length === 0) continue;
      taken.set(seat, { ...found, isStale: () => seat.left });
      left -= found.records.length;
      // To the end of the line.
      this.seats.delete(source);
      this.seats.set(source, seat);
    }
    return taken;
  }

  private async hand(taken: ReadonlyMap<Seat, Batch>): Promise<void> {
    try {
      await this.options.onBatches([...taken.values()]);
    } catch (error) {
      const seats = [...taken.keys()];
      // A handler that leaves a stale batch by throwing does what it was asked to; what is not stale comes again.
      if (!seats.some((seat) => seat.left)) this.failed(seats, error);
      return;
    }
    for (const [seat, { records }] of taken) {
      seat.alone = false;
      seat.pause = FIRST_PAUSE_MS;
      // Also when it has left meanwhile: what was handled is committed if the partition is still ours.
      if (!seat.source.handled(records.length)) this.seats.delete(seat.source);
    }
  }

  private failed(seats: readonly Seat[], error: unknown): void {
    for (const seat of seats) {
      seat.alone = true;
      seat.timer = setTimeout(() => {
        seat.timer = null;
        this.wake();
      }, seat.pause);
      seat.pause = Math.min(seat.pause * 2, LAST_PAUSE_MS);
    }
    try {
      this.options.onError?.(error);
    } catch {
      // A listener that throws must not end delivery; there is nobody left to tell.
    }
  }
}

/** For a delivery of one partition. */
export const singly =
  (onBatch: (batch: Batch) => void | Promise<void>): DeliveryOptions['onBatches'] =>
  ([batch]) =>
    batch && onBatch(batch);

const isReady = ({ source, timer }: Seat): boolean => timer === null && source.pending;
