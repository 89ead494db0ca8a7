import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteDocumentStore } from '../document-store/sqlite.js';
import { documentLettersContract } from './contract-documents.js';

documentLettersContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-letters-'));
  return {
    store: openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') }),
    dispose: () => rm(folder, { recursive: true }),
  };
});
