/** What is done for a client only as long as it waits. */
export interface Abandonable {
  abandon(): void;
}

/** Whether the client of an operation is gone, told to what is still at work for it. An AbortSignal, at a tenth of its cost. */
export class Gone {
  isGone = false;
  private readonly waiting = new Set<Abandonable>();

  add(one: Abandonable): void {
    this.waiting.add(one);
  }

  delete(one: Abandonable): void {
    this.waiting.delete(one);
  }

  /** Nobody waits for the answer any more. More than once does no harm. */
  leave(): void {
    this.isGone = true;
    for (const one of this.waiting) one.abandon();
  }
}
