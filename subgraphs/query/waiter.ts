import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';

/** How often a collection is looked at while somebody waits for it. */
const POLL_MS = 10;

interface Waiting {
  readonly id: string;
  readonly minVersion: number;
  /** In the time of performance.now(). */
  readonly deadline: number;
  readonly resolve: (found: Versioned<object> | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Waits for documents to reach a version. All who wait for a collection, whatever their request, share one `getMany`
 * every 10 ms. Polling instead of a signal from the projector works as well when that is another process.
 */
export class Waiter {
  private readonly waiting = new Map<string, Set<Waiting>>();
  private closed = false;

  constructor(private readonly documents: DocumentStore) {}

  /**
   * The document at `minVersion` or newer as soon as it is there; after `timeoutMs` whatever is there, or null.
   * Rejects with `EngineUnavailable` when the store is away or the waiter was closed.
   */
  waitFor<D extends object>(
    collection: string,
    id: string,
    minVersion: number,
    timeoutMs: number,
  ): Promise<Versioned<D> | null> {
    return new Promise<Versioned<object> | null>((resolve, reject) => {
      if (this.closed) throw stopping();
      const entry = { id, minVersion, deadline: performance.now() + timeoutMs, resolve, reject };
      const others = this.waiting.get(collection);
      if (others !== undefined) {
        others.add(entry);
        return;
      }
      const entries = new Set([entry]);
      this.waiting.set(collection, entries);
      void this.poll(collection, entries);
    }) as Promise<Versioned<D> | null>;
  }

  /** Sends away whoever still waits. */
  close(): Promise<void> {
    this.closed = true;
    for (const entries of this.waiting.values()) fail(entries, stopping());
    return Promise.resolve();
  }

  private async poll(collection: string, entries: Set<Waiting>): Promise<void> {
    while (entries.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      // Those who come while the store answers were not asked for.
      const asked = [...entries];
      try {
        const ids = [...new Set(asked.map(({ id }) => id))];
        const found = await this.documents.getMany<object>(collection, ids);
        const now = performance.now();
        for (const entry of asked) {
          const there = found.get(entry.id) ?? null;
          if ((there?.version ?? 0) < entry.minVersion && now < entry.deadline) continue;
          entries.delete(entry);
          entry.resolve(there);
        }
      } catch (error) {
        for (const entry of asked) entries.delete(entry);
        fail(asked, error);
      }
    }
    this.waiting.delete(collection);
  }
}

function fail(entries: Iterable<Waiting>, error: unknown): void {
  for (const entry of entries) entry.reject(error);
}

const stopping = (): EngineUnavailable => new EngineUnavailable('read side', new Error('It is stopping.'));
