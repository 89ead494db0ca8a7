import { createHash } from 'node:crypto';
import { isEventType } from '../events/catalogue.js';
import { fromRecord, InvalidEvent, topicOf, type AnyEvent } from '../events/event.js';
import type { LogRecord, StoredRecord } from '../event-log/port.js';
import { LANE_LENGTH } from '../outbox/tables.js';

/** An event as it came from the log. */
export interface Message {
  readonly record: StoredRecord;
  readonly event: AnyEvent;
  /** What the inbox knows it by; see inboxIdOf. */
  readonly id: string;
  /** Messages of one lane are handled in order; null: in any. */
  readonly lane: string | null;
}

/** A record that no retry can make readable. */
export interface Garbage {
  readonly record: StoredRecord;
  readonly id: string;
  readonly error: InvalidEvent;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const hash = (...parts: readonly (string | null)[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 36);

/**
 * Ours are UUIDs and stand for themselves. Others are unique per source only and of any length: hashed with it.
 */
export const inboxIdOf = (event: AnyEvent): string => (UUID.test(event.id) ? event.id : hash(event.source, event.id));

/** A garbled record may have no id, or one that a corrected copy has too: its content is what it is known by. */
const contentIdOf = ({ topic, key, value, headers }: LogRecord): string =>
  hash(topic, key, value, ...Object.entries(headers).flat());

/** The record's key, short enough for an index. */
export const laneOf = ({ key }: LogRecord): string | null =>
  key === null || key.length <= LANE_LENGTH ? key : `sha256:${hash(key)}`;

export type Read =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'garbage'; readonly garbage: Garbage }
  | { readonly kind: 'other' };

/** Reads a record; those of well-known types that nobody here asked for are passed over before their content is parsed. */
export function read(record: StoredRecord, types: ReadonlySet<string>): Read {
  const type = record.headers['ce_type'];
  if (type !== undefined && !types.has(type) && isEventType(type) && topicOf(type) === record.topic) {
    return { kind: 'other' };
  }
  try {
    const event = fromRecord(record);
    return { kind: 'message', message: { record, event, id: inboxIdOf(event), lane: laneOf(record) } };
  } catch (error) {
    if (!(error instanceof InvalidEvent)) throw error;
    return { kind: 'garbage', garbage: { record, id: contentIdOf(record), error } };
  }
}
