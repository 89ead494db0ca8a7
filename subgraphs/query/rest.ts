import { STATUS_CODES } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { DocumentStore } from '../../shared/document-store/port.js';
import type { ErrorCode } from '../../shared/errors/errors.js';
import { registerHealth } from '../../shared/http/health.js';
import { close, createHttpApp, listen, refuseOtherMethods } from '../../shared/http/http.js';
import { formatAmount } from '../../shared/money/money.js';
import type { QueryDeps, Service } from '../../shared/service/service.js';
import { checkDocuments, type AccountDoc } from './views.js';

const PROBLEM = 'application/problem+json';
const PATHS = ['/balances/:id', '/accounts/:id'];

export interface RestService extends Service {
  /** Base address, such as `http://127.0.0.1:3003`, once started. */
  readonly url: string;
}

/**
 * `GET /balances/{account_id}` and its alias `/accounts/{account_id}`, as the Full Cycle balance service serves them:
 * `{"account_id","balance","updated_at"}`, the balance a number with two places. The ETag is the account's version.
 * Errors are problem details (RFC 9457) with our `code`.
 */
export function createRest(deps: Pick<QueryDeps, 'config' | 'documents' | 'log' | 'metrics'>): RestService {
  const { config, documents, metrics } = deps;
  const log = deps.log.child({ service: 'rest' });
  const app = createHttpApp({ log, errorBody: problem, errorType: PROBLEM });
  let serving = false;
  let url = '';
  const checks = async () => [{ name: 'listener', ok: serving }, await checkDocuments(documents)];

  registerHealth(app, { name: 'rest', checks, metrics });
  for (const path of PATHS) {
    serveBalance(app, path, documents);
    refuseOtherMethods(app, path, ['GET', 'HEAD']);
  }

  return {
    name: 'rest',
    checks,
    get url() {
      return url;
    },
    async start() {
      url = await listen(app, { host: config.host, port: config.ports.rest, variable: 'REST_PORT' });
      serving = true;
    },
    async stop() {
      if (!serving) return;
      serving = false;
      await close(app);
    },
  };
}

const problem = (code: ErrorCode, detail: string, status: number) => ({
  type: 'about:blank',
  title: STATUS_CODES[status],
  status,
  detail,
  code,
});

function serveBalance(app: FastifyInstance, path: string, documents: DocumentStore): void {
  app.get<{ Params: { id: string } }>(path, async (request, reply) => {
    const id = request.params.id.toLowerCase();
    // NUL is in no id, and no store would look for it.
    const found = id.includes('\0') ? null : await documents.get<AccountDoc>('accounts', id);
    if (found === null) {
      return reply
        .code(404)
        .type(PROBLEM)
        .send(problem('NOT_FOUND', `There is no account ${id}.`, 404));
    }
    const { balance, updatedAt, origin } = found.doc;
    // Versions are counted anew where another wallet speaks for the account.
    const etag = `"${origin === undefined ? '' : `${origin}-`}${found.version}"`;
    void reply.header('etag', etag).header('cache-control', 'no-cache');
    if (isKnown(etag, request.headers['if-none-match'])) return reply.code(304).send();
    // Written by hand: JSON.stringify would turn 800.00 into 800.
    const body = `{"account_id":${JSON.stringify(id)},"balance":${formatAmount(balance)},"updated_at":"${new Date(updatedAt).toISOString()}"}`;
    return reply.type('application/json; charset=utf-8').send(body);
  });
}

/** If-None-Match: any of several, weak or not. */
const isKnown = (etag: string, header = ''): boolean =>
  header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
