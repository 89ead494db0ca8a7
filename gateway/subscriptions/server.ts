import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { SubscribePayload } from 'graphql-ws';
import { AppError, type ErrorCode } from '../../shared/errors/errors.js';
import {
  KEEP_ALIVE_MS,
  serveWebSocket,
  type Refusal as RefusedHandshake,
  type WebSocketEndpoint,
} from '../../shared/graphql/websocket.js';
import { DEBUG_HEADER, type Carrier } from '../../shared/graphql/request.js';
import type { Logger } from '../../shared/observability/logger.js';
import type { Authenticate, Caller, Credentials } from '../context.js';
import { LIMITS } from '../limits.js';
import { Session, type OperationRunner } from './run.js';
import {
  INIT_WITHIN_MS,
  transportServer,
  type Connection,
  type OperationResults,
  type Refusal,
} from './transport-ws.js';

export const SOCKET_DEFAULTS = {
  /** Operations of one socket at a time. */
  operationsPerSocket: 100,
  /** Events that wait for a client that reads slowly. */
  maxWaiting: 1_000,
  /** How long a subgraph may be away before its subscribers are told. */
  resumeWithinMs: 30_000, // 30 seconds
  /** How long a client may take to send connection_init. */
  initWithinMs: INIT_WITHIN_MS,
  /** Between pings; a client that has not answered one by the next is gone. */
  keepAliveMs: KEEP_ALIVE_MS,
};

export type SocketOptions = typeof SOCKET_DEFAULTS;

/** Queries and mutations in hand get that long at shutdown. */
const FINISH_WITHIN_MS = 2_000; // 2 seconds

/** Timers take no more. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Close codes besides those of the protocol's own checks. */
const UNAUTHORIZED = 4401;
const FORBIDDEN = 4403;
const TRY_AGAIN_LATER = 1013;

/** Of connection_init, ping and pong. */
type Payload = Readonly<Record<string, unknown>>;

export interface ClientSocketDeps {
  readonly path: string;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly authenticate: Authenticate;
  /** Whether to take a handshake, by its Origin and by how many its address has open: see http.ts. */
  readonly accept: (request: IncomingMessage) => boolean | RefusedHandshake;
  /** Where a client asks from. */
  readonly addressOf: (request: IncomingMessage) => string;
  /** Counts a client that could not be authenticated. */
  readonly countRefused: (address: string) => Promise<void>;
  readonly runner: OperationRunner;
  readonly options: Pick<SocketOptions, 'operationsPerSocket' | 'initWithinMs' | 'keepAliveMs'>;
}

/** A client that was admitted. */
class SocketSession extends Session {
  /** Closes the socket when what it was admitted with counts no more. */
  timer: NodeJS.Timeout | undefined;
  /** Whether it asked in connection_init to be told with every answer what led to it. */
  debug = false;
}

/**
 * graphql-transport-ws for clients: subscriptions, and queries and mutations through the same execution as over HTTP.
 *
 * A socket is its caller's: when the token expires, it is closed with 4401, unless the client authenticates anew before,
 * by a ping with `{ "authorization": "Bearer <token>" }`, which is answered by a pong with `{ "expiresAt": <ms> }`. A bad
 * token, or one of another user, closes the socket with 4403. Nothing is sent to a client whose token has expired.
 */
export class ClientSockets {
  private readonly deps: ClientSocketDeps;
  private readonly endpoint: WebSocketEndpoint;
  private stopping = false;

  constructor(server: HttpServer, deps: ClientSocketDeps) {
    this.deps = deps;
    this.endpoint = serveWebSocket(server, {
      path: deps.path,
      log: deps.log,
      maxPayload: LIMITS.bodyBytes,
      keepAliveMs: deps.options.keepAliveMs,
      accept: (request) => (this.stopping ? { status: 503 } : deps.accept(request)),
      server: transportServer<SocketSession>(
        {
          connect: (connection, params) => this.connect(connection, params),
          ping: (connection, payload) => this.ping(connection, payload),
          subscribe: (connection, payload) => this.subscribe(connection, payload),
          mayReceive: (connection) => this.mayReceive(connection),
          errors: (error) => deps.runner.errors(error, {}),
          closed: ({ session }) => clearTimeout(session?.timer),
        },
        deps.options.initWithinMs,
      ),
    });
  }

  /** How many are open. */
  get size(): number {
    return this.endpoint.connections();
  }

  /** Lets queries and mutations in hand finish, then says goodbye to everybody (1001): clients connect again elsewhere. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.deps.runner.settled(FINISH_WITHIN_MS);
    await this.endpoint.close();
  }

  private async connect(
    connection: Connection<SocketSession>,
    connectionParams: Payload,
  ): Promise<SocketSession | undefined> {
    const { headers } = connection.request;
    const caller = await this.authenticate(connection, { headers, connectionParams });
    if (caller === undefined) return undefined;
    const session = new SocketSession(caller, this.deps.addressOf(connection.request));
    session.debug = connectionParams['debug'] === true;
    this.endWhenExpired(connection, session);
    return session;
  }

  private async ping(
    connection: Connection<SocketSession>,
    payload: Payload | undefined,
  ): Promise<Payload | undefined> {
    const { session, request } = connection;
    if (session === undefined || !shows(payload)) return payload;
    const caller = await this.authenticate(connection, { headers: request.headers, connectionParams: payload });
    if (!connection.isOpen) return undefined;
    const { userId } = session.caller.identity;
    if (caller === undefined || (userId !== null && caller.identity.userId !== userId)) {
      connection.close(FORBIDDEN, 'Forbidden');
      return undefined;
    }
    session.become(caller);
    this.endWhenExpired(connection, session);
    return caller.expiresAt === undefined ? {} : { expiresAt: caller.expiresAt };
  }

  /** Undefined for a client that may not come in. One whose token cannot be checked now is told to come back. */
  private async authenticate(
    connection: Connection<SocketSession>,
    credentials: Credentials,
  ): Promise<Caller | undefined> {
    const { authenticate, countRefused, addressOf, log } = this.deps;
    try {
      return await authenticate(credentials);
    } catch (error) {
      if (!(error instanceof AppError)) log.error({ err: error }, 'authentication failed unexpectedly');
      if (error instanceof AppError && error.retryable) connection.close(TRY_AGAIN_LATER, 'Try again later');
      await countRefused(addressOf(connection.request)).catch(() => undefined);
      return undefined;
    }
  }

  private endWhenExpired(connection: Connection<SocketSession>, session: SocketSession): void {
    clearTimeout(session.timer);
    const { expiresAt } = session.caller;
    if (expiresAt === undefined || !connection.isOpen) return;
    const wait = Math.max(0, Math.min(LONGEST_TIMER_MS, expiresAt - this.deps.now()));
    session.timer = setTimeout(() => {
      if (this.mayReceive(connection)) this.endWhenExpired(connection, session);
    }, wait);
  }

  /** Closes the socket of a client whose token has expired. */
  private mayReceive(connection: Connection<SocketSession>): boolean {
    if (connection.session?.isValid(this.deps.now()) === true) return true;
    connection.close(UNAUTHORIZED, 'Token expired');
    return false;
  }

  private async subscribe(
    connection: Connection<SocketSession>,
    payload: SubscribePayload,
  ): Promise<OperationResults | Refusal> {
    const { runner, options } = this.deps;
    const { session, operations } = connection;
    if (session === undefined) throw new Error('Only admitted sockets get here.');
    const carrier = carrierOf(payload, session);
    const refuse = (code: ErrorCode, message: string) => ({
      errors: runner.errors(new AppError(code, message), carrier),
    });
    if (this.stopping) return refuse('UNAVAILABLE', 'The gateway is shutting down; connect again.');
    // This one is among them already.
    if (operations.size > options.operationsPerSocket) {
      return refuse('RATE_LIMITED', `A socket carries ${options.operationsPerSocket} operations at a time.`);
    }
    return runner.run(payload, session, carrier);
  }
}

/** Request id, trace and the wish to be told more, as headers have them. */
const carrierOf = ({ extensions }: SubscribePayload, { debug }: SocketSession): Carrier =>
  debug ? { ...extensions, [DEBUG_HEADER]: '1' } : (extensions ?? {});

/** Whether it is there to authenticate. */
const shows = (payload: Payload | undefined): payload is Payload =>
  payload?.['authorization'] !== undefined || payload?.['Authorization'] !== undefined;
