import type { EventData, EventType } from './catalogue.js';
import type { AnyNewEvent } from './event.js';

/** A public state: its version, and the id that its events have as subject and key. */
export type Aggregate = { readonly version: number } & ({ readonly id: string } | { readonly orderId: string });

export interface Folded<S> {
  /** After all events; as it was where there are none. */
  readonly state: S;
  /** For the outbox: each event with the version it made and the state after itself. */
  readonly events: AnyNewEvent[];
}

/**
 * Runs what an aggregate decided: `evolve` from event to event (from null where there is none yet), and each event as the
 * world is to hear of it. `toData` gets the state after the event.
 * @throws Error if an event does not raise the version by exactly one.
 */
export function fold<A extends Aggregate, S extends A | null, E extends { readonly type: EventType }>(
  state: S,
  events: readonly E[],
  evolve: (state: A | null, event: E) => A,
  toData: (after: A, event: E) => EventData<E['type']>,
): Folded<S | A> {
  let now: S | A = state;
  const published = events.map((event) => {
    const after = evolve(now, event);
    if (after.version !== (now?.version ?? 0) + 1) throw new Error(`${event.type} must raise the version by one.`);
    now = after;
    const subject = 'orderId' in after ? after.orderId : after.id;
    return { type: event.type, subject, sequence: after.version, data: toData(after, event) } as AnyNewEvent;
  });
  return { state: now, events: published };
}
