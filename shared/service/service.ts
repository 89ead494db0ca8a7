import type { Database, DatabaseOptions } from '../database/port.js';
import type { DocumentStore } from '../document-store/port.js';
import type { EventLog } from '../event-log/port.js';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail?: string;
}

/** An API or a worker: something that runs on its own and can be asked how it is. */
export interface Service {
  /** `order-api`, `order-worker`, `projector`. */
  readonly name: string;
  /** Resolves when it serves. */
  start(): Promise<void>;
  /** What it depends on, for /readyz. */
  checks(): Promise<readonly Check[]>;
  /** Takes no new work, finishes what is in hand. Safe to call twice. */
  stop(): Promise<void>;
}

/** What the composition root hands to a write subgraph. */
export interface SubgraphDeps {
  readonly config: Config;
  readonly identitySecret: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly eventLog: EventLog;
  /** Opens the subgraph's own database; migrations are run by the caller of `migrate`. */
  readonly openDatabase: (options: DatabaseOptions) => Promise<Database>;
}

export interface QueryDeps extends Omit<SubgraphDeps, 'openDatabase'> {
  readonly documents: DocumentStore;
  /** Where the keys of access tokens are published, asked for when first needed; by the settings when absent. */
  readonly jwksUrl?: () => URL;
}

/** A subgraph's two halves; they scale and deploy apart and share nothing but the database. */
export interface Subgraph {
  readonly api: Service;
  readonly worker: Service;
  /** After both have stopped: closes the database. */
  close(): Promise<void>;
}
