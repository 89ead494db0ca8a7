/** The two insides of kafkajs that the event log needs and its package does not type. */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    /** Milliseconds since the epoch; -1 when the broker asked for no pause. */
    readonly throttledUntil: number;
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    checkPendingRequests(): void;
    scheduleCheckPendingRequests(): void;
  }
}

declare module 'kafkajs/src/consumer/batch.js' {
  import type { KafkaMessage } from 'kafkajs';

  /** What a fetch brought for a partition, without control records and what was rolled back. */
  export default class Batch {
    constructor(topic: string, fetchedOffset: string, partition: unknown);
    readonly rawMessages: readonly unknown[];
    readonly messages: readonly KafkaMessage[];
    readonly highWatermark: string;
    lastOffset(): string;
  }
}
