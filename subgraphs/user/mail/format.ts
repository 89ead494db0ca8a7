import type { Locale } from '../../../shared/events/states.js';

/** As browsers and Intl call it. */
export const LANGUAGES: Readonly<Record<Locale, string>> = { EN: 'en-US', PT: 'pt-BR' };

/** Prices are in one currency, that of PIX and BOLETO. */
const CURRENCY = 'BRL';

/** Cents: `R$5,999.99`, `R$ 5.999,99`. */
export const money = (cents: number, locale: Locale): string =>
  new Intl.NumberFormat(LANGUAGES[locale], { style: 'currency', currency: CURRENCY }).format(cents / 100);

/** Milliseconds since the epoch. Nobody knows where people are, so the time says its zone. */
export const instant = (at: number, locale: Locale): string =>
  `${new Intl.DateTimeFormat(LANGUAGES[locale], { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(at)} UTC`;

/** How people name an order: the end of its id, the part that is different for every one. */
export const orderNumber = (id: string): string => id.slice(-8).toUpperCase();
