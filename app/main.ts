import { ConfigError, readConfig, type Config } from '../shared/config/config.js';
import { PortInUse } from '../shared/graphql/server.js';
import type { Identity } from '../shared/identity/identity.js';
import { createLogger, type Logger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { DEMO_ADMIN_ID, loadDemoData } from './demo.js';
import { DataFolderInUse, DataFolderUnusable, openEmbeddedEngines } from './engines.js';
import { summary } from './summary.js';
import { startSystem, type System } from './system.js';

/** In demo mode everybody is the demo administrator. */
const DEMO_ADMIN: Identity = { role: 'ADMIN', userId: DEMO_ADMIN_ID };

/** A drain that takes longer than this will not end by itself. */
const DRAIN_LIMIT_MS = 4_500;

const begun = performance.now() - process.uptime() * 1_000;

try {
  const config = readConfig(process.env);
  // Hundreds of lines on the first start would push the summary of it out of sight; whoever asks for more gets all.
  let starting = true;
  const log = await createLogger(config, () => starting && config.logLevel === 'info');
  const system = await start(config, log);
  starting = false;
  console.log(summary(config, performance.now() - begun));
  stopOnSignals(system, log);
} catch (error) {
  const mistake = explain(error);
  console.error(mistake ?? error);
  process.exit(mistake === undefined ? 1 : 2);
}

async function start(config: Config, log: Logger): Promise<System> {
  const engines = await openEmbeddedEngines(config.dataDir, (error) => {
    log.fatal({ err: error, dataDir: config.dataDir }, 'the disk failed; start again when it is well');
    process.exit(1);
  });
  const system = await startSystem({
    config,
    engines,
    log,
    metrics: createMetrics(),
    now: Date.now,
    authenticate: () => Promise.resolve(DEMO_ADMIN),
  });
  if (config.demoData) {
    // Whatever a visitor did to half-loaded demo data must not keep the system from starting.
    await loadDemoData(system, engines.documents, log).catch((error: unknown) => {
      log.warn({ err: error }, 'the demo data is not complete; the next start goes on with it');
    });
  }
  return system;
}

/** What whoever starts it has to change, in one line each; undefined where the fault is ours. */
function explain(error: unknown): string | undefined {
  for (const kind of [ConfigError, PortInUse, DataFolderInUse, DataFolderUnusable]) {
    if (error instanceof kind) return error.message;
  }
  const { syscall, code, message } = error as NodeJS.ErrnoException;
  // EADDRINUSE is told as PortInUse; what remains is a host that is not ours, or a port below 1024.
  if (syscall === 'listen') {
    const variable = code === 'EACCES' ? 'the port to one above 1023' : 'HOST to an address of this machine';
    return `Nothing can be served there: ${message}. Set ${variable}.`;
  }
  return undefined;
}

function stopOnSignals(system: System, log: Logger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    // Ctrl-C through npm arrives twice, the second as late as npm gets to it: more of them change nothing.
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error('the drain took too long; whatever was under way goes on at the next start');
      process.exit(1);
    }, DRAIN_LIMIT_MS).unref();
    system.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
}
