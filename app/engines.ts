import { join } from 'node:path';
import { topicSpecs } from '../shared/events/catalogue.js';
import { openSqliteDatabase } from '../shared/database/sqlite.js';
import type { Database, DatabaseOptions } from '../shared/database/port.js';
import { openSqliteDocumentStore } from '../shared/document-store/sqlite.js';
import type { DocumentStore } from '../shared/document-store/port.js';
import { openSqliteEventLog } from '../shared/event-log/sqlite.js';
import type { EventLog } from '../shared/event-log/port.js';
import { openSqlite } from '../shared/libsql/libsql.js';

/** The three stores everything stands on. */
export interface Engines {
  readonly eventLog: EventLog;
  readonly documents: DocumentStore;
  readonly openDatabase: (options: DatabaseOptions) => Promise<Database>;
  /** Closes log and documents and gives the data folder free; databases are closed by whoever opened them. */
  close(): Promise<void>;
}

/** Another process works in the same data folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse';
  constructor(readonly folder: string) {
    super(`Another Tributary is using ${folder}. Stop it, or give this one a folder of its own with DATA_DIR.`);
  }
}

/**
 * The embedded engines: SQLite files in one folder, for one process at a time.
 * @throws DataFolderInUse
 */
export async function openEmbeddedEngines(folder: string): Promise<Engines> {
  const unlock = lockFolder(folder);
  try {
    const eventLog = openSqliteEventLog({ file: join(folder, 'event-log.sqlite') });
    await eventLog.ensureTopics(topicSpecs());
    const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
    return {
      eventLog,
      documents,
      openDatabase: (options) => openSqliteDatabase({ ...options, file: join(folder, `${options.name}.sqlite`) }),
      async close() {
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
  const lock = openSqlite(join(folder, 'lock.sqlite'));
  try {
    lock.pragma('busy_timeout = 0');
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
  } catch {
    lock.close();
    throw new DataFolderInUse(folder);
  }
  return () => lock.close();
}
