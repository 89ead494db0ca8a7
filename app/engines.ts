import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { topicSpecs } from '../shared/events/catalogue.js';
import { openSqliteDatabase } from '../shared/database/sqlite.js';
import type { Database, DatabaseOptions } from '../shared/database/port.js';
import { openSqliteDocumentStore } from '../shared/document-store/sqlite.js';
import type { DocumentStore } from '../shared/document-store/port.js';
import { openSqliteEventLog } from '../shared/event-log/sqlite.js';
import type { EventLog } from '../shared/event-log/port.js';
import { SafeDatabase } from '../shared/libsql/libsql.js';

/** The three stores everything stands on. */
export interface Engines {
  readonly eventLog: EventLog;
  readonly documents: DocumentStore;
  readonly openDatabase: (options: DatabaseOptions) => Promise<Database>;
  /** Closes log and documents and gives the data folder free; databases are closed by whoever opened them. */
  close(): Promise<void>;
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

/**
 * The embedded engines: SQLite files in one folder, for one process at a time. `onFailure` hears of a disk that failed to
 * keep what was written; the process should end then, and the next start goes on from what is there.
 * @throws DataFolderInUse, DataFolderUnusable
 */
export async function openEmbeddedEngines(folder: string, onFailure?: (error: Error) => void): Promise<Engines> {
  const unlock = lockFolder(folder);
  try {
    const eventLog = openSqliteEventLog({ file: join(folder, 'event-log.sqlite'), onFailure });
    await eventLog.ensureTopics(topicSpecs());
    const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite'), onFailure });
    const retention = setInterval(() => {
      // What could not be dropped is dropped an hour later.
      eventLog.enforceRetention(Date.now()).catch(() => undefined);
    }, RETENTION_MS).unref();
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
function lockFolder(folder: string): () => void {
  let lock: SafeDatabase | undefined;
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
  return () => held.close();
}

const isBusy = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === 'SQLITE_BUSY';
