import type { Locale } from '../../../shared/events/states.js';

/** As browsers and Intl call it. */
export const LANGUAGES: Readonly<Record<Locale, string>> = { EN: 'en-US', PT: 'pt-BR' };

/** Prices are in one currency, that of PIX and BOLETO. */
const CURRENCY = 'BRL';

const MONEY = new Map<Locale, Intl.NumberFormat>();
const INSTANTS = new Map<Locale, Intl.DateTimeFormat>();

/** Formats are made once, when they are needed: that takes longer than all the rest of a mail. */
function once<T>(formats: Map<Locale, T>, locale: Locale, make: (language: string) => T): T {
  const format = formats.get(locale) ?? make(LANGUAGES[locale]);
  formats.set(locale, format);
  return format;
}

/** Cents: `R$5,999.99`, `R$ 5.999,99`. */
export const money = (cents: number, locale: Locale): string =>
  once(MONEY, locale, (language) => new Intl.NumberFormat(language, { style: 'currency', currency: CURRENCY })).format(
    cents / 100,
  );

/** Milliseconds since the epoch. Nobody knows where people are, so the time says its zone. */
export function instant(at: number, locale: Locale): string {
  const how = { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' } as const;
  const format = once(INSTANTS, locale, (language) => new Intl.DateTimeFormat(language, how));
  return `${format.format(at)} UTC`;
}

/** How people name an order: the end of its id, the part that is different for every one. */
export const orderNumber = (id: string): string => id.slice(-8).toUpperCase();
