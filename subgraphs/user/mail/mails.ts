import { placeholders, type Database, type Transaction } from '../../../shared/database/port.js';
import { claimDue, nextDue, type LeaseTable } from '../../../shared/effects/leases.js';
import type { StoredRecord } from '../../../shared/event-log/port.js';
import { purgeBefore } from '../../../shared/outbox/purge.js';
import type { MailData, MailKind, Occasion } from './kinds.js';

const TABLE: LeaseTable = { name: 'mails', key: ['event_id'] };

/** One mail. Who gets it under which name and address is looked up when it is sent. */
export interface MailRow {
  readonly event_id: string;
  readonly kind: MailKind;
  readonly user_id: string;
  readonly order_id: string | null;
  /** The event's record without the user; JSON. */
  readonly record: string;
  readonly status: 'REQUESTED' | 'SENT' | 'DROPPED' | 'DEAD';
  /** Not to be tried before this. */
  readonly due_at: number;
  readonly claimed_by: string | null;
  /** How often it was taken up. */
  readonly attempts: number;
  /** How many of these are known to have handed over nothing. Of the others nobody knows. */
  readonly answers: number;
  /** How often the server did not take this very mail, for now. */
  readonly refusals: number;
  readonly reason: string | null;
  readonly requested_at: number;
  readonly done_at: number | null;
}

/** What of the event the mail is made of. */
export function dataOf({ record }: Pick<MailRow, 'record'>): MailData {
  const { value } = JSON.parse(record) as StoredRecord;
  return JSON.parse(value) as MailData;
}

/** The record as it stood in the log, with the user as it is now. */
export function recordOf({ record, kind }: MailRow, user: object): StoredRecord {
  const stored = JSON.parse(record) as StoredRecord;
  if (kind !== 'VERIFICATION') return stored;
  return { ...stored, value: JSON.stringify({ user, ...(JSON.parse(stored.value) as object) }) };
}

export function rowFor(
  { kind, userId, orderId, data }: Occasion,
  { eventId, record, at }: { readonly eventId: string; readonly record: StoredRecord; readonly at: number },
): MailRow {
  return {
    event_id: eventId,
    kind,
    user_id: userId,
    order_id: orderId,
    record: JSON.stringify({ ...record, value: JSON.stringify(data) }),
    status: 'REQUESTED',
    due_at: at,
    claimed_by: null,
    attempts: 0,
    answers: 0,
    refusals: 0,
    reason: null,
    requested_at: at,
    done_at: null,
  };
}

export interface Waiting {
  readonly count: number;
  /** Milliseconds since the epoch; null if none waits. */
  readonly oldest: number | null;
}

/** The end of one mail: its last status, with the reason if it was not sent. */
export interface Ended extends Pick<MailRow, 'status' | 'reason'> {
  readonly eventId: string;
}

/** The table of mails: a to-do list that survives a crash, and for a month what was sent. */
export class Mails {
  private readonly listeners = new Set<() => void>();
  private since: number | undefined;

  constructor(private readonly database: Database) {}

  /** Hears of every commit that added mails, in this process. Answers the function that ends it. */
  onRequested(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** From when on events are mailed, in milliseconds since the epoch. */
  async mailedSince(tx: Transaction): Promise<number> {
    if (this.since === undefined) {
      const [row] = await tx.query<{ at: number }>('SELECT at FROM mails_since');
      this.since = row?.at ?? 0;
    }
    return this.since;
  }

  /** Adds mails, one per event. One that is there and dead was sent back by somebody, and begins anew. */
  async request(tx: Transaction, rows: readonly MailRow[]): Promise<void> {
    if (rows.length === 0) return;
    const added = await tx.insertNew(
      'mails',
      ['event_id'],
      rows.map((row) => ({ ...row })),
    );
    if (added < rows.length) {
      await tx.execute(
        `UPDATE mails SET status = 'REQUESTED', due_at = ?, claimed_by = NULL, attempts = 0, answers = 0, refusals = 0,
           reason = NULL, done_at = NULL
         WHERE event_id IN (${placeholders(rows.length)}) AND status = 'DEAD'`,
        [rows[0]?.due_at ?? 0, ...rows.map(({ event_id }) => event_id)],
      );
    }
    tx.afterCommit(() => {
      for (const listener of this.listeners) listener();
    });
  }

  /** Takes up to `limit` mails that are due, for `leaseMs`; see `claimDue`. */
  claim(now: number, leaseMs: number, limit: number): Promise<MailRow[]> {
    return claimDue(this.database, TABLE, { now, leaseMs, limit });
  }

  /** When the next mail is due, in milliseconds since the epoch; null if there is none. */
  nextDue(): Promise<number | null> {
    return nextDue(this.database, TABLE);
  }

  async waiting(): Promise<Waiting> {
    const [row] = await this.database.read<Waiting>(
      `SELECT COUNT(*) AS count, MIN(requested_at) AS oldest FROM mails WHERE status = 'REQUESTED'`,
    );
    return row ?? { count: 0, oldest: null };
  }

  /** Those of the mails that still wait for their end, as they are, locked. Another process may have been faster. */
  async lockOpen(tx: Transaction, ids: readonly string[]): Promise<ReadonlyMap<string, MailRow>> {
    const rows = await tx.lock<MailRow>('mails', 'event_id', ids);
    return new Map(rows.filter(({ status }) => status === 'REQUESTED').map((row) => [row.event_id, row]));
  }

  /** The end of mails that were locked. Those that end alike take one statement. */
  end(tx: Transaction, ended: readonly Ended[], at: number): void {
    const alike = new Map<string, Omit<Ended, 'eventId'> & { readonly ids: string[] }>();
    for (const { eventId, status, reason } of ended) {
      const key = JSON.stringify([status, reason]);
      const group = alike.get(key) ?? { status, reason, ids: [] };
      alike.set(key, group);
      group.ids.push(eventId);
    }
    for (const { status, reason, ids } of alike.values()) {
      tx.deferred.execute(
        `UPDATE mails SET status = ?, reason = ?, done_at = ? WHERE event_id IN (${placeholders(ids.length)})`,
        [status, reason, at, ...ids],
      );
    }
  }

  /** To be tried again at `dueAt`. `known`: nothing was handed over; `refused`: the server did not want this very mail. */
  postpone(
    tx: Transaction,
    eventId: string,
    again: { readonly dueAt: number; readonly known: boolean; readonly refused: boolean; readonly reason: string },
  ): void {
    tx.deferred.execute(
      `UPDATE mails SET due_at = ?, claimed_by = NULL, answers = answers + ?, refusals = refusals + ?, reason = ?
       WHERE event_id = ?`,
      [again.dueAt, again.known ? 1 : 0, again.refused ? 1 : 0, again.reason, eventId],
    );
  }

  /** Whether one of these kinds was asked for about the order. */
  async knows(orderId: string, kinds: readonly MailKind[]): Promise<boolean> {
    const rows = await this.database.read(
      `SELECT 1 AS found FROM mails WHERE order_id = ? AND kind IN (${placeholders(kinds.length)}) LIMIT 1`,
      [orderId, ...kinds],
    );
    return rows.length > 0;
  }

  /** The newest that were sent, newest first; of one user where `userId` says so. */
  sent(limit: number, userId?: string): Promise<MailRow[]> {
    const [whose, params] = userId === undefined ? ['', []] : [' AND user_id = ?', [userId]];
    return this.database.read<MailRow>(
      `SELECT * FROM mails WHERE status = 'SENT'${whose} ORDER BY done_at DESC, event_id DESC LIMIT ${limit}`,
      params,
    );
  }

  /** Forgets what came to its end before that instant; answers how many. */
  purge(before: number): Promise<number> {
    return purgeBefore(this.database, 'mails', 'done_at', before);
  }
}
