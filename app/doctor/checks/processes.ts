import { readFile } from 'node:fs/promises';
import { Supergraph } from '@apollo/federation-internals';
import { hashOf } from '../../../gateway/federation.js';
import { hostInUrl, reachable, SUBGRAPHS, type Config, type SubgraphName } from '../../../shared/config/config.js';
import { ANONYMOUS, IDENTITY_HEADER, signIdentity } from '../../../shared/identity/identity.js';
import builtIn from '../../../supergraph.graphql';
import { PROCESS_NAMES, PROCESSES } from '../../processes.js';
import { NotChecked, ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import { reasonOf } from '../words.js';

const area = 'processes';

/** Longer than a process gives its own checks. */
const ANSWER_MS = 3_000;

/** What stands behind an address. */
export type Answer =
  | { readonly kind: 'free' }
  /** Somebody takes the connection, but is none of ours. */
  | { readonly kind: 'stranger' }
  | { readonly kind: 'silent'; readonly reason: string }
  | {
      readonly kind: 'ours';
      readonly service: string;
      readonly missing: readonly string[];
      readonly supergraph?: string;
    };

/** Something that listens. */
interface Listener {
  readonly name: string;
  readonly url: string;
  /** Of this machine: the setting that gives it another port. */
  readonly variable: string;
  readonly here: boolean;
  /** Whether it listens in every way of running, also with all processes in one. */
  readonly always: boolean;
}

const baseOf = (host: string): string => hostInUrl(reachable(host));

/** Where every process is, as the gateway would find it. */
function listenersOf(config: Config): Listener[] {
  const host = baseOf(config.host);
  const all = PROCESS_NAMES.map((name): Listener => {
    const { part, half, variable, port } = PROCESSES[name];
    const own = `http://${host}:${port(config)}`;
    const url = half === 'api' && part !== 'gateway' ? config.subgraphUrls[part] : own;
    return { name, url, variable, here: url === own, always: half === 'api' };
  });
  const rest: Listener = {
    name: 'rest',
    url: `http://${host}:${config.ports.rest}`,
    variable: 'REST_PORT',
    here: true,
    always: true,
  };
  return [...all, rest];
}

async function ask(url: string, again = true): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' });
  } catch (error) {
    const { name, cause } = error as Error & { readonly cause?: { readonly code?: unknown } };
    const code = String(cause?.code);
    if (code === 'ECONNREFUSED') return { kind: 'free' };
    if (name === 'TimeoutError') return { kind: 'silent', reason: `it says nothing for ${ANSWER_MS / 1_000} s` };
    if (!/^HPE_|UND_ERR_SOCKET|ECONNRESET/.test(code)) return { kind: 'silent', reason: reasonOf(error) };
    // It speaks no HTTP, or has just ended.
    return again ? ask(url, false) : { kind: 'stranger' };
  }
  const body: unknown = await response.json().catch(() => null);
  return isHealth(body) ? oursOf(body) : { kind: 'stranger' };
}

interface Health {
  readonly service: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
}

const isHealth = (body: unknown): body is Health =>
  typeof body === 'object' &&
  body !== null &&
  typeof (body as Partial<Health>).service === 'string' &&
  Array.isArray((body as Partial<Health>).checks);

function oursOf({ service, checks }: Health): Answer {
  const missing = checks
    .filter((check) => !check.ok)
    .map(({ name, detail }) => (detail ? `${name} (${detail})` : name));
  const hash = checks.find(({ name }) => name === 'supergraph')?.detail;
  return { kind: 'ours', service, missing, ...(hash !== undefined && { supergraph: hash }) };
}

const readiness: Check = {
  name: 'ports',
  area,
  async run({ config }) {
    const listeners = listenersOf(config).filter(({ url }) => !url.endsWith(':0'));
    const answers = await Promise.all(listeners.map(({ url }) => ask(url)));
    const running = answers.some(({ kind }) => kind === 'ours');
    const findings = listeners.flatMap((listener, at) => {
      const finding = listenerFinding(listener, answers[at] ?? { kind: 'free' }, running);
      return finding === null ? [] : [finding];
    });
    if (running || findings.length > 0) return findings;
    return [ok('nothing of Tributary runs here, and its ports are free')];
  },
};

/** What is to be said of one address; null for nothing. `running`: something of ours runs here. */
function listenerFinding(
  { name, url, variable, here, always }: Listener,
  answer: Answer,
  running: boolean,
): Finding | null {
  switch (answer.kind) {
    case 'ours':
      if (answer.service !== name) {
        return problem(`${url} is ${answer.service}, not ${name}`, `Give each its own port: change ${variable}.`);
      }
      if (answer.missing.length === 0) return ok(`${name} at ${url} is ready`);
      return problem(
        `${name} at ${url} runs and is not ready; it lacks: ${answer.missing.join(', ')}`,
        'It goes on by itself once that is back. Why is in its log.',
      );
    case 'stranger':
      return here
        ? problem(`${url} is taken by another program, so ${name} cannot start`, `Stop that, or change ${variable}.`)
        : problem(`${url} answers, but is not ${name}`, `Look at the address of ${name} in the settings.`);
    case 'silent':
      return problem(`${name} at ${url} does not answer: ${answer.reason}`, 'Look into its log, and start it again.');
    case 'free':
      if (!here) return problem(`${name} is not at ${url}`, 'Start it there, or change the address in the settings.');
      if (!running || !always) return null;
      return warning(`${name} does not run at ${url}, while others do`, `Start it: tributary run ${runnerOf(name)}.`);
  }
}

const runnerOf = (name: string): string => (name === 'rest' ? 'query-api' : name);

const sharedSecret: Check = {
  name: 'shared secret',
  area,
  async run({ config, now }) {
    const { identitySecret } = config;
    if (identitySecret === undefined) throw new NotChecked('IDENTITY_SECRET is not set');
    const findings = await Promise.all(
      SUBGRAPHS.map((name) => knows(name, config.subgraphUrls[name], identitySecret, now())),
    );
    const found = findings.filter((finding) => finding !== null);
    return found.length > 0 ? found : [skipped('no subgraph runs where the settings say')];
  },
};

/** Whether a subgraph takes what we sign; null where none is there. */
async function knows(name: SubgraphName, url: string, secret: string, now: number): Promise<Finding | null> {
  const answer = await ask(url);
  if (answer.kind !== 'ours' || answer.service !== `${name}-api`) return null;
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', [IDENTITY_HEADER]: signIdentity(ANONYMOUS, name, secret, now) },
    body: JSON.stringify({ query: '{ __typename }' }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (response.status !== 401) return ok(`${name}-api has the same IDENTITY_SECRET`);
  return problem(
    `${name}-api runs with another IDENTITY_SECRET, or its clock differs by a minute`,
    'Give all processes the same one and start them again.',
  );
}

const supergraph: Check = {
  name: 'supergraph',
  area,
  async run({ config }) {
    const { path } = config.supergraph;
    if (path === undefined) return [await served(config, hashOf(builtIn), 'the built-in supergraph')];
    const todo = '`npm run compose` writes one; docs/add-a-subgraph.md tells how.';
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      return [problem(`the supergraph ${path} cannot be read: ${reasonOf(error)}`, todo)];
    }
    try {
      const names = new Set(
        Supergraph.build(text, { validateSupergraph: true })
          .subgraphsMetadata()
          .map(({ name }) => name),
      );
      const lost = SUBGRAPHS.filter((name) => !names.has(name));
      if (lost.length > 0) return [warning(`the supergraph ${path} is without ${lost.join(', ')}`, todo)];
    } catch (error) {
      return [problem(`${path} is no supergraph that can be served: ${reasonOf(error)}`, todo)];
    }
    return [await served(config, hashOf(text), `the supergraph ${path}`)];
  },
};

/** Whether a gateway that runs here serves what it would begin with. */
async function served({ host, ports }: Config, hash: string, what: string): Promise<Finding> {
  const answer = await ask(`http://${baseOf(host)}:${ports.gateway}`);
  if (answer.kind !== 'ours' || answer.supergraph === undefined) return ok(`${what} is sound`);
  if (answer.supergraph === hash) return ok(`${what} is sound, and the gateway serves it`);
  return warning(
    `the gateway serves another supergraph than ${what}`,
    'With SUPERGRAPH, send the gateway a SIGHUP; its log says whether it refuses the file. Otherwise start it again.',
  );
}

export const processes: readonly Check[] = [readiness, sharedSecret, supergraph];
