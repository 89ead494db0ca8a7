import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { silentLogger } from '../observability/logger.js';
import { createMetrics } from '../observability/metrics.js';
import { registerHealth } from './health.js';
import { close, createHttpApp, limitConnections, listen, refuseOtherMethods } from './http.js';

const opened: FastifyInstance[] = [];
afterEach(() => Promise.all(opened.splice(0).map(close)));

function newApp(errorType?: string): FastifyInstance {
  const app = createHttpApp({
    log: silentLogger(),
    errorBody: (code, message, status) => ({ code, message, status }),
    ...(errorType !== undefined && { errorType }),
  });
  opened.push(app);
  return app;
}

const start = (app: FastifyInstance) => listen(app, { host: '127.0.0.1', port: 0, variable: 'TEST_PORT' });

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error('Waited in vain.');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('while it stops, what is in hand is finished and what comes later is UNAVAILABLE in our own words', async () => {
  const app = newApp();
  let reached = false;
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  app.get('/slow', async () => {
    reached = true;
    await gate;
    return { finished: true };
  });
  app.get('/fast', () => ({ finished: true }));
  const { port } = new URL(await start(app));
  const socket: Socket = connect(Number(port), '127.0.0.1');
  let received = '';
  socket.on('data', (data) => (received += data.toString()));
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => reached);
  const closed = close(app);
  await until(() => !app.server.listening);
  const seen = new Promise<void>((resolve) => app.server.once('request', () => resolve()));
  socket.write('GET /fast HTTP/1.1\r\nHost: x\r\n\r\n');
  await seen;
  release();
  await Promise.all([ended, closed]);
  const [first = '', second = ''] = received.split(/(?<=\})(?=HTTP)/);
  expect(first).toMatch(/^HTTP\/1\.1 200 .*\{"finished":true\}$/s);
  expect(second).toMatch(/^HTTP\/1\.1 503 /);
  expect(second).toMatch(/\r\nconnection: close\r\n/i);
  expect(second).toContain('{"code":"UNAVAILABLE","message":"This process is stopping; try again.","status":503}');
});

test.each([
  ['/things/%ff', 400, 'VALIDATION'],
  ['/%', 400, 'VALIDATION'],
  [`/things/${'x'.repeat(101)}`, 404, 'NOT_FOUND'],
  ['/nothing', 404, 'NOT_FOUND'],
])('%s is refused with the body and the type of every other error', async (path, status, code) => {
  const app = newApp('application/problem+json');
  app.get('/things/:id', () => ({}));
  const response = await fetch((await start(app)) + path);
  expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect([response.status, await response.json()]).toEqual([status, { code, status, message: expect.any(String) }]);
});

test('other methods are 405 with Allow, whatever their body', async () => {
  const app = newApp();
  app.get('/things/:id', () => ({}));
  refuseOtherMethods(app, '/things/:id', ['GET', 'HEAD']);
  const url = `${await start(app)}/things/1`;
  for (const type of ['application/json', 'text/plain']) {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body: 'no JSON' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect(await response.json()).toMatchObject({ code: 'VALIDATION', status: 405 });
  }
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
});

test('checks that fail as a whole are 503, and what went wrong is not told', async () => {
  const app = newApp();
  const checks = () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:3306'));
  registerHealth(app, { name: 'test', checks, metrics: createMetrics(), log: silentLogger() });
  const response = await fetch(`${await start(app)}/readyz`);
  expect([response.status, await response.json()]).toEqual([
    503,
    { service: 'test', status: 'unavailable', checks: [{ name: 'checks', ok: false, detail: 'The checks failed.' }] },
  ]);
});

test('connections are counted by what is taken for one address, whatever each says of itself', async () => {
  const outcome = async (addressOf: (socket: Socket) => string): Promise<number> => {
    const app = newApp();
    limitConnections(app, 1, addressOf);
    app.get('/', () => ({}));
    const { port } = new URL(await start(app));
    const clients = [1, 2].map(() => {
      const socket = connect(Number(port), '127.0.0.1');
      const client = { socket, answered: false, closed: false };
      socket.on('data', () => (client.answered = true));
      socket.on('error', () => undefined);
      socket.on('close', () => (client.closed = true));
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      return client;
    });
    await until(() => clients.every(({ answered, closed }) => answered || closed));
    for (const { socket } of clients) socket.destroy();
    return clients.filter(({ answered }) => answered).length;
  };
  expect(await outcome(({ remotePort }) => String(remotePort))).toBe(2);
  expect(await outcome(() => '2001:db8:0:1::/64')).toBe(1);
});
