import DataLoader from 'dataloader';
import type { Database } from '../../../shared/database/port.js';
import { EffectWorker, type Performed } from '../../../shared/effects/worker.js';
import type { UserState } from '../../../shared/events/states.js';
import type { Logger } from '../../../shared/observability/logger.js';
import type { Metrics } from '../../../shared/observability/metrics.js';
import type { Outbox } from '../../../shared/outbox/outbox.js';
import { Parked } from '../../../shared/reactions/parked.js';
import type { Check } from '../../../shared/service/service.js';
import type { WorkerPart } from '../../../shared/service/worker.js';
import { emailKey } from '../../../shared/validation/text.js';
import type { UserStore } from '../store.js';
import type { Composer } from './compose.js';
import { dataOf, recordOf, type Ended, type MailRow, type Mails, type Waiting } from './mails.js';
import { withoutAddresses } from './names.js';
import { MAIL } from './reaction.js';
import type { MailTransport } from './transport.js';
import { judge, maySend, UNHEARD, type Outcome, type Verdict } from './verdict.js';

export interface MailWorkerOptions {
  readonly database: Database;
  readonly store: UserStore;
  readonly outbox: Outbox;
  readonly mails: Mails;
  readonly composer: Composer;
  /** Null: there is nowhere to send mails to, so they wait. */
  readonly transport: MailTransport | null;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long a claimed mail is left to its claimer, more than 5 s; 60 s when absent. */
  readonly leaseMs?: number;
  /** How long the transport may take with a mail, if the lease has so long left; 45 s when absent. */
  readonly timeoutMs?: number;
  /** First pause while the server is away; doubles up to a minute. 1 s when absent. */
  readonly awayMs?: number;
  /** First pause of a mail that the server does not take for now; doubles up to an hour. 30 s when absent. */
  readonly refusedMs?: number;
  /** In a stream of mails, how far apart claims are; half a second when absent. */
  readonly paceMs?: number;
  /** How often the mails that wait are counted; 5 s when absent. */
  readonly countMs?: number;
}

/** What a lease has to have left when an attempt ends, so that it is recorded before anybody else takes the mail up. */
const MARGIN_MS = 5_000; // 5 seconds

const LONGEST_AWAY_MS = 60_000; // a minute

/** How long a stop lets the server answer: half of what the stop itself waits, so that what is broken off is recorded. */
const BREAK_OFF_MS = 1_000; // 1 second

const DAY = 86_400_000;
const KEPT_MS = 30 * DAY;
const PURGE_MS = 3_600_000; // an hour

/**
 * Sends mails in three steps: a row is claimed for a while, the mail is handed over outside any transaction, and what came
 * of it is recorded. An answer of the server that was recorded is final: there is one mail per event. SMTP has no way to
 * ask whether a mail arrived, so where the answer or its record is lost (the worker dies, the connection breaks after the
 * last byte) the mail goes out once more, under the same Message-ID, by which mail systems can tell the copy; never a
 * third time, after which it is a dead letter and people decide.
 *
 * A server that is away stops mails and nothing else, for as long as it lasts. A mail that is refused for now is tried for
 * three hours, one that is refused for good is a dead letter at once. What has become useless meanwhile is dropped.
 */
export function createMailWorker(options: MailWorkerOptions): WorkerPart {
  return new MailWorker(options);
}

class MailWorker implements WorkerPart {
  private readonly worker: EffectWorker<MailRow, Outcome>;
  private readonly parked: Parked;
  /** Since when in a row nothing got through, and until when nothing is tried. */
  private failures = 0;
  private pausedUntil = 0;
  /** Whoever is asked for in one turn is looked up together, anew each time. */
  private readonly users: DataLoader<string, UserState | undefined>;
  private waiting: Waiting = { count: 0, oldest: null };
  private purged = -Infinity;
  private looking: Promise<void> | null = null;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: MailWorkerOptions) {
    const { database, store, mails, transport, outbox, now, log, paceMs = 500 } = options;
    this.parked = new Parked({ outbox, now, retryDelaysMs: [] });
    this.users = new DataLoader(
      async (ids) => {
        const users = await store.find(database, [...new Set(ids)]);
        return ids.map((id) => users.get(id));
      },
      { cache: false },
    );
    this.worker = new EffectWorker<MailRow, Outcome>({
      name: 'mails',
      // While the server is away one mail finds out whether it is back, and the others wait for what comes of it.
      maxInFlight: () => (this.failures > 0 ? 1 : (transport?.atOnce ?? 1)),
      paceMs,
      log,
      now,
      onRequested: (listener) => mails.onRequested(listener),
      claim: (limit) => this.claim(limit),
      nextDue: async () => {
        const due = transport === null ? null : await mails.nextDue();
        return due === null ? null : Math.max(due, this.pausedUntil);
      },
      perform: (row) => this.perform(row),
      record: (performed) => this.record(performed),
      about: aboutRow,
    });
  }

  async start(): Promise<void> {
    const { transport, log, countMs = 5_000 } = this.options;
    if (transport === null) log.warn('SMTP_URL is not set: mails wait until it is');
    else log.info(`mails go to ${transport.name}`);
    this.worker.start();
    const look = (): void => {
      this.looking ??= this.lookAfter().finally(() => (this.looking = null));
    };
    // By a timer of its own: claims stand still while the only mail that is tried hangs.
    this.timer = setInterval(look, countMs).unref();
    look();
  }

  async stop(): Promise<void> {
    const { transport } = this.options;
    clearInterval(this.timer);
    const breakOff = setTimeout(() => void transport?.close().catch(() => undefined), BREAK_OFF_MS);
    await this.worker.stop();
    clearTimeout(breakOff);
    await transport?.close();
    await this.looking;
  }

  /** Always ok: whatever happens to mails, they wait, and everything else goes on. */
  checks(): Promise<readonly Check[]> {
    const { count } = this.waiting;
    const waiting = count === 0 ? 'no mail waits' : count === 1 ? '1 mail waits' : `${count} mails wait`;
    const detail =
      this.options.transport === null
        ? `SMTP_URL is not set, so no mail is sent; ${waiting}.`
        : this.failures > 0
          ? `The mail server does not take mails at the moment; ${waiting}.`
          : undefined;
    return Promise.resolve([{ name: 'mail', ok: true, ...(detail !== undefined && { detail }) }]);
  }

  private async claim(limit: number): Promise<readonly MailRow[]> {
    const { mails, transport, now, leaseMs = 60_000 } = this.options;
    if (transport === null || now() < this.pausedUntil) return [];
    return mails.claim(now(), leaseMs, limit);
  }

  /** Gauges, and rows that nobody needs any more. Never rejects. */
  private async lookAfter(): Promise<void> {
    const { mails, metrics, now, log } = this.options;
    try {
      this.waiting = await mails.waiting();
      const { count, oldest } = this.waiting;
      metrics.mailsWaiting.set(count);
      metrics.mailsOldestSeconds.set(oldest === null ? 0 : Math.max(now() - oldest, 0) / 1_000);
      if (performance.now() - this.purged < PURGE_MS) return;
      await mails.purge(now() - KEPT_MS);
      this.purged = performance.now();
    } catch (error) {
      log.warn({ err: error }, 'mails cannot be counted; trying again');
    }
  }

  private async perform(row: MailRow): Promise<Outcome> {
    const outcome = await this.attempt(row);
    this.feel(outcome);
    return outcome;
  }

  private async attempt(row: MailRow): Promise<Outcome> {
    const { composer, transport, now, timeoutMs = 45_000 } = this.options;
    let user: UserState | undefined;
    try {
      user = await this.users.load(row.user_id);
      const reason = await this.uselessness(row, user, now());
      if (reason !== null) return { type: 'dropped', reason };
    } catch (error) {
      return { type: 'unread', error: withoutAddresses(String(error)) };
    }
    if (user === undefined || transport === null) return { type: 'unread', error: 'There is nobody to write to.' };
    if (!maySend(row)) return UNHEARD;
    const left = row.due_at - now() - MARGIN_MS;
    // Somebody else may take it up before this attempt is recorded.
    if (left <= 0) return { type: 'unread', error: 'The database answered too late to send it.' };
    const breakOff = new AbortController();
    const timer = setTimeout(() => breakOff.abort(), Math.min(timeoutMs, left));
    try {
      return await transport.send(composer.compose(row, user), breakOff.signal);
    } catch (error) {
      return { type: 'refused', error: withoutAddresses(String(error)) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Why nobody needs the mail any more; null while somebody does. */
  private async uselessness(row: MailRow, user: UserState | undefined, now: number): Promise<string | null> {
    const { database, mails } = this.options;
    if (user === undefined || user.deleted) return 'The user is gone.';
    const { verification, reminder } = dataOf(row);
    if (verification !== undefined) {
      if (verification.expiresAt <= now) return 'The link has expired.';
      const [asked] = await database.read<{ email: string; used_at: number | null }>(
        'SELECT email, used_at FROM verifications WHERE id = ?',
        [verification.id],
      );
      if (user.verified || (asked !== undefined && asked.used_at !== null)) return 'The address is confirmed.';
      // Another spelling is the same address: no other mail goes out for it.
      const same = asked !== undefined && emailKey(asked.email) === emailKey(user.email);
      if (!same) return 'The user has another address.';
    }
    if (reminder !== undefined && row.order_id !== null) {
      if (reminder.expiresAt !== null && reminder.expiresAt <= now) return 'The order has expired.';
      const settled = await mails.knows(row.order_id, ['PAYMENT_RECEIPT', 'CANCELLATION', 'EXPIRY']);
      if (settled) return 'The order is paid or canceled.';
    }
    return null;
  }

  /** Answers when the first of these is to be tried again; null if none is. */
  private async record(performed: readonly Performed<MailRow, Outcome>[]): Promise<number | null> {
    const { database, store, mails, now } = this.options;
    const at = now();
    const judged = performed.map(({ task, outcome }) => ({ task, outcome, verdict: this.judge(task, outcome) }));
    const dying = judged.filter(({ verdict }) => verdict.type === 'end' && verdict.status === 'DEAD');
    const users = dying.length === 0 ? undefined : await store.find(database, [...new Set(dying.map(userIdOf))]);
    const recorded = await database.transaction(async (tx) => {
      const open = await mails.lockOpen(
        tx,
        judged.map(({ task }) => task.event_id),
      );
      const taken = judged.filter(({ task, verdict }) => {
        const row = open.get(task.event_id);
        // Sent is sent. Everything else is for whoever has claimed it last to say.
        const sent = verdict.type === 'end' && verdict.status === 'SENT';
        return row !== undefined && (sent || row.claimed_by === task.claimed_by);
      });
      const ended: Ended[] = [];
      for (const { task, outcome, verdict } of taken) {
        const { event_id: eventId, attempts } = task;
        if (verdict.type === 'again') {
          const { refused, reason } = verdict;
          const known = outcome.type !== 'unknown';
          mails.postpone(tx, eventId, { dueAt: at + verdict.inMs, known, refused, reason });
          continue;
        }
        const { status, reason } = verdict;
        ended.push({ eventId, status, reason });
        if (status !== 'DEAD') continue;
        const record = recordOf(task, users?.get(task.user_id) ?? {});
        await this.parked.buryHandled(tx, MAIL, eventId, record, { error: reason ?? '', attempts });
      }
      mails.end(tx, ended, at);
      return taken;
    });
    for (const { task, verdict } of recorded) this.report(task, verdict);
    const pauses = judged.flatMap(({ verdict }) => (verdict.type === 'again' ? [verdict.inMs] : []));
    return pauses.length === 0 ? null : at + Math.min(...pauses);
  }

  /** What an outcome says of the server: while nothing gets through, pauses grow. */
  private feel(outcome: Outcome): void {
    const { now, awayMs = 1_000 } = this.options;
    const { type } = outcome;
    // These did not ask it.
    if (outcome === UNHEARD || type === 'dropped' || type === 'unread') return;
    if (type !== 'away' && type !== 'unknown') {
      this.failures = 0;
      this.pausedUntil = 0;
    } else if (now() >= this.pausedUntil) {
      // Several that fail at once are one failure.
      this.pausedUntil = now() + Math.min(awayMs * 2 ** this.failures, LONGEST_AWAY_MS);
      this.failures += 1;
    }
  }

  private judge(row: MailRow, outcome: Outcome): Verdict {
    const { now, awayMs = 1_000, refusedMs = 30_000 } = this.options;
    return judge(row, outcome, { awayMs: Math.max(this.pausedUntil - now(), awayMs), refusedMs });
  }

  private report(row: MailRow, verdict: Verdict): void {
    const { log, metrics } = this.options;
    const about = aboutRow(row);
    const outcome = verdict.type === 'again' ? 'failed' : OUTCOMES[verdict.status];
    metrics.mails.inc({ kind: row.kind, outcome });
    if (outcome === 'sent') log.info(about, 'mail sent');
    else if (outcome === 'dropped') log.info({ ...about, reason: verdict.reason }, 'mail dropped');
    else if (outcome === 'failed') log.warn({ ...about, reason: verdict.reason }, 'mail not sent; trying again');
    else log.error({ ...about, reason: verdict.reason }, 'mail is dead; see `tributary dlq`');
  }
}

const OUTCOMES = { SENT: 'sent', DROPPED: 'dropped', DEAD: 'dead' } as const;

const userIdOf = ({ task }: { readonly task: MailRow }): string => task.user_id;

const aboutRow = ({ event_id: eventId, kind, user_id: userId, order_id: orderId, attempts }: MailRow) => ({
  eventId,
  kind,
  userId,
  orderId,
  attempts,
});
