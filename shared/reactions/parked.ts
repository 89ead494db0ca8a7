import { placeholders, type SqlValue, type Transaction } from '../database/port.js';
import { lockChunks } from '../database/sql.js';
import { EngineUnavailable } from '../errors/errors.js';
import { deadLetterTopic } from '../events/catalogue.js';
import type { LogRecord, StoredRecord } from '../event-log/port.js';
import type { Outbox } from '../outbox/outbox.js';
import { ERROR_LENGTH } from '../outbox/tables.js';
import { laneOf, type Message } from './message.js';

export interface ParkedRow {
  readonly id: number;
  readonly consumer: string;
  readonly event_id: string;
  readonly record_key: string | null;
  readonly message: string;
  /** Failures since it was parked, or since somebody sent it back to begin anew; 0 while it only queues. */
  readonly attempt: number;
  /** Of a dead one: when it died. */
  readonly due_at: number;
  readonly state: 'WAITING' | 'DEAD';
  readonly error: string | null;
  readonly created_at: number;
}

/** What of a batch stands in `parked` already. */
export interface Standing {
  /** Ids of messages that are there, waiting or dead: not to be handled from the log again. */
  readonly ids: ReadonlySet<string>;
  /** Lanes with a message that waits: what follows has to queue behind it. */
  readonly lanes: ReadonlySet<string>;
  /** Whether anything of the consumer is parked at all. */
  readonly anybody: boolean;
}

const NOBODY: Standing = { ids: new Set(), lanes: new Set(), anybody: false };

export interface ParkedOptions {
  readonly outbox: Outbox;
  readonly now: () => number;
  /** Waits before each retry, in milliseconds; there are as many retries as waits. */
  readonly retryDelaysMs: readonly number[];
}

/** The messages that consumers of this database could not handle yet (WAITING) or at all (DEAD). */
export class Parked {
  constructor(private readonly options: ParkedOptions) {}

  /** Whether anything of the consumer is parked. Nearly always nothing is, and one look at an index says so. */
  async anybody(tx: Transaction, consumer: string): Promise<boolean> {
    return (await tx.query('SELECT 1 AS found FROM parked WHERE consumer = ? LIMIT 1', [consumer])).length > 0;
  }

  /** Who of the messages is parked, and behind whom they would have to wait. Asked in the transaction that acts on it. */
  async standing(tx: Transaction, consumer: string, messages: readonly Message[]): Promise<Standing> {
    if (!(await this.anybody(tx, consumer))) return NOBODY;
    const ids = new Set<string>();
    for (const chunk of lockChunks(messages.map((message) => message.id))) {
      const rows = await tx.query<{ event_id: string }>(
        `SELECT event_id FROM parked WHERE consumer = ? AND event_id IN (${placeholders(chunk.length)})`,
        [consumer, ...chunk],
      );
      for (const row of rows) ids.add(row.event_id);
    }
    const lanes = new Set<string>();
    for (const chunk of lockChunks(messages.flatMap(({ lane }) => (lane === null ? [] : [lane])))) {
      const rows = await tx.query<{ record_key: string }>(
        `SELECT DISTINCT record_key FROM parked
         WHERE consumer = ? AND state = 'WAITING' AND record_key IN (${placeholders(chunk.length)})`,
        [consumer, ...chunk],
      );
      for (const row of rows) lanes.add(row.record_key);
    }
    return { ids, lanes, anybody: true };
  }

  /** Queues messages behind an earlier one of their lane, which is tried as soon as that one is gone. */
  async queue(tx: Transaction, consumer: string, messages: readonly Message[]): Promise<void> {
    const due_at = this.options.now();
    await this.insert(
      tx,
      messages.map(({ id, record }) =>
        this.row(consumer, id, record, { attempt: 0, due_at, state: 'WAITING', error: null }),
      ),
    );
  }

  /** Records the first failure of a message from the log; answers what became of it. */
  async park(tx: Transaction, consumer: string, { id, record }: Message, error: unknown): Promise<'parked' | 'dead'> {
    const [delay] = this.options.retryDelaysMs;
    if (delay === undefined) {
      await this.bury(tx, consumer, id, record, error);
      return 'dead';
    }
    const due_at = this.options.now() + delay;
    await this.insert(tx, [
      this.row(consumer, id, record, { attempt: 1, due_at, state: 'WAITING', error: errorText(error) }),
    ]);
    return 'parked';
  }

  /** A message that can never work: dead at once, with its copy in the dead-letter topic. Once, however often it comes. */
  async bury(
    tx: Transaction,
    consumer: string,
    id: string,
    record: StoredRecord,
    error: unknown,
    attempts = 1,
  ): Promise<boolean> {
    const due_at = this.options.now();
    const text = errorText(error);
    const added = await this.insert(tx, [
      this.row(consumer, id, record, { attempt: attempts, due_at, state: 'DEAD', error: text }),
    ]);
    if (added === 0) return false;
    this.options.outbox.appendRaw(tx, [deadLetter(record, { consumer, attempts, error: text })]);
    return true;
  }

  /**
   * A message whose reaction worked, but what it asked for of somebody outside failed for good after `attempts`: dead as
   * any other, and out of the inbox, so that sent back it is handled anew.
   */
  async buryHandled(
    tx: Transaction,
    consumer: string,
    id: string,
    record: StoredRecord,
    { error, attempts }: { readonly error: string; readonly attempts: number },
  ): Promise<void> {
    await this.bury(tx, consumer, id, record, error, attempts);
    await tx.execute('DELETE FROM processed_events WHERE consumer = ? AND event_id = ?', [consumer, id]);
  }

  /** Holds a row for this transaction; false if somebody else has dealt with it or an earlier one of its lane waits. */
  async claim(tx: Transaction, row: ParkedRow): Promise<boolean> {
    const [held] = await tx.lock<ParkedRow>('parked', 'id', [row.id]);
    if (held?.state !== 'WAITING' || held.attempt !== row.attempt) return false;
    if (row.record_key === null) return true;
    const [first] = await tx.query<{ id: number | null }>(
      `SELECT MIN(id) AS id FROM parked WHERE consumer = ? AND record_key = ? AND state = 'WAITING'`,
      [row.consumer, row.record_key],
    );
    return first?.id === row.id;
  }

  async remove(tx: Transaction, row: ParkedRow): Promise<void> {
    await tx.execute('DELETE FROM parked WHERE id = ?', [row.id]);
  }

  /** Records that a parked message failed again, or (`final`) that it can never work; null if it is not ours any more. */
  async fail(tx: Transaction, row: ParkedRow, error: unknown, final = false): Promise<'parked' | 'dead' | null> {
    const { now, retryDelaysMs, outbox } = this.options;
    const attempt = row.attempt + 1;
    const delay = final ? undefined : retryDelaysMs[row.attempt];
    const text = errorText(error);
    const changed = await tx.execute(
      `UPDATE parked SET attempt = ?, due_at = ?, state = ?, error = ? WHERE id = ? AND state = 'WAITING' AND attempt = ?`,
      [attempt, now() + (delay ?? 0), delay === undefined ? 'DEAD' : 'WAITING', text, row.id, row.attempt],
    );
    if (changed === 0) return null;
    if (delay !== undefined) return 'parked';
    const record = JSON.parse(row.message) as StoredRecord;
    outbox.appendRaw(tx, [deadLetter(record, { consumer: row.consumer, attempts: attempt, error: text })]);
    return 'dead';
  }

  private async insert(tx: Transaction, rows: readonly Readonly<Record<string, SqlValue>>[]): Promise<number> {
    return rows.length === 0 ? 0 : tx.insertNew('parked', ['consumer', 'event_id'], rows);
  }

  private row(
    consumer: string,
    event_id: string,
    record: StoredRecord,
    state: Pick<ParkedRow, 'attempt' | 'due_at' | 'state'> & { readonly error: string | null },
  ) {
    const created_at = this.options.now();
    return { consumer, event_id, record_key: laneOf(record), message: JSON.stringify(record), ...state, created_at };
  }
}

/** The message as it was, and in headers what happened to it. */
function deadLetter(
  record: StoredRecord,
  { consumer, attempts, error }: { readonly consumer: string; readonly attempts: number; readonly error: string },
): LogRecord {
  const { topic, key, value, headers, partition, offset } = record;
  return {
    topic: deadLetterTopic(topic),
    key,
    value,
    headers: {
      ...headers,
      'x-error': error,
      'x-attempts': String(attempts),
      'x-original-topic': topic,
      'x-original-partition': String(partition),
      'x-original-offset': String(offset),
      'x-consumer': consumer,
    },
  };
}

/** One line, whole characters only, short enough for a header. */
function errorText(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return Array.from(text.replace(/[\p{Cc}\p{Cs}\s]+/gu, ' '))
    .slice(0, ERROR_LENGTH)
    .join('');
}

/** Whether an error, or what caused it, is an engine that cannot be reached: no fault of the message. */
export function isAway(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof EngineUnavailable) return true;
  }
  return false;
}
