import type { LogRecord } from '../event-log/port.js';

/** A row of the outbox with all that is sent of it. */
export interface OutboxRow {
  readonly id: number;
  readonly event_id: string;
  readonly topic: string;
  readonly record_key: string | null;
  /** Null for records that belong to no aggregate, whose order is of no account: dead letters. */
  readonly aggregate_id: string | null;
  readonly payload: string;
  readonly headers: string;
}

/** Within a lane rows are published in their order. */
export const laneOf = (row: { readonly topic: string; readonly aggregate_id: string | null }): string =>
  `${row.topic} ${row.aggregate_id}`;

/** Whether `row` has to wait behind an earlier one of its lane. */
export const isLaterOf = (earlier: OutboxRow, row: OutboxRow): boolean =>
  earlier.aggregate_id !== null && laneOf(earlier) === laneOf(row) && row.id > earlier.id;

export const recordOf = (row: OutboxRow): LogRecord => ({
  topic: row.topic,
  key: row.record_key,
  value: row.payload,
  headers: JSON.parse(row.headers) as Record<string, string>,
});
