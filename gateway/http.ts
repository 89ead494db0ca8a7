/** GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), and who may call it from a browser. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { FormattedExecutionResult } from 'graphql';
import { AppError, type ErrorCode } from '../shared/errors/errors.js';
import { errorBody, toClientError, type ErrorContext } from '../shared/graphql/errors.js';
import { REQUEST_ID_HEADER, requestIdOf, TRACEPARENT_HEADER } from '../shared/graphql/request.js';
import type { Refusal } from '../shared/graphql/websocket.js';
import { refuseOtherMethods } from '../shared/http/http.js';
import type { Logger } from '../shared/observability/logger.js';
import { tracer, type Span } from '../shared/observability/tracing.js';
import { clientAddress } from './addresses.js';
import { isMutation, isSubscription, type Admission, type Asked } from './admission.js';
import type { Authenticate, Caller } from './context.js';
import { describeOperation } from './debug.js';
import { Gone } from './gone.js';
import { accepts, JSON_TYPE, type ResponseType } from './media-types.js';
import type { Origins } from './origins.js';
import type { RunOperation } from './run.js';
import { wantsEventStream, type EventStreams } from './subscriptions/sse.js';

export interface GraphqlOverHttpDeps {
  readonly path: string;
  readonly admission: Admission;
  readonly authenticate: Authenticate;
  readonly trustedProxies: number;
  readonly run: RunOperation;
  readonly streams: Pick<EventStreams, 'serve'>;
  /** What a browser sees that is sent here. */
  readonly page: (request: FastifyRequest, reply: FastifyReply) => unknown;
  readonly log: Logger;
}

/** An error of the request itself, with the status it is answered with. */
class Refused extends Error {
  constructor(
    readonly status: number,
    readonly error: AppError,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(error.message);
  }
}

const refused = (status: number, message: string, headers?: Readonly<Record<string, string>>): Refused =>
  new Refused(status, new AppError('VALIDATION', message), headers);

const STATUS: Partial<Record<ErrorCode, number>> = {
  VALIDATION: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  RATE_LIMITED: 429,
  // As Apollo Server answers it: its clients repeat the request with the document.
  PERSISTED_QUERY_NOT_FOUND: 200,
  UNAVAILABLE: 503,
};

/** Serves queries and mutations by POST, queries by GET too, and everything as a stream to those who accept one. */
export function registerGraphqlOverHttp(app: FastifyInstance, deps: GraphqlOverHttpDeps): void {
  const { path, admission, authenticate, trustedProxies, run, streams, page, log } = deps;

  /** Who asks for what, once that has been admitted. */
  const admit = async (request: FastifyRequest, span: Span | undefined) => {
    const asked = request.method === 'GET' ? askedInAddress(request.query) : askedInBody(request.body);
    const address = clientAddress(request.raw, trustedProxies);
    let caller: Caller;
    try {
      caller = await authenticate({ headers: request.headers });
    } catch (error) {
      await admission.countRefused(address);
      throw error;
    }
    const operation = await admission.admit(asked, { identity: caller.identity, address }, request.headers);
    if (span !== undefined) describeOperation(span, operation);
    if (request.method === 'GET' && isMutation(operation)) {
      throw refused(405, 'Mutations are not served by GET; send this by POST.', { allow: 'POST' });
    }
    return { operation, caller, address };
  };

  async function answer(request: FastifyRequest, reply: FastifyReply, type: ResponseType): Promise<FastifyReply> {
    const span = startSpan(request, reply, path);
    refuseForgery(request);
    const { operation } = await admit(request, span);
    if (isSubscription(operation)) {
      throw refused(
        400,
        `Subscriptions are served over WebSocket, or to those who accept text/event-stream, at ${path}.`,
      );
    }
    Object.assign(operation.context, { gone: whenGone(reply.raw) });
    const { status, result } = await run(operation);
    // With the other answers of this turn of the event loop: whoever reads them is woken once, not by each anew.
    await endOfTurn();
    return send(reply, type, status, result);
  }

  async function stream(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const span = startSpan(request, reply, path);
    if (!isReadByItsOwnPage(request)) refuseForgery(request);
    const { operation, caller, address } = await admit(request, span);
    // Gone while that took its time: nobody would tell the stream, and it would stay for ever.
    if (reply.raw.destroyed) return reply.hijack();
    reply.raw.once('close', admission.openSocket(address));
    reply.hijack();
    const headers = reply.getHeaders() as OutgoingHttpHeaders;
    await streams.serve({ request: request.raw, response: reply.raw, headers, operation, caller, address });
    return reply;
  }

  app.route({
    method: ['GET', 'POST'],
    url: path,
    handler: async (request, reply) => {
      const streamed = wantsEventStream(request.raw);
      const type = streamed ? JSON_TYPE : accepts(request.headers.accept);
      if (type === 'page' && request.method === 'GET' && !hasQuery(request.query)) return page(request, reply);
      if (type === undefined) return reply.code(406).send(errorBody('VALIDATION', NOT_ACCEPTABLE));
      const media = type === 'page' ? JSON_TYPE : type;
      try {
        return await (streamed ? stream(request, reply) : answer(request, reply, media));
      } catch (error) {
        const context = { requestId: requestIdOf(request.headers), log };
        // Where a stream was asked for, 200 would announce one.
        return sendError(reply, media, error, context, streamed ? 400 : 200);
      }
    },
  });
  refuseOtherMethods(app, path, ['GET', 'POST']);
}

/**
 * Begins the span of a request, under the client's if it has one: whatever reads the headers from here on belongs to it.
 * It ends with the connection's last word on the answer; for a stream that is the end of the stream.
 */
function startSpan({ method, headers }: FastifyRequest, { raw }: FastifyReply, path: string): Span | undefined {
  const span = tracer?.start(`gateway ${method} ${path}`, 'server', headers[TRACEPARENT_HEADER] as string | undefined, {
    'http.request.method': method,
    'http.route': path,
    'url.path': path,
  });
  if (span === undefined) return undefined;
  headers[TRACEPARENT_HEADER] = span.traceparent;
  raw.once('close', () => {
    span.set('http.response.status_code', raw.statusCode);
    span.end(raw.statusCode >= 500 ? String(raw.statusCode) : undefined);
  });
  return span;
}

/** Told when the connection ends before the answer has been sent. */
function whenGone(response: ServerResponse): Gone {
  const gone = new Gone();
  // While it was let in: there is no event to come.
  if (response.destroyed) gone.leave();
  response.once('close', () => {
    if (!response.writableFinished) gone.leave();
  });
  return gone;
}

const NOT_ACCEPTABLE = 'Answers are application/graphql-response+json or application/json.';

/** Old clients, those that name application/json, look for errors in the body only: the specification asks for 200. */
const statusFor = (type: ResponseType, status: number): number =>
  type.legacy && (status === 400 || status === 504) ? 200 : status;

function send(reply: FastifyReply, type: ResponseType, status: number, result: FormattedExecutionResult): FastifyReply {
  return reply
    .code(statusFor(type, status))
    .headers({ 'content-type': type.contentType, 'cache-control': 'no-store' })
    .send(JSON.stringify(result));
}

function sendError(
  reply: FastifyReply,
  type: ResponseType,
  error: unknown,
  context: ErrorContext,
  leastStatus: number,
): FastifyReply {
  const cause = error instanceof Refused ? error.error : error;
  const formatted = toClientError(cause, context);
  const { code, retryAfter } = formatted.extensions ?? {};
  const status = Math.max(leastStatus, error instanceof Refused ? error.status : (STATUS[code as ErrorCode] ?? 500));
  if (error instanceof Refused) void reply.headers(error.headers);
  if (status === 401) void reply.header('www-authenticate', 'Bearer');
  if (typeof retryAfter === 'number') void reply.header('retry-after', String(retryAfter));
  const result = { errors: [formatted] };
  // These are about the request, not about its document, so they are errors of HTTP for everybody.
  if (error instanceof Refused) return reply.code(status).type(type.contentType).send(JSON.stringify(result));
  return send(reply, type, status, result);
}

/** Media types that a page may send anywhere without asking first. */
const SIMPLE_TYPES: ReadonlySet<string> = new Set([
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'text/plain',
]);

/**
 * Apollo Server's rule against requests that a foreign page makes its visitor's browser send: there must be a header that
 * makes the browser ask first, which the list of origins then answers.
 */
function refuseForgery({ headers }: FastifyRequest): void {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== undefined && type !== '' && !SIMPLE_TYPES.has(type)) return;
  if (headers['x-apollo-operation-name'] || headers['apollo-require-preflight']) return;
  throw refused(
    400,
    'A request without a body needs the header apollo-require-preflight or x-apollo-operation-name, or content-type: application/json.',
  );
}

/**
 * An EventSource can send no header of its own. It reads and changes nothing, its Origin has been looked at, and a request
 * of another site that bears none is told by what browsers say of it.
 */
const isReadByItsOwnPage = ({ method, headers }: FastifyRequest): boolean => {
  const site = headers['sec-fetch-site'];
  return (
    method === 'GET' &&
    (headers.origin !== undefined || site === undefined || site === 'same-origin' || site === 'none')
  );
};

const hasQuery = (query: unknown): boolean =>
  typeof query === 'object' && query !== null && ('query' in query || 'extensions' in query);

function askedInBody(body: unknown): Asked {
  if (Array.isArray(body)) throw refused(400, 'Batches of operations are not served; send one at a time.');
  if (typeof body !== 'object' || body === null) throw refused(400, 'The body must be a JSON object with a query.');
  return body;
}

function askedInAddress(query: unknown): Asked {
  const { variables, extensions, ...rest } = (query ?? {}) as Record<string, unknown>;
  return { ...rest, variables: jsonIn(variables, 'variables'), extensions: jsonIn(extensions, 'extensions') };
}

function jsonIn(text: unknown, name: string): unknown {
  if (text === undefined || text === '') return undefined;
  if (typeof text !== 'string') throw refused(400, `${name} must be given once.`);
  try {
    return JSON.parse(text);
  } catch {
    throw refused(400, `${name} must be JSON.`);
  }
}

/** Request ids for everybody; for browsers, which pages may call and read the answers. */
export function registerBrowserRules(app: FastifyInstance, origins: Origins): void {
  app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    // The context reads it from here, so that answer and logs bear the same one.
    const requestId = requestIdOf(request.headers);
    request.headers[REQUEST_ID_HEADER] = requestId;
    void reply.header(REQUEST_ID_HEADER, requestId);
    // A page of ours in a frame of a stranger's would be clicked on in good faith.
    void reply.header('x-frame-options', 'DENY');
    const { origin, host } = request.headers;
    if (!origins.allows(origin, host)) {
      const message =
        origin === undefined
          ? 'In demo mode this gateway answers to its address, localhost and the hosts of ALLOWED_ORIGINS only.'
          : `Pages of ${origin} may not call this gateway.`;
      void reply.code(403).send(errorBody('FORBIDDEN', message));
      return;
    }
    if (origin === undefined) return done();
    void reply.headers({
      'access-control-allow-origin': origin,
      'access-control-expose-headers': `${REQUEST_ID_HEADER}, retry-after`,
      vary: 'origin',
    });
    if (request.method !== 'OPTIONS') return done();
    void reply
      .headers({
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': request.headers['access-control-request-headers'] ?? 'content-type',
        'access-control-max-age': '600',
      })
      .code(204)
      .send();
  });
}

/** Whether to take the WebSocket of a page, and of an address; what it has taken it gives back when it is gone. */
export function acceptSocket(
  request: IncomingMessage,
  origins: Origins,
  admission: Admission,
  trustedProxies: number,
): boolean | Refusal {
  const { origin, host } = request.headers;
  if (!origins.allows(origin, host)) return false;
  try {
    request.socket.once('close', admission.openSocket(clientAddress(request, trustedProxies)));
    return true;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { code, message, details } = error;
    const headers = { 'retry-after': String(details['retryAfter']) };
    return { status: 429, headers, body: { errors: [{ message, extensions: { ...details, code } }] } };
  }
}
