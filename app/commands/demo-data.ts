import { loadDemoData } from '../demo.js';
import { openEngines } from '../engines.js';
import type { Subgraphs } from '../system.js';
import { UserError, WRITE_SUBGRAPHS, type Toolbox } from '../toolbox.js';
import { buildOffline } from './setup.js';

/** Workers that were started at the same moment need that long to join their groups. */
const PATIENCE_MS = 120_000; // 2 minutes

/**
 * Loads the demo data into servers, once, beside the processes that run there: commands are run here, and the workers
 * publish and react. Waits for them, since accounts need users and orders need products.
 */
export async function demoData({ config, log, print }: Toolbox): Promise<void> {
  const { walletCore, auth } = config;
  if (config.engines.kind === 'embedded') {
    throw new UserError('With embedded engines Tributary loads the demo data itself when it starts: DEMO_DATA=on.');
  }
  const engines = await openEngines(config, { clientId: 'demo-data', log, needs: ['database', 'documents'] });
  const opened: { close(): Promise<void> }[] = [engines];
  try {
    const subgraphs: Partial<Subgraphs> = {};
    for (const name of WRITE_SUBGRAPHS) {
      const built = await buildOffline(name, config, engines, log);
      opened.push(built);
      Object.assign(subgraphs, { [name]: built });
    }
    const loaded = await loadDemoData(subgraphs as Subgraphs, engines.documents, log, {
      walletCore,
      auth,
      patienceMs: PATIENCE_MS,
    });
    print(loaded ? 'The demo data is loaded.' : 'The demo data was there already.');
  } finally {
    for (const one of opened.reverse()) await one.close();
  }
}
