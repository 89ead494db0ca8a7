import { hostname } from 'node:os';
import type { Config } from '../../shared/config/config.js';
import { createLogger, type Logger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { setTracer } from '../../shared/observability/tracing.js';
import { loadDemoData } from '../demo.js';
import { openEngines } from '../engines.js';
import { EXIT } from '../exit.js';
import { assertApart, enginesOf, PROCESS_NAMES, PROCESSES, processesNamed, type ProcessName } from '../processes.js';
import { summary } from '../summary.js';
import { startProcesses, type Running, type Subgraphs } from '../system.js';

/** A drain that takes longer than this will not end by itself. With servers there are groups to leave. */
const DRAIN_LIMIT_MS = { embedded: 4_500, servers: 10_000 } as const;

/**
 * Starts the named processes, all when there are none, and resolves when they serve; from then on signals end the process.
 * @param begun when the process began, on performance.now()'s clock
 */
export async function run(names: readonly string[], config: Config, begun: number): Promise<void> {
  const wanted = processesNamed(names);
  const all = wanted.length === PROCESS_NAMES.length;
  if (!all) assertApart(config);
  // Hundreds of lines on the first start would push the summary of it out of sight; whoever asks for more gets all.
  let starting = all;
  const log = await createLogger(config, () => starting && config.logLevel === 'info');
  const signals = handleSignals(log, config);
  const running = await start(wanted, config, log);
  starting = false;
  signals.running(running);
  const ready = performance.now() - begun;
  if (all) console.log(summary(config, ready));
  else log.info({ processes: wanted, readyMs: Math.round(ready) }, 'ready');
}

async function start(wanted: readonly ProcessName[], config: Config, log: Logger): Promise<Running> {
  const all = wanted.length === PROCESS_NAMES.length;
  const [first = 'gateway'] = wanted;
  const name = all ? 'tributary' : wanted.join('+');
  const endTracing = await beginTracing(name, config, log);
  const engines = await openEngines(config, {
    clientId: name,
    instanceId: instanceOf(name, PROCESSES[first].port(config)),
    log,
    needs: enginesOf(wanted),
    onFailure: (error) => {
      log.fatal({ err: error }, 'the disk failed; start again when it is well');
      process.exit(EXIT.diskFailed);
    },
  });
  const running = await startProcesses(
    wanted,
    {
      config,
      engines,
      log,
      metrics: createMetrics(),
      now: Date.now,
    },
    { health: !all },
  );
  if (all && config.demoData) {
    // Whatever a visitor did to half-loaded demo data must not keep the system from starting.
    await loadDemoData(running.subgraphs as Subgraphs, engines.documents, log, config).catch((error: unknown) => {
      log.warn({ err: error }, 'the demo data is not complete; the next start goes on with it');
    });
  }
  return {
    ...running,
    // At the end: what is finished during the drain belongs to traces too.
    stop: async () => {
      await running.stop().finally(endTracing);
    },
  };
}

/** Nobody else listens on that port of this machine or container, so whoever had this name is this process before it died. */
const instanceOf = (name: string, port: number): string | undefined =>
  port === 0 ? undefined : `${name}-${hostname()}-${port}`.replaceAll(/[^\w.-]/g, '-').slice(-200);

/** Sends traces where the settings say, and answers what sends the last of them. Loaded only where it is asked for. */
async function beginTracing(name: string, { tracing, engines }: Config, log: Logger): Promise<() => Promise<void>> {
  if (tracing === undefined) return () => Promise.resolve();
  const { exportingTracer } = await import('../../shared/observability/opentelemetry.js');
  const tracer = exportingTracer(
    {
      serviceName: tracing.serviceName ?? name,
      settings: tracing,
      messagingSystem: engines.kind === 'servers' ? 'kafka' : 'sqlite',
    },
    log,
  );
  setTracer(tracer);
  return () => tracer.close();
}

/**
 * SIGINT and SIGTERM drain what runs. During the start there is nothing to drain that would not be repeated. SIGHUP has
 * the file with the supergraph read again; where there is none it ends the process, as when a terminal is closed.
 */
function handleSignals(log: Logger, { engines, supergraph }: Config): { running(one: Running): void } {
  const limitMs = DRAIN_LIMIT_MS[engines.kind];
  let running: Running | undefined;
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    // Ctrl-C through npm arrives twice, the second as late as npm gets to it: more of them change nothing.
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    if (running === undefined) process.exit(EXIT.clean);
    setTimeout(() => {
      log.error('the drain took too long; whatever was under way goes on at the next start');
      process.exit(EXIT.fault);
    }, limitMs).unref();
    running.stop().then(
      () => process.exit(EXIT.clean),
      (error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        process.exit(EXIT.fault);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  if (supergraph.path !== undefined) process.on('SIGHUP', () => void running?.reloadSupergraph());
  return { running: (one) => (running = one) };
}
