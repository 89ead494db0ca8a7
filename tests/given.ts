import { expect } from '@jest/globals';
import { AppError, type ErrorCode } from '../shared/errors/errors.js';

/** The rules of an aggregate: the part of its file that is tested without any store. */
export interface Decider<S, C, E> {
  readonly initial: S;
  readonly decide: (state: S, command: C) => readonly E[];
  readonly evolve: (state: S, event: E) => S;
}

/**
 * Tests of rules read as `given([what happened]).when(command).then([what happens])`, after Emmett's specifications:
 *
 *     const given = specify({ initial: null, decide, evolve });
 *     given([created]).when({ type: 'cancel', at: 2 }).then([{ type: 'order.canceled', at: 2 }]);
 */
export function specify<S, C, E>({ initial, decide, evolve }: Decider<S, C, E>) {
  return (history: readonly E[]) => {
    const before = history.reduce(evolve, initial);
    return {
      when: (command: C) => ({
        /** Exactly these events, in this order. */
        then: (events: readonly E[]): void => {
          expect(decide(before, command)).toEqual(events);
        },
        /** The state after the events has at least these values. */
        thenState: (state: Partial<NonNullable<S>>): void => {
          expect(decide(before, command).reduce(evolve, before)).toMatchObject(state);
        },
        thenNothing: (): void => {
          expect(decide(before, command)).toEqual([]);
        },
        thenRefused: (code: ErrorCode, field?: string): void => {
          let refusal: unknown;
          try {
            decide(before, command);
          } catch (error) {
            refusal = error;
          }
          expect(refusal).toBeInstanceOf(AppError);
          expect({ code: (refusal as AppError).code, field: (refusal as AppError).field }).toEqual({ code, field });
        },
      }),
    };
  };
}
