import type { Config, SubgraphName } from '../shared/config/config.js';
import { ConfigError } from '../shared/config/config.js';
import type { EngineName } from './engines.js';
import { UserError } from './toolbox.js';

/** What a process runs. */
export interface ProcessSpec {
  /** A half of a subgraph, or the gateway. */
  readonly part: SubgraphName | 'gateway';
  readonly half: 'api' | 'worker';
  readonly engines: readonly EngineName[];
  /** The setting with the port of its /livez, /readyz and /metrics. */
  readonly variable: string;
  readonly port: (config: Pick<Config, 'ports' | 'workerPorts'>) => number;
}

/** Every process there is, by the name that `tributary run` takes. */
export const PROCESSES = {
  gateway: {
    part: 'gateway',
    half: 'api',
    engines: [],
    variable: 'GATEWAY_PORT',
    port: ({ ports }) => ports.gateway,
  },
  'user-api': api('user'),
  'user-worker': worker('user'),
  'product-api': api('product'),
  'product-worker': worker('product'),
  'order-api': api('order'),
  'order-worker': worker('order'),
  'balance-api': api('balance'),
  'balance-worker': worker('balance'),
  'query-api': {
    part: 'query',
    half: 'api',
    engines: ['documents', 'eventLog'],
    variable: 'QUERY_PORT',
    port: ({ ports }) => ports.query,
  },
  projector: {
    part: 'query',
    half: 'worker',
    engines: ['documents', 'eventLog'],
    variable: 'PROJECTOR_PORT',
    port: ({ workerPorts }) => workerPorts.projector,
  },
} as const satisfies Record<string, ProcessSpec>;

type Writing = Exclude<SubgraphName, 'query'>;

/** Accepts commands while log and views are away: it needs its database alone. */
function api<S extends Writing>(part: S) {
  return {
    part,
    half: 'api',
    engines: ['database'],
    variable: `${part.toUpperCase()}_PORT`,
    port: ({ ports }: Pick<Config, 'ports'>) => ports[part],
  } as const;
}

function worker<S extends Writing>(part: S) {
  return {
    part,
    half: 'worker',
    engines: ['database', 'eventLog'],
    variable: `${part.toUpperCase()}_WORKER_PORT`,
    port: ({ workerPorts }: Pick<Config, 'workerPorts'>) => workerPorts[`${part}-worker`],
  } as const;
}

export type ProcessName = keyof typeof PROCESSES;

export const PROCESS_NAMES = Object.keys(PROCESSES) as ProcessName[];

/** What those processes use, each once. */
export const enginesOf = (names: readonly ProcessName[]): EngineName[] => [
  ...new Set(names.flatMap((name): readonly EngineName[] => PROCESSES[name].engines)),
];

/**
 * The processes that somebody asked for: `all`, which is also meant by none, or any of the names.
 * @throws UserError for a name that there is not
 */
export function processesNamed(names: readonly string[]): readonly ProcessName[] {
  if (names.length === 0 || (names.length === 1 && names[0] === 'all')) return PROCESS_NAMES;
  const isProcess = (name: string): name is ProcessName => Object.hasOwn(PROCESSES, name);
  const unknown = names.find((name) => !isProcess(name));
  if (unknown === 'all') throw new UserError('all stands alone: it is every process in one.');
  if (unknown !== undefined) {
    throw new UserError(`There is no process ${unknown}. There are: ${PROCESS_NAMES.join(', ')}, and all.`);
  }
  return PROCESS_NAMES.filter((name) => names.includes(name));
}

/**
 * Processes apart share engines and a secret; embedded engines serve one process, and a random secret too.
 * @throws ConfigError, a line per mistake
 */
export function assertApart({ engines, identitySecret }: Config): void {
  const mistakes: string[] = [];
  if (engines.kind === 'embedded') {
    mistakes.push(
      'MYSQL_URL, KAFKA_BROKERS, MONGO_URL: are missing. Embedded engines serve one process only, `tributary run all`; ' +
        'processes apart need servers, for example those of `npm run engines`, with --engines',
    );
  }
  if (identitySecret === undefined) {
    mistakes.push(
      'IDENTITY_SECRET: is missing. Processes apart need the same one, 32 characters or more, for example what ' +
        '`openssl rand -hex 32` prints',
    );
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes.join('\n'));
}
