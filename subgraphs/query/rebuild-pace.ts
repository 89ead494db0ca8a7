import { setTimeout as delay } from 'node:timers/promises';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import type { Rebuild, RebuildStep } from './generations.js';

export interface Progress {
  readonly step: RebuildStep | 'watch';
  readonly views: Rebuild['views'];
  /** What it waits for, if anything, or how far the step has come: for people. */
  readonly detail: string | null;
}

/** Somebody asked for it to stop. */
export class RebuildInterrupted extends Error {
  override readonly name = 'RebuildInterrupted';
}

export interface PaceOptions {
  /** Between looks at how far others have come, in milliseconds. */
  readonly pollMs: number;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  /** Interrupts it in good order. */
  readonly signal: AbortSignal | undefined;
}

/** How a rebuild goes on: what it tells of itself, what it waits for, and when it is to stop. */
export class Pace {
  private last: Progress = { step: 'watch', views: {}, detail: null };

  constructor(private readonly options: PaceOptions) {}

  get step(): Progress['step'] {
    return this.last.step;
  }

  get views(): Rebuild['views'] {
    return this.last.views;
  }

  /** @param views as they were last when null */
  report(step: Progress['step'], views: Rebuild['views'] | null, detail: string | null): void {
    this.last = { step, views: views ?? this.last.views, detail };
    this.options.onProgress?.(this.last);
  }

  /** @throws RebuildInterrupted once somebody has asked for that. */
  proceed(): void {
    if (this.options.signal?.aborted === true) throw new RebuildInterrupted('The rebuild was interrupted.');
  }

  async pause(milliseconds = this.options.pollMs): Promise<void> {
    const { signal } = this.options;
    // It rejects when interrupted; what that means is said below.
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    this.proceed();
  }

  /** Says what it waits for, and waits a moment. */
  async wait(step: RebuildStep, detail: string): Promise<void> {
    this.report(step, null, detail);
    await this.pause();
  }

  /** Does what can be done again until no engine it needs is away. */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof EngineUnavailable)) throw error;
        this.report(this.step, null, error.message);
        await this.pause(10 * this.options.pollMs);
      }
    }
  }
}
