import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT, type JWTPayload } from 'jose';
import type { AppError } from '../errors/errors.js';
import { AccessTokenVerifier } from './access-tokens.js';
import type { OidcSettings } from './tokens.js';

interface Key {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly jwk: object;
}

function makeKey(kid: string, alg: 'EdDSA' | 'ES256' | 'RS256' = 'EdDSA'): Key {
  const { publicKey, privateKey } =
    alg === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return { kid, alg, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
}

const START = 1_700_000_000_000;
const own = makeKey('own-1');
const foreign = makeKey('foreign-1', 'ES256');

/** What is published, and how often it was fetched. */
let published: Record<string, unknown>;
let fetched: string[];
let broken = false;
let server: Server;
let base: string;
let clock = START;

beforeAll(async () => {
  server = createServer((request, response) => {
    fetched.push(request.url ?? '');
    const found = broken ? undefined : published[request.url ?? ''];
    response.writeHead(found === undefined ? 500 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  clock = START;
  broken = false;
  fetched = [];
  published = {
    '/own': { keys: [own.jwk] },
    '/foreign': { keys: [foreign.jwk] },
    '/.well-known/openid-configuration': { issuer: base, jwks_uri: `${base}/foreign` },
  };
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const oidc = (): OidcSettings => ({
  issuer: base,
  audience: 'shop',
  userClaim: 'sub',
  roleClaim: 'realm_access.roles',
  adminRole: 'shop-admin',
});
const verifier = (settings?: OidcSettings): AccessTokenVerifier =>
  new AccessTokenVerifier({ jwksUrl: () => new URL(`${base}/own`), oidc: settings, now: () => clock });

interface Making {
  readonly key?: Key;
  readonly header?: Record<string, unknown>;
  readonly claims?: JWTPayload;
}

const seconds = START / 1_000;
const ours: JWTPayload = {
  iss: 'tributary',
  aud: 'tributary',
  sub: 'ana',
  role: 'USER',
  iat: seconds,
  exp: seconds + 3_600,
};

const make = ({ key = own, header = {}, claims = {} }: Making = {}): Promise<string> =>
  new SignJWT({ ...ours, ...claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
    .sign(key.privateKey);

const refusal = (token: string, by = verifier()) =>
  by.verify(token).then(
    () => undefined,
    (error: unknown) => {
      const { code, message } = error as AppError;
      return `${code} ${message}`;
    },
  );

describe('our own tokens', () => {
  test('say who it is, and until when', async () => {
    const expected = { identity: { role: 'USER', userId: 'ana' }, expiresAt: START + 3_600_000 };
    expect(await verifier().verify(await make())).toEqual(expected);
  });

  test.each<[string, Making, string]>([
    ['expired', { claims: { exp: seconds } }, 'has expired; log in again.'],
    ['for somebody else', { claims: { aud: 'bank' } }, 'is not for us.'],
    [
      'of an unknown issuer',
      { claims: { iss: 'https://evil.example' } },
      'is from an issuer that is not trusted here.',
    ],
    ['of no issuer', { claims: { iss: '' } }, 'is from an issuer that is not trusted here.'],
    ['of another type', { header: { typ: 'JWT' } }, 'has a wrong claim: typ.'],
    ['not good yet', { claims: { nbf: seconds + 60 } }, 'has a wrong claim: nbf.'],
    ['of no known role', { claims: { role: 'ROOT' } }, 'does not say for whom it is.'],
    ['by an invented key', { key: makeKey('invented') }, 'is signed with a key that its issuer does not publish.'],
    ['by another key of that name', { key: makeKey('own-1') }, 'has a wrong signature.'],
    ['of another algorithm', { key: makeKey('own-1', 'RS256') }, 'is signed by an algorithm that is not allowed.'],
  ])('%s are refused', async (_, making, why) => {
    expect(await refusal(await make(making))).toBe(`UNAUTHENTICATED The access token ${why}`);
  });

  test('without an end, or signed with a shared secret or nothing at all, are refused', async () => {
    const { exp: _, ...endless } = ours;
    const token = await new SignJWT(endless)
      .setProtectedHeader({ alg: 'EdDSA', kid: own.kid, typ: 'at+jwt' })
      .sign(own.privateKey);
    expect(await refusal(token)).toBe('UNAUTHENTICATED The access token has a wrong claim: exp.');
    const shared = await new SignJWT(ours)
      .setProtectedHeader({ alg: 'HS256', kid: own.kid, typ: 'at+jwt' })
      .sign(new TextEncoder().encode(JSON.stringify(own.jwk)));
    const notAllowed = 'UNAUTHENTICATED The access token is signed by an algorithm that is not allowed.';
    expect(await refusal(shared)).toBe(notAllowed);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    expect(await refusal(`${encode({ alg: 'none' })}.${encode(ours)}.`)).toBe(notAllowed);
  });

  test.each(['x', 'a.b', 'a.b.c', '..', `${'a'.repeat(9_000)}.b.c`])('the text %# is malformed', async (token) => {
    expect(await refusal(token)).toBe('UNAUTHENTICATED The access token is malformed.');
  });

  test('one changed character is refused', async () => {
    const token = await make();
    const [header, claims, signature] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ ...ours, role: 'ADMIN' })).toString('base64url');
    expect(await refusal([header, forged, signature].join('.'))).toMatch(/wrong signature/);
    expect(claims).not.toBe(forged);
  });

  test('are verified once and remembered until they expire, whatever becomes of the keys', async () => {
    const one = verifier();
    const token = await make();
    const first = await one.verify(token);
    broken = true;
    expect(await one.verify(token)).toBe(first);
    expect(fetched).toEqual(['/own']);
    clock = START + 3_600_000;
    expect(await refusal(token, one)).toMatch(/UNAUTHENTICATED .* has expired/);
    expect(await refusal(token, one)).toMatch(/UNAUTHENTICATED .* has expired/);
  });

  test('cannot be checked while the keys are away, which is not their fault', async () => {
    broken = true;
    const one = verifier();
    const token = await make();
    expect(await refusal(token, one)).toMatch(/^UNAVAILABLE /);
    broken = false;
    expect(await one.verify(token)).toMatchObject({ identity: { userId: 'ana' } });
  });

  test('by unknown keys make them be fetched again, but not each time', async () => {
    const one = verifier();
    await one.verify(await make());
    for (let i = 0; i < 20; i++)
      expect(await refusal(await make({ key: makeKey(`invented-${i}`) }), one)).toBeDefined();
    expect(fetched.length).toBeLessThan(3);
  });
});

describe('tokens of an OIDC issuer', () => {
  const theirs = (claims: JWTPayload = {}, key = foreign, header: Record<string, unknown> = { typ: 'JWT' }) =>
    make({ key, header, claims: { iss: base, aud: ['account', 'shop'], role: undefined, ...claims } });

  test('count where it is named, whose keys are found by discovery', async () => {
    const one = verifier(oidc());
    expect(await one.verify(await theirs())).toMatchObject({ identity: { role: 'USER', userId: 'ana' } });
    expect(fetched).toEqual(['/.well-known/openid-configuration', '/foreign']);
    expect(await one.verify(await make())).toMatchObject({ identity: { userId: 'ana' } });
    expect(await refusal(await theirs())).toMatch(/not trusted here/);
  });

  test('name their administrators, and our id of the user, in claims that the settings name', async () => {
    const admin = await theirs({ realm_access: { roles: ['other', 'shop-admin'] }, uid: 'u1' });
    expect(await verifier(oidc()).verify(admin)).toMatchObject({ identity: { role: 'ADMIN', userId: 'ana' } });
    const flat = { ...oidc(), userClaim: 'uid', roleClaim: 'https://shop.example/role', adminRole: 'boss' };
    const token = await theirs({ uid: 'u1', 'https://shop.example/role': 'boss' });
    expect(await verifier(flat).verify(token)).toMatchObject({ identity: { role: 'ADMIN', userId: 'u1' } });
    expect(await refusal(await theirs(), verifier(flat))).toMatch(/does not say for whom/);
  });

  test('must be for our audience and signed with a private key', async () => {
    expect(await refusal(await theirs({ aud: 'account' }), verifier(oidc()))).toMatch(/is not for us/);
    expect(await refusal(await theirs({}, own), verifier(oidc()))).toMatch(/does not publish|wrong signature/);
  });

  test('cannot be checked while discovery fails or names somebody else, and can later', async () => {
    const one = verifier(oidc());
    published['/.well-known/openid-configuration'] = { issuer: 'https://evil.example', jwks_uri: `${base}/foreign` };
    expect(await refusal(await theirs(), one)).toMatch(/^UNAVAILABLE /);
    published['/.well-known/openid-configuration'] = { issuer: base, jwks_uri: `${base}/foreign` };
    expect(await one.verify(await theirs())).toMatchObject({ identity: { userId: 'ana' } });
  });

  test('need no discovery where the settings name the keys', async () => {
    const one = verifier({ ...oidc(), jwksUrl: `${base}/foreign` });
    expect(await one.verify(await theirs())).toMatchObject({ identity: { userId: 'ana' } });
    expect(fetched).toEqual(['/foreign']);
  });
});
