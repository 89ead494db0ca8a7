import { createHmac, timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors/errors.js';
import type { Role } from '../events/states.js';

/** Who is asking. The gateway decides it, signs it, and every subgraph checks what that person may do with its data. */
export type Identity = (
  { readonly role: 'ANONYMOUS'; readonly userId: null } | { readonly role: Role; readonly userId: string }
) & {
  /** Network address that the request came from, as the gateway saw it. Says where, not who: never compare by it. */
  readonly address?: string;
};

export const ANONYMOUS: Identity = { role: 'ANONYMOUS', userId: null };

/** HTTP header, and key of the graphql-ws connection parameters, that carries the identity token. */
export const IDENTITY_HEADER = 'x-tributary-identity';

/**
 * Key of a GraphQL request's `extensions` that carries the identity token of one WebSocket operation. One socket serves
 * many callers: the token in the connection parameters admits the gateway, this one says for whom the operation runs.
 */
export const IDENTITY_EXTENSION = 'identity';

/** How long a token is valid. */
export const IDENTITY_TTL_MS = 60_000;

/** Clocks of gateway and subgraph may differ by this much. */
const CLOCK_SKEW_MS = 5_000;

interface Claims {
  readonly sub: string | null;
  readonly role: Identity['role'];
  readonly addr?: string;
  readonly aud: string;
  readonly exp: number;
}

const mac = (body: string, key: string): Buffer => createHmac('sha256', key).update(body).digest();

/** The key last made for a subgraph: it is needed for every call. */
const keys = new Map<string, { readonly secret: string; readonly key: string }>();

/**
 * The key of one subgraph: `hex(HMAC-SHA256(secret, name))`. Whoever has it can check tokens made for that subgraph and
 * make none for any other; so a subgraph that is not ours is given its key, never the secret.
 */
export function subgraphKey(audience: string, secret: string): string {
  const known = keys.get(audience);
  if (known?.secret === secret) return known.key;
  const key = createHmac('sha256', secret).update(audience).digest('hex');
  keys.set(audience, { secret, key });
  return key;
}

/** A token for one subgraph: `base64url(claims).base64url(HMAC-SHA256(claims))`, with the subgraph's key. */
export function signIdentity(identity: Identity, audience: string, secret: string, now: number): string {
  const { userId, role, address } = identity;
  const addr = address === undefined ? {} : { addr: address };
  const claims: Claims = { sub: userId, role, ...addr, aud: audience, exp: now + IDENTITY_TTL_MS };
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url');
  return `${body}.${mac(body, subgraphKey(audience, secret)).toString('base64url')}`;
}

/**
 * The identity in a token made for this audience.
 * @throws AppError UNAUTHENTICATED if it is missing, forged, expired or for another subgraph.
 */
export function verifyIdentity(token: unknown, audience: string, secret: string, now: number): Identity {
  const [body, signature, ...rest] = typeof token === 'string' ? token.split('.') : [];
  if (body === undefined || signature === undefined || rest.length > 0) throw refused('is missing');
  const expected = mac(body, subgraphKey(audience, secret));
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw refused('is not signed by the gateway');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims;
  if (claims.aud !== audience) throw refused('is for another subgraph');
  if (claims.exp + CLOCK_SKEW_MS < now) throw refused('has expired');
  const { role, sub: userId, addr: address } = claims;
  return { role, userId, ...(address === undefined ? {} : { address }) } as Identity;
}

const refused = (why: string): AppError =>
  new AppError('UNAUTHENTICATED', `This service answers its gateway only: the identity token ${why}.`);

/** @throws AppError UNAUTHENTICATED for anonymous callers. */
export function requireUser(identity: Identity): { readonly role: Role; readonly userId: string } {
  if (identity.role === 'ANONYMOUS') throw new AppError('UNAUTHENTICATED', 'Log in first.');
  return identity;
}

/** @throws AppError UNAUTHENTICATED or FORBIDDEN unless the caller is an administrator. */
export function requireAdmin(identity: Identity): { readonly role: Role; readonly userId: string } {
  const user = requireUser(identity);
  if (user.role !== 'ADMIN') throw new AppError('FORBIDDEN', 'Only administrators may do this.');
  return user;
}

/** Whether the caller may see and act on what belongs to `ownerId`. */
export const mayAccess = (identity: Identity, ownerId: string | null): boolean =>
  identity.role === 'ADMIN' || (identity.userId !== null && identity.userId === ownerId);

/** @throws AppError UNAUTHENTICATED or FORBIDDEN unless the caller is the owner or an administrator. */
export function requireAccess(identity: Identity, ownerId: string | null): void {
  requireUser(identity);
  if (!mayAccess(identity, ownerId)) throw new AppError('FORBIDDEN', 'This belongs to somebody else.');
}
