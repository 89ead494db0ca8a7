import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { AppError } from '../errors/errors.js';
import type { Identity } from './identity.js';
import {
  JWKS_MAX_AGE_MS,
  TOKEN_ALGORITHM,
  TOKEN_AUDIENCE,
  TOKEN_ISSUER,
  TOKEN_TYPE,
  type OidcSettings,
  type TokenVerifier,
  type Verified,
  type VerifierOptions,
} from './tokens.js';

/** Clocks of whoever signs and whoever checks may differ by this much. */
const CLOCK_SKEW_S = 5; // 5 seconds

/** Signed with a private key, one and all: with a shared secret every verifier could sign too. */
const FOREIGN_ALGORITHMS = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

/** An unknown key makes the keys be fetched again, at most this often: tokens with invented ones cost no more. */
const COOL_DOWN_MS = 5_000; // 5 seconds
const FETCH_TIMEOUT_MS = 3_000; // 3 seconds

/** Verified tokens kept; the oldest goes first. */
const MAX_KNOWN = 10_000;
/** Longer ones are nobody's. */
const MAX_TOKEN_LENGTH = 8_192;

interface Issuer {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly typ?: string;
  readonly keys: () => Promise<JWTVerifyGetKey>;
  readonly identity: (claims: JWTPayload) => Identity | undefined;
}

/**
 * Checks access tokens against the published keys of whoever issued them. What was verified once is remembered until it
 * expires, since a signature costs more than all the rest of a request.
 */
export class AccessTokenVerifier implements TokenVerifier {
  private readonly now: () => number;
  private readonly issuers: ReadonlyMap<string, Issuer>;
  private readonly known = new Map<string, Verified>();

  constructor({ jwksUrl, oidc, now }: VerifierOptions) {
    this.now = now;
    const issuers = [ownIssuer(jwksUrl), ...(oidc === undefined ? [] : [foreignIssuer(oidc)])];
    this.issuers = new Map(issuers.map((one) => [one.issuer, one]));
  }

  async verify(token: string): Promise<Verified> {
    const known = this.known.get(token);
    if (known !== undefined) {
      if (known.expiresAt > this.now()) return known;
      this.known.delete(token);
      throw refused('has expired; log in again');
    }
    const verified = await this.check(token);
    this.known.set(token, verified);
    if (this.known.size > MAX_KNOWN) this.known.delete(this.known.keys().next().value ?? '');
    return verified;
  }

  private async check(token: string): Promise<Verified> {
    const { issuer, audience, algorithms, typ, keys, identity } = this.issuerOf(token);
    try {
      const { payload } = await jwtVerify(token, await keys(), {
        issuer,
        audience,
        algorithms: [...algorithms],
        clockTolerance: CLOCK_SKEW_S,
        currentDate: new Date(this.now()),
        requiredClaims: ['exp', 'sub'],
        ...(typ === undefined ? {} : { typ }),
      });
      const expiresAt = Number(payload.exp) * 1_000;
      if (expiresAt <= this.now()) throw refused('has expired; log in again');
      const who = identity(payload);
      if (who === undefined) throw refused('does not say for whom it is');
      return { identity: who, expiresAt };
    } catch (error) {
      throw inOurWords(error);
    }
  }

  private issuerOf(token: string): Issuer {
    let claims: JWTPayload;
    try {
      if (token.length > MAX_TOKEN_LENGTH) throw new Error('too long');
      claims = decodeJwt(token);
    } catch {
      throw refused('is malformed');
    }
    const issuer = this.issuers.get(claims.iss ?? '');
    if (issuer === undefined) throw refused('is from an issuer that is not trusted here');
    return issuer;
  }
}

function ownIssuer(jwksUrl: () => URL): Issuer {
  let keys: JWTVerifyGetKey | undefined;
  return {
    issuer: TOKEN_ISSUER,
    audience: TOKEN_AUDIENCE,
    algorithms: [TOKEN_ALGORITHM],
    typ: TOKEN_TYPE,
    keys: () => Promise.resolve((keys ??= remoteKeys(jwksUrl()))),
    identity: ({ sub, role }) =>
      sub !== undefined && (role === 'USER' || role === 'ADMIN') ? { role, userId: sub } : undefined,
  };
}

function foreignIssuer({ issuer, audience, jwksUrl, userClaim, roleClaim, adminRole }: OidcSettings): Issuer {
  let keys: JWTVerifyGetKey | undefined;
  return {
    issuer,
    audience,
    algorithms: FOREIGN_ALGORITHMS,
    keys: async () => (keys ??= remoteKeys(jwksUrl === undefined ? await discover(issuer) : new URL(jwksUrl))),
    identity: (claims) => {
      const userId = claims[userClaim];
      if (typeof userId !== 'string' || userId === '') return undefined;
      const roles = [claimAt(claims, roleClaim)].flat();
      return { role: roles.includes(adminRole) ? 'ADMIN' : 'USER', userId };
    },
  };
}

/** A claim by its whole name, which may have dots, or else by the names on the way to it. */
function claimAt(claims: JWTPayload, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path.split('.').reduce<unknown>((found, name) => {
    const inside = typeof found === 'object' && found !== null && Object.hasOwn(found, name);
    return inside ? (found as Readonly<Record<string, unknown>>)[name] : undefined;
  }, claims);
}

/** Keys that could not be had: the network's fault or the issuer's, not the token's. */
class KeysAway extends Error {}

const fetchKeys: typeof fetch = async (...request) => {
  let answer: Response;
  try {
    answer = await fetch(...request);
  } catch (error) {
    throw new KeysAway('no answer', { cause: error });
  }
  if (answer.status !== 200) throw new KeysAway(`status ${answer.status}`);
  return answer;
};

const remoteKeys = (url: URL): JWTVerifyGetKey =>
  createRemoteJWKSet(url, {
    cooldownDuration: COOL_DOWN_MS,
    cacheMaxAge: JWKS_MAX_AGE_MS,
    timeoutDuration: FETCH_TIMEOUT_MS,
    [customFetch]: fetchKeys,
  });

/** OpenID Connect Discovery: the issuer's own document says where its keys are. */
async function discover(issuer: string): Promise<URL> {
  const answer = await fetchKeys(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    redirect: 'error',
  });
  const found = (await answer.json().catch(() => ({}))) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
  if (found.issuer !== issuer) throw new KeysAway('the discovery document is of another issuer');
  if (typeof found.jwks_uri !== 'string' || !URL.canParse(found.jwks_uri)) throw new KeysAway('no jwks_uri');
  return new URL(found.jwks_uri);
}

const MALFORMED = [
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JOSENotSupported,
  errors.JWKSMultipleMatchingKeys, // It names no key, and there are several.
];

function inOurWords(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof errors.JWTExpired) return refused('has expired; log in again');
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refused(error.claim === 'aud' ? 'is not for us' : `has a wrong claim: ${error.claim}`);
  }
  if (error instanceof errors.JWKSNoMatchingKey)
    return refused('is signed with a key that its issuer does not publish');
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused('has a wrong signature');
  if (error instanceof errors.JOSEAlgNotAllowed) return refused('is signed by an algorithm that is not allowed');
  if (MALFORMED.some((kind) => error instanceof kind)) return refused('is malformed');
  return new AppError('UNAVAILABLE', 'The access token cannot be checked at the moment; try again shortly.', {
    cause: error,
  });
}

const refused = (why: string): AppError => new AppError('UNAUTHENTICATED', `The access token ${why}.`);
