import type { FastifyInstance } from 'fastify';
import type { DocumentStore } from '../../shared/document-store/port.js';
import type { ErrorCode } from '../../shared/errors/errors.js';
import { registerHealth } from '../../shared/http/health.js';
import { close, createHttpApp, listen } from '../../shared/http/http.js';
import { formatAmount } from '../../shared/money/money.js';
import type { QueryDeps, Service } from '../../shared/service/service.js';
import { checkDocuments, type AccountDoc } from './views.js';

const PROBLEM = 'application/problem+json';

/** An error as RFC 9457 has it; a path that does not exist is told from an account that does not. */
const problem = (code: ErrorCode, detail: string, status: number) => ({
  type: 'about:blank',
  title: code,
  status,
  detail,
});

/**
 * `GET /balances/{account_id}` and its alias `/accounts/{account_id}`, as the Full Cycle balance service serves them:
 * `{"account_id","balance","updated_at"}`, the balance a number with two places. The ETag is the account's version.
 */
export function createRest(deps: Pick<QueryDeps, 'config' | 'documents' | 'log' | 'metrics'>): Service {
  const { config, documents, metrics } = deps;
  const log = deps.log.child({ service: 'rest' });
  const app = createHttpApp({ log, errorBody: problem });
  let serving = false;
  const checks = async () => [{ name: 'listener', ok: serving }, await checkDocuments(documents)];

  registerHealth(app, { name: 'rest', checks, metrics });
  for (const path of ['/balances/:id', '/accounts/:id']) serveBalance(app, path, documents);

  return {
    name: 'rest',
    checks,
    async start() {
      await listen(app, { host: config.host, port: config.ports.rest, variable: 'REST_PORT' });
      serving = true;
    },
    async stop() {
      if (!serving) return;
      serving = false;
      await close(app);
    },
  };
}

function serveBalance(app: FastifyInstance, path: string, documents: DocumentStore): void {
  app.get<{ Params: { id: string } }>(path, async (request, reply) => {
    const id = request.params.id.toLowerCase();
    const found = await documents.get<AccountDoc>('accounts', id);
    if (found === null) {
      return reply
        .code(404)
        .type(PROBLEM)
        .send(problem('NOT_FOUND', `There is no account ${id}.`, 404));
    }
    const etag = `"${found.version}"`;
    void reply.header('etag', etag).header('cache-control', 'no-cache');
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    const { balance, updatedAt } = found.doc;
    // Written by hand: JSON.stringify would turn 800.00 into 800.
    const body = `{"account_id":${JSON.stringify(id)},"balance":${formatAmount(balance)},"updated_at":"${new Date(updatedAt).toISOString()}"}`;
    return reply.type('application/json; charset=utf-8').send(body);
  });
}
