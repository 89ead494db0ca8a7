import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../observability/logger.js';
import { Waker } from '../outbox/waker.js';
import { isAway } from '../reactions/parked.js';

/** How often to look for rows that nobody announced, those of processes that died, and for a database that is away: ms. */
const POLL_MS = 1_000;

/** How soon single places are filled again while more than half of them stay taken: ms. */
const REFILL_MS = 20;

/** How soon, at the earliest, to ask again for what is due and in the hands of somebody else: ms. */
const HELD_MS = 100;

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
  /**
   * Most under way at a time, at this moment. After so many, more are claimed as soon as half of the places are free; while
   * more stay taken, because some hang, what is free is filled every 20 ms, or every pace if that is shorter.
   */
  maxInFlight(): number;
  /**
   * In a stream of rows, claims are so many milliseconds apart, and what comes meanwhile is claimed together. What comes after
   * a quiet time is claimed at once.
   */
  readonly paceMs: number;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of every commit that added rows, in this process. Answers the function that ends it. */
  onRequested(listener: () => void): () => void;
  /** The second step: takes rows that are due, for a while. */
  claim(limit: number): Promise<readonly Task[]>;
  /**
   * When there may be something to claim, in milliseconds since the epoch; null: not before it is announced. Asked when there
   * was nothing.
   */
  nextDue(): Promise<number | null>;
  /** Makes it, outside any transaction. Never rejects: a failure is an outcome. */
  perform(task: Task): Promise<Outcome>;
  /**
   * The third step, one transaction for all that ended in one turn of the event loop. While the database is away it is
   * repeated, also where it may have been committed; what it rejects for otherwise is claimed again when the lease is over.
   * Answers when, by what was recorded, there may be something to claim again, as `nextDue` does.
   */
  record(performed: readonly Performed<Task, Outcome>[]): Promise<number | null>;
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
  /** When to claim next, but not before `pacedUntil`; by `performance.now()`. */
  private claimAt = 0;
  private pacedUntil = 0;
  /** The earliest time heard of at which something is due, unless a claim was begun since; by `effect.now()`. */
  private dueAt = Infinity;
  /** The last claim took as many as it asked for. */
  private more = false;
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
    this.stopListening = this.effect.onRequested(() => this.claimIn(0));
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
      this.waker.clear();
      const wait = Math.max(this.claimAt, this.pacedUntil) - performance.now();
      if (wait > 0) {
        await this.waker.sleep(wait);
        continue;
      }
      // Whatever is announced from here on may not be seen by this claim.
      this.claimAt = Infinity;
      try {
        this.claimIn(await this.begin());
      } catch (error) {
        this.effect.log.warn({ err: error }, `${this.effect.name} cannot be read; trying again`);
        this.pacedUntil = performance.now() + POLL_MS;
        this.claimIn(POLL_MS);
      }
    }
  }

  /** Claims in so many milliseconds at the latest. */
  private claimIn(ms: number): void {
    const at = performance.now() + Math.min(Math.max(ms, 0), POLL_MS);
    if (at >= this.claimAt) return;
    this.claimAt = at;
    this.waker.wake();
  }

  /** Begins what is due. Answers in how many milliseconds there may be more, if nobody says so before. */
  private async begin(): Promise<number> {
    const { effect } = this;
    const free = effect.maxInFlight() - this.inFlight.size;
    // What waits to be recorded may be due again by now: its lease is running out.
    if (free <= 0 || this.away) return POLL_MS;
    const began = performance.now();
    if (this.dueAt <= effect.now()) this.dueAt = Infinity;
    const tasks = await effect.claim(free);
    this.more = tasks.length >= free;
    let wait = POLL_MS;
    if (tasks.length === 0) {
      const next = await effect.nextDue();
      // What is due and was not to be had is being claimed or recorded by somebody else.
      if (next !== null && next <= effect.now()) wait = Math.max(effect.paceMs, HELD_MS);
      else if (next !== null) this.dueAt = Math.min(this.dueAt, next);
    } else if (!this.more) {
      this.pacedUntil = began + effect.paceMs;
    }
    for (const task of tasks) {
      const making: Promise<void> = this.make(task).finally(() => this.ended(making));
      this.inFlight.add(making);
    }
    return Math.min(wait, this.dueAt - effect.now());
  }

  private ended(making: Promise<void>): void {
    const { effect } = this;
    this.inFlight.delete(making);
    if (!this.more) return;
    this.claimIn(this.inFlight.size <= effect.maxInFlight() / 2 ? 0 : Math.min(effect.paceMs, REFILL_MS));
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
    if (this.performed.length === 0) return;
    await turn();
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
      const next = await effect.record(performed);
      if (next !== null) {
        this.dueAt = Math.min(this.dueAt, next);
        this.claimIn(next - effect.now());
      }
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
