import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../shared/config/config.js';
import type { Database, DatabaseOptions } from '../shared/database/port.js';
import type { DocumentStore } from '../shared/document-store/port.js';
import type { EventLog } from '../shared/event-log/port.js';
import { topicSpecs } from '../shared/events/catalogue.js';
import type { Logger } from '../shared/observability/logger.js';
import { UserError } from './toolbox.js';

/** The three stores everything stands on. */
export interface Engines {
  readonly eventLog: EventLog;
  readonly documents: DocumentStore;
  readonly openDatabase: (options: DatabaseOptions) => Promise<Database>;
  /** Closes log and documents and gives the data folder free; databases are closed by whoever opened them. */
  close(): Promise<void>;
}

export type EngineName = 'database' | 'eventLog' | 'documents';

export const ALL_ENGINES: readonly EngineName[] = ['database', 'eventLog', 'documents'];

export interface OpenOptions {
  /** Who we are to the servers: `order-worker`. */
  readonly clientId: string;
  /** Which of those, over all its lives: see `KafkaEventLogOptions`. */
  readonly instanceId?: string | undefined;
  readonly log: Logger;
  /** Those that will be used; servers that are not needed are not connected to, so they may be away. All when absent. */
  readonly needs?: readonly EngineName[];
  /** Beside a system that runs, which has made the topics; with files see `openEmbeddedEngines`. */
  readonly shared?: boolean;
  /** Hears of a disk that failed; with servers there is none. The process should end then. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * Opens the engines that the settings name, and makes the topics that are missing. Waits for servers that are away as long
 * as START_TIMEOUT_MS says.
 * @throws DataFolderInUse, DataFolderUnusable, UserError, EngineAway, EngineRefused
 */
export async function openEngines(
  { engines, startTimeoutMs }: Pick<Config, 'engines' | 'startTimeoutMs'>,
  options: OpenOptions,
): Promise<Engines> {
  if (engines.kind === 'embedded') return openEmbeddedEngines(engines.dataDir, options);
  const { openServers } = await import('./servers.js');
  return openServers(engines, startTimeoutMs, options);
}

/** How often records past their topic's retention are dropped. */
const RETENTION_MS = 3_600_000; // an hour

/** Another process works in the same data folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse';
  constructor(readonly folder: string) {
    super(`Another Tributary is using ${folder}. Stop it, or give this one a folder of its own with DATA_DIR.`);
  }
}

/** The data folder cannot be made, read or written, or holds something else. */
export class DataFolderUnusable extends Error {
  override readonly name = 'DataFolderUnusable';
  constructor(folder: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`The data folder ${folder} cannot be used: ${why}. Set DATA_DIR to one that can be written.`, { cause });
  }
}

export interface EmbeddedOptions {
  /**
   * Beside the process that has the folder: without its lock, without retention, and with an event log that can be read
   * only, since the other process alone knows which offset comes next. There must be data already.
   */
  readonly shared?: boolean;
  /** Hears of a disk that failed to keep what was written; the next start goes on from what is there. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * The embedded engines: SQLite files in one folder, for one process at a time.
 * @throws DataFolderInUse, DataFolderUnusable; UserError where `shared` finds no data
 */
export async function openEmbeddedEngines(
  folder: string,
  { shared = false, onFailure }: EmbeddedOptions = {},
): Promise<Engines> {
  // Processes on servers do without them.
  const { openSqliteEventLog } = await import('../shared/event-log/sqlite.js');
  const { openSqliteDocumentStore } = await import('../shared/document-store/sqlite.js');
  const { openSqliteDatabase } = await import('../shared/database/sqlite.js');
  const logFile = join(folder, 'event-log.sqlite');
  if (shared && !existsSync(logFile)) {
    throw new UserError(`There is no data in ${folder} yet. Start Tributary first, or name its folder with DATA_DIR.`);
  }
  const unlock = shared ? () => undefined : await lockFolder(folder);
  try {
    const eventLog = openSqliteEventLog({ file: logFile, onFailure });
    if (!shared) await eventLog.ensureTopics(topicSpecs());
    const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite'), onFailure });
    const retention = shared
      ? undefined
      : setInterval(() => {
          // What could not be dropped is dropped an hour later.
          eventLog.enforceRetention(Date.now()).catch(() => undefined);
        }, RETENTION_MS).unref();
    if (shared)
      eventLog.append = () => Promise.reject(new Error('The process that has the data folder writes its log.'));
    return {
      eventLog,
      documents,
      openDatabase: (options) =>
        openSqliteDatabase({ ...options, file: join(folder, `${options.name}.sqlite`), onFailure }),
      async close() {
        clearInterval(retention);
        await eventLog.close();
        await documents.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Holds SQLite's own file lock, which the operating system takes back however the process ends. */
async function lockFolder(folder: string): Promise<() => void> {
  const { SafeDatabase } = await import('../shared/libsql/libsql.js');
  let lock: InstanceType<typeof SafeDatabase> | undefined;
  try {
    mkdirSync(folder, { recursive: true });
    lock = new SafeDatabase(join(folder, 'lock.sqlite'));
    lock.pragma('busy_timeout = 0');
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock?.close();
    throw isBusy(error) ? new DataFolderInUse(folder) : new DataFolderUnusable(folder, error);
  }
  const held = lock;
  return () => {
    // Closing alone would wait for every statement to be collected.
    held.exec('ROLLBACK');
    held.close();
  };
}

const isBusy = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === 'SQLITE_BUSY';
