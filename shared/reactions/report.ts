import type { AnyEvent } from '../events/event.js';
import type { StoredRecord } from '../event-log/port.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import { aboutEvent } from '../observability/trace.js';
import type { Message } from './message.js';

/** Tells, in log and metrics, what became of a consumer's messages; always after the commit. */
export class Report {
  constructor(
    private readonly consumer: string,
    private readonly log: Logger,
    private readonly metrics: Metrics,
  ) {}

  handled(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    this.metrics.eventsHandled.inc({ consumer: this.consumer, outcome: 'handled' }, messages.length);
    if (!this.log.isLevelEnabled('info')) return;
    for (const { event } of messages) this.log.info(this.about(event), 'event handled');
  }

  repeated(count: number): void {
    if (count > 0) this.metrics.eventsHandled.inc({ consumer: this.consumer, outcome: 'repeated' }, count);
  }

  queued(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    this.metrics.eventsHandled.inc({ consumer: this.consumer, outcome: 'parked' }, messages.length);
    for (const { event } of messages) this.log.info(this.about(event), 'event waits behind an earlier one of its key');
  }

  /** The message failed for the `attempt`-th time. */
  failed(outcome: 'parked' | 'dead', { event }: Message, error: unknown, attempt: number): void {
    if (outcome === 'dead' || attempt === 1) this.metrics.eventsHandled.inc({ consumer: this.consumer, outcome });
    const line = { ...this.about(event), attempt, err: error };
    if (outcome === 'dead') this.log.error(line, 'event is dead; a copy went to the dead-letter topic');
    else this.log.warn(line, 'event failed and will be tried again');
  }

  unreadable({ topic, partition, offset }: StoredRecord, error: unknown): void {
    this.metrics.eventsHandled.inc({ consumer: this.consumer, outcome: 'dead' });
    const line = { consumer: this.consumer, topic, partition, offset, err: error };
    this.log.error(line, 'record cannot be read; a copy went to the dead-letter topic');
  }

  private about(event: AnyEvent) {
    return aboutEvent(this.consumer, event);
  }
}
