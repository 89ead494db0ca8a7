import type { FastifyInstance } from 'fastify';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { Check } from '../service/service.js';
import { within } from '../time/within.js';

/** A check that has not answered by then has failed: an orchestrator asks every few seconds. */
const CHECK_TIMEOUT_MS = 2_000; // 2 seconds

export interface HealthOptions {
  /** Name of the service, as its answers give it. */
  readonly name: string;
  /** What it depends on. A rejection or silence counts as a failed check. */
  readonly checks: () => Promise<readonly Check[]>;
  readonly metrics: Metrics;
  /** What went wrong is written here; those who ask may be anybody. */
  readonly log: Logger;
}

/**
 * `/livez`: the process answers. `/readyz` and its alias `/healthz`: every check passes (200) or one does not (503), with
 * the checks in the body. `/metrics`: the process's metrics in Prometheus' text format.
 */
export function registerHealth(app: FastifyInstance, { name, checks, metrics, log }: HealthOptions): void {
  app.get('/livez', () => ({ service: name, status: 'ok' }));
  for (const path of ['/readyz', '/healthz']) {
    app.get(path, async (_request, reply) => {
      const results = await settled(checks, log);
      const ok = results.every((check) => check.ok);
      return reply.code(ok ? 200 : 503).send({ service: name, status: ok ? 'ok' : 'unavailable', checks: results });
    });
  }
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}

async function settled(checks: () => Promise<readonly Check[]>, log: Logger): Promise<readonly Check[]> {
  const detail = `no answer within ${CHECK_TIMEOUT_MS} ms`;
  try {
    return await within(CHECK_TIMEOUT_MS, checks(), () => [{ name: 'checks', ok: false, detail }]);
  } catch (error) {
    log.error({ err: error }, 'the checks failed');
    return [{ name: 'checks', ok: false, detail: 'The checks failed.' }];
  }
}
