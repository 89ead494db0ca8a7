import { expect, test } from '@jest/globals';
import { emailKey, parseEmail, parseInteger, parseText, searchWords } from './text.js';

const name = (value: string) => parseText(value, { field: 'name', max: 5 });

test('text is trimmed, composed and counted in characters, 4-byte ones once', () => {
  expect(name('  Ana ')).toBe('Ana');
  expect(name('Joa\u0303o')).toBe('João');
  expect(name('🍎🍎🍎🍎🍎')).toHaveLength(10);
});

test.each([
  '',
  '   ',
  '\u200B',
  'a\u200Bb',
  'a\u0000b',
  'a\nb',
  '\u3164',
  '\u2800\u00AD',
  'abcdef',
  '🍎🍎🍎🍎🍎🍎',
  '\uD800',
  'a\u202Eb',
])('name %j is refused', (value) => {
  expect(() => name(value)).toThrow(expect.objectContaining({ code: 'VALIDATION', field: 'name' }));
});

test('multiline text keeps its line breaks and nothing else invisible', () => {
  const text = (value: string) => parseText(value, { field: 'text', max: 50, multiline: true, optional: true });
  expect(text('a\nb\tc')).toBe('a\nb\tc');
  expect(text('')).toBe('');
  expect(() => text('a\u0007')).toThrow();
});

test.each(['ana@example.com', 'ANA.maria+x@sub.example.com.br', "o'neil@example.org"])('%s is an address', (email) => {
  expect(parseEmail(email, 'email')).toBe(email);
});

test.each([
  '',
  'ana',
  'ana@',
  '@example.com',
  'ana@example',
  'a b@example.com',
  'ana@-example.com',
  'ana@example.com\nBcc: eve@example.com',
  'ana@example.com,eve@example.com',
  `${'a'.repeat(65)}@example.com`,
])('%j is not an address', (email) => {
  expect(() => parseEmail(email, 'email')).toThrow(expect.objectContaining({ code: 'VALIDATION', field: 'email' }));
});

test('addresses that differ in case only are the same', () => {
  expect(emailKey('Ana@Example.com')).toBe(emailKey('aNA@example.COM'));
});

test.each([NaN, 0, -1, 1.5, 11, Infinity])('quantity %p is refused', (value) => {
  expect(() => parseInteger(value, { field: 'quantity', min: 1, max: 10 })).toThrow(
    expect.objectContaining({ code: 'VALIDATION', field: 'quantity' }),
  );
});

test('names are searched by lower-case words without accents', () => {
  expect(searchWords('João  da Silva-Conceição 15')).toEqual(['joao', 'da', 'silva', 'conceicao', '15']);
});

test.each([
  ['Straße STRAẞE', ['strasse']],
  ['Łódź łódź', ['lodz']],
  ['Øre øre Ǿre', ['ore']],
  ['Æsir æsir', ['aesir']],
  ['Đà', ['da']],
  ['Œuvre', ['oeuvre']],
  ['Þórður Ðað', ['thordur', 'dad']],
  ['ISPARTA İsparta Isparta ısparta', ['isparta']],
])('letters that are no accented ones are found as people type them: %s', (text, words) => {
  expect(searchWords(text)).toEqual(words);
});
