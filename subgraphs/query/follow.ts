import type { DocumentStore, Filter } from '../../shared/document-store/port.js';
import { AppError } from '../../shared/errors/errors.js';
import type { EventLog } from '../../shared/event-log/port.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { parseCursor } from './cursor.js';
import { Mailbox } from './mailbox.js';
import type { Change, Ring } from './ring.js';
import { TIMELINE, TIMELINE_GROUP, VIEWS_GROUP, watermark, type TimelineDoc } from './views.js';

/** More missed changes than this are not delivered one by one: GAP, and fresh snapshots. */
export const MAX_MISSED = 10_000;

/** How long to wait between looks at a watermark. */
const POLL_MS = 20;

export type GapReason = 'other_log' | 'beyond_end' | 'too_old' | 'too_many' | 'not_in_timeline' | 'too_slow';

/** A message of a resumable subscription. */
export type Message<T> =
  | { readonly kind: 'SNAPSHOT' | 'CHANGE'; readonly cursor: string; readonly item: T }
  | { readonly kind: 'GAP'; readonly cursor: string; readonly item: null };

/** Where changes come from. */
export interface Source<T> {
  readonly ring: Ring<T>;
  readonly eventLog: EventLog;
  readonly documents: DocumentStore;
  /** Reads an event's data as the timeline keeps it. */
  readonly fromTimeline: (doc: TimelineDoc) => T;
  /** Whether subscribers are told of it; the others only renew snapshots. */
  readonly isChange: (item: T) => boolean;
  /** How long to wait for the read side, in milliseconds. */
  readonly waitMs: number;
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
  /** What the view has of it; the newest first where the order matters. */
  readonly view: () => Promise<readonly Snapshot<T>[]>;
  /** Of view and ring together, what a subscriber is to see when it begins. Null: nothing, live only. */
  readonly snapshots: ((newest: readonly Snapshot<T>[]) => readonly Snapshot<T>[]) | null;
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
 * It listens before it reads anything, so nothing falls in between; and a snapshot is brought to one exact place of the
 * log before it is sent, so that its cursor stands right behind it: whoever resumes there misses nothing and gets nothing
 * twice.
 * @throws AppError VALIDATION field `after`
 */
export function follow<T>(source: Source<T>, wanted: Follow<T>): AsyncIterableIterator<Message<T>> {
  const { ring } = source;
  const after = wanted.after === null ? null : parseCursor(wanted.after, ring.topic, ring.partitions);
  const mailbox = new Mailbox<Change<T>>();
  const leave = ring.listen(wanted.key, (change) => mailbox.push(change));
  return followed(mailbox, leave, () => new Follower(source, wanted, mailbox).run(after));
}

/**
 * Messages from a mailbox, with an end: a generator cannot be ended while it waits, so what it waits for is closed first.
 * However it ends, `leave` is called once.
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
        if (result.done === true) close();
        return result;
      } catch (error) {
        close();
        throw error;
      }
    },
    async return() {
      close();
      return generator.return(undefined);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

type Past<T> = Pick<Change<T>, 'id' | 'version' | 'item' | 'partition' | 'offset'>;

class Follower<T> {
  /** The newest version told of each aggregate. Not kept for subscribers of everything: it would grow for ever. */
  private readonly told = new Map<string, number>();

  constructor(
    private readonly source: Source<T>,
    private readonly wanted: Follow<T>,
    private readonly mailbox: Mailbox<Change<T>>,
  ) {}

  async *run(after: ReturnType<typeof parseCursor> | null): AsyncGenerator<Message<T>> {
    if (after === null || after.partial) yield* this.begin();
    else yield* this.resume(after);
    while (!this.mailbox.closed) {
      await this.mailbox.arrival();
      if (this.mailbox.overflowed) yield* this.gap('too_slow');
      for (const change of this.mailbox.drain()) {
        if (this.isNews(change))
          yield { kind: 'CHANGE', cursor: this.source.ring.cursor(change.next), item: change.item };
      }
    }
  }

  private async *gap(reason: GapReason): AsyncGenerator<Message<T>> {
    const { ring, metrics, log } = this.source;
    metrics.gaps.inc({ field: this.wanted.field, reason });
    log.warn({ field: this.wanted.field, key: this.wanted.key, reason }, 'a subscriber is told of a gap');
    yield { kind: 'GAP', cursor: ring.cursor(ring.next, this.wanted.snapshots !== null), item: null };
    yield* this.begin();
  }

  /** Fresh snapshots, all of them as of one place in the log. */
  private async *begin(): AsyncGenerator<Message<T>> {
    const { ring } = this.source;
    const { snapshots } = this.wanted;
    if (snapshots === null) {
      this.mailbox.reset();
      return;
    }
    await this.viewsReach(ring.first);
    const newest = new Map<string, Snapshot<T>>();
    const renew = (one: Snapshot<T>): void => {
      if (one.version > (newest.get(one.id)?.version ?? 0)) newest.set(one.id, one);
    };
    for (const one of await this.wanted.view()) renew(one);
    await ring.caughtUp();
    // From here to the cursor nothing is awaited: the snapshots are exactly what the log says at this place.
    for (const change of ring.recent(this.wanted.key)) renew(change);
    this.mailbox.reset();
    const next = [...ring.next];
    const sent = snapshots([...newest.values()]);
    this.told.clear();
    for (const { id, version } of newest.values()) this.told.set(id, version);
    for (const [index, { item }] of sent.entries()) {
      yield { kind: 'SNAPSHOT', cursor: ring.cursor(next, index < sent.length - 1), item };
    }
  }

  /** Everything since the cursor: what the ring has no more comes from the timeline. */
  private async *resume({
    log,
    next,
  }: {
    readonly log: string;
    readonly next: readonly number[];
  }): AsyncGenerator<Message<T>> {
    const { ring } = this.source;
    if (log !== ring.logId) return yield* this.gap('other_log');
    await ring.caughtUp();
    if (next.some((offset, partition) => offset > (ring.next[partition] ?? 0))) return yield* this.gap('beyond_end');

    // Taken together with the ring's beginning: what it forgets meanwhile is in `recent` all the same.
    const first = [...ring.first];
    const recent = ring.recent(this.wanted.key).filter(({ partition, offset }) => offset >= (next[partition] ?? 0));
    this.mailbox.reset();
    const older = await this.older(next, first);
    if (typeof older === 'string') return yield* this.gap(older);
    if (older.length + recent.length > MAX_MISSED) return yield* this.gap('too_many');

    const reached = [...next];
    for (const change of [...older, ...recent]) {
      reached[change.partition] = change.offset + 1;
      if (this.isNews(change)) yield { kind: 'CHANGE', cursor: ring.cursor(reached), item: change.item };
    }
  }

  /** The missed changes from before the ring's beginning, each partition's in order, or why they cannot be had. */
  private async older(next: readonly number[], first: readonly number[]): Promise<readonly Past<T>[] | GapReason> {
    const { documents, eventLog, ring, fromTimeline } = this.source;
    const missing = first.flatMap((offset, partition) => ((next[partition] ?? 0) < offset ? [partition] : []));
    if (missing.length === 0) return [];
    const kept = new Map((await eventLog.ranges(ring.topic)).map((range) => [range.partition, range.first]));
    if (missing.some((partition) => (next[partition] ?? 0) < (kept.get(partition) ?? 0))) return 'too_old';
    if (!(await this.reached(TIMELINE_GROUP, first, missing))) return 'not_in_timeline';

    const found: Past<T>[] = [];
    for (const partition of missing) {
      const docs = await documents.find<TimelineDoc>(TIMELINE, {
        filter: [
          ...this.wanted.inTimeline,
          { field: 'log', is: { eq: ring.logId } },
          { field: 'topic', is: { eq: ring.topic } },
          { field: 'partition', is: { eq: partition } },
          { field: 'offset', is: { gte: next[partition] ?? 0, lt: first[partition] ?? 0 } },
        ],
        sort: { field: 'offset', direction: 'asc' },
        limit: MAX_MISSED + 1 - found.length,
      });
      for (const { doc } of docs) {
        found.push({ id: doc.subject, version: doc.version, item: fromTimeline(doc), partition, offset: doc.offset });
      }
      if (found.length > MAX_MISSED) return 'too_many';
    }
    return found;
  }

  private isNews({ id, version, item }: Snapshot<T>): boolean {
    if (this.wanted.snapshots === null) return this.source.isChange(item);
    if (version <= (this.told.get(id) ?? 0)) return false;
    this.told.set(id, version);
    return this.source.isChange(item);
  }

  /** A view further back than the ring's beginning would make a snapshot that misses something. */
  private async viewsReach(first: readonly number[]): Promise<void> {
    const partitions = first.flatMap((offset, partition) => (offset > 0 ? [partition] : []));
    if (await this.reached(VIEWS_GROUP, first, partitions)) return;
    throw new AppError(
      'PROJECTION_PENDING',
      'The read side is too far behind to begin a subscription; try again shortly.',
    );
  }

  private async reached(group: string, offsets: readonly number[], partitions: readonly number[]): Promise<boolean> {
    if (partitions.length === 0) return true;
    const { documents, ring, waitMs } = this.source;
    const deadline = performance.now() + waitMs;
    for (;;) {
      const next = await watermark(documents, ring.logId, group, ring.topic);
      if (partitions.every((partition) => (next.get(partition) ?? 0) >= (offsets[partition] ?? 0))) return true;
      if (performance.now() > deadline || this.mailbox.closed) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
