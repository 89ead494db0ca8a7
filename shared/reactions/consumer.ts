import { placeholders, type Database, type Transaction } from '../database/port.js';
import { lockChunks } from '../database/sql.js';
import type { Batch, StoredRecord } from '../event-log/port.js';
import { consumerSpan } from '../observability/trace.js';
import { failureOf, tracer, within, type Span } from '../observability/tracing.js';
import { read, type Garbage, type Message } from './message.js';
import { isAway, type Parked, type ParkedRow } from './parked.js';
import type { Reaction } from './reaction.js';
import type { Report } from './report.js';

export interface ConsumerOptions {
  readonly reaction: Reaction;
  readonly database: Database;
  readonly parked: Parked;
  readonly report: Report;
  readonly now: () => number;
  /** Called after a commit that parked something. */
  readonly onParked: () => void;
}

/** Some garbage and the messages behind it. */
interface Run {
  readonly garbage: Garbage[];
  readonly messages: Message[];
}

/** What one transaction came to. */
interface Outcome {
  readonly handled: readonly Message[];
  readonly queued: readonly Message[];
  readonly repeated: number;
}

/** Messages were handled before, or something is parked: which and what has to be looked up. */
class Unusual extends Error {}

/** One reaction with its inbox: makes each event's effect happen exactly once, in the order of its key. */
export class Consumer {
  readonly name: string;
  private readonly types: ReadonlySet<string>;
  /** Whether anything was parked when it was last looked: then it is looked at first. */
  private someParked = false;

  constructor(private readonly options: ConsumerOptions) {
    this.name = options.reaction.consumer;
    this.types = new Set(options.reaction.types);
  }

  /**
   * Deals with what the log brings, in one transaction whatever partitions it is from: when it resolves, every message has
   * had its effect, is parked or is dead. Rejects when an engine is away, with nothing counted against any message; the
   * log then brings them again.
   */
  async take(batches: readonly Batch[]): Promise<void> {
    const isStale = (): boolean => batches.some((batch) => batch.isStale());
    for (const { garbage, messages } of this.sort(batches.flatMap(({ records }) => records))) {
      if (garbage.length > 0) await this.bury(garbage);
      if (messages.length > 0) await this.takeAll(messages, isStale);
    }
  }

  /** Tries a parked message again. Answers what became of it; `gone` when somebody else has dealt with it meanwhile. */
  async retry(row: ParkedRow): Promise<'handled' | 'parked' | 'dead' | 'gone'> {
    const { database, parked, report } = this.options;
    const found = read(JSON.parse(row.message) as StoredRecord, this.types);
    if (found.kind === 'other') {
      // The reaction was changed since, and does not ask for this type any more.
      await database.transaction(async (tx) => {
        if (await parked.claim(tx, row)) await parked.remove(tx, row);
      });
      return 'gone';
    }
    if (found.kind === 'garbage') {
      const { record, error } = found.garbage;
      const outcome = await database.transaction((tx) => parked.fail(tx, row, error, true));
      if (outcome) report.unreadable(record, error);
      return outcome ?? 'gone';
    }
    const { message } = found;
    try {
      const outcome = await database.transaction(async (tx) => {
        if (!(await parked.claim(tx, row))) return 'gone';
        const added = await this.remember(tx, [message]);
        if (added > 0) await this.reactTraced(tx, message);
        await parked.remove(tx, row);
        return added > 0 ? 'handled' : 'repeated';
      });
      if (outcome === 'handled') report.handled([message]);
      if (outcome === 'repeated') report.repeated(1);
      return outcome === 'gone' ? 'gone' : 'handled';
    } catch (error) {
      if (isAway(error)) throw error;
      const outcome = await database.transaction((tx) => parked.fail(tx, row, error));
      if (outcome) report.failed(outcome, message, error, row.attempt + 1);
      return outcome ?? 'gone';
    }
  }

  private reactTraced(tx: Transaction, message: Message): Promise<void> {
    const { reaction } = this.options;
    const spans: Span[] = [];
    const { event } = this.traced(message, 1, spans);
    const [span] = spans;
    const react = (): Promise<void> => reaction.handle(tx, [event], [message.record]);
    return span === undefined ? react() : within(span, react);
  }

  /**
   * What of a batch is for this reaction, each event once. Cut wherever garbage follows messages, so that `parked` gets the
   * rows of a key in the order of the log: in that order they are tried again when somebody sends them back.
   */
  private sort(records: readonly StoredRecord[]): readonly Run[] {
    let run: Run = { garbage: [], messages: [] };
    const runs = [run];
    const ids = new Set<string>();
    for (const record of records) {
      const found = read(record, this.types);
      if (found.kind === 'garbage') {
        if (run.messages.length > 0) runs.push((run = { garbage: [], messages: [] }));
        run.garbage.push(found.garbage);
      }
      if (found.kind !== 'message') continue;
      if (ids.has(found.message.id)) this.options.report.repeated(1);
      else run.messages.push(found.message);
      ids.add(found.message.id);
    }
    return runs;
  }

  /** Together if they can be; if not, in halves, so that a message at fault is soon alone and takes no other with it. */
  private async takeAll(messages: readonly Message[], isStale: () => boolean): Promise<void> {
    try {
      this.tell(await this.handleTraced(messages));
      return;
    } catch (error) {
      if (isAway(error)) throw error;
      const [only] = messages;
      if (only && messages.length === 1) {
        await this.park(only, error);
        return;
      }
    }
    const half = Math.ceil(messages.length / 2);
    for (const part of [messages.slice(0, half), messages.slice(half)]) {
      // What is done is in the inbox; the rest belongs to whoever gets the partitions.
      if (isStale()) throw new Error(`${this.name} lost partitions in the middle of a batch.`);
      await this.takeAll(part, isStale);
    }
  }

  /** A span per event, in the trace of its own; the transaction that they share is the first one's, and links to the others. */
  private async handleTraced(messages: readonly Message[]): Promise<Outcome> {
    if (tracer === undefined) return this.handle(messages);
    const spans: Span[] = [];
    const traced = messages.map((message) => this.traced(message, messages.length, spans));
    const [first, ...others] = spans;
    if (first === undefined) return this.handle(messages);
    const transaction = tracer.start(
      `transaction ${this.name}`,
      'client',
      first.traceparent,
      { 'db.system.name': this.options.database.dialect },
      others.map(({ traceparent }) => traceparent),
    );
    try {
      const outcome = await within(transaction, () => this.handle(traced));
      for (const span of spans) span.end();
      return outcome;
    } catch (error) {
      for (const span of spans) span.end(failureOf(error));
      throw error;
    }
  }

  /** The message as one that its span has caused, so that what the reaction publishes is the span's. */
  private traced(message: Message, together: number, spans: Span[]): Message {
    const span = consumerSpan(this.name, message.record.topic, message.event, together);
    if (span === undefined) return message;
    spans.push(span);
    return { ...message, event: { ...message.event, traceparent: span.traceparent } };
  }

  private async handle(messages: readonly Message[]): Promise<Outcome> {
    const { database } = this.options;
    for (let careful = this.someParked; ; careful = true) {
      try {
        return await database.transaction((tx) =>
          careful ? this.reactCarefully(tx, messages) : this.react(tx, messages),
        );
      } catch (error) {
        if (!(error instanceof Unusual)) throw error;
      }
    }
  }

  /** As nearly always: nothing is parked, and no message came before. One packet fills the inbox and tells both. */
  private async react(tx: Transaction, messages: readonly Message[]): Promise<Outcome> {
    const [someParked, added] = await Promise.all([
      this.options.parked.anybody(tx, this.name),
      this.remember(tx, messages),
    ]);
    this.someParked = someParked;
    if (someParked || added < messages.length) throw new Unusual();
    await this.perform(tx, messages);
    return { handled: messages, queued: [], repeated: 0 };
  }

  private async reactCarefully(tx: Transaction, messages: readonly Message[]): Promise<Outcome> {
    const { parked, onParked } = this.options;
    const standing = await parked.standing(tx, this.name, messages);
    this.someParked = standing.anybody;
    const seen = await this.seen(tx, messages);
    const handled: Message[] = [];
    const queued: Message[] = [];
    for (const message of messages) {
      if (seen.has(message.id) || standing.ids.has(message.id)) continue;
      if (message.lane !== null && standing.lanes.has(message.lane)) queued.push(message);
      else handled.push(message);
    }
    if (handled.length > 0) {
      // First, so that a twin in another process waits here instead of doing the same work.
      const added = await this.remember(tx, handled);
      if (added < handled.length) throw new Unusual();
      await this.perform(tx, handled);
    }
    if (queued.length > 0) {
      await parked.queue(tx, this.name, queued);
      tx.afterCommit(onParked);
    }
    return { handled, queued, repeated: messages.length - handled.length - queued.length };
  }

  private perform(tx: Transaction, messages: readonly Message[]): Promise<void> {
    return this.options.reaction.handle(
      tx,
      messages.map((message) => message.event),
      messages.map((message) => message.record),
    );
  }

  private tell({ handled, queued, repeated }: Outcome): void {
    const { report } = this.options;
    report.handled(handled);
    report.queued(queued);
    report.repeated(repeated);
  }

  private async park(message: Message, error: unknown): Promise<void> {
    const { database, parked, report, onParked } = this.options;
    const outcome = await database.transaction(async (tx) => {
      tx.afterCommit(onParked);
      return parked.park(tx, this.name, message, error);
    });
    report.failed(outcome, message, error, 1);
  }

  private async bury(garbage: readonly Garbage[]): Promise<void> {
    const { database, parked, report, onParked } = this.options;
    const buried = await database.transaction(async (tx) => {
      tx.afterCommit(onParked);
      const added: Garbage[] = [];
      for (const one of garbage) {
        if (await parked.bury(tx, this.name, one.id, one.record, one.error)) added.push(one);
      }
      return added;
    });
    for (const { record, error } of buried) report.unreadable(record, error);
    report.repeated(garbage.length - buried.length);
  }

  /** Writes inbox rows; answers how many were not there before. */
  private remember(tx: Transaction, messages: readonly Message[]): Promise<number> {
    const processed_at = this.options.now();
    return tx.insertNew(
      'processed_events',
      ['consumer', 'event_id'],
      messages.map(({ id }) => ({ consumer: this.name, event_id: id, processed_at })),
    );
  }

  private async seen(tx: Transaction, messages: readonly Message[]): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    for (const chunk of lockChunks(messages.map((message) => message.id))) {
      const rows = await tx.query<{ event_id: string }>(
        `SELECT event_id FROM processed_events WHERE consumer = ? AND event_id IN (${placeholders(chunk.length)})`,
        [this.name, ...chunk],
      );
      for (const row of rows) ids.add(row.event_id);
    }
    return ids;
  }
}
