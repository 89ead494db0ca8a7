import { isIP } from 'node:net';
import type { OidcSettings } from '../identity/tokens.js';

/** Who people are, and how they prove it. */
export interface AuthSettings {
  /** `demo`: whoever shows no token is the demo administrator. `required`: is anonymous. */
  readonly mode: 'demo' | 'required';
  /** Encrypts the keys that sign access tokens; the identity secret when absent. */
  readonly secret: string | undefined;
  /** How long an access token is good, in milliseconds. */
  readonly tokenTtlMs: number;
  /** How long a key signs, in milliseconds. */
  readonly rotationMs: number;
  /** Whether balances over REST take a token. */
  readonly rest: boolean;
  /** Another issuer whose tokens count besides our own. */
  readonly oidc: OidcSettings | undefined;
}

/** The environment variables that `readAuth` looks at. */
export interface AuthEnvironment {
  readonly AUTH_MODE?: 'demo' | 'required' | undefined;
  readonly AUTH_SECRET?: string | undefined;
  readonly ACCESS_TOKEN_TTL_MS: number;
  readonly SIGNING_KEY_ROTATION_MS: number;
  readonly REST_AUTH?: 'on' | 'off' | undefined;
  readonly OIDC_ISSUER?: string | undefined;
  readonly OIDC_AUDIENCE?: string | undefined;
  readonly OIDC_JWKS_URL?: string | undefined;
  readonly OIDC_USER_CLAIM: string;
  readonly OIDC_ROLE_CLAIM: string;
  readonly OIDC_ADMIN_ROLE: string;
}

/** Demo mode is for the engines in this process: servers are where others are. */
export const authModeOf = (given: string | undefined, engines: 'embedded' | 'servers'): AuthSettings['mode'] =>
  given === 'demo' || given === 'required' ? given : engines === 'embedded' ? 'demo' : 'required';

export function readAuth(e: AuthEnvironment, engines: 'embedded' | 'servers'): AuthSettings {
  const mode = authModeOf(e.AUTH_MODE, engines);
  return {
    mode,
    secret: e.AUTH_SECRET,
    tokenTtlMs: e.ACCESS_TOKEN_TTL_MS,
    rotationMs: e.SIGNING_KEY_ROTATION_MS,
    rest: e.REST_AUTH === undefined ? mode === 'required' : e.REST_AUTH === 'on',
    oidc:
      e.OIDC_ISSUER === undefined || e.OIDC_AUDIENCE === undefined
        ? undefined
        : {
            issuer: e.OIDC_ISSUER,
            audience: e.OIDC_AUDIENCE,
            ...(e.OIDC_JWKS_URL === undefined ? {} : { jwksUrl: e.OIDC_JWKS_URL }),
            userClaim: e.OIDC_USER_CLAIM,
            roleClaim: e.OIDC_ROLE_CLAIM,
            adminRole: e.OIDC_ADMIN_ROLE,
          },
  };
}

/** An issuer, and an audience, or neither of them. */
export function wrongOidc(
  given: Readonly<Record<string, string | undefined>>,
): { readonly variable: string; readonly wrong: string } | undefined {
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience } = given;
  if (issuer !== undefined && audience === undefined) {
    return {
      variable: 'OIDC_AUDIENCE',
      wrong: 'is missing. With OIDC_ISSUER it has to say whom tokens must be for, for example tributary',
    };
  }
  const lonely = (['OIDC_AUDIENCE', 'OIDC_JWKS_URL'] as const).find((name) => given[name] !== undefined);
  if (issuer === undefined && lonely !== undefined) {
    return { variable: lonely, wrong: 'is about an issuer that is not named: set OIDC_ISSUER beside it' };
  }
  return undefined;
}

/** What is wrong with the address of an issuer or of its keys; nothing is trusted that came over a readable wire. */
export function wrongIssuerUrl(value: string): string | undefined {
  const example = 'for example https://login.example/realms/shop';
  if (!URL.canParse(value)) return `must be an https address, ${example}`;
  const { protocol, hostname, username, password, search, hash } = new URL(value);
  const name = hostname.replace(/^\[|\]$/g, '');
  const here = name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
  if (protocol !== 'https:' && !(protocol === 'http:' && here)) {
    return `must be an https address, or http on this machine, ${example}`;
  }
  if (username !== '' || password !== '' || search !== '' || hash !== '') {
    return `must be an address without user, query or fragment, ${example}`;
  }
  return undefined;
}
