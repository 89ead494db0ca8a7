import { constants, existsSync, rmSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteDatabase } from '../../shared/database/sqlite.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import { LogFile } from '../../shared/event-log/log-file.js';
import { SafeDatabase } from '../../shared/libsql/libsql.js';
import { NotChecked } from './check.js';
import { FileView } from './log-view.js';
import { Opened, type Stores } from './stores.js';

/**
 * The embedded engines' files, without a change to any of them. While a process has the folder they are read beside it, as
 * tools do. While nobody has it, opening them would take up what a crash has left, or make the files of a log: so copies
 * are opened, in a folder of their own, which `close` removes, or the end of this process. Rejects with NotChecked where there
 * is no room for them.
 * @param temporary where that folder is made
 */
export async function openFolder(folder: string, temporary = tmpdir()): Promise<Stores> {
  let inUse = isInUse(folder);
  const copies = inUse || !existsSync(folder) ? undefined : await copied(folder, temporary);
  // Whoever began to use it meanwhile may have written between two copies.
  inUse ||= isInUse(folder);
  const place = inUse || copies === undefined ? folder : copies.folder;
  const opened = new Opened();
  const once = <T extends { close(): Promise<void> }>(name: string, open: (file: string) => Promise<T>) =>
    opened.once(name, async () => {
      const file = join(place, `${name}.sqlite`);
      return existsSync(file) ? open(file) : null;
    });
  const title = `the data folder ${folder}`;
  const named = { title, variable: 'DATA_DIR' };
  return {
    titles: { databases: named, eventLog: named, documents: named },
    inUse,
    database: (subgraph) => {
      const name = `tributary_${subgraph}`;
      return once(name, (file) => openSqliteDatabase({ name, migrations: [], file }));
    },
    eventLog: () => once('event-log', async (file) => new FileView(new LogFile(file))),
    documents: () => once('documents', async (file) => openSqliteDocumentStore({ file })),
    collections: () => Promise.resolve(null),
    clocks: [],
    async close() {
      await opened.close();
      copies?.remove();
    },
  };
}

/** Whether a process holds the folder's lock. Looking at it holds nothing. */
function isInUse(folder: string): boolean {
  const file = join(folder, 'lock.sqlite');
  if (!existsSync(file)) return false;
  const lock = new SafeDatabase(file);
  try {
    lock.pragma('busy_timeout = 0');
    lock.exec('BEGIN');
    lock.statement('SELECT COUNT(*) FROM sqlite_master').all();
    lock.exec('ROLLBACK');
    return false;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'SQLITE_BUSY') return true;
    throw error;
  } finally {
    lock.close();
  }
}

interface Copies {
  readonly folder: string;
  remove(): void;
}

/** The files with what a crash has left beside them; where the disk can share blocks they take no room. */
async function copied(folder: string, temporary: string): Promise<Copies> {
  const names = (await readdir(folder)).filter((name) => name !== 'lock.sqlite' && /\.sqlite(-wal)?$/.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  const { bavail, bsize } = await statfs(temporary);
  if (sizes.reduce((sum, size) => sum + size, 0) > bavail * bsize) {
    throw new NotChecked(`there is no room for a copy in ${temporary}; TMPDIR names another folder for it`);
  }
  const copies = await mkdtemp(join(temporary, 'tributary-doctor-'));
  const clear = (): void => rmSync(copies, { recursive: true, force: true });
  // All data is in it: it goes, also when nobody waits for what copies for too long.
  process.once('exit', clear);
  const remove = (): void => {
    process.off('exit', clear);
    clear();
  };
  try {
    for (const name of names) await copyFile(join(folder, name), join(copies, name), constants.COPYFILE_FICLONE);
    return { folder: copies, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
