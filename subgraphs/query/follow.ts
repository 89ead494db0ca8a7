import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentStore, Filter } from '../../shared/document-store/port.js';
import { AppError } from '../../shared/errors/errors.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { isDue, parseCursor, type Cursor, type Due, type Place } from './cursor.js';
import { Mailbox } from './mailbox.js';
import { covers, type Change, type Ring } from './ring.js';
import { TIMELINE, TIMELINE_GROUP, VIEWS_GROUP, watermark, type TimelineDoc } from './views.js';

/** More missed events than this are not delivered one by one: GAP, and fresh snapshots. */
export const MAX_MISSED = 10_000;

/** How long to wait between looks at how far the read side has come. */
const POLL_MS = 10;

export type GapReason = 'other_log' | 'beyond_end' | 'too_old' | 'too_many' | 'not_in_timeline' | 'too_slow';

/** A message of a resumable subscription. */
export type Message<T> =
  | { readonly kind: 'SNAPSHOT' | 'CHANGE'; readonly cursor: string; readonly item: T; readonly cause?: MessageCause }
  | { readonly kind: 'GAP'; readonly cursor: string; readonly item: null };

/** What led to a change, while it is at hand: the timeline does not keep it. */
export type MessageCause = Pick<Change<unknown>, 'traceparent' | 'appendedAt'>;

/** Where changes come from. */
export interface Source<T> {
  readonly ring: Ring<T>;
  readonly documents: DocumentStore;
  /** Reads an event's data as the timeline keeps it. */
  readonly fromTimeline: (doc: TimelineDoc) => T;
  /** Whether subscribers are told of it; the others only renew snapshots. */
  readonly isChange: (item: T) => boolean;
  /** Where its snapshot stands among several; the same for all versions of an aggregate. */
  readonly place: (item: T) => Place;
  /** How long to wait for the read side, in milliseconds. */
  readonly waitMs: number;
  /** Changes that may wait for one slow subscriber. */
  readonly maxWaiting: number;
  /** See MAX_MISSED. */
  readonly maxMissed: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What one subscriber follows. */
export interface Follow<T> {
  /** Name of the GraphQL field, for metrics. */
  readonly field: string;
  /** The ring's key. */
  readonly key: string;
  /** Finds the same changes in the timeline, besides topic and offsets. */
  readonly inTimeline: Filter;
  /** What the view has of it; of those due only, if they are named. */
  readonly view: (due: Due | null) => Promise<readonly Snapshot<T>[]>;
  /** Of view and ring together, what a subscriber is to see when it begins, by place. Null: nothing, live only. */
  readonly snapshots: ((newest: readonly Snapshot<T>[]) => readonly Snapshot<T>[]) | null;
  /** The client's cursor. */
  readonly after: string | null;
}

export interface Snapshot<T> {
  readonly id: string;
  readonly version: number;
  readonly item: T;
}

/**
 * Follows changes and loses none silently. At first SNAPSHOTs, or after a cursor everything missed; then every CHANGE,
 * at most once, each aggregate's versions rising. Where that cannot be kept a GAP says so and fresh SNAPSHOTs follow.
 *
 * It listens before it reads anything, so nothing falls in between; and what it reads is brought to one exact place of
 * the log before it is sent, so that its cursor stands right behind it: whoever resumes there misses nothing and gets
 * nothing twice.
 * @throws AppError VALIDATION field `after`; while iterated, UNAVAILABLE when the read side is too far behind to begin
 */
export function follow<T>(source: Source<T>, wanted: Follow<T>): AsyncIterableIterator<Message<T>> {
  const { ring, maxWaiting } = source;
  const after = wanted.after === null ? null : parseCursor(wanted.after, ring.topic, ring.partitions);
  const mailbox = new Mailbox<Change<T>>(maxWaiting);
  const leave = ring.listen(wanted.key, (change) => mailbox.push(change));
  return followed(mailbox, leave, () => new Follower(source, wanted, mailbox).run(after));
}

/**
 * Messages from a mailbox, with an end: a generator cannot be ended while it waits, so the mailbox is closed, and what
 * the generator still has to say is heard by nobody. However it ends, `leave` is called once.
 */
export function followed<T>(
  mailbox: Mailbox<unknown>,
  leave: () => void,
  run: () => AsyncGenerator<T>,
): AsyncIterableIterator<T> {
  const generator = run();
  const close = (): void => {
    if (mailbox.closed) return;
    mailbox.close();
    leave();
  };
  return {
    async next() {
      try {
        const result = await generator.next();
        if (result.done !== true && !mailbox.closed) return result;
      } catch (error) {
        // Whoever has left is not told why.
        if (!mailbox.closed) {
          close();
          throw error;
        }
      }
      close();
      return { done: true, value: undefined };
    },
    async return() {
      close();
      void generator.return(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

type Past<T> = Pick<Change<T>, 'id' | 'version' | 'item' | 'partition' | 'offset'> & Partial<MessageCause>;

/** The ring at one moment, from which on all changes come into the mailbox. */
interface Moment<T> {
  readonly first: readonly number[];
  readonly next: readonly number[];
  readonly recent: readonly Change<T>[];
}

/** What is to be sent before live changes, and the place in the log where these begin. */
interface Owed<T> {
  readonly changes: readonly Past<T>[];
  readonly snapshots: readonly Snapshot<T>[];
  readonly next: readonly number[];
}

class Follower<T> {
  /** The newest version told of each aggregate. Not kept for subscribers of everything: it would grow for ever. */
  private readonly told = new Map<string, number>();

  constructor(
    private readonly source: Source<T>,
    private readonly wanted: Follow<T>,
    private readonly mailbox: Mailbox<Change<T>>,
  ) {}

  async *run(after: Cursor | null): AsyncGenerator<Message<T>, void> {
    const { ring } = this.source;
    if (after === null || after.due === 'all') yield* this.begin();
    else yield* this.resume(after, after.due);
    while (!this.mailbox.closed) {
      await this.mailbox.arrival();
      if (this.mailbox.overflowed) yield* this.gap('too_slow');
      for (const change of this.mailbox.drain()) {
        if (!this.isNews(change)) continue;
        yield { kind: 'CHANGE', cursor: ring.cursor(change.next), item: change.item, cause: change };
      }
    }
  }

  private async *gap(reason: GapReason): AsyncGenerator<Message<T>, void> {
    if (this.mailbox.closed) return;
    const { ring, metrics, log } = this.source;
    const { field, key, snapshots } = this.wanted;
    metrics.gaps.inc({ field, reason });
    log.warn({ field, key, reason }, 'a subscriber is told of a gap');
    yield { kind: 'GAP', cursor: ring.cursor(ring.next, snapshots === null ? null : 'all'), item: null };
    yield* this.begin();
  }

  /** Fresh snapshots, all of them as of one place in the log. */
  private async *begin(): AsyncGenerator<Message<T>, void> {
    const { snapshots } = this.wanted;
    if (snapshots === null) {
      this.mailbox.reset();
      return;
    }
    // Too much at once for the mailbox: the next attempt finds it in the ring.
    let state = await this.state(this.moment(), null);
    while (state === null) state = await this.state(this.moment(), null);
    this.told.clear();
    yield* this.snapshots(state.newest, snapshots(state.newest), state.next);
  }

  /** Sends some of what is known. */
  private *snapshots(
    known: readonly Snapshot<T>[],
    sent: readonly Snapshot<T>[],
    next: readonly number[],
  ): Generator<Message<T>, void> {
    const { ring, place } = this.source;
    for (const { id, version } of known) this.told.set(id, version);
    const last = sent.at(-1);
    for (const one of sent) {
      const due = last === undefined || one === last ? null : { after: place(one.item), upTo: place(last.item) };
      yield { kind: 'SNAPSHOT', cursor: ring.cursor(next, due), item: one.item };
    }
  }

  private moment(): Moment<T> {
    const { ring } = this.source;
    this.mailbox.reset();
    return { first: [...ring.first], next: [...ring.next], recent: ring.recent(this.wanted.key) };
  }

  /**
   * The newest of everything as of exactly `next`, with the changes `since` the moment; the mailbox goes on from there.
   * Null when it overflowed.
   */
  private async state({ first, recent }: Moment<T>, due: Due | null) {
    // With what has come into the mailbox since, `recent` are all changes since `first`, whatever the ring forgets
    // meanwhile. The view must have come that far, and the ring as far as the view.
    await this.viewReaches(first);
    const viewed = await this.wanted.view(due);
    await this.ringReachesEnd();
    // From here on nothing is awaited.
    if (this.mailbox.overflowed) return null;
    const since = this.mailbox.drain();
    const newest = new Map<string, Snapshot<T>>();
    for (const one of [...viewed, ...recent, ...since]) {
      if (one.version > (newest.get(one.id)?.version ?? 0)) newest.set(one.id, one);
    }
    return { newest: [...newest.values()], since, next: [...this.source.ring.next] };
  }

  /** What was missed, then the snapshots still due. */
  private async *resume(after: Cursor, due: Due | null): AsyncGenerator<Message<T>, void> {
    const { ring } = this.source;
    const owed = await this.owed(after, due);
    if (typeof owed === 'string') {
      yield* this.gap(owed);
      return;
    }
    const { changes, snapshots, next } = owed;
    const news = changes.filter((change) => this.isNews(change));
    const rest = snapshots.length > 0 ? due : null;
    // Each partition's are in order, so `reached` tells exactly what was delivered.
    const reached = [...after.next];
    for (const [index, { partition, offset, item, traceparent, appendedAt }] of news.entries()) {
      reached[partition] = offset + 1;
      const cursor = index < news.length - 1 ? ring.cursor(reached, due) : ring.cursor(next, rest);
      const cause = traceparent === undefined || appendedAt === undefined ? {} : { cause: { traceparent, appendedAt } };
      yield { kind: 'CHANGE', cursor, item, ...cause };
    }
    yield* this.snapshots(snapshots, snapshots, next);
  }

  /**
   * What a snapshot is still to come of is told by it alone, as of now, so that it is not told twice even if this too
   * is interrupted; all other changes, of what is no longer to be seen in a snapshot as well, come one by one.
   */
  private async owed(after: Cursor, due: Due | null): Promise<Owed<T> | GapReason> {
    const { place } = this.source;
    const missed = await this.missed(after);
    if (typeof missed === 'string') return missed;
    const { changes, moment } = missed;
    if (due === null) return { changes, snapshots: [], next: moment.next };
    const state = await this.state(moment, due);
    if (state === null) return 'too_slow';
    const { newest, since, next } = state;
    const snapshots = this.wanted.snapshots?.(newest.filter(({ item }) => isDue(due, place(item)))) ?? [];
    const ids = new Set(snapshots.map(({ id }) => id));
    return { changes: [...changes, ...since].filter(({ id }) => !ids.has(id)), snapshots, next };
  }

  /** Everything between the cursor and a moment; or why it cannot be had. */
  private async missed({
    log,
    next,
  }: Cursor): Promise<{ readonly changes: readonly Past<T>[]; readonly moment: Moment<T> } | GapReason> {
    const { ring, maxMissed } = this.source;
    if (log !== ring.logId) return 'other_log';
    await this.ringReachesEnd();
    if (!covers(ring.next, next)) return 'beyond_end';
    // What comes later is in the mailbox, and what the ring forgets later is in `recent`.
    const moment = this.moment();
    const older = await this.older(next, moment.first);
    if (typeof older === 'string') return older;
    const recent = moment.recent.filter(({ partition, offset }) => offset >= (next[partition] ?? 0));
    const changes = [...older, ...recent];
    return changes.length > maxMissed ? 'too_many' : { changes, moment };
  }

  /** Those from before the ring's beginning, from the timeline, each partition's in order; at most one too many. */
  private async older(next: readonly number[], first: readonly number[]): Promise<readonly Past<T>[] | GapReason> {
    const { documents, ring, fromTimeline, maxMissed } = this.source;
    const partitions = [...first.keys()].filter((partition) => (next[partition] ?? 0) < (first[partition] ?? 0));
    if (partitions.length === 0) return [];
    const kept = await ring.logRange('first');
    if (partitions.some((partition) => (next[partition] ?? 0) < (kept[partition] ?? 0))) return 'too_old';
    if (!(await this.reaches(TIMELINE_GROUP, first, partitions))) return 'not_in_timeline';

    const found: Past<T>[] = [];
    for (const partition of partitions) {
      const docs = await documents.find<TimelineDoc>(TIMELINE, {
        filter: [
          ...this.wanted.inTimeline,
          { field: 'log', is: { eq: ring.logId } },
          { field: 'topic', is: { eq: ring.topic } },
          { field: 'partition', is: { eq: partition } },
          { field: 'offset', is: { gte: next[partition] ?? 0, lt: first[partition] ?? 0 } },
        ],
        sort: { field: 'offset', direction: 'asc' },
        limit: maxMissed + 1 - found.length,
      });
      for (const { doc } of docs) {
        found.push({ id: doc.subject, version: doc.version, item: fromTimeline(doc), partition, offset: doc.offset });
      }
    }
    return found;
  }

  private isNews({ id, version, item }: Snapshot<T>): boolean {
    if (this.wanted.snapshots !== null) {
      if (version <= (this.told.get(id) ?? 0)) return false;
      this.told.set(id, version);
    }
    return this.source.isChange(item);
  }

  /** A view further back than the ring's beginning would make a snapshot that misses something. */
  private async viewReaches(first: readonly number[]): Promise<void> {
    // Where the log itself begins no earlier, there is nothing that the view could yet read.
    const kept = await this.source.ring.logRange('first');
    const partitions = [...first.keys()].filter((partition) => (first[partition] ?? 0) > (kept[partition] ?? 0));
    if (!(await this.reaches(VIEWS_GROUP, first, partitions))) throw farBehind();
  }

  /** Until everything that is in the log now is in the ring, and so everything that anybody has read from it. */
  private async ringReachesEnd(): Promise<void> {
    const { ring } = this.source;
    const ends = await ring.logRange('next');
    if (!(await this.soon(async () => covers(ring.next, ends)))) throw farBehind();
  }

  /** Whether a consumer of the read side comes that far in time. */
  private async reaches(group: string, offsets: readonly number[], partitions: readonly number[]): Promise<boolean> {
    if (partitions.length === 0) return true;
    const { documents, ring } = this.source;
    return this.soon(async () => {
      const next = await watermark(documents, ring.logId, group, ring.topic);
      return partitions.every((partition) => (next.get(partition) ?? 0) >= (offsets[partition] ?? 0));
    });
  }

  /** Whether it comes true in time; a subscriber who has left waits for nothing. */
  private async soon(condition: () => Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + this.source.waitMs;
    while (!(await condition())) {
      if (this.mailbox.closed || performance.now() > deadline) return false;
      await delay(POLL_MS);
    }
    return true;
  }
}

/** The gateway asks again by itself. */
const farBehind = (): AppError =>
  new AppError('UNAVAILABLE', 'The read side is too far behind to begin a subscription; try again shortly.');
