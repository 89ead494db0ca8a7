/**
 * Rebuilds and restarts whenever a source changes; Ctrl-C stops both. Packages stay outside this bundle, which makes a
 * rebuild a matter of milliseconds, and dist/ is left alone. Arguments are those of `npm start`.
 */
import { spawn } from 'node:child_process';
import { context } from 'esbuild';
import { COMMON } from './bundle.mjs';

const OUTPUT = 'node_modules/.cache/tributary/dev';

let child;
let stopping = false;
let restarting = Promise.resolve();

const exited = (process) =>
  process.exitCode !== null || process.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => process.once('exit', resolve));

async function stop() {
  if (child === undefined) return;
  child.kill('SIGTERM');
  await exited(child);
}

async function restart() {
  await stop();
  if (stopping) return;
  const args = ['--enable-source-maps', `${OUTPUT}/main.js`, ...process.argv.slice(2)];
  child = spawn(process.execPath, args, { stdio: 'inherit' });
}

const builder = await context({
  ...COMMON,
  entryPoints: ['app/main.ts'],
  outdir: OUTPUT,
  packages: 'external',
  plugins: [
    {
      name: 'restart',
      setup: (build) =>
        build.onEnd(({ errors }) => {
          // A build that failed leaves the running one alone; esbuild has printed why.
          if (errors.length === 0) restarting = restarting.then(restart);
        }),
    },
  ],
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    void restarting
      .then(stop)
      .then(() => builder.dispose())
      .then(() => process.exit(0));
  });
}
await builder.watch();
