import type { InsertRow, Transaction } from '../database/port.js';
import type { LogRecord } from '../event-log/port.js';
import { toRecord, type AnyNewEvent } from '../events/event.js';
import { AppError } from '../errors/errors.js';
import { newId } from '../ids/ids.js';
import { traceparentWithin } from '../observability/tracing.js';

/** Largest event, in bytes: half of what brokers take by default. */
export const MAX_PAYLOAD_BYTES = 512 * 1024;

/**
 * The transactional outbox of one database (the pattern of Chris Richardson's "Microservices Patterns"): events are rows
 * written in the transaction of the change they tell of, so there is never one without the other. The relay publishes
 * them afterwards.
 */
export class Outbox {
  private readonly listeners = new Set<(rows: number) => void>();

  constructor(
    /** CloudEvents source of everything published here: `tributary/order`. */
    readonly source: string,
    private readonly now: () => number,
  ) {}

  /**
   * Adds events to the transaction. (topic, aggregate, version) is unique: the transaction of a second writer of the same
   * version fails. Deferred, as all writes of an outbox are: nobody has to wait for them before the commit.
   * @throws AppError VALIDATION if an event is larger than MAX_PAYLOAD_BYTES.
   */
  append(tx: Transaction, events: readonly AnyNewEvent[], traceparent: string | null = null): void {
    this.write(
      tx,
      this.recordsOf(events, traceparentWithin(tx, traceparent)).map(({ event, id, record }) =>
        row(record, id, event.subject, event.sequence),
      ),
    );
  }

  /**
   * Adds snapshots: versions told again. As rows they belong to no aggregate, so that they neither collide with the
   * events that made those versions nor wait behind one that the log refused.
   * @throws AppError VALIDATION as `append`.
   */
  appendSnapshots(tx: Transaction, snapshots: readonly AnyNewEvent[]): void {
    this.write(
      tx,
      this.recordsOf(snapshots, null).map(({ id, record }) => row(record, id, null, null)),
    );
  }

  /**
   * Adds records as they are, dead letters for one: they belong to no aggregate and have no version. Of any size, since
   * what came from the log must fit back; what does not is set aside by the relay.
   */
  appendRaw(tx: Transaction, records: readonly LogRecord[]): void {
    this.write(
      tx,
      records.map((record) => row(record, newId(), null, null)),
    );
  }

  /** Hears of every commit that added rows, in this process, and how many. Answers the function that ends it. */
  onAppended(listener: (rows: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private recordsOf(events: readonly AnyNewEvent[], traceparent: string | null) {
    const time = this.now();
    return events.map((event) => {
      const id = newId();
      const record = toRecord({ traceparent, ...event, id, source: this.source, time });
      assertSize(record);
      return { event, id, record };
    });
  }

  private write(tx: Transaction, rows: readonly InsertRow[]): void {
    if (rows.length === 0) return;
    tx.deferred.insert('outbox', rows);
    tx.afterCommit(() => {
      for (const listener of this.listeners) listener(rows.length);
    });
  }
}

function assertSize(record: LogRecord): void {
  const bytes = Buffer.byteLength(record.value);
  if (bytes <= MAX_PAYLOAD_BYTES) return;
  throw new AppError('VALIDATION', `This would publish an event of ${bytes} bytes; the limit is ${MAX_PAYLOAD_BYTES}.`);
}

function row(record: LogRecord, eventId: string, aggregateId: string | null, version: number | null) {
  return {
    event_id: eventId,
    topic: record.topic,
    record_key: record.key,
    aggregate_id: aggregateId,
    version,
    payload: record.value,
    headers: JSON.stringify(record.headers),
    published_at: null,
    refused: null,
  };
}
