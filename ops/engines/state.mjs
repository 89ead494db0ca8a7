/** What is remembered of an instance between two calls: ports, processes, addresses. */
import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';

export const PORTS = ['kafka', 'controller', 'mysql', 'postgres', 'mongo'];

/** The three settings that choose the engines. */
export const URLS = ['KAFKA_BROKERS', 'MYSQL_URL', 'MONGO_URL'];

const FIRST_PORT = 20_000;

/** Never half written, whenever this process ends. */
export function writeWhole(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}.tmp`;
  writeFileSync(unfinished, text);
  renameSync(unfinished, file);
}

/** @throws Error when there is a file that cannot be understood: its servers might run */
export function readState(file) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return { ports: {}, processes: {} };
    throw error;
  }
  try {
    const { ports, processes } = JSON.parse(text);
    return { ports: { ...ports }, processes: { ...processes } };
  } catch (error) {
    throw new Error(`${file} is damaged. End the servers it stands for, if any run, and delete it.`, { cause: error });
  }
}

export const writeState = (file, state) => writeWhole(file, `${JSON.stringify(state, null, 2)}\n`);

export function urlsOf({ kafka, mysql, mongo }) {
  return {
    KAFKA_BROKERS: `127.0.0.1:${kafka}`,
    MYSQL_URL: `mysql://root@127.0.0.1:${mysql}`,
    // FerretDB has no transactions, and retried writes are made of them.
    MONGO_URL: `mongodb://127.0.0.1:${mongo}/tributary?retryWrites=false`,
  };
}

export const writeEnv = (file, urls) => writeWhole(file, URLS.map((name) => `${name}=${urls[name]}\n`).join(''));
export const removeEnv = (file) => rmSync(file, { force: true });

/** The addresses of the running engines, or undefined when none run. */
export function readEnv(file) {
  try {
    const found = parseEnv(readFileSync(file, 'utf8'));
    return URLS.every((name) => name in found)
      ? Object.fromEntries(URLS.map((name) => [name, found[name]]))
      : undefined;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const isFree = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** Ports that other instances hold on to, running or not. */
function portsOfOthers(file) {
  const instances = dirname(dirname(file));
  return readdirSync(instances)
    .map((name) => join(instances, name, 'state.json'))
    .filter((each) => each !== file)
    .flatMap((each) => Object.values(readState(each).ports));
}

/**
 * Ports for what has none yet. They are below those that the system gives to outgoing connections: there, a client that
 * calls a stopped server again and again ends up connected to itself, and the server cannot come back.
 */
export async function choosePorts(file, wanted) {
  const taken = new Set(portsOfOthers(file));
  const end = Math.min(32_768, firstOutgoingPort());
  const chosen = {};
  for (const name of wanted) {
    for (let tries = 0; chosen[name] === undefined; tries += 1) {
      if (tries > 1_000) throw new Error(`No free port between ${FIRST_PORT} and ${end}.`);
      const port = randomInt(FIRST_PORT, end);
      if (taken.has(port) || !(await isFree(port))) continue;
      taken.add(port);
      chosen[name] = port;
    }
  }
  return chosen;
}

/** Those of the given ports that something listens on. */
export async function occupied(ports) {
  const found = [];
  for (const [name, port] of Object.entries(ports)) if (!(await isFree(port))) found.push(name);
  return found;
}

function firstOutgoingPort() {
  const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
  return first > FIRST_PORT + 1_000 ? first : 32_768;
}
