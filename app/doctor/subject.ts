import type { Config } from '../../shared/config/config.js';
import { ConfigError, readConfig } from '../../shared/config/config.js';
import type { Database } from '../../shared/database/port.js';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { isPrepared } from '../../shared/outbox/status.js';
import type { WriteSubgraphName } from '../toolbox.js';
import { NotChecked } from './check.js';
import type { LogView } from './log-view.js';
import type { Stores } from './stores.js';
import { secretsIn } from './words.js';

export type Env = Readonly<Record<string, string | undefined>>;

/** What is examined: the settings, and the stores they name, each opened when first asked for. */
export class Subject {
  /** What is wrong with the settings, a line each. */
  readonly mistakes: readonly string[];
  readonly secrets: readonly string[];
  private readonly settings: Config | undefined;
  private opening: Promise<Stores> | undefined;

  constructor(
    readonly env: Env,
    /** Milliseconds since the epoch. */
    readonly now: () => number,
  ) {
    this.secrets = secretsIn(env);
    const { config, mistakes } = readLeniently(env);
    this.settings = config;
    this.mistakes = mistakes;
  }

  /** With the settings that are wrong at their defaults. @throws NotChecked where it is unclear which stores are meant */
  get config(): Config {
    if (this.settings === undefined) throw new NotChecked('the settings have to be right first');
    return this.settings;
  }

  /** Rejects as the opening does. */
  stores(): Promise<Stores> {
    this.opening ??= openStores(this.config);
    return this.opening;
  }

  /** A write subgraph's database, its tables made. Rejects with NotChecked where another check has something to say. */
  async database(subgraph: WriteSubgraphName): Promise<Database> {
    const stores = await this.stores().catch(unusable('the databases'));
    const database = await stores.database(subgraph).catch(unusable('the databases'));
    if (database === null || !(await isPrepared(database))) {
      throw new NotChecked('the databases are not there yet');
    }
    return database;
  }

  async eventLog(): Promise<LogView> {
    const stores = await this.stores().catch(unusable('the event log'));
    const log = await stores.eventLog().catch(unusable('the event log'));
    if (log === null) throw new NotChecked('there is no event log yet');
    return log;
  }

  async documents(): Promise<DocumentStore> {
    const stores = await this.stores().catch(unusable('the document store'));
    const documents = await stores.documents().catch(unusable('the document store'));
    if (documents === null) throw new NotChecked('there are no views yet');
    return documents;
  }

  async close(): Promise<void> {
    const stores = await this.opening?.catch(() => undefined);
    await stores?.close();
  }
}

const unusable =
  (what: string) =>
  (error: unknown): never => {
    throw error instanceof NotChecked ? error : new NotChecked(`${what} cannot be used`);
  };

async function openStores(config: Config): Promise<Stores> {
  const { engines } = config;
  if (engines.kind === 'embedded') return (await import('./folder.js')).openFolder(engines.dataDir);
  return (await import('./servers.js')).openServers(engines);
}

/** Settings that say which stores are meant: with one of them wrong, others would be examined. */
const STORES = /^(DATA_DIR|NAMESPACE|MYSQL|KAFKA|MONGO)/;

function readLeniently(env: Env): { readonly config: Config | undefined; readonly mistakes: readonly string[] } {
  try {
    return { config: readConfig(env), mistakes: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const mistakes = error.message.split('\n');
    const wrong = new Set(mistakes.map((line) => line.slice(0, line.indexOf(':'))));
    if ([...wrong].some((name) => STORES.test(name))) return { config: undefined, mistakes };
    const rest = Object.fromEntries(Object.entries(env).filter(([name]) => !wrong.has(name)));
    try {
      return { config: readConfig(rest), mistakes };
    } catch {
      return { config: undefined, mistakes };
    }
  }
}
