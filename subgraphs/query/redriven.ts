import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import type { Logger } from '../../shared/observability/logger.js';
import { Waker } from '../../shared/outbox/waker.js';
import { PARKED, type ParkedDoc } from './views.js';

/** How often is asked for records that somebody sent back. */
const POLL_MS = 2_000;

/** Records tried at once. */
const BATCH = 100;

export interface RedrivenOptions {
  readonly documents: DocumentStore;
  readonly groups: readonly string[];
  readonly log: Logger;
  /** Tries records of a group again; answers the ids of those that worked. What failed again it has parked again. */
  readonly retry: (group: string, parked: readonly Versioned<ParkedDoc>[]) => Promise<readonly string[]>;
  /** Brings the gauges up to date. */
  readonly count: () => Promise<void>;
}

/**
 * Tries parked records again that people sent back with `tributary dlq redrive`: documents in the state WAITING. Several
 * projectors may try the same one; like everything a projector does, that is the same as once. One that ends in between
 * leaves the document for the next.
 */
export class Redriven {
  private readonly waker = new Waker();
  private running: Promise<void> | null = null;
  private stopped = false;

  constructor(private readonly options: RedrivenOptions) {}

  start(): void {
    this.running ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waker.wake();
    await this.running;
  }

  private async run(): Promise<void> {
    const { groups, count, log } = this.options;
    while (!this.stopped) {
      try {
        for (const group of groups) await this.retryAll(group);
        await count();
      } catch (error) {
        const away = error instanceof EngineUnavailable;
        log[away ? 'debug' : 'error']({ err: error }, 'parked records could not be looked after; trying again');
      }
      await this.waker.sleep(POLL_MS);
    }
  }

  private async retryAll(group: string): Promise<void> {
    const { documents, retry } = this.options;
    while (!this.stopped) {
      const waiting = await documents.find<ParkedDoc>(PARKED, {
        filter: [
          { field: 'consumer', is: { eq: group } },
          { field: 'state', is: { eq: 'WAITING' } },
        ],
        sort: { field: 'at', direction: 'asc' },
        limit: BATCH,
      });
      if (waiting.length === 0) return;
      await documents.remove(PARKED, await retry(group, waiting));
    }
  }
}
