import { STATUS_CODES } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { AppError, type ErrorCode } from '../../shared/errors/errors.js';
import { registerHealth } from '../../shared/http/health.js';
import { close, createHttpApp, listen, refuseOtherMethods } from '../../shared/http/http.js';
import { bearerToken } from '../../shared/identity/bearer.js';
import { requireAccess, type Identity } from '../../shared/identity/identity.js';
import type { TokenVerifier } from '../../shared/identity/tokens.js';
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
 * Errors are problem details (RFC 9457) with our `code`. With a verifier the account's owner and administrators are
 * answered, by their access tokens; without one everybody is.
 */
export function createRest(
  deps: Pick<QueryDeps, 'config' | 'documents' | 'log' | 'metrics'> & { readonly verifier?: TokenVerifier | undefined },
): RestService {
  const { config, documents, metrics, verifier } = deps;
  const log = deps.log.child({ service: 'rest' });
  const app = createHttpApp({ log, errorBody: problem, errorType: PROBLEM });
  let serving = false;
  let url = '';
  const checks = async () => [{ name: 'listener', ok: serving }, await checkDocuments(documents)];

  registerHealth(app, { name: 'rest', checks, metrics, log });
  for (const path of PATHS) {
    serveBalance(app, path, documents, verifier);
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

function serveBalance(app: FastifyInstance, path: string, documents: DocumentStore, verifier?: TokenVerifier): void {
  app.get<{ Params: { id: string } }>(path, async (request, reply) => {
    const refuse = (error: unknown) => refuseWith(reply, error);
    let caller: Identity | undefined;
    try {
      if (verifier !== undefined) caller = await callerOf(request, verifier);
    } catch (error) {
      return refuse(error);
    }
    const id = request.params.id.toLowerCase();
    // NUL is in no id, and no store would look for it.
    const found = id.includes('\0') ? null : await documents.get<AccountDoc>('accounts', id);
    if (found === null) {
      return reply
        .code(404)
        .type(PROBLEM)
        .send(problem('NOT_FOUND', `There is no account ${id}.`, 404));
    }
    try {
      if (caller !== undefined) requireAccess(caller, found.doc.userId);
    } catch (error) {
      return refuse(error);
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

async function callerOf({ headers }: FastifyRequest, verifier: TokenVerifier): Promise<Identity> {
  if (headers.authorization === undefined) {
    throw new AppError('UNAUTHENTICATED', 'Balances take an access token: Authorization: Bearer <token>.');
  }
  return (await verifier.verify(bearerToken(headers.authorization))).identity;
}

const STATUS: Partial<Record<ErrorCode, number>> = { UNAUTHENTICATED: 401, FORBIDDEN: 403, UNAVAILABLE: 503 };

/** A caller who is not answered. RFC 6750 wants to know how one would be. */
function refuseWith(reply: FastifyReply, error: unknown): FastifyReply {
  const status = error instanceof AppError ? STATUS[error.code] : undefined;
  if (!(error instanceof AppError) || status === undefined) throw error;
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply
    .code(status)
    .type(PROBLEM)
    .send(problem(error.code, error.message, status));
}

/** If-None-Match: any of several, weak or not. */
const isKnown = (etag: string, header = ''): boolean =>
  header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
