import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../observability/logger.js';
import { Waker } from '../outbox/waker.js';
import { isAway } from '../reactions/parked.js';

/** How often to look for rows that nobody announced, those of processes that died, and for a database that is away: ms. */
const POLL_MS = 1_000;

/** How long a stop waits for effects under way. What comes later is made again when its lease is over. */
const STOP_GRACE_MS = 2_000;

export interface Performed<Task, Outcome> {
  readonly task: Task;
  readonly outcome: Outcome;
}

/** An effect outside, in three steps whose first is a row that was written with what asks for it. */
export interface Effect<Task, Outcome> {
  /** For the log: `calls to the payment provider`. */
  readonly name: string;
  /** Under way at a time. */
  readonly maxInFlight: number;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of every commit that added rows, in this process. Answers the function that ends it. */
  onRequested(listener: () => void): () => void;
  /** The second step: takes rows that are due, for a while. */
  claim(limit: number): Promise<readonly Task[]>;
  /** When there may be something to claim, in milliseconds since the epoch; null: not before it is announced. */
  nextDue(): Promise<number | null>;
  /** Makes it, outside any transaction. Never rejects: a failure is an outcome. */
  perform(task: Task): Promise<Outcome>;
  /**
   * The third step, one transaction. While the database is away it is repeated, also where it may have been committed; what
   * it rejects for otherwise is claimed again when the lease is over.
   */
  record(performed: readonly Performed<Task, Outcome>[]): Promise<void>;
  /** What the log says of a task. */
  about(task: Task): object;
}

/**
 * Makes effects outside: a row is claimed for a while, the effect is made outside any transaction, and its outcome is
 * recorded. Whoever dies in between leaves a claim that runs out; the effect is then made again, so it has to bear that.
 */
export class EffectWorker<Task, Outcome> {
  private readonly waker = new Waker();
  private readonly stopping = new AbortController();
  private readonly inFlight = new Set<Promise<void>>();
  private readonly performed: Performed<Task, Outcome>[] = [];
  /** Outcomes wait for the database. */
  private away = false;
  private recording: Promise<void> = Promise.resolve();
  private running: Promise<void> | null = null;
  private abandoned = false;
  private stopListening: (() => void) | null = null;

  constructor(private readonly effect: Effect<Task, Outcome>) {}

  /** Does nothing when it runs already, or was stopped. */
  start(): void {
    if (this.running !== null || this.stopped) return;
    this.stopListening = this.effect.onRequested(() => this.waker.wake());
    this.running = this.run();
  }

  /** Claims nothing more, and gives what is under way two seconds. Safe to call twice. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.stopListening?.();
    this.waker.wake();
    await this.running;
    const grace = new AbortController();
    await Promise.race([
      Promise.all(this.inFlight),
      pause(STOP_GRACE_MS, undefined, { signal: grace.signal }).catch(() => undefined),
    ]);
    grace.abort();
    this.abandoned = true;
    await this.recording;
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        this.waker.clear();
        await this.waker.sleep(await this.begin());
      } catch (error) {
        this.effect.log.warn({ err: error }, `${this.effect.name} cannot be read; trying again`);
        await pause(POLL_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  /** Begins what is due. Answers how long to sleep, in milliseconds; the end of an effect wakes as well. */
  private async begin(): Promise<number> {
    const { effect } = this;
    const free = effect.maxInFlight - this.inFlight.size;
    // What waits to be recorded may be due again by now: its lease is running out.
    if (free === 0 || this.away) return POLL_MS;
    for (const task of await effect.claim(free)) {
      const making: Promise<void> = this.make(task).finally(() => {
        this.inFlight.delete(making);
        this.waker.wake();
      });
      this.inFlight.add(making);
    }
    const next = await effect.nextDue();
    return next === null ? POLL_MS : Math.min(Math.max(next - effect.now(), 0), POLL_MS);
  }

  /** Never rejects; resolves when the outcome is recorded. */
  private async make(task: Task): Promise<void> {
    const outcome = await this.effect.perform(task);
    if (this.abandoned) return;
    this.performed.push({ task, outcome });
    this.recording = this.recording.then(() => this.record());
    await this.recording;
  }

  /** Records all outcomes at hand, together if they let it. */
  private async record(): Promise<void> {
    while (this.performed.length > 0) {
      const left = await this.tryToRecord(this.performed.splice(0));
      this.away = left.length > 0;
      if (!this.away) continue;
      await pause(POLL_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      this.performed.unshift(...left);
    }
  }

  /** Answers what is to be tried again since the database is away: to forget an outcome is to make the effect once more. */
  private async tryToRecord(performed: readonly Performed<Task, Outcome>[]): Promise<Performed<Task, Outcome>[]> {
    const { effect } = this;
    try {
      await effect.record(performed);
      return [];
    } catch (error) {
      const away = isAway(error);
      if (away && !this.stopped) {
        effect.log.warn({ err: error }, `outcomes of ${effect.name} cannot be recorded; trying again`);
        return [...performed];
      }
      const left: Performed<Task, Outcome>[] = [];
      if (away || performed.length === 1) for (const one of performed) this.unrecorded(one, error);
      else for (const one of performed) left.push(...(await this.tryToRecord([one])));
      return left;
    }
  }

  private unrecorded({ task }: Performed<Task, Outcome>, error: unknown): void {
    const { effect } = this;
    effect.log.error({ ...effect.about(task), err: error }, `an outcome of ${effect.name} was not recorded`);
  }
}
