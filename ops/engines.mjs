/**
 * `npm run engines`: real Kafka, MySQL and a MongoDB server on this machine without Docker. docs/engines.md says how to use
 * it; needs nothing but Node, so that it also works before anything is installed.
 */
import { parseArgs } from 'node:util';
import {
  ENGINE_NAMES,
  engine,
  engineStatus,
  installEngines,
  instances,
  startEngines,
  stopEngines,
  wipeEngines,
  wipeInstallation,
} from './engines/api.mjs';
import { DEFAULT_INSTANCE, instanceFolders } from './engines/folders.mjs';

const USAGE = `npm run engines                       starts them (the first time it installs them)
npm run engines -- install            installs them and starts none
npm run engines -- status             what runs, and where
npm run engines -- stop
npm run engines -- wipe               stops them and deletes their data; with --all all data and the installation
npm run engines -- restart <engine>   also kill, pause, resume; ${ENGINE_NAMES.join(', ')}

--instance <name>                     another set of servers, with ports and data of its own`;

const interrupted = new AbortController();
for (const [name, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(name, () => {
    process.exitCode = code;
    interrupted.abort(new Error(`Stopped by ${name}.`));
  });
}

// Whoever reads along may stop reading; the work goes on.
process.stdout.on('error', () => undefined);
const print = (line) => console.log(line);

async function start(options) {
  const { urls, names, started, instance } = await startEngines(options);
  print(started ? '' : 'All of them run already.');
  for (const [name, url] of Object.entries(urls)) print(`${name}=${url}`);
  print('');
  print(Object.values(names).join('; '));
  print(`The addresses are also in ${instanceFolders(instance).env}`);
  if (instance === DEFAULT_INSTANCE) print('npm start -- --engines uses them; npm run engines -- stop ends them');
}

function status() {
  const all = instances();
  if (all.length === 0) print('There are no engines; npm run engines starts some.');
  for (const instance of all) {
    const { engines, urls, names } = engineStatus({ instance });
    print(`${instance}: ${ENGINE_NAMES.map((name) => `${name} ${engines[name]}`).join(', ')}`);
    if (urls !== undefined) for (const [name, url] of Object.entries(urls)) print(`  ${name}=${url}`);
    if (names.mysql.startsWith('MariaDB')) print(`  ${names.mysql}`);
  }
}

async function one(action, name, options) {
  if (name === undefined) throw new Error(`Which one? ${ENGINE_NAMES.join(', ')}.`);
  await engine(name, options)[action]();
  print(`${name}: ${engineStatus(options).engines[name]}`);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { instance: { type: 'string' }, all: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  const [action = 'start', name] = positionals;
  const instance = values.instance ?? DEFAULT_INSTANCE;
  const options = { instance, report: print, signal: interrupted.signal };
  if (values.help) return print(USAGE);
  switch (action) {
    case 'start':
      return start(options);
    case 'install':
      return installEngines(options);
    case 'status':
      return status();
    case 'stop':
      return print((await stopEngines(options)) ? 'Stopped.' : 'Nothing runs.');
    case 'wipe':
      await (values.all ? wipeInstallation(options) : wipeEngines(options));
      return print(values.all ? 'Data and installation are deleted.' : 'Stopped; the data is deleted.');
    case 'restart':
    case 'kill':
    case 'pause':
    case 'resume':
      return one(action, name, options);
    default:
      process.exitCode = 2;
      return print(USAGE);
  }
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode ||= 1;
}
