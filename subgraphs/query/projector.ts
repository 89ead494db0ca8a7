import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { AppError, EngineUnavailable } from '../../shared/errors/errors.js';
import {
  RecordRefused,
  type Batch,
  type EventLog,
  type StoredRecord,
  type Subscription,
} from '../../shared/event-log/port.js';
import { deadLetterTopic, TOPICS, type Topic } from '../../shared/events/catalogue.js';
import { fromRecord, InvalidEvent, type AnyEvent } from '../../shared/events/event.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { aboutEvent } from '../../shared/observability/trace.js';
import type { Service } from '../../shared/service/service.js';
import {
  checkDocuments,
  COLLECTIONS,
  PARKED,
  progressOf,
  project,
  TIMELINE_GROUP,
  timelineEntry,
  VIEW_TOPICS,
  VIEWS_GROUP,
  type ParkedDoc,
  type Put,
} from './views.js';

export interface ProjectorDeps {
  readonly eventLog: EventLog;
  readonly documents: DocumentStore;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Consumer {
  readonly group: string;
  readonly topics: readonly Topic[];
  readonly documentsOf: (event: AnyEvent, record: StoredRecord) => readonly Put[];
}

interface Dead {
  readonly record: StoredRecord;
  readonly error: unknown;
  readonly attempts: number;
}

/** Documents of one commit, and so the most that a crash makes the store see twice per partition. */
const MAX_BATCH = 500;

/** How often a batch may fail for reasons unknown before its records are tried one by one and the failing ones given up. */
const MAX_ATTEMPTS = 5;

const MAX_ERROR_LENGTH = 1_000;

/**
 * The worker that turns the log into documents: the views for one group, the timeline for another, so that the long one
 * never delays the short one. Both write only documents that are newer than what is there, then how far they have come,
 * and let the log commit last: a crash in between repeats, and repeats change nothing.
 *
 * A record that can never work is kept in `parked` and copied to the dead-letter topic; the partition goes on. While
 * store or log are away the batch is refused, and the log brings it again. The topics must exist.
 */
export function createProjector({ eventLog, documents, log, metrics, now }: ProjectorDeps): Service {
  const consumers: readonly Consumer[] = [
    { group: VIEWS_GROUP, topics: VIEW_TOPICS, documentsOf: project },
    {
      group: TIMELINE_GROUP,
      topics: Object.keys(TOPICS) as Topic[],
      documentsOf: (event, record) => [timelineEntry(event, record, eventLog.logId)],
    },
  ];
  const subscriptions: Subscription[] = [];
  const lags = new Map<string, Map<number, number>>();
  let running = false;

  const subscribe = async (consumer: Consumer): Promise<void> => {
    const attempts = new Attempts();
    const subscription = await eventLog.subscribe({
      group: consumer.group,
      topics: consumer.topics,
      maxBatch: MAX_BATCH,
      onBatch: (batch) => handle(consumer, batch, attempts),
      onError: (error) =>
        log.error({ err: error, consumer: consumer.group }, 'a batch was not projected; it comes again'),
    });
    subscriptions.push(subscription);
  };

  const handle = async (consumer: Consumer, batch: Batch, attempts: Attempts): Promise<void> => {
    const first = batch.records[0];
    const last = batch.records.at(-1);
    if (first === undefined || last === undefined) return;
    const ours = batch.records.filter(isOurs);
    const dead = await attempts.count(first, (attempt) => take(consumer, ours, attempt));
    await bury(consumer, dead);
    const { topic, partition, endOffset } = batch;
    const next = last.offset + 1;
    await store([progressOf({ log: eventLog.logId, consumer: consumer.group, topic, partition, next })]);
    metrics.eventsHandled.inc({ consumer: consumer.group, outcome: 'handled' }, ours.length - dead.length);
    reportLag(consumer.group, topic, partition, endOffset - next);
  };

  /** Puts the newest documents of the records; answers the records that can never be put. */
  const take = async (
    consumer: Consumer,
    records: readonly StoredRecord[],
    attempt: number,
  ): Promise<readonly Dead[]> => {
    try {
      const puts: Put[] = [];
      const events: AnyEvent[] = [];
      const dead: Dead[] = [];
      for (const record of records) {
        try {
          const event = fromRecord(record);
          puts.push(...consumer.documentsOf(event, record));
          events.push(event);
        } catch (error) {
          if (!(error instanceof InvalidEvent)) throw error;
          dead.push({ record, error, attempts: 1 });
        }
      }
      await store(puts);
      if (log.isLevelEnabled('debug')) {
        for (const event of events) log.debug(aboutEvent(consumer.group, event), 'event projected');
      }
      return dead;
    } catch (error) {
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
    await countDead(group);
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

  const countDead = async (group: string): Promise<void> => {
    const filter = [{ field: 'consumer', is: { eq: group } }];
    metrics.deadLetters.set({ consumer: group }, await documents.count(PARKED, filter));
  };

  const reportLag = (consumer: string, topic: string, partition: number, lag: number): void => {
    const partitions = lags.get(`${consumer} ${topic}`) ?? new Map<number, number>();
    lags.set(`${consumer} ${topic}`, partitions.set(partition, lag));
    const sum = [...partitions.values()].reduce((total, one) => total + one, 0);
    metrics.consumerLag.set({ consumer, topic }, sum);
  };

  return {
    name: 'projector',
    async start() {
      await documents.ensureCollections(COLLECTIONS);
      for (const { group } of consumers) await countDead(group);
      for (const consumer of consumers) await subscribe(consumer);
      running = true;
    },
    checks: async () => [await checkDocuments(documents), { name: 'projector', ok: running }],
    async stop() {
      running = false;
      await Promise.all(subscriptions.splice(0).map((subscription) => subscription.stop()));
    },
  };
}

/** How often in a row a partition's batch, known by its first record, has been tried. */
class Attempts {
  private readonly failed = new Map<string, { readonly offset: number; readonly attempts: number }>();

  /** Counts failures of any kind but an engine's absence. */
  async count<T>({ topic, partition, offset }: StoredRecord, work: (attempt: number) => Promise<T>): Promise<T> {
    const place = `${topic} ${partition}`;
    const before = this.failed.get(place);
    const attempt = before?.offset === offset ? before.attempts + 1 : 1;
    try {
      const result = await work(attempt);
      this.failed.delete(place);
      return result;
    } catch (error) {
      if (!(error instanceof EngineUnavailable)) this.failed.set(place, { offset, attempts: attempt });
      throw error;
    }
  }
}

/** On the Wallet Core topics other services speak too; they know nothing of our headers, and their records are not ours to judge. */
function isOurs({ topic, headers }: StoredRecord): boolean {
  return (topic !== 'transactions' && topic !== 'balances') || (headers['ce_source'] ?? '').startsWith('tributary/');
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

function parkedOf(consumer: string, { record, error, attempts }: Dead, at: number): Put {
  const { topic, partition, offset } = record;
  const doc: ParkedDoc = { consumer, state: 'DEAD', error: messageOf(error), attempts, at, record };
  return { collection: PARKED, id: `${consumer}:${topic}:${partition}:${offset}`, version: 1, doc };
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(0, MAX_ERROR_LENGTH);
}
