import { expect, test } from '@jest/globals';
import { AppError } from '../shared/errors/errors.js';
import { silentLogger } from '../shared/observability/logger.js';
import { Insured, makeRateLimits, type Counter } from './rate-limits.js';
import { RateLimiterMemory } from 'rate-limiter-flexible';

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'admitted',
    (error: unknown) => (error instanceof AppError ? error.code : error),
  );
const limits = makeRateLimits({ store: 'memory', perClient: 3, perSubgraph: 2 }, undefined, silentLogger());

test('each client has its points, and calls of each subgraph are counted by themselves', async () => {
  await limits.admit('user:1', 2);
  await limits.admit('user:1');
  expect(await codeOf(limits.admit('user:1'))).toBe('RATE_LIMITED');
  expect(await codeOf(limits.admit('user:2'))).toBe('admitted');
  for (const subgraph of ['order', 'query']) {
    await limits.admitSubgraph('user:1', subgraph);
    await limits.admitSubgraph('user:1', subgraph);
    expect(await codeOf(limits.admitSubgraph('user:1', subgraph))).toBe('RATE_LIMITED');
  }
});

test('a refusal says for how many seconds', async () => {
  await limits.admit('user:3', 3);
  const error = await limits.admit('user:3').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: expect.any(Number) } });
  const { retryAfter } = (error as AppError).details as { retryAfter: number };
  expect(retryAfter).toBeGreaterThanOrEqual(1);
  expect(retryAfter).toBeLessThanOrEqual(60);
});

test('one operation never costs more than a whole minute has', async () => {
  expect(await codeOf(limits.admit('user:4', 1_000))).toBe('admitted');
  expect(await codeOf(limits.admit('user:4'))).toBe('RATE_LIMITED');
});

test('switched off, nobody is counted', async () => {
  const off = makeRateLimits(undefined, undefined, silentLogger());
  for (let i = 0; i < 100; i++) expect(await codeOf(off.admit('user:1', 1_000_000))).toBe('admitted');
});

test('a store that fails refuses nobody: memory counts, and the store is left alone for a while', async () => {
  let asked = 0;
  const failing: Counter = {
    consume: () => {
      asked++;
      return Promise.reject(new Error('connection refused'));
    },
  };
  const insured = new Insured(failing, new RateLimiterMemory({ points: 2, duration: 60 }), silentLogger());
  await insured.consume('a', 1);
  await insured.consume('a', 1);
  await expect(insured.consume('a', 1)).rejects.toMatchObject({ consumedPoints: 3 });
  expect(asked).toBe(1);
});

test('what a store refuses is refused', async () => {
  const store = new RateLimiterMemory({ points: 1, duration: 60 });
  const insured = new Insured(store, new RateLimiterMemory({ points: 100, duration: 60 }), silentLogger());
  await insured.consume('a', 1);
  await expect(insured.consume('a', 1)).rejects.toMatchObject({ consumedPoints: 2 });
});
