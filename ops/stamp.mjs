/** What dist/ was built from, cheap to tell: no dependency, a few milliseconds. */
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['app', 'gateway', 'shared', 'subgraphs'];
const FILES = ['ops/build.mjs', 'ops/bundle.mjs', 'supergraph.graphql', 'package-lock.json'];

export const BUILD_STAMP = 'dist/.stamp';

/** A hash of path, size and time of change of every file the bundle is made of. */
export function sourceStamp() {
  const hash = createHash('sha256');
  const add = (file) => {
    const { mtimeMs, size } = statSync(file, { throwIfNoEntry: false }) ?? {};
    hash.update(`${file} ${mtimeMs} ${size}\n`);
  };
  for (const folder of SOURCES) {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'));
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .forEach(add);
  }
  FILES.forEach(add);
  return hash.digest('hex');
}
