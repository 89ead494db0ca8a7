import type { Config } from '../shared/config/config.js';
import type { Database } from '../shared/database/port.js';
import type { DocumentStore } from '../shared/document-store/port.js';
import type { Logger } from '../shared/observability/logger.js';
import type { EngineName, Engines } from './engines.js';

/** The subgraphs that have a database of their own. */
export const WRITE_SUBGRAPHS = ['user', 'product', 'order', 'balance'] as const;
export type WriteSubgraphName = (typeof WRITE_SUBGRAPHS)[number];

/** What a command works with. Engines are opened when first asked for, beside a running system, and closed by the entry. */
export interface Toolbox {
  readonly config: Config;
  readonly log: Logger;
  engines(needs?: readonly EngineName[]): Promise<Engines>;
  /** The documents alone, which are there while the log is away. */
  documents(): Promise<DocumentStore>;
  /** A write subgraph's database as it is, not migrated, and alone: log and documents may be away. */
  database(subgraph: WriteSubgraphName): Promise<Database>;
  /** A line on standard output. */
  readonly print: (text: string) => void;
  /** Asks on a terminal; false where nobody can answer. */
  confirm(question: string): Promise<boolean>;
}

/** A mistake of whoever called the command: the message says what to do instead; the exit code is 2. */
export class UserError extends Error {
  override readonly name = 'UserError';
}
