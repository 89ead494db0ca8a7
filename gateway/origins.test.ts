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

test.each([
  ['127.0.0.1:4000', true],
  ['[::1]:4000', true],
  ['localhost', true],
  ['gateway:4000', true],
  [undefined, true],
  ['shop.example:8080', true],
  ['shop.example', false],
  ['rebound.example:4000', false],
  ['localhost.rebound.example', false],
  ['127.0.0.1.rebound.example:4000', false],
  ['a b', false],
])('in demo mode, what comes without an Origin and asks %s: %s', (host, allowed) => {
  expect(new Origins('127.0.0.1', ['http://shop.example:8080'], true, true).allows(undefined, host)).toBe(allowed);
  expect(new Origins('127.0.0.1').allows(undefined, host)).toBe(true);
});

test('on a public listener, its own name is its own page', () => {
  const origins = new Origins('0.0.0.0');
  expect(origins.allows('https://api.example', 'api.example')).toBe(true);
  expect(origins.allows('https://evil.example', 'api.example')).toBe(false);
});
