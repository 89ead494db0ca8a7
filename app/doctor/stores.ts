import type { Database } from '../../shared/database/port.js';
import type { DocumentStore } from '../../shared/document-store/port.js';
import type { WriteSubgraphName } from '../toolbox.js';
import type { LogView } from './log-view.js';

/** The clock of a server. */
export interface Clock {
  readonly title: string;
  /** Milliseconds since the epoch. */
  read(): Promise<number>;
}

/**
 * The stores as they are found: opening one makes and changes nothing. Each is opened once, and rejects as its engine does;
 * null means that there is none, which nobody has made yet.
 */
export interface Stores {
  /** For people: `MySQL at mysql://db:3306`, and the setting that names it. */
  readonly titles: Readonly<Record<'databases' | 'eventLog' | 'documents', { title: string; variable: string }>>;
  /** Whether a process uses them at this moment; null where that cannot be seen. */
  readonly inUse: boolean | null;
  /** As it is, with or without tables. */
  database(subgraph: WriteSubgraphName): Promise<Database | null>;
  eventLog(): Promise<LogView | null>;
  documents(): Promise<DocumentStore | null>;
  /** Collections with the names of their indexes; null where those are made with the file. */
  collections(): Promise<ReadonlyMap<string, readonly string[]> | null>;
  readonly clocks: readonly Clock[];
  close(): Promise<void>;
}

/** Opens each thing once, however often it is asked for, and closes the last one first. */
export class Opened {
  private readonly things = new Map<string, Promise<{ close(): Promise<void> } | null>>();

  once<T extends { close(): Promise<void> }>(name: string, open: () => Promise<T | null>): Promise<T | null> {
    const known = this.things.get(name) as Promise<T | null> | undefined;
    const one = known ?? open();
    if (known === undefined) this.things.set(name, one);
    return one;
  }

  async close(): Promise<void> {
    for (const opening of [...this.things.values()].reverse()) {
      const one = await opening.catch(() => null);
      await one?.close().catch(() => undefined);
    }
    this.things.clear();
  }
}
