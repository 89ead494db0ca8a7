/** What issuers and verifiers of access tokens have in common. */
import type { Identity } from './identity.js';

/** Issuer of the tokens that `login` gives out, and whom they are for. */
export const TOKEN_ISSUER = 'tributary';
export const TOKEN_AUDIENCE = 'tributary';
/** Their type (RFC 9068) and algorithm. */
export const TOKEN_TYPE = 'at+jwt';
export const TOKEN_ALGORITHM = 'EdDSA';
/** Where the user subgraph publishes the keys they are checked with. */
export const JWKS_PATH = '/.well-known/jwks.json';

/** Published keys may be kept this long; new ones are published longer than that before they sign. */
export const JWKS_MAX_AGE_MS = 300_000; // 5 minutes

/** Somebody else whose tokens count. */
export interface OidcSettings {
  /** Exactly as `iss` has it: `https://login.example/realms/shop`. */
  readonly issuer: string;
  /** What `aud` must contain. */
  readonly audience: string;
  /** Where its keys are; found by discovery when absent. */
  readonly jwksUrl?: string;
  /** Claim with our id of the user. */
  readonly userClaim: string;
  /** Claim with the roles, a path of names with dots between: `realm_access.roles`. A text or a list of them. */
  readonly roleClaim: string;
  /** What that claim says of administrators. */
  readonly adminRole: string;
}

export interface VerifierOptions {
  /** Address of our own keys, asked for when first needed: ports may be chosen at start. */
  readonly jwksUrl: () => URL;
  readonly oidc?: OidcSettings | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Whom a token speaks for. */
export interface Verified {
  readonly identity: Identity;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Checks access tokens. */
export interface TokenVerifier {
  /**
   * Whom the token speaks for.
   * @throws AppError UNAUTHENTICATED when it is malformed, forged, expired or not for us; UNAVAILABLE when its issuer's
   * keys cannot be had at the moment.
   */
  verify(token: string): Promise<Verified>;
}

/** A verifier that is loaded when the first token comes: a start has no time for what may never be needed. */
export function makeVerifier(options: VerifierOptions): TokenVerifier {
  let loaded: Promise<TokenVerifier> | undefined;
  const load = async (): Promise<TokenVerifier> => {
    const { AccessTokenVerifier } = await import('./access-tokens.js');
    return new AccessTokenVerifier(options);
  };
  return { verify: async (token) => (await (loaded ??= load())).verify(token) };
}
