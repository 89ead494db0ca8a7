/** Engines as a whole and one by one, for the command line and for tests that break them. See api.d.mts. */
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tail } from './commands.mjs';
import { cacheFolder, DEFAULT_INSTANCE, instanceFolders } from './folders.mjs';
import { install } from './install.mjs';
import { withLock } from './lock.mjs';
import { end, isAlive, isPaused, kill, launch, signal as send } from './processes.mjs';
import { createProgress } from './progress.mjs';
import { removeFolder } from './removal.mjs';
import { ENGINES, engineNames, SERVERS } from './servers.mjs';
import { choosePorts, occupied, PORTS, readEnv, readState, removeEnv, urlsOf, writeEnv, writeState } from './state.mjs';

const SERVE_LIMIT_MS = 120_000;
const PROBE_EVERY_MS = 100;

const quiet = () => undefined;

const busyInstalling = (report) => () => report('Somebody else installs the engines; waiting …');

/** What this program puts into the cache folder. */
const INSTALLED = /^(kafka-.*|ferretdb-.*|root|mariadb-.*|data|install-.*\.log|.*\.unfinished)$/;

export const ENGINE_NAMES = Object.keys(ENGINES);

const locked = (folders, { report = quiet, signal }, work) =>
  withLock(
    folders.data,
    { signal, busy: () => report('Somebody else starts or stops these engines; waiting …') },
    work,
  );

/** Starts a server that does not run, and answers when it serves. Whether it was started is told by `launched`. */
async function bringUp(name, { folders, state, signal, launched }) {
  const server = SERVERS[name];
  const place = { ...folders, ports: state.ports, log: folders.log(name), signal };
  const process = state.processes[name];
  if (isAlive(process)) {
    send(process, 'SIGCONT');
  } else {
    await server.prepare(place);
    signal?.throwIfAborted();
    state.processes[name] = launch(server.command(place), place.log, folders.data);
    writeState(folders.state, state);
    launched.push(name);
  }
  await untilServing(name, place, state.processes[name]);
}

async function untilServing(name, place, process) {
  const deadline = Date.now() + SERVE_LIMIT_MS;
  for (;;) {
    try {
      return await SERVERS[name].probe(place);
    } catch (error) {
      place.signal?.throwIfAborted();
      const why = isAlive(process) ? Date.now() > deadline && `does not serve: ${error.message}` : 'ended';
      if (why) throw new Error(`${name} ${why}. The end of ${place.log}:\n${tail(place.log)}`, { cause: error });
    }
    await delay(PROBE_EVERY_MS, undefined, { signal: place.signal });
  }
}

async function bringUpEngine(engine, context) {
  for (const server of ENGINES[engine]) await bringUp(server, context);
}

async function bringDown(names, { folders, state }) {
  for (const name of [...names].reverse()) {
    const process = state.processes[name];
    if (process !== undefined) await end(process, SERVERS[name].endSignal);
    delete state.processes[name];
    writeState(folders.state, state);
  }
}

/** Ports that are remembered stay, unless something else has taken one while the engines were stopped. */
async function settlePorts(folders, state) {
  if (Object.values(state.processes).some(isAlive)) return;
  state.processes = {};
  for (const name of await occupied(state.ports)) delete state.ports[name];
  const wanted = PORTS.filter((name) => state.ports[name] === undefined);
  Object.assign(state.ports, await choosePorts(folders.state, wanted));
  writeState(folders.state, state);
}

async function startAll(folders, state, { progress, signal }) {
  const launched = [];
  const context = { folders, state, signal, launched };
  const names = engineNames(folders.cache);
  const start = async (engine) => {
    progress.step(engine, 'starting');
    await bringUpEngine(engine, context);
    progress.done(engine, `${names[engine]}: serves`);
  };
  const failed = (await Promise.allSettled(ENGINE_NAMES.map(start))).filter(({ status }) => status === 'rejected');
  if (failed.length === 0) return launched.length > 0;
  await bringDown(launched, context);
  signal?.throwIfAborted();
  throw new Error(failed.map(({ reason }) => reason.message).join('\n'));
}

/**
 * Installs what is missing and starts what does not run; answers when all three serve. When one cannot be started, those
 * that this call started are stopped again.
 */
export async function installEngines({ report = quiet, signal } = {}) {
  const progress = createProgress(report);
  try {
    await installInto(cacheFolder(), progress, { report, signal });
  } finally {
    progress.end();
  }
}

const installInto = (cache, progress, { report, signal }) =>
  withLock(cache, { signal, busy: busyInstalling(report) }, () => install(cache, progress, signal));

export async function startEngines({ instance = DEFAULT_INSTANCE, report = quiet, signal } = {}) {
  const folders = instanceFolders(instance);
  const progress = createProgress(report);
  const options = { report, signal };
  try {
    await installInto(folders.cache, progress, options);
    return await locked(folders, options, async () => {
      mkdirSync(folders.data, { recursive: true });
      const state = readState(folders.state);
      await settlePorts(folders, state);
      const started = await startAll(folders, state, { progress, signal });
      const urls = urlsOf(state.ports);
      writeEnv(folders.env, urls);
      return {
        instance,
        started,
        urls,
        names: engineNames(folders.cache),
        engine: (name) => engine(name, { instance }),
        stop: () => stopEngines({ instance }),
        wipe: () => wipeEngines({ instance }),
      };
    });
  } finally {
    progress.end();
  }
}

async function stopAll(folders) {
  removeEnv(folders.env);
  const state = readState(folders.state);
  const running = Object.values(state.processes).some(isAlive);
  if (Object.keys(state.processes).length > 0) {
    await Promise.all(ENGINE_NAMES.map((name) => bringDown(ENGINES[name], { folders, state })));
  }
  return running;
}

/** Answers whether there was anything to stop. */
export async function stopEngines({ instance = DEFAULT_INSTANCE, report, signal } = {}) {
  const folders = instanceFolders(instance);
  return locked(folders, { report, signal }, () => stopAll(folders));
}

/** Stops the instance and deletes its data. */
export async function wipeEngines({ instance = DEFAULT_INSTANCE, report, signal } = {}) {
  const folders = instanceFolders(instance);
  await locked(folders, { report, signal }, async () => {
    await stopAll(folders);
    removeFolder(folders.data);
  });
}

/** Every instance there is, by name. */
export function instances() {
  try {
    return readdirSync(join(cacheFolder(), 'data')).sort();
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

/** All instances with their data, and the installation; whatever else is in the cache folder stays. */
export async function wipeInstallation({ report = quiet, signal } = {}) {
  for (const instance of instances()) await wipeEngines({ instance, report, signal });
  const cache = cacheFolder();
  await withLock(cache, { signal, busy: busyInstalling(report) }, () => {
    if (!existsSync(cache)) return;
    for (const name of readdirSync(cache)) if (INSTALLED.test(name)) removeFolder(join(cache, name));
    if (readdirSync(cache).length === 0) rmdirSync(cache);
  });
}

/** Whether an engine's servers run, by instance. */
export function engineStatus({ instance = DEFAULT_INSTANCE } = {}) {
  const folders = instanceFolders(instance);
  const { processes } = readState(folders.state);
  const stateOf = (engine) => {
    const servers = ENGINES[engine].map((server) => processes[server]);
    if (servers.some(isPaused)) return 'paused';
    const running = servers.filter(isAlive).length;
    return running === servers.length ? 'running' : running === 0 ? 'stopped' : 'broken';
  };
  return {
    engines: Object.fromEntries(ENGINE_NAMES.map((engine) => [engine, stateOf(engine)])),
    names: engineNames(folders.cache),
    urls: readEnv(folders.env),
  };
}

/** One engine of an instance that has been started: to restart, or to break on purpose. */
export function engine(name, { instance = DEFAULT_INSTANCE, report, signal } = {}) {
  if (!(name in ENGINES)) throw new Error(`There is no engine "${name}": ${ENGINE_NAMES.join(', ')}.`);
  const folders = instanceFolders(instance);
  const servers = ENGINES[name];
  // Clients talk to the last one; what is behind it waits with it.
  const face = servers.at(-1);
  const change = (work) =>
    locked(folders, { report, signal }, async () => {
      const state = readState(folders.state);
      if (readEnv(folders.env) === undefined) throw new Error(`The engines "${instance}" have not been started.`);
      await work(state);
    });
  const start = (state) => bringUpEngine(name, { folders, state, signal, launched: [] });
  const stop = (state) => bringDown(servers, { folders, state });
  const tell = (signalName) => {
    const process = readState(folders.state).processes[face];
    if (!isAlive(process)) throw new Error(`${name} does not run.`);
    send(process, signalName);
  };
  return {
    name,
    kill: () =>
      change(async (state) => {
        await Promise.all(
          servers
            .map((server) => state.processes[server])
            .filter(isAlive)
            .map(kill),
        );
        for (const server of servers) delete state.processes[server];
        writeState(folders.state, state);
      }),
    start: () => change(start),
    stop: () => change(stop),
    restart: () => change((state) => stop(state).then(() => start(state))),
    pause: () => tell('SIGSTOP'),
    resume: () => tell('SIGCONT'),
  };
}
