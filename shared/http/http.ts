import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { hostInUrl } from '../config/config.js';
import { AppError, type ErrorCode } from '../errors/errors.js';
import { newId } from '../ids/ids.js';
import type { Logger } from '../observability/logger.js';

/** Requests in hand get this long to finish after `close`; then their sockets are cut. */
const DRAIN_MS = 3_000; // 3 seconds

/** Somebody else listens there. The message names the port and the variable that changes it. */
export class PortInUse extends Error {
  override readonly name = 'PortInUse';
  constructor(
    readonly port: number,
    /** Environment variable: `ORDER_PORT`. */
    readonly variable: string,
  ) {
    super(`Port ${port} is in use. Set ${variable} to another one.`);
  }
}

/** How long a client may take; all in milliseconds. Who takes longer is answered 408, where that is possible, and cut off. */
const TIMEOUTS = {
  /** For the head of a request, from its connection or the answer before: against clients that trickle. */
  headers: 10_000, // 10 seconds
  /** For a whole request, its body included. */
  request: 30_000, // 30 seconds
  /** Between requests on one connection; longer than load balancers wait, so that it is they who close. */
  keepAlive: 72_000, // 72 seconds
  /** Without a byte in either direction: for clients that ask and do not read. */
  stalled: 120_000, // 2 minutes
  /** How often connections are looked at, so how much later than said they may end. */
  check: 1_000, // 1 second
};

export type Timeouts = typeof TIMEOUTS;

export interface HttpAppOptions {
  readonly log: Logger;
  readonly timeouts?: Partial<Timeouts>;
  /** Largest request body in bytes; larger ones get 413 before they are read. 1 MiB when absent. */
  readonly bodyLimit?: number;
  /** The body of an error that no route answered itself: bad JSON, too large, unknown path, a thrown error. */
  readonly errorBody: (code: ErrorCode, message: string, status: number) => unknown;
  /** Media type of these bodies; `application/json` when absent. */
  readonly errorType?: string;
}

/**
 * Fastify with what every listener of ours shares: requests that come after `close` are UNAVAILABLE. No request log:
 * services log what they do, not that they were called.
 */
export function createHttpApp({
  log,
  timeouts = {},
  bodyLimit,
  errorBody,
  errorType = 'application/json',
}: HttpAppOptions): FastifyInstance {
  const { headers, request, keepAlive, stalled, check } = { ...TIMEOUTS, ...timeouts };
  const answer = (reply: FastifyReply, status: number, code: ErrorCode, message: string) =>
    reply
      .code(status)
      .type(errorType)
      .send(errorBody(code, message, status));
  const nothingHere = ({ method, url }: { readonly method: string; readonly url: string }) =>
    `There is no ${method} ${url.split('?')[0]} here.`;
  const app = fastify({
    logger: false,
    ...(bodyLimit !== undefined && { bodyLimit }),
    requestTimeout: request,
    keepAliveTimeout: keepAlive,
    connectionTimeout: stalled,
    http: { headersTimeout: headers, connectionsCheckingInterval: check },
    clientErrorHandler: (error, socket) => {
      const [status, code, message] = notHttp(error);
      const body = JSON.stringify(errorBody(code, message, status));
      // What was being answered when the rest of the connection turned out to be garbage is not mixed with this.
      if (socket.writable && socket.bytesWritten === 0) {
        socket.write(
          `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: ${errorType}\r\n` +
            `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
      }
      socket.destroySoon();
    },
    forceCloseConnections: 'idle',
    // The hook below answers in our own words.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      // A name longer than any that we give names nothing.
      if (error.code === 'FST_ERR_MAX_PARAM_LENGTH') void answer(reply, 404, 'NOT_FOUND', nothingHere(request));
      else void answer(reply, 400, 'VALIDATION', error.message);
    },
  });
  let stopping = false;
  app.addHook('preClose', (done) => {
    stopping = true;
    done();
  });
  app.addHook('onRequest', (_request, reply, done) => {
    if (!stopping) return done();
    void reply.header('connection', 'close');
    return done(new AppError('UNAVAILABLE', 'This process is stopping; try again.'));
  });
  // JSON only: a body of plain text is what a foreign web page may send without asking.
  app.removeContentTypeParser('text/plain');
  app.setNotFoundHandler((request, reply) => answer(reply, 404, 'NOT_FOUND', nothingHere(request)));
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return answer(reply, status, 'VALIDATION', error.message);
    if (error instanceof AppError && error.code !== 'INTERNAL') {
      return answer(reply, 503, error.code, error.message);
    }
    const requestId = newId();
    log.error({ err: error, requestId }, 'unexpected error');
    const message = `Something went wrong on our side. Name request ${requestId} when you report it.`;
    return answer(reply, 500, 'INTERNAL', message);
  });
  return app;
}

/** What to say to a connection that sends no request that can be read: a status, a code, a message. */
function notHttp({ code }: NodeJS.ErrnoException): [number, ErrorCode, string] {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'VALIDATION', 'The request took too long to arrive.'];
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'VALIDATION', 'The head of the request is too large.'];
  return [400, 'VALIDATION', 'That is no HTTP request.'];
}

/**
 * Cuts off connections of an address that has more of them than it may.
 * @param addressOf what counts as one address: of IPv6, everybody has more of them than anyone could count
 */
export function limitConnections(
  app: FastifyInstance,
  perAddress: number,
  addressOf: (socket: Socket) => string,
): void {
  const open = new Map<string, number>();
  app.server.on('connection', (socket: Socket) => {
    const address = addressOf(socket);
    const before = open.get(address) ?? 0;
    if (before >= perAddress) {
      socket.destroy();
      return;
    }
    open.set(address, before + 1);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
}

/** Answers 405 with an Allow header to what is neither HEAD nor one of these methods, whatever its body. */
export function refuseOtherMethods(app: FastifyInstance, url: string, allowed: readonly string[]): void {
  const refuse = (request: FastifyRequest, reply: FastifyReply): never => {
    void reply.header('allow', allowed.join(', '));
    const message = `${request.method} is not served here, only ${allowed.join(' and ')}.`;
    throw Object.assign(new Error(message), { statusCode: 405 });
  };
  // Fastify itself serves HEAD beside every GET.
  const method = app.supportedMethods.filter((one) => one !== 'HEAD' && !allowed.includes(one));
  app.route({ method, url, onRequest: refuse, handler: refuse });
}

/**
 * Starts listening; answers the base address, `http://127.0.0.1:4003`, with the real port where 0 was asked for.
 * @throws PortInUse
 */
export async function listen(
  app: FastifyInstance,
  { host, port, variable }: { readonly host: string; readonly port: number; readonly variable: string },
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw new PortInUse(port, variable);
    throw error;
  }
  const address = app.server.address();
  const actual = address !== null && typeof address === 'object' ? address.port : port;
  return `http://${hostInUrl(host)}:${actual}`;
}

/** Takes no new connection, lets requests in hand finish, closes keep-alive sockets the moment they are idle. */
export async function close(app: FastifyInstance): Promise<void> {
  // Node closes idle sockets once, when closing starts; one that was busy then would linger for its keep-alive time.
  const idle = setInterval(() => app.server.closeIdleConnections(), 20);
  const cut = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  try {
    await app.close();
  } finally {
    clearInterval(idle);
    clearTimeout(cut);
  }
}
