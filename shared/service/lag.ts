import type { Subscription } from '../event-log/port.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';

/** How often the gauges follow the log: four requests a consumer, for somebody who comes to look every 15 s at most. */
const LAG_MS = 15_000; // 15 seconds

/**
 * Keeps the gauges of records that consumers have not yet dealt with, whoever of a group has the partitions; while the log
 * is away they stay as they are. Answers the function that ends it. `subscriptions` are by consumer, and may change.
 */
export function watchLag(
  subscriptions: ReadonlyMap<string, Subscription>,
  { log, metrics }: { readonly log: Logger; readonly metrics: Metrics },
): () => void {
  let measuring = false;
  const measure = async (): Promise<void> => {
    // A log that is away takes longer to say so than it is until the next time.
    if (measuring) return;
    measuring = true;
    for (const [consumer, subscription] of subscriptions) {
      try {
        const perTopic = new Map<string, number>();
        for (const { topic, lag } of await subscription.lag()) perTopic.set(topic, (perTopic.get(topic) ?? 0) + lag);
        for (const [topic, lag] of perTopic) metrics.consumerLag.set({ consumer, topic }, lag);
      } catch (error) {
        log.debug({ err: error, consumer }, 'lag not measured');
      }
    }
    measuring = false;
  };
  const timer = setInterval(() => void measure(), LAG_MS).unref();
  return () => clearInterval(timer);
}
