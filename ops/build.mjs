/** Bundles app/main.ts and everything it needs into dist/, in parts, so that what is not used is not loaded. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { distOptions } from './bundle.mjs';
import { BUILD_STAMP, sourceStamp } from './stamp.mjs';

/** Removes what earlier builds left and this one did not write. */
async function removeStale({ outputs }) {
  const entries = await readdir('dist', { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const stale = files.filter((file) => !(file in outputs) && file !== BUILD_STAMP);
  await Promise.all(stale.map((file) => rm(file, { force: true })));
}

// Taken first: a source that changes meanwhile makes the next start build again.
const stamp = sourceStamp();
await rm(BUILD_STAMP, { force: true });
const { metafile } = await build(distOptions()).catch(() => process.exit(1)); // esbuild has printed why
await removeStale(metafile);
await writeFile(BUILD_STAMP, stamp);
