import { expect, test } from '@jest/globals';
import { AppError } from '../shared/errors/errors.js';
import { ANONYMOUS, type Identity } from '../shared/identity/identity.js';
import { authenticateByToken } from './auth.js';
import type { Credentials } from './context.js';

const ana: Identity = { role: 'USER', userId: 'ana' };
const root: Identity = { role: 'ADMIN', userId: 'root' };
const verifier = {
  verify: (token: string) =>
    token === 'good'
      ? Promise.resolve({ identity: ana, expiresAt: 7 })
      : Promise.reject(new AppError('UNAUTHENTICATED', 'bad')),
};

const nowhere: Credentials = { headers: {} };

test.each([ANONYMOUS, root])('whoever shows no token is $role', async (withoutToken) => {
  expect(await authenticateByToken({ verifier, withoutToken })(nowhere)).toEqual({ identity: withoutToken });
});

test.each<[string, Credentials]>([
  ['a header', { headers: { authorization: 'Bearer good' } }],
  ['a header in small letters', { headers: { authorization: 'bearer  good' } }],
  ['connection_init', { headers: {}, connectionParams: { authorization: 'Bearer good' } }],
  ['connection_init in capitals', { headers: {}, connectionParams: { Authorization: 'Bearer good' } }],
  [
    'connection_init before the header',
    { headers: { authorization: 'Bearer bad' }, connectionParams: { authorization: 'Bearer good' } },
  ],
])('a token comes in %s', async (_, credentials) => {
  const authenticate = authenticateByToken({ verifier, withoutToken: root });
  expect(await authenticate(credentials)).toEqual({ identity: ana, expiresAt: 7 });
});

test.each<[string, Credentials]>([
  ['a bad one', { headers: { authorization: 'Bearer bad' } }],
  ['another scheme', { headers: { authorization: 'Basic good' } }],
  ['no scheme', { headers: { authorization: 'good' } }],
  ['nothing', { headers: { authorization: '' } }],
  ['a number', { headers: {}, connectionParams: { authorization: 7 } }],
])('%s is refused, and never taken for the demo administrator', async (_, credentials) => {
  const authenticate = authenticateByToken({ verifier, withoutToken: root });
  await expect(authenticate(credentials)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});
