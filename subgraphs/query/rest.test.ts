import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { readConfig } from '../../shared/config/config.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import type { Service } from '../../shared/service/service.js';
import { expectNothingInternal, SECRETS } from '../../tests/internals.js';
import { createRest, type RestService } from './rest.js';
import { account, happened, openTestbed, PAST, transaction, watched, type Testbed } from './testbed.js';

const PROBLEM = 'application/problem+json; charset=utf-8';

let bed: Testbed;
let rest: RestService;
let projector: Service;
let away = false;
let broken = false;
const eva = account({ id: 'd6a41403-bbd0-11ee-8a24-0242ac120003', version: 2, balance: 80_000 });

beforeAll(async () => {
  bed = await openTestbed();
  const documents = watched(bed.documents, () => {
    if (away) throw new EngineUnavailable('document store', new Error(SECRETS));
    if (broken) throw new Error(SECRETS);
  });
  rest = createRest({ config: readConfig({ REST_PORT: '0' }), documents, log: silentLogger(), metrics: bed.metrics });
  projector = bed.projector();
  await projector.start();
  await bed.publish(happened('account.balance_changed', { account: eva, transaction: transaction() }));
  await bed.caughtUp();
  await rest.start();
});

afterAll(async () => {
  await rest.stop();
  await projector.stop();
  await bed.close();
});

const get = (path: string, headers: Record<string, string> = {}) => fetch(`${rest.url}${path}`, { headers });

test.each(['/balances', '/accounts'])('%s gives the balance with two places', async (path) => {
  const response = await get(`${path}/${eva.id}`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(await response.text()).toBe(
    `{"account_id":"${eva.id}","balance":800.00,"updated_at":"${new Date(PAST).toISOString()}"}`,
  );
});

test('an id may be written in capitals', async () => {
  expect(await (await get(`/balances/${eva.id.toUpperCase()}`)).json()).toMatchObject({ account_id: eva.id });
});

test.each([[5], [50], [100], [12_345], [-7], [-1_500_000]])('a balance of %i cents is exact', async (balance) => {
  const other = account({ balance });
  await bed.publish(happened('account.balance_changed', { account: other, transaction: transaction() }));
  await bed.caughtUp();
  const text = await (await get(`/balances/${other.id}`)).text();
  expect(text).toMatch(/"balance":-?\d+\.\d\d,/);
  expect((JSON.parse(text) as { balance: number }).balance).toBe(balance / 100);
});

test('the ETag is the version: who has it gets 304, until the balance changes', async () => {
  const changing = account({ balance: 1_000 });
  await bed.publish(happened('account.created', { account: changing }));
  await bed.caughtUp();
  const path = `/balances/${changing.id}`;
  const etag = (await get(path)).headers.get('etag') ?? '';
  expect(etag).toBe('"1"');
  for (const header of [etag, `W/${etag}`, `"0", ${etag}`, '*']) {
    const response = await get(path, { 'if-none-match': header });
    expect([response.status, await response.text(), response.headers.get('etag')]).toEqual([304, '', etag]);
  }
  const next = { ...changing, version: 2, balance: 2_000 };
  await bed.publish(happened('account.balance_changed', { account: next, transaction: transaction() }));
  await bed.caughtUp();
  const response = await get(path, { 'if-none-match': etag });
  expect([response.status, response.headers.get('etag')]).toEqual([200, '"2"']);
});

test.each([
  ['an unknown id', `/balances/${newId()}`],
  ['an id that no account can have', '/balances/%00'],
  ['an id longer than any', `/balances/${'x'.repeat(101)}`],
  ['an unknown path', '/nothing'],
])('%s is 404 with problem details', async (_, path) => {
  const response = await get(path);
  expect(response.status).toBe(404);
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(await response.json()).toEqual({
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    detail: expect.stringContaining('There is no'),
    code: 'NOT_FOUND',
  });
});

test.each(['/balances/%ff', '/accounts/%', '/nothing/%ff'])('%s is 400 with problem details', async (path) => {
  const response = await get(path);
  expect([response.status, response.headers.get('content-type')]).toEqual([400, PROBLEM]);
  expect(await response.json()).toMatchObject({ title: 'Bad Request', status: 400, code: 'VALIDATION' });
});

test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
  '%s of a balance is 405 with problem details',
  async (method) => {
    for (const path of ['/balances', '/accounts']) {
      const response = await fetch(`${rest.url}${path}/${eva.id}`, { method, body: '{"balance":1}' });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
      expect(response.headers.get('content-type')).toBe(PROBLEM);
      expect(await response.json()).toMatchObject({ title: 'Method Not Allowed', status: 405, code: 'VALIDATION' });
    }
    expect((await fetch(`${rest.url}/balances/${eva.id}`, { method: 'HEAD' })).status).toBe(200);
  },
);

test.each(['/livez', '/readyz', '/healthz'])('%s says that it is well', async (path) => {
  const response = await get(path);
  expect([response.status, await response.json()]).toEqual([
    200,
    expect.objectContaining({ service: 'rest', status: 'ok' }),
  ]);
});

test('/metrics gives metrics', async () => {
  expect(await (await get('/metrics')).text()).toContain('tributary_subscribers');
});

test('while the store is away balances are 503 with problem details, and it is not ready', async () => {
  away = true;
  try {
    const response = await get(`/balances/${eva.id}`);
    expect(response.status).toBe(503);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(await response.json()).toMatchObject({ code: 'UNAVAILABLE', status: 503 });
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/livez')).status).toBe(200);
  } finally {
    away = false;
  }
});

test('no answer tells how the system is made, whatever goes wrong', async () => {
  const texts: string[] = [];
  const ask = async (path: string, init: RequestInit = {}): Promise<void> => {
    texts.push(await (await fetch(rest.url + path, init)).text());
  };
  const balance = `/balances/${eva.id}`;
  for (const path of ['/balances/%ff', '/balances/%00', '/nothing', `${balance}/x`, '/livez']) await ask(path);
  await ask(balance, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });
  try {
    for (const fail of [() => (away = true), () => (broken = true)]) {
      fail();
      for (const path of [balance, '/readyz']) await ask(path);
      away = false;
    }
    const verifier = { verify: () => Promise.reject(new Error(SECRETS)) };
    const config = readConfig({ REST_PORT: '0' });
    const closed = createRest({
      config,
      documents: bed.documents,
      log: silentLogger(),
      metrics: bed.metrics,
      verifier,
    });
    await closed.start();
    try {
      for (const authorization of ['Bearer x', 'Basic x', '']) {
        const response = await fetch(closed.url + balance, { headers: { authorization } });
        texts.push(await response.text());
      }
    } finally {
      await closed.stop();
    }
  } finally {
    away = broken = false;
  }
  for (const text of texts) expectNothingInternal(text);
});
