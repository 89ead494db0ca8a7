import type { LogRecord } from '../event-log/port.js';
import { CATALOGUE, isEventType, TOPICS, type EventData, type EventType, type Topic } from './catalogue.js';

/** What a service has to say; the outbox adds id, time and source. */
export interface NewEvent<T extends EventType = EventType> {
  readonly type: T;
  /** Id of the aggregate. */
  readonly subject: string;
  /** The aggregate's version after the event. */
  readonly sequence: number;
  readonly data: EventData<T>;
  /** W3C trace context of what caused it; the outbox fills in the request's where it is missing. */
  readonly traceparent?: string | null;
}

/** A CloudEvents 1.0 event. */
export interface Event<T extends EventType = EventType> extends NewEvent<T> {
  readonly id: string;
  /** `tributary/order`: the service that published it. */
  readonly source: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly traceparent: string | null;
}

/** A union by `type`, so that a switch narrows `data`. */
export type AnyEvent = { [T in EventType]: Event<T> }[EventType];
export type AnyNewEvent = { [T in EventType]: NewEvent<T> }[EventType];

export const topicOf = (type: EventType): Topic => CATALOGUE[type].topic;

/** A record that no retry can make readable. */
export class InvalidEvent extends Error {
  override readonly name = 'InvalidEvent';
}

/**
 * The event as a log record: CloudEvents in Kafka's binary mode. Fields the schema does not name are dropped, so nothing
 * private leaves by accident.
 * @throws ZodError if the data does not fit its schema: a mistake of the caller.
 */
export function toRecord(event: AnyEvent): LogRecord {
  const topic = topicOf(event.type);
  return {
    topic,
    key: TOPICS[topic].keyed ? event.subject : null,
    value: JSON.stringify(CATALOGUE[event.type].schema.parse(event.data)),
    headers: {
      ce_specversion: '1.0',
      ce_id: event.id,
      ce_type: event.type,
      ce_source: event.source,
      ce_subject: event.subject,
      ce_time: new Date(event.time).toISOString(),
      ce_sequence: String(event.sequence),
      'content-type': 'application/json',
      ...(event.traceparent === null ? {} : { traceparent: event.traceparent }),
    },
  };
}

/**
 * Reads a record back.
 * @throws InvalidEvent when headers are missing, the JSON is broken or the data does not fit the catalogue.
 */
export function fromRecord(record: LogRecord): AnyEvent {
  const { headers } = record;
  const header = (name: string): string => {
    const value = headers[name];
    if (value === undefined || value === '') throw new InvalidEvent(`header ${name} is missing`);
    return value;
  };
  const type = header('ce_type');
  if (!isEventType(type)) throw new InvalidEvent(`unknown event type ${type}`);
  if (topicOf(type) !== record.topic) throw new InvalidEvent(`${type} does not belong on topic ${record.topic}`);
  const sequence = Number(header('ce_sequence'));
  if (!Number.isSafeInteger(sequence) || sequence < 1) throw new InvalidEvent('ce_sequence is not a version');
  const time = Date.parse(header('ce_time'));
  if (Number.isNaN(time)) throw new InvalidEvent('ce_time is not a time');

  let json: unknown;
  try {
    json = JSON.parse(record.value);
  } catch (error) {
    throw new InvalidEvent('the value is not JSON', { cause: error });
  }
  const data = CATALOGUE[type].schema.safeParse(json);
  if (!data.success) throw new InvalidEvent(`${type} does not fit its schema: ${data.error.message}`);

  return {
    id: header('ce_id'),
    type,
    source: header('ce_source'),
    subject: header('ce_subject'),
    sequence,
    time,
    traceparent: headers['traceparent'] ?? null,
    data: data.data,
  } as AnyEvent;
}
