/** Runs a TypeScript file: `node ops/run.mjs bench/main.ts [arguments]`. Packages are loaded from node_modules as they are. */
import { spawn } from 'node:child_process';
import { build } from 'esbuild';
import { COMMON } from './bundle.mjs';

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) {
  console.error('Which file? node ops/run.mjs <file.ts> [arguments]');
  process.exit(2);
}
const outfile = `node_modules/.cache/tributary/${entry.replace(/\.ts$/, '').replace(/[^\w-]+/g, '-')}.mjs`;
await build({ ...COMMON, entryPoints: [entry], outfile, packages: 'external' }).catch(() => process.exit(1));

const child = spawn(process.execPath, ['--enable-source-maps', outfile, ...args], { stdio: 'inherit' });
// Ctrl-C reaches the child by itself; this process only waits for it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
