import { AppError } from '../errors/errors.js';

/** RFC 6750. */
const BEARER = /^Bearer +([\w~+/.-]+=*) *$/i;

/**
 * The token in an Authorization header.
 * @throws AppError UNAUTHENTICATED unless it is `Bearer`, a space and a token.
 */
export function bearerToken(authorization: string): string {
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) {
    throw new AppError('UNAUTHENTICATED', 'Authorization has to be Bearer, a space and the access token.');
  }
  return token;
}
