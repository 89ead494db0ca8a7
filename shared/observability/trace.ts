import type { AnyEvent } from '../events/event.js';
import { tracer, type Attributes, type Span } from './tracing.js';

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

/** What spans say of an event. */
export const eventAttributes = (topic: string, type: string, eventId: string): Attributes => ({
  'messaging.destination.name': topic,
  'messaging.message.id': eventId,
  'cloudevents.event_id': eventId,
  'cloudevents.event_type': type,
});

/** The span of a consumer that deals with an event; undefined when tracing is off, or nobody's trace led to the event. */
export function consumerSpan(consumer: string, topic: string, event: AnyEvent, together: number): Span | undefined {
  const { type, subject, id, traceparent } = event;
  if (traceparent === null) return undefined;
  return tracer?.start(`${consumer} ${type}`, 'consumer', traceparent, {
    'messaging.operation.type': 'process',
    'messaging.consumer.group.name': consumer,
    'messaging.batch.message_count': together,
    'cloudevents.event_subject': subject,
    ...eventAttributes(topic, type, id),
  });
}
