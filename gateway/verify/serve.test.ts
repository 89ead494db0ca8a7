import { afterAll, beforeAll, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import type { AdmittedOperation } from '../admission.js';
import { registerVerify } from './serve.js';

let app: FastifyInstance;
let address: string;
/** What the graph answers. */
let error: Readonly<Record<string, unknown>> | undefined;

beforeAll(async () => {
  app = Fastify();
  registerVerify(app, {
    admission: { admit: () => Promise.resolve({} as AdmittedOperation) },
    run: () => Promise.resolve({ status: 200, result: error ? { errors: [{ message: 'x', extensions: error }] } : {} }),
    trustedProxies: 0,
  });
  address = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => app.close());

/** The state that a form leads to, and the page. */
async function send(fields: Readonly<Record<string, string>>, answer?: typeof error) {
  error = answer;
  const response = await fetch(`${address}/verify`, { method: 'POST', body: new URLSearchParams(fields) });
  const text = await response.text();
  return { state: /<main data-state="(\w+)">/.exec(text)?.[1], text };
}

const TOKEN = '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3e.aB_-9';

test.each([
  [undefined, 'confirmed', 'sent'],
  [{ code: 'VALIDATION' }, 'invalid', 'address'],
  [{ code: 'INVALID_STATE', reason: 'USED' }, 'used', 'unsent'],
  [{ code: 'INVALID_STATE', reason: 'EXPIRED' }, 'expired', 'unsent'],
  [{ code: 'INVALID_STATE', reason: 'CHANGED' }, 'changed', 'unsent'],
  [{ code: 'INVALID_STATE' }, 'failed', 'unsent'],
  [{ code: 'RATE_LIMITED', retryAfter: 900 }, 'failed', 'slow'],
  [{ code: 'UNAVAILABLE' }, 'failed', 'unsent'],
  [{}, 'failed', 'unsent'],
])('the answer %j shows as %s of a link, and as %s of another mail', async (answer, confirming, resending) => {
  expect((await send({ token: TOKEN }, answer)).state).toBe(confirming);
  expect((await send({ email: 'ana@example.com' }, answer)).state).toBe(resending);
});

test('a link that could not be confirmed just now is still there for the next press', async () => {
  const { text } = await send({ token: TOKEN }, { code: 'RATE_LIMITED', retryAfter: 1 });
  expect(text).toMatch(new RegExp(`<form id="confirm"[^>]*"asking failed">\\s*<input[^>]* value="${TOKEN}"`));
});
