import { AppError } from '../errors/errors.js';

// Control characters (a NUL would cut a string in SQLite), zero-width and direction marks, lone surrogates.
const FORBIDDEN = /[\p{Cc}\p{Cs}\u200B-\u200F\u202A-\u202E\u2060-\u2064\u2066-\u2069\uFEFF]/u;
const FORBIDDEN_IN_LINES = /[\p{Cs}\u200B-\u200F\u202A-\u202E\u2060-\u2064\u2066-\u2069\uFEFF]|[^\P{Cc}\n\r\t]/u;
const EMAIL = /^[^\s@,;:<>()[\]\\"]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/i;

// Letters that nobody sees: Hangul fillers, the blank Braille pattern, soft hyphens and the like.
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\u2800\s]/gu;

/** Whether nobody sees anything of the text. */
export const isBlank = (text: string): boolean => text.replace(UNSEEN, '') === '';

/** Characters as people count them: code points, so that 4-byte ones count once. */
const lengthOf = (text: string): number => [...text].length;

export interface TextRules {
  readonly field: string;
  readonly max: number;
  /** Whether '' is allowed. */
  readonly optional?: boolean;
  /** Whether line breaks and tabs are allowed. */
  readonly multiline?: boolean;
}

/**
 * The text trimmed and in Unicode's composed form (NFC).
 * @throws AppError VALIDATION if it is blank, too long or has invisible or control characters.
 */
export function parseText(value: string, { field, max, optional = false, multiline = false }: TextRules): string {
  const text = value.normalize('NFC').trim();
  if (isBlank(text) && !(optional && text === ''))
    throw new AppError('VALIDATION', `${field} must not be empty.`, { field });
  if (lengthOf(text) > max) throw new AppError('VALIDATION', `${field} has at most ${max} characters.`, { field });
  if ((multiline ? FORBIDDEN_IN_LINES : FORBIDDEN).test(text)) {
    throw new AppError('VALIDATION', `${field} has control or invisible characters.`, { field });
  }
  return text;
}

/**
 * The address trimmed, as its owner writes it; compare with `emailKey`.
 * @throws AppError VALIDATION if it is not an address.
 */
export function parseEmail(value: string, field: string): string {
  const email = parseText(value, { field, max: 254 });
  if (!EMAIL.test(email))
    throw new AppError('VALIDATION', 'That is not an e-mail address, such as "ana@example.com".', { field });
  return email;
}

/** What makes an e-mail address unique: case does not matter. */
export const emailKey = (email: string): string => email.toLowerCase();

/** @throws AppError VALIDATION unless it is a whole number between min and max. */
export function parseInteger(value: number, { field, min, max }: { field: string; min: number; max: number }): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new AppError('VALIDATION', `${field} must be a whole number from ${min} to ${max}.`, { field });
  }
  return value;
}

// Letters that Unicode takes for letters of their own, not for one with an accent, and how people type them.
const TYPED_AS: ReadonlyMap<string, string> = new Map([
  ['ß', 'ss'],
  ['ł', 'l'],
  ['ø', 'o'],
  ['æ', 'ae'],
  ['œ', 'oe'],
  ['đ', 'd'],
  ['ð', 'd'],
  ['þ', 'th'],
  ['ı', 'i'],
]);
const OWN_LETTERS = new RegExp(`[${[...TYPED_AS.keys()].join('')}]`, 'gu');

/**
 * Lower-cased words without accents: what names are searched by. `searchWords('João Weiß')` is `['joao', 'weiss']`.
 * What is stored with a name is made of these: after a change here the views must be built anew.
 */
export function searchWords(text: string): string[] {
  const lower = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  const plain = lower.replace(OWN_LETTERS, (letter) => TYPED_AS.get(letter) ?? letter);
  return [...new Set(plain.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== ''))];
}
