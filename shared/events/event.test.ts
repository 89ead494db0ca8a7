import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { CATALOGUE, TOPICS, topicSpecs, type EventType } from './catalogue.js';
import { fromRecord, InvalidEvent, toRecord, type AnyEvent } from './event.js';

const created = {
  id: '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3e',
  type: 'user.created',
  source: 'tributary/user',
  subject: '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3f',
  sequence: 1,
  time: 1_700_000_000_000,
  traceparent: null,
  data: {
    user: {
      id: '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3f',
      version: 1,
      name: 'Ana',
      email: 'ana@example.com',
      role: 'USER',
      locale: 'EN',
      verified: false,
      deleted: false,
      createdAt: 1_700_000_000_000,
      updatedAt: 1_700_000_000_000,
    },
  },
} satisfies AnyEvent;

test('an event survives the log', () => {
  const record = toRecord(created);
  expect(record.topic).toBe('users');
  expect(record.key).toBe(created.subject);
  expect(record.headers).toMatchObject({ ce_specversion: '1.0', ce_type: 'user.created', ce_sequence: '1' });
  expect(fromRecord(record)).toEqual(created);
});

test('what the schema does not name never leaves the service', () => {
  const leaking = { ...created, data: { user: { ...created.data.user, passwordHash: 'scrypt$…' } } } as AnyEvent;
  expect(toRecord(leaking).value).not.toContain('scrypt');
});

test('no event of the catalogue carries a credential', () => {
  const suspicious = /passw|secret|token|hash|salt|credential|card|cvv/i;
  const namesIn = (schema: unknown): string[] =>
    schema !== null && typeof schema === 'object'
      ? Object.entries(schema).flatMap(([key, value]) =>
          (key === 'properties' ? Object.keys(value as object) : []).concat(namesIn(value)),
        )
      : [];
  for (const [type, { schema }] of Object.entries(CATALOGUE)) {
    const names = namesIn(z.toJSONSchema(schema));
    expect(names.length).toBeGreaterThan(0);
    expect({ type, credentials: names.filter((name) => suspicious.test(name)) }).toEqual({ type, credentials: [] });
  }
});

test.each<[string, (record: ReturnType<typeof toRecord>) => ReturnType<typeof toRecord>]>([
  ['broken JSON', (r) => ({ ...r, value: '{' })],
  ['data that does not fit', (r) => ({ ...r, value: '{"user":{}}' })],
  ['an unknown type', (r) => ({ ...r, headers: { ...r.headers, ce_type: 'user.exploded' } })],
  ['a type of another topic', (r) => ({ ...r, headers: { ...r.headers, ce_type: 'order.created' } })],
  ['no headers', (r) => ({ ...r, headers: {} })],
  ['no version', (r) => ({ ...r, headers: { ...r.headers, ce_sequence: 'x' } })],
])('%s is an InvalidEvent, which no retry can cure', (_what, spoil) => {
  expect(() => fromRecord(spoil(toRecord(created)))).toThrow(InvalidEvent);
});

test('every topic of the catalogue has its dead-letter topic', () => {
  const names = topicSpecs().map((topic) => topic.name);
  for (const type of Object.keys(CATALOGUE) as EventType[]) {
    expect(names).toEqual(expect.arrayContaining([CATALOGUE[type].topic, `${CATALOGUE[type].topic}.dlq`]));
  }
  expect(names).toHaveLength(Object.keys(TOPICS).length * 2);
});
