import type { AnyEvent } from '../events/event.js';

/** What log lines say of an event that a consumer dealt with. */
export const aboutEvent = (consumer: string, { type, subject, sequence, id, traceparent }: AnyEvent) => ({
  consumer,
  type,
  aggregateId: subject,
  version: sequence,
  eventId: id,
  traceId: traceIdOf(traceparent),
});

/** The trace id in a W3C traceparent (`00-<trace id>-<span id>-<flags>`), for log lines. */
export const traceIdOf = (traceparent: string | null): string | undefined => traceparent?.split('-')[1];
