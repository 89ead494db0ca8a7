import type { DocumentStore } from '../../shared/document-store/port.js';
import type { EventLog } from '../../shared/event-log/port.js';
import type { Topic } from '../../shared/events/catalogue.js';
import type { Staleness } from '../../shared/graphql/server.js';
import { VIEW_TOPICS, VIEWS_GROUP, watermark } from './views.js';

export interface StalenessDeps {
  readonly documents: DocumentStore;
  readonly eventLog: Pick<EventLog, 'ranges' | 'logId'>;
  /** When the record there was appended, milliseconds since the epoch; undefined where nobody has it at hand. */
  readonly appendedAt: (topic: Topic, partition: number, offset: number) => number | undefined;
  readonly now: () => number;
}

/**
 * How far the views are behind the log at the moment. Asks log and store, so it is for those who want to know. What is
 * stored of a projector's progress is up to half a second old, so a view may be said to lack what it just got.
 */
export async function stalenessOf({ documents, eventLog, appendedAt, now }: StalenessDeps): Promise<Staleness> {
  const lags = await Promise.all(
    VIEW_TOPICS.map(async (topic) => {
      // In this order: a record that comes in between must not count as met.
      const ranges = await eventLog.ranges(topic);
      const reached = await watermark(documents, eventLog.logId, VIEWS_GROUP, topic);
      return ranges.flatMap(({ partition, first, next }) => {
        const from = Math.max(first, reached.get(partition) ?? 0);
        return from < next ? [{ records: next - from, since: appendedAt(topic, partition, from) }] : [];
      });
    }),
  );
  const behind = lags.flat();
  const records = behind.reduce((sum, lag) => sum + lag.records, 0);
  const times = behind.flatMap(({ since }) => since ?? []);
  if (times.length < behind.length) return { records, milliseconds: null };
  return { records, milliseconds: records === 0 ? 0 : Math.max(0, now() - Math.min(...times)) };
}
