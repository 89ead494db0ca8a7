import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import {
  IDENTITY_TTL_MS,
  mayAccess,
  requireAccess,
  requireAdmin,
  requireUser,
  signIdentity,
  subgraphKey,
  verifyIdentity,
  type Identity,
} from './identity.js';

const secret = 'a secret that both sides share, 32+';
const ana: Identity = { role: 'USER', userId: 'ana' };
const root: Identity = { role: 'ADMIN', userId: 'root' };
const nobody: Identity = { role: 'ANONYMOUS', userId: null };
const now = 1_700_000_000_000;

test('a token says who is asking, to its audience and in its time only', () => {
  const token = signIdentity(ana, 'order', secret, now);
  expect(verifyIdentity(token, 'order', secret, now)).toEqual(ana);
  const refused = expect.objectContaining({ code: 'UNAUTHENTICATED' });
  expect(() => verifyIdentity(token, 'user', secret, now)).toThrow(refused);
  expect(() => verifyIdentity(token, 'order', `${secret}!`, now)).toThrow(refused);
  expect(() => verifyIdentity(token, 'order', secret, now + 2 * IDENTITY_TTL_MS)).toThrow(refused);
});

test('the key of a subgraph checks its own tokens and makes none for another', () => {
  const key = subgraphKey('reviews', secret);
  const [body = '', signature] = signIdentity(ana, 'reviews', secret, now).split('.');
  expect(createHmac('sha256', key).update(body).digest('base64url')).toBe(signature);
  const other = Buffer.from(JSON.stringify({ sub: 'root', role: 'ADMIN', aud: 'order', exp: now + 1e9 }));
  const forged = `${other.toString('base64url')}.${createHmac('sha256', key).update(other.toString('base64url')).digest('base64url')}`;
  expect(() => verifyIdentity(forged, 'order', secret, now)).toThrow(
    expect.objectContaining({ code: 'UNAUTHENTICATED' }),
  );
});

test.each([undefined, '', 'x', 'a.b', 'a.b.c', null, {}])('token %p is refused', (token) => {
  expect(() => verifyIdentity(token, 'order', secret, now)).toThrow(
    expect.objectContaining({ code: 'UNAUTHENTICATED' }),
  );
});

test('changed claims are refused', () => {
  const [, signature] = signIdentity(ana, 'order', secret, now).split('.');
  const forged = Buffer.from(JSON.stringify({ sub: 'root', role: 'ADMIN', aud: 'order', exp: now + 1e9 })).toString(
    'base64url',
  );
  expect(() => verifyIdentity(`${forged}.${signature}`, 'order', secret, now)).toThrow();
});

test('owners and administrators have access, nobody else', () => {
  expect([ana, root, nobody].map((who) => mayAccess(who, 'ana'))).toEqual([true, true, false]);
  expect([ana, root, nobody].map((who) => mayAccess(who, null))).toEqual([false, true, false]);
  expect(() => requireAccess(ana, 'eve')).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  expect(() => requireAccess(nobody, 'eve')).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
  expect(() => requireAdmin(ana)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  expect(requireAdmin(root)).toBe(root);
  expect(requireUser(ana)).toBe(ana);
});
