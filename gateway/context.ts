import type { IncomingHttpHeaders } from 'node:http';
import type { RequestContext } from '../shared/graphql/context.js';
import { createRequestContext, type Carrier } from '../shared/graphql/request.js';
import type { Identity } from '../shared/identity/identity.js';
import type { Logger } from '../shared/observability/logger.js';
import { debugFor, type Debug, type DebugSettings } from './debug.js';
import type { Gone } from './gone.js';

/** What a client shows of itself: the headers of its request or of its WebSocket handshake. */
export interface Credentials {
  readonly headers: IncomingHttpHeaders;
  /** The payload of graphql-ws's connection_init, or of a ping that authenticates anew. */
  readonly connectionParams?: Readonly<Record<string, unknown>>;
}

/** Who is asking, and until when that counts. */
export interface Caller {
  readonly identity: Identity;
  /** Milliseconds since the epoch after which it no longer counts; undefined: never. */
  readonly expiresAt?: number;
}

/**
 * Who is asking. A client that shows no token is ANONYMOUS or, in demo mode, the demo administrator.
 * @throws AppError UNAUTHENTICATED for a token that is bad or has expired, UNAVAILABLE when it cannot be checked now.
 */
export type Authenticate = (credentials: Credentials) => Promise<Caller>;

/** Whom an operation is counted for: `user:<id>` of an authenticated caller, else `address:<ip>`. */
export type ClientKey = string;

/** One operation of one client, or one event of its subscription; handed down to every call of a subgraph. */
export interface GatewayContext extends RequestContext {
  readonly client: ClientKey;
  /** By then the answer must be there; `performance.now()` milliseconds. */
  readonly deadline: number;
  /** How long an operation, or an event of a subscription, may take; milliseconds. */
  readonly timeoutMs: number;
  /** Collects what the answer is to say of how it came about; absent where nobody asked, or may. */
  readonly debug?: Debug;
  /** Says when nobody waits for the answer any more; queries then stop asking. */
  readonly gone?: Gone;
}

/** What every operation of a client has in common. */
export interface ClientOfOperation {
  readonly identity: Identity;
  /** Address of the client: see addresses.ts. */
  readonly address: string;
  readonly timeoutMs: number;
  /** Nobody is told more when absent. */
  readonly debug?: DebugSettings;
}

/** The key under which an identity, or else an address, is counted. */
export const clientKeyOf = ({ userId }: Identity, address: string): ClientKey =>
  userId === null || userId === '' ? `address:${address}` : `user:${userId}`;

/**
 * The context of an operation that begins now.
 * @param carrier headers of its request, or `extensions` of its WebSocket message: request id and trace
 */
export function createGatewayContext(
  { identity, address, timeoutMs, debug: settings }: ClientOfOperation,
  carrier: Carrier,
  log: Logger,
): GatewayContext {
  // Subgraphs learn it from the signed identity only: a header could be anybody's.
  const context = createRequestContext({ ...identity, address }, carrier, log);
  const client = clientKeyOf(identity, address);
  const debug = settings && debugFor(settings, identity, carrier);
  const deadline = performance.now() + timeoutMs;
  return Object.assign(context, { client, timeoutMs, deadline }, debug && { debug });
}

/**
 * The same for one event of a subscription, which has its time to itself, and the trace of what set it off. Member by
 * member: the logger is a getter.
 */
export const contextOfEvent = (
  { identity, requestId, traceparent, log, client, timeoutMs, debug }: GatewayContext,
  trace: string | undefined,
): GatewayContext => ({
  identity,
  requestId,
  traceparent: trace ?? traceparent,
  log,
  client,
  timeoutMs,
  deadline: performance.now() + timeoutMs,
  ...(debug !== undefined && { debug: { staleness: {} } }),
});
