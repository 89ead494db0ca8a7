/** When a breaker opens, and how long it stays open. */
export interface BreakerSettings {
  /** Calls in a row that failed. */
  readonly failures: number;
  /** Or this part of the calls of late, if there were so many; 0.5 is every other one. */
  readonly rate: number;
  readonly calls: number;
  /** How far back that looks, at most; at least half of it. */
  readonly windowMs: number;
  /** Until the first probe; doubled with every probe that fails. */
  readonly waitMs: number;
  readonly maxWaitMs: number;
}

export const BREAKER_DEFAULTS: BreakerSettings = {
  failures: 5,
  rate: 0.5,
  calls: 20,
  windowMs: 10_000,
  waitMs: 500,
  maxWaitMs: 10_000,
};

/** As the metric has them. */
export const BREAKER_STATES = { closed: 0, probing: 1, open: 2 } as const;
export type BreakerState = keyof typeof BREAKER_STATES;

/** A call that may be made. Only calls that began in the state the breaker is in say anything about it. */
export type Permit = number;

/**
 * Spares a subgraph that is down, and those who would wait for it. After some failures in a row, or when too many of the
 * calls of late have failed, calls are refused at once, but for one now and then that finds out whether it is back. A few
 * fields and no timers, because every call of a subgraph comes by here.
 */
export class Breaker {
  private readonly settings: BreakerSettings;
  private readonly now: () => number;
  private readonly changed: (state: BreakerState) => void;
  private inRow = 0;
  private recent: Recent;
  private waitMs: number;
  /** Of the next probe; undefined while calls go through. */
  private probeAt: number | undefined;
  /** Raised whenever it opens and closes. */
  private permit: Permit = 0;

  /**
   * @param now milliseconds that never go back
   * @param changed told of every change of state
   */
  constructor(settings: BreakerSettings, now: () => number, changed: (state: BreakerState) => void = () => undefined) {
    this.settings = settings;
    this.now = now;
    this.changed = changed;
    this.recent = new Recent(settings.windowMs / 2);
    this.waitMs = settings.waitMs;
  }

  /**
   * Permission for a call, or undefined. Tell how it ended by `succeed` or `fail`, or not at all when nothing was learnt:
   * a probe that is never heard of again is followed by the next one.
   */
  ask(): Permit | undefined {
    if (this.probeAt === undefined) return this.permit;
    const now = this.now();
    if (now < this.probeAt) return undefined;
    this.probeAt = now + this.waitMs;
    this.changed('probing');
    return this.permit;
  }

  /** The subgraph answered, whatever the answer says. */
  succeed(permit: Permit): void {
    if (permit !== this.permit) return;
    if (this.probeAt === undefined) {
      this.inRow = 0;
      this.recent.add(this.now(), 0);
      return;
    }
    this.permit++;
    this.inRow = 0;
    this.recent = new Recent(this.settings.windowMs / 2);
    this.probeAt = undefined;
    this.waitMs = this.settings.waitMs;
    this.changed('closed');
  }

  /** The subgraph could not be reached, did not answer in time, or answered that it is broken. */
  fail(permit: Permit): void {
    if (permit !== this.permit) return;
    const { failures, rate, calls, maxWaitMs } = this.settings;
    const now = this.now();
    if (this.probeAt === undefined) {
      this.inRow++;
      this.recent.add(now, 1);
      const tooMany = this.recent.calls >= calls && this.recent.failed >= this.recent.calls * rate;
      if (this.inRow < failures && !tooMany) return;
      this.permit++;
    } else {
      this.waitMs = Math.min(this.waitMs * 2, maxWaitMs);
    }
    this.probeAt = now + this.waitMs;
    this.changed('open');
  }

  /** Something else says that the subgraph is there: the next call is the probe. */
  probeNow(): void {
    if (this.probeAt !== undefined) this.probeAt = this.now();
  }
}

/** Calls of late and how many of them failed: of the span of time that runs, and of the one before. */
class Recent {
  private since = -Infinity;
  private now = { calls: 0, failed: 0 };
  private before = { calls: 0, failed: 0 };

  constructor(private readonly spanMs: number) {}

  get calls(): number {
    return this.now.calls + this.before.calls;
  }

  get failed(): number {
    return this.now.failed + this.before.failed;
  }

  add(time: number, failed: 0 | 1): void {
    if (time - this.since >= this.spanMs) {
      this.before = time - this.since < 2 * this.spanMs ? this.now : { calls: 0, failed: 0 };
      this.now = { calls: 0, failed: 0 };
      this.since = time;
    }
    this.now.calls++;
    this.now.failed += failed;
  }
}
