/**
 * Names that people chose, before they get into a mail. A name must not become a header, another recipient, or the message
 * of somebody who registers with the address of a stranger.
 */

/** Control, format, private and unassigned characters, surrogates, and whatever ends a line somewhere. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\s]+/gu;

/** Longest name in a header or a greeting, in characters. */
const LONGEST = 60;

/** The text in one line of characters that are seen. */
export const flat = (text: string): string => text.normalize('NFC').replace(UNPRINTABLE, ' ').trim();

/**
 * The name as it stands beside the address; '' where the address alone is better: for a name that looks like an address or
 * like an encoded word (RFC 2047), since some programs read names as such, quoted or not. Everything else is quoted or
 * encoded by whoever writes the header.
 */
export function displayName(name: string): string {
  const plain = flat(name);
  return /@|=\?|\?=/.test(plain.normalize('NFKC')) ? '' : [...plain].slice(0, LONGEST).join('').trim();
}

/**
 * The name by which a mail speaks of whom it is for; '' for one that could be more than a name: an address, a link, a
 * number to call.
 */
export function greetable(name: string): string {
  const plain = flat(name);
  const strange = /[@:/\\<>()[\]{}=?!|"]|www|[.。]\S|(?:\p{Nd}\P{Nd}*){4}/iu.test(plain.normalize('NFKC'));
  return strange || [...plain].length > LONGEST ? '' : plain;
}

/** An address that means the same to everybody: no spaces, quotes, brackets, separators or control characters. */
const ADDRESS = /^[^\s\p{C}\p{Z}@,;:<>()[\]\\"]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/iu;

export const isAddress = (address: string): boolean => address.length <= 254 && ADDRESS.test(address);

/** A server's words without the addresses in them: they go into tables and logs. */
export const withoutAddresses = (text: string): string =>
  flat(text).replace(/[^\s<>"',;:()]+@[^\s<>"',;:()]+/gu, '[address]');
