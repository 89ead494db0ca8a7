import type { Config } from '../../shared/config/config.js';
import type { DatabaseOptions } from '../../shared/database/port.js';
import { topicSpecs } from '../../shared/events/catalogue.js';
import type { Logger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { withGenerations } from '../../subgraphs/query/generations.js';
import { COLLECTIONS } from '../../subgraphs/query/views.js';
import { openEngines, type Engines } from '../engines.js';
import { buildSubgraph, type Subgraphs } from '../system.js';
import { WRITE_SUBGRAPHS, type Toolbox, type WriteSubgraphName } from '../toolbox.js';

const DAY = 86_400_000;

/**
 * Makes what is missing on the servers: topics, databases with their tables, collections with their indexes. Changes
 * nothing that is there, and may run as often as one likes, beside a running system too.
 */
export async function setup({ config, log, print }: Toolbox): Promise<void> {
  if (config.engines.kind === 'embedded') {
    print('Nothing to set up: the embedded engines make what they need when Tributary starts.');
    return;
  }
  const engines = await openEngines(config, { clientId: 'setup', log });
  try {
    if (config.engines.namespace !== '') print(`namespace   ${config.engines.namespace}, in front of every name`);
    for (const { name, partitions, retentionMs } of topicSpecs()) {
      print(`topic       ${name} (partitions: ${partitions}, kept for ${retentionMs / DAY} days)`);
    }
    for (const subgraph of WRITE_SUBGRAPHS) print(`database    ${await migrate(subgraph, config, engines, log)}`);
    await withGenerations(engines.documents).ensureCollections(COLLECTIONS);
    for (const { name, indexes } of COLLECTIONS) print(`collection  ${name} (indexes: ${indexes.length})`);
    print('Everything is in place.');
  } finally {
    await engines.close();
  }
}

/** Brings a subgraph's tables up to date as its own start would, and says what that took. */
async function migrate(subgraph: WriteSubgraphName, config: Config, engines: Engines, log: Logger): Promise<string> {
  let said = '';
  const openDatabase = async (options: DatabaseOptions) => {
    const database = await engines.openDatabase(options);
    // Before the first migration there is no table of them.
    const done = await database.read('SELECT name FROM migrations').catch(() => []);
    const missing = options.migrations.length - done.length;
    said = `${options.name} (${missing > 0 ? `migrations run: ${missing}` : 'up to date'})`;
    return database;
  };
  const built = await buildOffline(subgraph, config, { ...engines, openDatabase }, log);
  await built.close();
  return said;
}

/** A subgraph for its commands and migrations alone. */
export const buildOffline = <N extends WriteSubgraphName>(
  subgraph: N,
  config: Config,
  engines: Engines,
  log: Logger,
): Promise<Subgraphs[N]> =>
  buildSubgraph(subgraph, {
    config,
    // Nobody calls it.
    identitySecret: '',
    log,
    metrics: createMetrics(),
    now: Date.now,
    ...engines,
  });
