import { describe, expect, test } from '@jest/globals';
import type { UserState } from '../../../shared/events/states.js';
import { newId } from '../../../shared/ids/ids.js';
import { Composer } from './compose.js';
import { rowFor } from './mails.js';
import { encode, UnusableAddress } from './mime.js';
import { displayName, greetable } from './names.js';
import { orderOf, person, SENDER, TOKENS } from './testing.js';

const record = { topic: 'orders', key: 'k', value: '', headers: {}, partition: 0, offset: 0, timestamp: 1 };
const EVENT = newId();

function encoded(change: Partial<UserState>, from = SENDER, order = orderOf('u')): Promise<Buffer> {
  const user = person(change);
  const composer = new Composer({ settings: { from, publicUrl: 'https://shop.example' }, tokens: TOKENS });
  const occasion = {
    kind: 'PAYMENT_RECEIPT',
    userId: user.id,
    orderId: null,
    data: { order },
  } as const;
  return encode(composer.compose(rowFor(occasion, { eventId: EVENT, record, at: 1_000 }), user));
}

/** The header block, unfolded: name to value, in lower case. Every name once. */
async function headersOf(change: Partial<UserState>, from = SENDER): Promise<ReadonlyMap<string, string>> {
  const raw = (await encoded(change, from)).toString('latin1');
  const lines = raw
    .slice(0, raw.indexOf('\r\n\r\n'))
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  expect(new Set(pairs.map(([name]) => name)).size).toBe(pairs.length);
  return new Map(pairs);
}

const ORDINARY = [
  'auto-submitted',
  'content-type',
  'date',
  'from',
  'list-id',
  'message-id',
  'mime-version',
  'subject',
  'to',
  'x-auto-response-suppress',
  'x-entity-ref-id',
];

const BREAKS = ['\r\n', '\n', '\r', '\u0085', '\u2028', '\u2029', '\u000B', '\u000C', '\0', '\r\n '];
const HOSTILE = [
  ...BREAKS.map((line) => `Ana${line}Bcc: victim@example.com`),
  ...BREAKS.map((line) => `Ana${line}${line}<h1>body</h1>`),
  'Ana" <victim@example.com>, "x',
  'Ana, victim',
  'Ana <b>',
  'victim@example.com',
  'victim\uFF20example.com',
  '=?utf-8?Q?=0D=0ABcc:_victim=40example.com?=',
  '=?utf-8?B?dmljdGltQGV4YW1wbGUuY29t?= <x>',
  'Ana\\" , victim',
  'Ana;victim:group',
  '(comment) Ana',
  '\u202Emoc.elpmaxe\u202C',
  '\uD800 lone',
  'Ж'.repeat(300),
];

describe.each(HOSTILE)('the name %j', (name) => {
  test('adds no header and no recipient', async () => {
    const headers = await headersOf({ name, email: 'ana@example.com' });
    expect([...headers.keys()].sort()).toEqual(ORDINARY);
    const to = headers.get('to') ?? '';
    // What is quoted or encoded is one name; besides it there is the one address.
    const outside = to.replace(/"(?:[^"\\]|\\.)*"/g, '').replace(/=\?[^?]+\?[QB]\?[^?]*\?=/g, '');
    expect(outside.match(/[^\s<>]+@[^\s<>]+/g)).toEqual(['ana@example.com']);
    expect(outside).not.toMatch(/[,;:]/);
    expect(outside.match(/</g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(to).not.toMatch(/victim(@|=40|\uFF20)example/);
    // eslint would have it otherwise, but control characters are the point.
    expect([...to].every((character) => character >= ' ' && character <= '~')).toBe(true);
  });

  test('is nothing that a program could take for an address or an encoded word', () => {
    expect(displayName(name)).not.toMatch(/@|=\?|[\p{C}\p{Zl}\p{Zp}]/u);
    expect([...displayName(name)].length).toBeLessThanOrEqual(60);
  });
});

test.each(['Shop, Inc.', 'Shop <b>', 'Läden & Söhne', 'a@b.example'])(
  'a sender called %j is one sender',
  async (name) => {
    const headers = await headersOf({}, { ...SENDER, name });
    expect([...headers.keys()].sort()).toEqual(ORDINARY);
    const outside = (headers.get('from') ?? '')
      .replace(/"(?:[^"\\]|\\.)*"/g, '')
      .replace(/=\?[^?]+\?[QB]\?[^?]*\?=/g, '');
    expect(outside.match(/[^\s<>]+@[^\s<>]+/g)).toEqual([SENDER.address]);
  },
);

test.each(['João Silva', "D'Ávila, M.", '山田太郎', 'Ana'])('the name %s arrives as it is', async (name) => {
  const to = (await headersOf({ name, email: 'ana@example.com' })).get('to') ?? '';
  const words = to
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?Q\?([^?]*)\?=/gi, (_, word: string) => word.replaceAll('_', ' '))
    .replace(/=\?utf-8\?B\?([^?]*)\?=/gi, (_, word: string) => Buffer.from(word, 'base64').toString('latin1'));
  const bytes = words.replace(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
  expect(Buffer.from(bytes, 'latin1').toString()).toContain(name);
});

test.each([
  'Win a prize at www.evil.example',
  'evil.example',
  'evil\u3002example',
  'evil\uFF61example',
  'evil\uFF0Eexample',
  'call 0800 now',
  'call 08 00 now',
  '0-8-0-0',
  '0 8 0 0',
  'zero 8 and 0 and 0 and 1',
  '\u0660\u0668 \u0660\u0660',
  '\uFF10\uFF18\uFF10\uFF10',
  'Congratulations! You won',
  'x'.repeat(61),
])(
  'the name %j, which could be more than a name, stands neither in the greeting nor beside the address',
  async (name) => {
    expect(greetable(name)).toBe('');
    expect((await headersOf({ name, email: 'ana@example.com' })).get('to')).toBe('ana@example.com');
  },
);

test.each(['João da Silva', "D'Ávila, M.", 'Henry VIII', 'Ana 007', '山田太郎', 'x'.repeat(60)])(
  'people called %s are greeted so',
  (name) => {
    expect(greetable(name)).toBe(name);
  },
);

test.each([
  'ana@example.com\r\nRCPT TO:<victim@example.com>',
  'ana@example.com, victim@example.com',
  'ana@example.com>',
  '<ana@example.com>',
  '"ana@evil.example"@example.com',
  'ana@example.com\u2028',
  'ana\u0000@example.com',
  'ana@exam ple.com',
  'ana@localhost',
  '@example.com',
  '',
])('the address %j is not written to', async (email) => {
  await expect(encoded({ email })).rejects.toThrow(UnusableAddress);
});

test('the Message-ID is made of the event and the domain of the sender; repeats are byte for byte the same', async () => {
  const headers = await headersOf({});
  expect(headers.get('message-id')).toBe(`<${EVENT}@shop.example>`);
  expect(headers.get('x-entity-ref-id')).toBe(EVENT);
  expect(headers.get('list-id')).toBe('<payment-receipt.shop.example>');
  expect(headers.get('date')).toBe('Thu, 01 Jan 1970 00:00:01 +0000');
  const user = person();
  const order = orderOf(user.id);
  const [one, two] = [await encoded(user, SENDER, order), await encoded(user, SENDER, order)];
  expect(one.equals(two)).toBe(true);
});
