import { AppError } from '../shared/errors/errors.js';
import { bearerToken } from '../shared/identity/bearer.js';
import type { Identity } from '../shared/identity/identity.js';
import type { TokenVerifier } from '../shared/identity/tokens.js';
import type { Authenticate, Caller, Credentials } from './context.js';

export interface AuthOptions {
  readonly verifier: TokenVerifier;
  /** Who a client without a token is: ANONYMOUS, or in demo mode the demo administrator. */
  readonly withoutToken: Identity;
}

/**
 * Clients by their access tokens: `Authorization: Bearer <token>` over HTTP, `authorization` in the payload of
 * connection_init, or of a ping, over WebSocket. A token that is shown must be good, in every mode: nobody is taken for
 * somebody else, least of all for the demo administrator, because a token could not be checked.
 */
export function authenticateByToken({ verifier, withoutToken }: AuthOptions): Authenticate {
  const nobody: Caller = { identity: withoutToken };
  return async (credentials) => {
    const authorization = authorizationIn(credentials);
    if (authorization === undefined) return nobody;
    return verifier.verify(bearerToken(authorization));
  };
}

/** What the payload says goes before the header: browsers send none with a WebSocket, and a ping comes later. */
function authorizationIn({ headers, connectionParams }: Credentials): string | undefined {
  const given = connectionParams?.['authorization'] ?? connectionParams?.['Authorization'] ?? headers.authorization;
  if (given === undefined || given === null || typeof given === 'string') return given ?? undefined;
  throw new AppError('UNAUTHENTICATED', 'authorization has to be a text: Bearer, a space and the access token.');
}
