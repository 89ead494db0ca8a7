import { RecordRefused, type EventLog, type LogRecord } from '../event-log/port.js';
import { eventAttributes } from '../observability/trace.js';
import { failureOf, tracer, type Span } from '../observability/tracing.js';
import { recordOf, type OutboxRow } from './row.js';

/** A row that the log will never take. */
export interface Refusal {
  readonly row: OutboxRow;
  readonly reason: string;
}

/**
 * Appends rows to the log in one go; answers the row that it refuses, in which case none of the others counts as appended
 * either. Throws what else stands in the way: EngineUnavailable while the log is away.
 */
export async function appendRows(eventLog: EventLog, rows: readonly OutboxRow[]): Promise<Refusal | null> {
  const spans: Span[] = [];
  const records = rows.map((row) => traced(recordOf(row), spans));
  try {
    await eventLog.append(records);
    for (const span of spans) span.end();
    return null;
  } catch (error) {
    for (const span of spans) span.end(failureOf(error));
    if (!(error instanceof RecordRefused)) throw error;
    const row = rows[records.indexOf(error.record)];
    if (!row) throw error;
    return { row, reason: error.message };
  }
}

/** The record with a span of its own for parent of whatever its consumers do; as it is where nobody traces it. */
function traced(record: LogRecord, spans: Span[]): LogRecord {
  const { topic, headers } = record;
  const { traceparent, ce_type = '', ce_id = '' } = headers;
  if (tracer === undefined || traceparent === undefined) return record;
  const span = tracer.start(`publish ${topic}`, 'producer', traceparent, {
    'messaging.operation.type': 'send',
    ...eventAttributes(topic, ce_type, ce_id),
  });
  spans.push(span);
  return { ...record, headers: { ...headers, traceparent: span.traceparent } };
}
