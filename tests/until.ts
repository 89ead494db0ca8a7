import { setTimeout as delay } from 'node:timers/promises';

export interface UntilOptions {
  /** 30 s when absent: a test that waits this long has failed, one that passes waits a few milliseconds. */
  readonly timeoutMs?: number;
  /** What was waited for; a function is asked when time is up, so that it can show the last state. */
  readonly message?: string | (() => string);
}

type Truthy<T> = Exclude<T, false | null | undefined | 0 | ''>;

const POLL_MS = 5;

/**
 * Asks `condition` every few milliseconds until its answer is truthy, and answers that. A throw counts as "not yet", so
 * assertions can be waited for; the last one becomes the cause of the error when time is up.
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<Truthy<T>> {
  const { timeoutMs = 30_000, message = 'the condition' } = options;
  // Made here, so that its stack shows the waiting test.
  const failure = new Error();
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const answer = await condition();
      if (answer) return answer as Truthy<T>;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) {
      failure.message = `Waited ${timeoutMs} ms in vain for ${typeof message === 'string' ? message : message()}.`;
      failure.cause = cause;
      throw failure;
    }
    await delay(POLL_MS);
  }
}
