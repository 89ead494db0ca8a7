/** Something that is waited for no longer than its deadline. */
export interface Expiring {
  /** `performance.now()` milliseconds. */
  readonly deadline: number;
  /** Called when it is over. It has to be deleted then, or is called again. */
  expire(): void;
}

/** How much later than its deadline something may expire. */
const STEP_MS = 25;

/** Many deadlines, few of which are ever reached, on one timer. It runs only while there are any. */
export class Deadlines {
  private readonly waiting = new Set<Expiring>();
  private timer: NodeJS.Timeout | undefined;

  add(one: Expiring): void {
    this.waiting.add(one);
    this.timer ??= setTimeout(this.look, STEP_MS);
  }

  /** Whether it was still waited for. */
  delete(one: Expiring): boolean {
    return this.waiting.delete(one);
  }

  private readonly look = (): void => {
    const now = performance.now();
    for (const one of this.waiting) {
      if (one.deadline <= now) one.expire();
    }
    if (this.waiting.size > 0) this.timer?.refresh();
    else this.timer = undefined;
  };
}
