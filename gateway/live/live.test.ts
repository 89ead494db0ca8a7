import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { parse, specifiedRules, validate } from 'graphql';
import { apiSchema } from '../../tests/api-schema.js';
import { measure } from '../limits.js';
import { registerLive } from './serve.js';

const FOLDER = 'gateway/live/page';
const files = readdirSync(FOLDER);
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
const scripts = files.filter((name) => name.endsWith('.js'));

let app: FastifyInstance;
let address: string;
beforeAll(async () => {
  app = Fastify();
  registerLive(app);
  address = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => app.close());

test('every file of the page is served as it is, under a policy that lets in nothing but our own', async () => {
  for (const name of files) {
    const answer = await fetch(`${address}${name === 'index.html' ? '/live' : `/live/${name}`}`);
    expect({ name, status: answer.status, body: await answer.text() }).toEqual({ name, status: 200, body: read(name) });
    const policy = answer.headers.get('content-security-policy');
    expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test('what the page asks for is there: files it names, modules it imports, elements it looks for', () => {
  const named = [...read('index.html').matchAll(/(?:href|src)="live\/([^"]+)"/g)].map(([, name]) => name);
  const imported = scripts.flatMap((name) => [...read(name).matchAll(/from '\.\/([^']+)'/g)].map(([, file]) => file));
  expect(named.length).toBeGreaterThan(2);
  expect([...named, ...imported].filter((name) => !files.includes(name ?? ''))).toEqual([]);
  const ids = [...read('index.html').matchAll(/\bid="([\w-]+)"/g)].map(([, id]) => id);
  const sought = scripts.flatMap((name) => [...read(name).matchAll(/byId\('([\w-]+)'\)/g)].map(([, id]) => id));
  expect(new Set(ids).size).toBe(ids.length);
  expect(sought.filter((id) => !ids.includes(id))).toEqual([]);
});

test.each(scripts)('%s makes no markup of text, and knows no address but its own', (name) => {
  const text = read(name).replace("'http://www.w3.org/2000/svg'", '');
  expect(text).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|https?:\/\/|localStorage/);
});

test('its operations are valid against the graph and within the limits', () => {
  const text = read('graph.page.js');
  const [, fields = ''] = /const FIELDS = `([^`]+)`/.exec(text) ?? [];
  const operations = [...text.matchAll(/['`]((?:query|mutation|subscription) [^'`]+)['`]/g)].map(([, operation = '']) =>
    operation.replaceAll('${FIELDS}', fields),
  );
  expect(operations).toHaveLength(10);
  const schema = apiSchema();
  for (const operation of operations) {
    const document = parse(operation);
    expect(validate(schema, document, specifiedRules)).toEqual([]);
    expect(() => measure(document)).not.toThrow();
  }
});
