import type { IncomingHttpHeaders } from 'node:http';
import type { RequestContext } from '../shared/graphql/context.js';
import type { Identity } from '../shared/identity/identity.js';

/** What a client shows of itself: the headers of its request or of its WebSocket handshake. */
export interface Credentials {
  readonly headers: IncomingHttpHeaders;
  /** The payload of graphql-ws's connection_init. */
  readonly connectionParams?: Readonly<Record<string, unknown>>;
}

/**
 * Who is asking.
 * @throws AppError UNAUTHENTICATED when what is shown is wrong; showing nothing is ANONYMOUS.
 */
export type Authenticate = (credentials: Credentials) => Promise<Identity>;

/** One operation of one client; handed down to every call of a subgraph. */
export type GatewayContext = RequestContext;
