/**
 * `npm run test:compose`: runs docker-compose.yml as it is and plays the main flow against its published ports. With Docker
 * where its engine answers; otherwise with real Docker Compose on podman, and images made here in place of the official
 * ones. Options: `--keep` leaves everything running.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { installEngines } from '../engines/api.mjs';
import { cacheFolder } from '../engines/folders.mjs';
import { debianFolder, ferretdbProgram, kafkaFolder } from '../engines/install.mjs';
import { composeCommand, hasDocker } from './compose-cli.mjs';
import { Podman } from './podman.mjs';

const PROJECT = `tributary-test-${process.pid}`;
const keep = process.argv.includes('--keep');

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return String(port);
}

/** Runs a command to its end; rejects where it fails. */
function run([command, ...args], env) {
  const begun = performance.now();
  const child = spawn(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const what = args.filter((arg) => arg !== PROJECT && arg !== '-p').join(' ');
      console.log(
        `${code === 0 ? 'ok    ' : 'FAILED'}  ${what} (${((performance.now() - begun) / 1000).toFixed(0)} s)`,
      );
      if (code === 0) resolve();
      else reject(new Error(`${what} ended with ${code}.`));
    });
  });
}

async function onPodman(work) {
  const cache = cacheFolder();
  await installEngines({ report: console.log });
  const podman = new Podman();
  try {
    await podman.start({
      rootfs: debianFolder(cache),
      kafka: join(kafkaFolder(cache), 'libs'),
      ferretdb: ferretdbProgram(cache),
    });
    const stopWatching = podman.watchHealth(PROJECT);
    await work({ ...podman.env, ...podman.images }).finally(stopWatching);
  } finally {
    await podman.stop();
  }
}

/** What a person does with the file, and what must come of it. */
async function play(engine) {
  const [GATEWAY_PORT, REST_PORT] = [await freePort(), await freePort()];
  const env = { ...engine, GATEWAY_PORT, REST_PORT };
  const compose = (...args) => run([...composeCommand(), '-p', PROJECT, ...args], env);
  const flow = () =>
    run(
      [
        process.execPath,
        'ops/run.mjs',
        'tests/play-main-flow.ts',
        `http://127.0.0.1:${GATEWAY_PORT}`,
        `http://127.0.0.1:${REST_PORT}`,
      ],
      process.env,
    );
  try {
    await compose('build', 'tributary');
    await compose('up', '-d');
    await flow();
    await compose('--profile', 'scaled', 'up', '-d');
    await flow();
    await compose('run', '--rm', '--no-deps', 'tributary', 'dlq', 'list');
    await compose('run', '--rm', '--no-deps', 'tributary', 'outbox', 'status');
    // The time limit is the file's, said again: podman takes a restart without one for a SIGKILL (containers/podman#29276).
    await compose('restart', '-t', '20', 'gateway', 'order-api', 'order-worker', 'projector', 'query-api');
    await flow();
  } catch (error) {
    await compose('ps', '-a').catch(() => undefined);
    await compose('logs', '--tail', '20').catch(() => undefined);
    throw error;
  } finally {
    if (!keep) await compose('--profile', 'scaled', 'down', '-v', '--remove-orphans', '-t', '20');
  }
}

const begun = performance.now();
try {
  await (hasDocker() ? play(process.env) : onPodman(play));
  console.log(`docker-compose.yml works (${((performance.now() - begun) / 1000).toFixed(0)} s)`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
