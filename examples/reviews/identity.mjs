/** Who is asking, as the gateway says. Optional: without IDENTITY_KEY everybody is a stranger, and everything works. */
import { Buffer } from 'node:buffer';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { GraphQLError } from 'graphql';

/** The name of this subgraph in supergraph.yaml. */
const AUDIENCE = 'reviews';
const KEY = process.env.IDENTITY_KEY;

/** `{ userId, role }`; null when nobody checks. Throws unless the gateway has signed the token for this subgraph. */
export function identityOf(token) {
  if (KEY === undefined) return null;
  const [claims = '', signature = ''] = String(token).split('.');
  const expected = createHmac('sha256', KEY).update(claims).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw refused();
  const { sub, role, aud, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  if (aud !== AUDIENCE || exp < Date.now()) throw refused();
  return { userId: sub, role };
}

const refused = () =>
  new GraphQLError('This service answers its gateway only.', { extensions: { code: 'UNAUTHENTICATED' } });
