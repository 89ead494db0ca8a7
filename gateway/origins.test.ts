import { expect, test } from '@jest/globals';
import { Origins } from './origins.js';

test.each([
  [undefined, '127.0.0.1:4000', true],
  ['http://127.0.0.1:4000', '127.0.0.1:4000', true],
  ['http://localhost:4000', 'localhost:4000', true],
  ['http://[::1]:4000', '[::1]:4000', true],
  ['https://studio.apollographql.com', '127.0.0.1:4000', true],
  ['https://shop.example', '127.0.0.1:4000', true],
  ['http://localhost:3000', 'localhost:4000', false],
  ['https://evil.example', '127.0.0.1:4000', false],
  ['http://rebound.example:4000', 'rebound.example:4000', false],
  ['null', '127.0.0.1:4000', false],
  ['garbage', 'garbage', false],
])('on a loopback listener, a page of %s asking %s: %s', (origin, host, allowed) => {
  expect(new Origins('127.0.0.1', ['https://shop.example']).allows(origin, host)).toBe(allowed);
});

test('on a public listener, its own name is its own page', () => {
  const origins = new Origins('0.0.0.0');
  expect(origins.allows('https://api.example', 'api.example')).toBe(true);
  expect(origins.allows('https://evil.example', 'api.example')).toBe(false);
});
