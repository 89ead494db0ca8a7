import { openSqliteDocumentStore } from './sqlite.js';

/**
 * Run by sqlite.test.ts and killed there: puts as fast as it can and prints each version once its put has resolved.
 * Several writers at once, so that commits are shared.
 */
const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('The file of the store is missing.');
const store = openSqliteDocumentStore({ file });
await store.ensureCollections([{ name: 'things', indexes: [{ fields: ['writer', 'version'] }] }]);
await Promise.all(
  [0, 1, 2, 3].map(async (writer) => {
    for (let version = 1; ; version += 1) {
      const doc = { writer, version, all: new Array<number>(100).fill(version) };
      await store.putIfNewer('things', [
        { id: `latest-${writer}`, version, doc },
        { id: `${writer}-${version}`, version, doc },
      ]);
      process.stdout.write(`${writer} ${version}\n`);
    }
  }),
);
