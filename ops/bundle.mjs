/** What every bundle of ours has in common: ES modules for Node 20; `.graphql` files, and those for the browser, as text. */
import { readFileSync } from 'node:fs';

// CommonJS packages inside the bundle expect these three.
const BANNER = [
  `import { createRequire as bundleRequire } from 'node:module';`,
  `import { dirname as bundleDirname } from 'node:path';`,
  `import { fileURLToPath as bundlePath } from 'node:url';`,
  `const require = bundleRequire(import.meta.url);`,
  `const __filename = bundlePath(import.meta.url);`,
  `const __dirname = bundleDirname(__filename);`,
].join('\n');

/** esbuild's options without entry and output. */
export const COMMON = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  sourcemap: true,
  loader: { '.graphql': 'text', '.html': 'text', '.css': 'text', '.svg': 'text', '.page.js': 'text' },
  logLevel: 'warning',
};

/** For dist/: packages are bundled too, which halves the start-up time. */
export function distOptions() {
  // TypeORM asks for the drivers of every database there is; what it does ask for at run time comes from node_modules.
  const { peerDependencies } = JSON.parse(readFileSync('node_modules/typeorm/package.json', 'utf8'));
  return {
    ...COMMON,
    entryPoints: ['app/main.ts'],
    outdir: 'dist',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    // `main` first: graphql must be one copy, and what requires it gets the CommonJS one.
    mainFields: ['main', 'module'],
    banner: { js: BANNER },
    // libsql loads a native file, render-graphiql is 49 MB of one page, pino-pretty is for terminals.
    external: ['libsql', '@graphql-yoga/render-graphiql', 'pino-pretty', ...Object.keys(peerDependencies)],
    metafile: true,
  };
}
