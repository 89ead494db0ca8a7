import { PROCESS_NAMES, PROCESSES, type ProcessName } from '../app/processes.js';
import { freePorts } from './ports.js';
import { startProcess, type AppProcess, type BuiltApp, type Exit } from './process.js';
import { until } from './until.js';

export const FLEET_SECRET = 'a secret that all processes of a fleet share';

/** A process of the fleet: it keeps its ports over all its lives. */
export interface Member {
  /** `order-worker`, or `order-worker 2`. */
  readonly name: string;
  readonly process: ProcessName;
  /** Where /readyz is. */
  readonly url: string;
  /** The one that runs now. */
  readonly running: AppProcess;
  /** Resolves when it says that it is ready; rejects when it ends before. */
  ready(): Promise<void>;
  /** Starts it again after it has ended. */
  start(): void;
  end(signal: NodeJS.Signals): Promise<Exit>;
}

export interface FleetOptions {
  readonly app: Pick<BuiltApp, 'main'>;
  /** KAFKA_BROKERS, MYSQL_URL, MONGO_URL, NAMESPACE, and whatever else all of them get. */
  readonly settings: Readonly<Record<string, string>>;
  /** How many of a process; one when absent. The gateway speaks to the first of each. */
  readonly copies?: Partial<Record<ProcessName, number>>;
}

export interface Fleet {
  readonly members: readonly Member[];
  /** Base address of the gateway, of REST, and of a subgraph's first API. */
  readonly gateway: string;
  readonly rest: string;
  readonly subgraph: (name: 'user' | 'product' | 'order' | 'balance' | 'query') => string;
  /** The first of that process, or another by its number. */
  member(process: ProcessName, number?: number): Member;
  /** Resolves when all are ready. */
  ready(): Promise<void>;
  /** Everything any of them has written. */
  output(): string;
  /** Asks all of them to end and answers how each did. */
  stop(): Promise<ReadonlyMap<string, Exit>>;
  /** Ends what is left, at once. */
  kill(): Promise<void>;
}

const address = (port: string | undefined): string => `http://127.0.0.1:${port}`;

/** Starts every process of the system as a process of its own, on servers, as a deployment does. */
export async function startFleet({ app, settings, copies = {} }: FleetOptions): Promise<Fleet> {
  const subgraphs = ['user', 'product', 'order', 'balance', 'query'] as const;
  const all = PROCESS_NAMES.flatMap((process) =>
    Array.from({ length: copies[process] ?? 1 }, (_, index) => ({ process, number: index + 1 })),
  );
  // The health port of each, and one for REST beside every query API.
  const ports = (await freePorts(all.length * 2)).map(String);
  const portOf = new Map(all.map(({ process, number }, index) => [`${process} ${number}`, ports[index]]));
  const urls = Object.fromEntries(
    subgraphs.map((name) => [`${name.toUpperCase()}_URL`, address(portOf.get(`${name}-api 1`))]),
  );

  const members = all.map(({ process, number }, index): Member => {
    const port = ports[index] ?? '';
    const own = { [PROCESSES[process].variable]: port, REST_PORT: ports[all.length + index] ?? '' };
    const begin = (): AppProcess =>
      startProcess(globalThis.process.execPath, [app.main, 'run', process], {
        IDENTITY_SECRET: FLEET_SECRET,
        // Tests are the demo administrator, unless they ask for more.
        AUTH_MODE: 'demo',
        LOG_LEVEL: 'warn',
        ...settings,
        ...urls,
        ...own,
      });
    let running = begin();
    const url = address(port);
    return {
      name: number === 1 ? process : `${process} ${number}`,
      process,
      url,
      get running() {
        return running;
      },
      async ready() {
        let ended: Exit | undefined;
        void running.exit.then((exit) => (ended = exit));
        await until(
          async () => {
            if (ended !== undefined) return true;
            return (await fetch(`${url}/readyz`)).ok;
          },
          { timeoutMs: 90_000, message: () => `${process} to be ready; it has written:\n${running.output()}` },
        );
        if (ended !== undefined) throw new Error(`${process} ended with ${ended.code}:\n${running.output()}`);
      },
      start() {
        running = begin();
      },
      end: (signal) => running.end(signal),
    };
  });

  const member = (process: ProcessName, number = 1): Member => {
    const found = members[all.findIndex((one) => one.process === process && one.number === number)];
    if (found === undefined) throw new Error(`There is no ${process} ${number} in this fleet.`);
    return found;
  };
  const queryIndex = all.findIndex(({ process }) => process === 'query-api');
  return {
    members,
    gateway: member('gateway').url,
    rest: address(ports[all.length + queryIndex]),
    subgraph: (name) => member(`${name}-api`).url,
    member,
    async ready() {
      await Promise.all(members.map((one) => one.ready()));
    },
    output: () => members.map(({ name, running }) => `--- ${name}\n${running.output()}`).join('\n'),
    async stop() {
      const exits = await Promise.all(members.map(async (one) => [one.name, await one.end('SIGTERM')] as const));
      return new Map(exits);
    },
    async kill() {
      await Promise.all(members.map((one) => one.end('SIGKILL')));
    },
  };
}
