import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { AppError, EngineUnavailable } from '../../shared/errors/errors.js';
import {
  RecordRefused,
  type Batch,
  type EventLog,
  type StoredRecord,
  type Subscription,
} from '../../shared/event-log/port.js';
import { deadLetterTopic, isSnapshot, TOPICS, type Topic } from '../../shared/events/catalogue.js';
import { fromRecord, InvalidEvent, type AnyEvent } from '../../shared/events/event.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { aboutEvent, consumerSpan } from '../../shared/observability/trace.js';
import { failureOf, type Span } from '../../shared/observability/tracing.js';
import { checkEventLog } from '../../shared/service/checks.js';
import { watchLag } from '../../shared/service/lag.js';
import type { Service } from '../../shared/service/service.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { TIMING, withGenerations, type Timing } from './generations.js';
import { Progress } from './progress.js';
import {
  checkDocuments,
  COLLECTIONS,
  PARKED,
  project,
  TIMELINE_GROUP,
  timelineEntry,
  VIEW_TOPICS,
  VIEWS_GROUP,
  type ParkedDoc,
  type Put,
} from './views.js';
import { Redriven } from './redriven.js';
import { createWalletCore, isForeign, type ForeignBalances } from './wallet-core.js';

export interface ProjectorDeps {
  readonly eventLog: EventLog;
  readonly documents: DocumentStore;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Who keeps the accounts; this system when absent. */
  readonly walletCore?: WalletCoreMode;
  /** How soon it writes to a new generation of the views; as everybody when absent. */
  readonly timing?: Pick<Timing, 'leaseMs'>;
}

interface Consumer {
  readonly group: string;
  /** Each set by itself: a batch of one does not wait for those of another. */
  readonly topics: readonly (readonly Topic[])[];
  /** Of the log: see its port. */
  readonly paceMs: number;
  readonly documentsOf: (event: AnyEvent, record: StoredRecord) => readonly Put[];
  /** What it makes of other services' records; those who have nothing to make of them pass over them. */
  readonly foreign?: (records: readonly StoredRecord[]) => Promise<ForeignBalances>;
}

interface Dead {
  readonly record: StoredRecord;
  readonly error: unknown;
  readonly attempts: number;
  /** Of the document in `parked`; 1 when absent, more for a record that was sent back. */
  readonly version?: number;
}

/** Records of one batch, of all partitions together. */
const MAX_BATCH = 500;

/** Batches cost nearly as much as what is in them, and only where events keep coming does one wait for the next. */
const VIEWS_PACE_MS = 40;

/** What happened is read long after it did, if ever. */
const TIMELINE_PACE_MS = 250;

/** How often a batch may fail for reasons unknown before its records are tried one by one and the failing ones given up. */
const MAX_ATTEMPTS = 5;

const MAX_ERROR_LENGTH = 1_000;

/**
 * The worker that turns the log into documents: the views for one group, the timeline for another, so that the long one
 * never delays the short one. Both take what is at hand of all partitions, write only documents that are newer than what is
 * there, then how far they have come, and let the log commit last: a crash in between repeats, and repeats change nothing.
 *
 * A record that can never work is kept in `parked` and copied to the dead-letter topic; the partition goes on. While
 * store or log are away the batch is refused, and the log brings it again. The topics must exist.
 */
export function createProjector({
  eventLog,
  documents: bare,
  log,
  metrics,
  now,
  walletCore = 'own',
  timing = TIMING,
}: ProjectorDeps): Service {
  const documents = withGenerations(bare, timing);
  const foreign = createWalletCore({ eventLog, documents, mode: walletCore, now });
  const consumers: readonly Consumer[] = [
    {
      group: VIEWS_GROUP,
      // Foreign balances wait for accounts to be projected.
      topics: [VIEW_TOPICS.filter((topic) => topic !== 'balances'), ['balances']],
      paceMs: VIEWS_PACE_MS,
      documentsOf: project,
      foreign,
    },
    {
      group: TIMELINE_GROUP,
      topics: [Object.keys(TOPICS) as Topic[]],
      paceMs: TIMELINE_PACE_MS,
      documentsOf: (event, record) => (isSnapshot(event.type) ? [] : [timelineEntry(event, record, eventLog.logId)]),
    },
  ];
  const subscriptions = new Map<string, Subscription>();
  let endLag = (): void => undefined;
  let running = false;

  const subscribe = async (consumer: Consumer): Promise<void> => {
    const { group } = consumer;
    const progress = new Progress(documents);
    const parts: Subscription[] = [];
    subscriptions.set(group, {
      stop: async () => {
        await Promise.all(parts.map((part) => part.stop()));
        // What was lost to another projector was not committed, and need not be stored.
        await progress.flush().catch(() => undefined);
      },
      lag: async () => (await Promise.all(parts.map((part) => part.lag()))).flat(),
    });
    for (const topics of consumer.topics) {
      const attempts = new Attempts();
      parts.push(
        await eventLog.subscribe({
          group,
          topics,
          maxBatch: MAX_BATCH,
          paceMs: consumer.paceMs,
          onBatches: (batches) => handle(consumer, batches, { attempts, progress }),
          beforeCommit: () => progress.flush(),
          onError: (error) => log.error({ err: error, consumer: group }, 'a batch was not projected; it comes again'),
        }),
      );
    }
  };

  const handle = async (
    consumer: Consumer,
    batches: readonly Batch[],
    { attempts, progress }: { readonly attempts: Attempts; readonly progress: Progress },
  ): Promise<void> => {
    const { group } = consumer;
    const records = batches.flatMap((batch) => batch.records);
    const wanted = records.filter((record) => consumer.foreign !== undefined || !isForeign(record));
    const dead = await attempts.count(batches, (attempt) => take(consumer, wanted, attempt));
    await bury(consumer, dead);
    for (const { topic, partition, records } of batches) {
      const last = records.at(-1);
      if (last === undefined) continue;
      progress.note({ log: eventLog.logId, consumer: group, topic, partition, next: last.offset + 1 });
    }
    metrics.eventsHandled.inc({ consumer: group, outcome: 'handled' }, wanted.length - dead.length);
  };

  /** Puts the newest documents of the records; answers the records that can never be put. */
  const take = async (
    consumer: Consumer,
    records: readonly StoredRecord[],
    attempt: number,
  ): Promise<readonly Dead[]> => {
    const spans: Span[] = [];
    try {
      const puts: Put[] = [];
      const events: AnyEvent[] = [];
      const dead: Dead[] = [];
      const foreign = await consumer.foreign?.(records.filter(isForeign));
      puts.push(...(foreign?.puts ?? []));
      dead.push(...(foreign?.refused ?? []).map((one) => ({ ...one, attempts: 1 })));
      for (const record of records) {
        if (isForeign(record)) continue;
        try {
          const event = fromRecord(record);
          puts.push(...consumer.documentsOf(event, record));
          events.push(event);
          const span = consumerSpan(consumer.group, record.topic, event, records.length);
          if (span !== undefined) spans.push(span);
        } catch (error) {
          if (!(error instanceof InvalidEvent)) throw error;
          dead.push({ record, error, attempts: 1 });
        }
      }
      await store(puts);
      for (const span of spans) span.end();
      if (log.isLevelEnabled('debug')) {
        for (const event of events) log.debug(aboutEvent(consumer.group, event), 'event projected');
      }
      return dead;
    } catch (error) {
      for (const span of spans) span.end(failureOf(error));
      if (error instanceof EngineUnavailable || (!isHopeless(error) && attempt < MAX_ATTEMPTS)) throw error;
      const [only] = records;
      if (records.length === 1 && only !== undefined) return [{ record: only, error, attempts: attempt }];
    }
    // One of them spoils the others: alone it fails alone.
    const dead: Dead[] = [];
    for (const record of records) dead.push(...(await take(consumer, [record], attempt)));
    return dead;
  };

  const store = async (puts: readonly Put[]): Promise<void> => {
    await Promise.all(
      [...newestByCollection(puts)].map(([collection, docs]) => documents.putIfNewer(collection, [...docs.values()])),
    );
  };

  /** First kept, then copied: whatever crashes in between comes again, and the copy with it. */
  const bury = async ({ group }: Consumer, dead: readonly Dead[]): Promise<void> => {
    if (dead.length === 0) return;
    await store(dead.map((one) => parkedOf(group, one, now())));
    for (const one of dead) {
      const { topic, partition, offset } = one.record;
      log.error(
        { err: one.error, consumer: group, topic, partition, offset },
        'a record cannot be projected; it is parked',
      );
      await copyToDeadLetters(group, one);
    }
    metrics.eventsHandled.inc({ consumer: group, outcome: 'dead' }, dead.length);
    await countParked(group);
  };

  const copyToDeadLetters = async (group: string, dead: Dead): Promise<void> => {
    const { topic, key, value, headers, partition, offset } = dead.record;
    try {
      await eventLog.append([
        {
          topic: deadLetterTopic(topic),
          key,
          value,
          headers: {
            ...headers,
            'x-error': messageOf(dead.error),
            'x-attempts': String(dead.attempts),
            'x-original-topic': topic,
            'x-original-partition': String(partition),
            'x-original-offset': String(offset),
            'x-consumer': group,
          },
        },
      ]);
    } catch (error) {
      // Too large with its new headers, for one. The document in `parked` has all of it.
      if (!(error instanceof RecordRefused)) throw error;
      log.error({ err: error, consumer: group, topic, partition, offset }, 'the log refuses the dead letter');
    }
  };

  const countParked = async (group: string): Promise<void> => {
    const count = (state: ParkedDoc['state']): Promise<number> =>
      documents.count(PARKED, [
        { field: 'consumer', is: { eq: group } },
        { field: 'state', is: { eq: state } },
      ]);
    metrics.deadLetters.set({ consumer: group }, await count('DEAD'));
    metrics.parked.set({ consumer: group }, await count('WAITING'));
  };

  const redriven = new Redriven({
    documents,
    groups: consumers.map(({ group }) => group),
    log,
    count: async () => {
      for (const { group } of consumers) await countParked(group);
    },
    retry: async (group, parked) => {
      const consumer = consumers.find((one) => one.group === group);
      if (consumer === undefined) return [];
      const versions = new Map(parked.map(({ version, doc }) => [doc.record, version]));
      // One attempt: whoever sent it back can do so again.
      const failed = await take(consumer, [...versions.keys()], MAX_ATTEMPTS);
      await bury(
        consumer,
        failed.map((dead) => ({ ...dead, attempts: 1, version: (versions.get(dead.record) ?? 0) + 1 })),
      );
      const again = new Set(failed.map(({ record }) => record));
      return parked.filter(({ doc }) => !again.has(doc.record)).map(({ id }) => id);
    },
  });

  return {
    name: 'projector',
    async start() {
      await documents.ensureCollections(COLLECTIONS);
      for (const { group } of consumers) await countParked(group);
      for (const consumer of consumers) await subscribe(consumer);
      redriven.start();
      endLag = watchLag(subscriptions, { log, metrics });
      running = true;
    },
    checks: async () => [
      ...(await Promise.all([checkDocuments(documents), checkEventLog(eventLog, log)])),
      { name: 'projector', ok: running },
    ],
    async stop() {
      running = false;
      endLag();
      await Promise.all([...subscriptions.values()].map((subscription) => subscription.stop()));
      subscriptions.clear();
      await redriven.stop();
    },
  };
}

interface Tried {
  /** Of the first record. */
  readonly offset: number;
  readonly attempts: number;
}

/** How often in a row partitions' batches, known by their first records, have been tried. */
class Attempts {
  private readonly failed = new Map<string, Tried>();

  /** Counts failures of any kind but an engine's absence. `work` hears of the partition that was tried least often. */
  async count<T>(batches: readonly Batch[], work: (attempt: number) => Promise<T>): Promise<T> {
    const tried = new Map(batches.map((batch) => this.next(batch)));
    try {
      const result = await work(Math.min(...[...tried.values()].map(({ attempts }) => attempts)));
      for (const place of tried.keys()) this.failed.delete(place);
      return result;
    } catch (error) {
      if (!(error instanceof EngineUnavailable)) for (const [place, one] of tried) this.failed.set(place, one);
      throw error;
    }
  }

  private next({ topic, partition, records }: Batch): [string, Tried] {
    const place = `${topic} ${partition}`;
    const offset = records[0]?.offset ?? 0;
    const before = this.failed.get(place);
    return [place, { offset, attempts: before?.offset === offset ? before.attempts + 1 : 1 }];
  }
}

/** The store will never take it, whatever happens. */
const isHopeless = (error: unknown): boolean => error instanceof AppError && error.code === 'VALIDATION';

/** Of the same version the first, as the store has it. */
function newestByCollection(puts: readonly Put[]): Map<string, Map<string, Versioned<object>>> {
  const collections = new Map<string, Map<string, Versioned<object>>>();
  for (const { collection, id, version, doc } of puts) {
    const docs = collections.get(collection) ?? new Map<string, Versioned<object>>();
    collections.set(collection, docs);
    if ((docs.get(id)?.version ?? 0) < version) docs.set(id, { id, version, doc });
  }
  return collections;
}

function parkedOf(consumer: string, { record, error, attempts, version = 1 }: Dead, at: number): Put {
  const { topic, partition, offset } = record;
  const doc: ParkedDoc = { consumer, state: 'DEAD', error: messageOf(error), attempts, at, record };
  return { collection: PARKED, id: `${consumer}:${topic}:${partition}:${offset}`, version, doc };
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(0, MAX_ERROR_LENGTH);
}
