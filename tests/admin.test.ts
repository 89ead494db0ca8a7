import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminSuite } from './admin-suite.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-admin-'));

adminSuite({ DATA_DIR: folder }, () => rm(folder, { recursive: true, force: true }));
