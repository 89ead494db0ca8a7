import { expect, test } from '@jest/globals';
import { ANONYMOUS, IDENTITY_TTL_MS, verifyIdentity, type Identity } from '../shared/identity/identity.js';
import { IdentityTokens } from './identity-tokens.js';

const SECRET = 'a secret of at least thirty-two characters';
const ANA: Identity = { role: 'USER', userId: 'ana' };

test('a token is reused, renewed before it expires, and good for one subgraph and one person only', () => {
  let now = 1_000_000;
  const tokens = new IdentityTokens(SECRET, () => now);
  const first = tokens.tokenFor(ANA, 'order');
  now += IDENTITY_TTL_MS / 2 - 1;
  expect(tokens.tokenFor(ANA, 'order')).toBe(first);
  now += 1;
  const second = tokens.tokenFor(ANA, 'order');
  expect(second).not.toBe(first);
  expect(verifyIdentity(second, 'order', SECRET, now + IDENTITY_TTL_MS / 2)).toEqual(ANA);
  expect(() => verifyIdentity(second, 'query', SECRET, now)).toThrow('is not signed by the gateway');
  expect(verifyIdentity(tokens.tokenFor(ANONYMOUS, 'order'), 'order', SECRET, now)).toEqual(ANONYMOUS);
});
