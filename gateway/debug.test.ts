import { expect, test } from '@jest/globals';
import { ANONYMOUS, type Identity } from '../shared/identity/identity.js';
import { debugFor, explained, noteStaleness, type DebugSettings } from './debug.js';

const REQUIRED: DebugSettings = { always: false, everybody: false };
const DEMO: DebugSettings = { always: false, everybody: true };
const ADMIN: Identity = { role: 'ADMIN', userId: 'a' };
const USER: Identity = { role: 'USER', userId: 'u' };
const ASKED = { 'x-debug': '1' };

test.each([
  ['administrators who ask', REQUIRED, ADMIN, ASKED, true],
  ['administrators who do not', REQUIRED, ADMIN, {}, false],
  ['administrators who ask for something else', REQUIRED, ADMIN, { 'x-debug': 'true' }, false],
  ['users, where people log in', REQUIRED, USER, ASKED, false],
  ['nobody in particular, where people log in', REQUIRED, ANONYMOUS, ASKED, false],
  ['users, in demo mode', DEMO, USER, ASKED, true],
  ['administrators, where it is always said', { ...REQUIRED, always: true }, ADMIN, {}, true],
  ['users, where it is always said', { ...REQUIRED, always: true }, USER, {}, false],
])('whether %s are told what led to an answer', (_, settings, identity, carrier, told) => {
  expect(debugFor(settings, identity, carrier) !== undefined).toBe(told);
});

test('a result keeps its other extensions, and stays as it is for those who are told nothing', () => {
  const result = { data: { a: 1 }, extensions: { other: true } };
  const context = { requestId: 'r', traceparent: null };
  expect(explained(result, context)).toBe(result);
  const debug = { staleness: {} };
  noteStaleness(debug, 'query', { tributary: { staleness: { records: 2, milliseconds: 5 } } });
  for (const nothing of [undefined, null, {}, { tributary: null }]) noteStaleness(debug, 'other', nothing);
  expect(explained(result, { ...context, debug })).toEqual({
    data: { a: 1 },
    extensions: {
      other: true,
      tributary: { requestId: 'r', traceparent: null, staleness: { query: { records: 2, milliseconds: 5 } } },
    },
  });
});
