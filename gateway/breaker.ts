/** When a breaker opens, and how long it stays open. */
export interface BreakerSettings {
  /** Calls in a row that failed. */
  readonly failures: number;
  /** Until the first probe; doubled with every probe that fails. */
  readonly waitMs: number;
  readonly maxWaitMs: number;
}

export const BREAKER_DEFAULTS: BreakerSettings = { failures: 5, waitMs: 500, maxWaitMs: 10_000 };

/** As the metric has them. */
export const BREAKER_STATES = { closed: 0, probing: 1, open: 2 } as const;
export type BreakerState = keyof typeof BREAKER_STATES;

/**
 * Spares a subgraph that is down, and those who would wait for it. After some failures in a row calls are refused at
 * once, but for one now and then that finds out whether it is back. A few fields and no timers, because every call of a
 * subgraph comes by here.
 */
export class Breaker {
  private readonly settings: BreakerSettings;
  private readonly now: () => number;
  private readonly changed: (state: BreakerState) => void;
  private failed = 0;
  private waitMs: number;
  /** Of the next probe; undefined while calls go through. */
  private probeAt: number | undefined;

  /**
   * @param now milliseconds that never go back
   * @param changed told of every change of state
   */
  constructor(settings: BreakerSettings, now: () => number, changed: (state: BreakerState) => void = () => undefined) {
    this.settings = settings;
    this.now = now;
    this.changed = changed;
    this.waitMs = settings.waitMs;
  }

  /**
   * Whether a call may be made. Tell how it ended by `succeed` or `fail`, or not at all when nothing was learnt: a probe
   * that is never heard of again is followed by the next one.
   */
  allows(): boolean {
    if (this.probeAt === undefined) return true;
    const now = this.now();
    if (now < this.probeAt) return false;
    this.probeAt = now + this.waitMs;
    this.changed('probing');
    return true;
  }

  /** The subgraph answered, whatever the answer says. */
  succeed(): void {
    this.failed = 0;
    if (this.probeAt === undefined) return;
    this.probeAt = undefined;
    this.waitMs = this.settings.waitMs;
    this.changed('closed');
  }

  /** The subgraph could not be reached, did not answer in time, or answered that it is broken. */
  fail(): void {
    this.failed++;
    if (this.failed < this.settings.failures) return;
    if (this.probeAt !== undefined) this.waitMs = Math.min(this.waitMs * 2, this.settings.maxWaitMs);
    this.probeAt = this.now() + this.waitMs;
    this.changed('open');
  }
}
