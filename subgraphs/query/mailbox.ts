/** How many changes may wait for one slow subscriber. */
export const MAILBOX_LIMIT = 1_000;

/**
 * What waits for one subscriber. It never grows beyond its limit: when it would, everything in it is dropped and
 * `overflowed` says so, for the subscriber to be told.
 */
export class Mailbox<T> {
  overflowed = false;
  closed = false;
  private items: T[] = [];
  private wake: (() => void) | undefined;

  constructor(private readonly limit = MAILBOX_LIMIT) {}

  push(item: T): void {
    if (this.items.length >= this.limit) {
      this.items = [];
      this.overflowed = true;
    }
    // What comes after an overflow is of no use until the subscriber has begun anew.
    if (!this.overflowed) this.items.push(item);
    this.wake?.();
  }

  /** Resolves when there is something to take, an overflow to report, or nothing ever again. */
  async arrival(): Promise<void> {
    if (this.items.length > 0 || this.overflowed || this.closed) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    this.wake = undefined;
  }

  /** Takes all there is. */
  drain(): T[] {
    const items = this.items;
    this.items = [];
    return items;
  }

  /** Empties it and forgets an overflow: what follows counts again. */
  reset(): void {
    this.items = [];
    this.overflowed = false;
  }

  close(): void {
    this.closed = true;
    this.wake?.();
  }
}
