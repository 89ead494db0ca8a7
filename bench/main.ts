/**
 * `npm run bench`: measures the system on this machine and writes docs/benchmarks.md. On embedded engines, or with
 * `--engines` on Kafka, MySQL and MongoDB beside what the same servers do bare.
 */
import { execFileSync } from 'node:child_process';

execFileSync(process.execPath, ['ops/build.mjs'], { stdio: 'inherit' });
if (process.argv.includes('--engines')) await (await import('./engines.js')).benchEngines();
else await (await import('./embedded.js')).benchEmbedded();
