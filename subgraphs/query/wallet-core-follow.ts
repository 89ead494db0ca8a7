/** `balanceChanged` for accounts that a foreign Wallet Core speaks for. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import type { EventLog, Tail } from '../../shared/event-log/port.js';
import { TOPICS } from '../../shared/events/catalogue.js';
import { InvalidEvent } from '../../shared/events/event.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { formatCursor, parseCursor, type Cursor } from './cursor.js';
import { followed, type Message } from './follow.js';
import { Mailbox } from './mailbox.js';
import { VIEWS_GROUP, watermark, type AccountDoc } from './views.js';
import { isForeign, parseBalances } from './wallet-core.js';

const TOPIC = 'balances';

/** How long to wait between looks at how far the views have come: at first, and when they are far behind. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

/** Of the log: our own movements are on the topic too. */
const PACE_MS = 50;

export interface ForeignFollowerDeps {
  readonly eventLog: EventLog;
  /** With foreign accounts. */
  readonly documents: DocumentStore;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The movement behind a balance is not told of: its message does not say which of an account's balances it led to. */
type ForeignMessage = Message<{ readonly account: AccountDoc; readonly transaction: null }>;

/**
 * Foreign messages carry no version, and which of them are taken the projector alone decides. So a message only wakes
 * those who follow its accounts, and what they are told is what the view has once it has come that far: the newest
 * balance, always, but not every balance in between.
 */
export class ForeignFollower {
  private readonly mailboxes = new Map<string, Set<Mailbox<number>>>();
  private tail: Tail | undefined;

  constructor(private readonly deps: ForeignFollowerDeps) {}

  /** Resolves once nothing that is appended later is missed. */
  async start(): Promise<void> {
    const { eventLog, log } = this.deps;
    this.tail = await eventLog.tail({
      topics: [TOPIC],
      from: 'end',
      // The view takes its time as well.
      paceMs: PACE_MS,
      onBatch: ({ records }) => {
        for (const record of records) if (isForeign(record)) this.wake(record.value, record.offset + 1);
      },
      onError: (error) => log.warn({ err: error, topic: TOPIC }, 'following the log is interrupted'),
    });
  }

  async stop(): Promise<void> {
    await this.tail?.stop();
  }

  /** Whether anybody listens: for tests of cleaning up. */
  get listening(): number {
    return [...this.mailboxes.values()].reduce((sum, set) => sum + set.size, 0);
  }

  /**
   * A SNAPSHOT, or after a cursor a CHANGE if the balance has changed since; then a CHANGE for every newer balance. GAP and
   * a SNAPSHOT after a cursor from a time when somebody else kept the account, or of another log.
   * @throws AppError VALIDATION field `after`
   */
  follow(accountId: string, after: string | null): AsyncIterableIterator<ForeignMessage> {
    const cursor = after === null ? null : parseAnyCursor(after);
    const mailbox = new Mailbox<number>(1);
    const others = this.mailboxes.get(accountId) ?? new Set();
    this.mailboxes.set(accountId, others.add(mailbox));
    const leave = (): void => {
      others.delete(mailbox);
      if (others.size === 0) this.mailboxes.delete(accountId);
    };
    return followed(mailbox, leave, () => this.run(accountId, cursor, mailbox));
  }

  private async *run(id: string, after: Cursor | null, mailbox: Mailbox<number>): AsyncGenerator<ForeignMessage> {
    const { eventLog, metrics, log } = this.deps;
    const message = (
      kind: 'SNAPSHOT' | 'CHANGE',
      { version, doc: account }: Versioned<AccountDoc>,
    ): ForeignMessage => ({
      kind,
      cursor: this.cursor(version),
      item: { account, transaction: null },
    });
    // Nobody is woken for what was in the log before, and may not be in the view yet.
    let wanted = (await eventLog.ranges(TOPIC))[0]?.next ?? 0;
    const begun = await this.read(id);
    let told = begun?.version ?? 0;
    const seen = after?.next[0] ?? 0;
    const resumes = after !== null && after.topic === TOPIC && after.log === eventLog.logId && seen <= told;
    if (after !== null && !resumes) {
      metrics.gaps.inc({ field: 'balanceChanged', reason: 'other_log' });
      log.warn({ field: 'balanceChanged', key: id, reason: 'other_log' }, 'a subscriber is told of a gap');
      yield { kind: 'GAP', cursor: this.cursor(0), item: null };
    }
    if (begun !== null && !(resumes && seen === told)) yield message(resumes ? 'CHANGE' : 'SNAPSHOT', begun);

    while (!mailbox.closed) {
      await this.viewReaches(wanted, mailbox);
      const now = await this.read(id);
      if (now !== null && now.version > told) {
        told = now.version;
        yield message('CHANGE', now);
      }
      await mailbox.arrival();
      wanted = Math.max(wanted, ...mailbox.drain());
    }
  }

  private read(id: string): Promise<Versioned<AccountDoc> | null> {
    return this.deps.documents.get<AccountDoc>('accounts', id);
  }

  /** Its position is the account's version: that rises with every record that is taken. */
  private cursor(version: number): string {
    return formatCursor({ log: this.deps.eventLog.logId, topic: TOPIC, next: [version], due: null });
  }

  private wake(value: string, next: number): void {
    try {
      for (const { accountId } of parseBalances(value)) {
        for (const mailbox of this.mailboxes.get(accountId) ?? []) {
          // Only the newest matters.
          mailbox.reset();
          mailbox.push(next);
        }
      }
    } catch (error) {
      // The projector parks it.
      if (!(error instanceof InvalidEvent)) throw error;
    }
  }

  /** Until the views have everything before this offset, or the subscriber has left. */
  private async viewReaches(next: number, mailbox: Mailbox<number>): Promise<void> {
    const { documents, eventLog } = this.deps;
    for (let pause = FIRST_PAUSE_MS; !mailbox.closed; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const reached = await watermark(documents, eventLog.logId, VIEWS_GROUP, TOPIC);
      if ((reached.get(0) ?? 0) >= next) return;
      await delay(pause);
    }
  }
}

/** A cursor of `balanceChanged`, whoever kept the account when it was given. */
function parseAnyCursor(after: string): Cursor {
  try {
    return parseCursor(after, TOPIC, TOPICS[TOPIC].partitions);
  } catch {
    return parseCursor(after, 'accounts', TOPICS.accounts.partitions);
  }
}

/**
 * The client's cursor for an account that is kept here. One from a time when it was kept elsewhere becomes one of another
 * log, so that its holder is told of a gap.
 */
export function ownCursor(after: string | null): string | null {
  if (after === null) return null;
  try {
    parseCursor(after, TOPIC, TOPICS[TOPIC].partitions);
  } catch {
    return after;
  }
  const next = Array.from({ length: TOPICS.accounts.partitions }, () => 0);
  return formatCursor({ log: TOPIC, topic: 'accounts', next, due: null });
}
