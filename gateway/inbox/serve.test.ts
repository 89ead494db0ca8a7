import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { silentLogger } from '../../shared/observability/logger.js';
import { registerInbox } from './serve.js';

const FOLDER = 'gateway/inbox/page';
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

const MESSAGE = { id: 'e1', html: '<p>Hello</p>', subject: 'Hello' };

/** The user subgraph, as far as the inbox is concerned. */
let users: FastifyInstance;
let app: FastifyInstance;
let address: string;
let asked: { url: string; identity: unknown }[] = [];
let answer: () => unknown = () => [MESSAGE];

beforeAll(async () => {
  users = Fastify();
  users.get('/inbox', (request) => {
    asked.push({ url: request.url, identity: request.headers['x-tributary-identity'] });
    return answer();
  });
  app = Fastify();
  registerInbox(app, {
    userUrl: `${await users.listen({ host: '127.0.0.1', port: 0 })}/graphql`,
    tokens: { tokenFor: ({ role }, subgraph) => `${role} for ${subgraph}` },
    log: silentLogger(),
  });
  address = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => {
  asked = [];
  answer = () => [MESSAGE];
});
afterAll(async () => {
  await app.close();
  await users.close();
});

test('every file of the page is served as it is, under a policy that lets in nothing but our own', async () => {
  for (const name of readdirSync(FOLDER)) {
    const response = await fetch(`${address}${name === 'index.html' ? '/inbox' : `/inbox/${name}`}`);
    expect({ name, status: response.status, body: await response.text() }).toEqual({
      name,
      status: 200,
      body: read(name),
    });
    const policy = response.headers.get('content-security-policy');
    expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  }
});

test('the script makes no markup of text, and looks for elements that are there', () => {
  const script = read('main.page.js');
  expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|srcdoc|document\.write|\beval\b|https?:\/\//);
  const ids = [...read('index.html').matchAll(/\bid="([\w-]+)"/g)].map(([, id]) => id);
  const sought = [...script.matchAll(/byId\('([\w-]+)'\)/g)].map(([, id]) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(sought.length).toBeGreaterThan(10);
  expect(sought.filter((id) => !ids.includes(id))).toEqual([]);
});

test('messages come from the user subgraph, asked as an administrator, with the filter', async () => {
  const response = await fetch(`${address}/inbox/messages?to=ana%2Bb@example.com`);
  expect(await response.json()).toEqual([MESSAGE]);
  expect(asked).toEqual([{ url: '/inbox?to=ana%2Bb%40example.com', identity: 'ADMIN for user' }]);
});

test('a mail that is looked at among those of one person is looked for among them', async () => {
  await fetch(`${address}/inbox/messages/e1?to=ana@example.com`);
  expect(asked).toMatchObject([{ url: '/inbox?to=ana%40example.com' }]);
});

test('what has not changed is not sent again', async () => {
  const etag = (await fetch(`${address}/inbox/messages`)).headers.get('etag') ?? '';
  const again = () => fetch(`${address}/inbox/messages`, { headers: { 'if-none-match': etag } });
  expect((await again()).status).toBe(304);
  answer = () => [];
  expect((await again()).status).toBe(200);
});

test('a mail is shown without scripts, pictures and forms, in frames of ours only', async () => {
  const response = await fetch(`${address}/inbox/messages/e1`);
  expect(await response.text()).toBe(MESSAGE.html);
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain('sandbox allow-popups allow-popups-to-escape-sandbox');
  expect(policy).not.toMatch(/allow-scripts|allow-same-origin|script-src|img-src/);
  expect(response.headers.get('x-frame-options')).toBe('SAMEORIGIN');
  expect((await fetch(`${address}/inbox/messages/e2`)).status).toBe(404);
});

test('a user subgraph that fails is UNAVAILABLE, and nothing of it is told', async () => {
  answer = () => {
    throw new Error('ECONNREFUSED 10.0.0.1:3306');
  };
  for (const path of ['/inbox/messages', '/inbox/messages/e1']) {
    const response = await fetch(address + path);
    const body = await response.text();
    expect({ status: response.status, body }).toMatchObject({
      status: 503,
      body: expect.stringContaining('UNAVAILABLE'),
    });
    expect(body).not.toContain('10.0.0.1');
  }
});
