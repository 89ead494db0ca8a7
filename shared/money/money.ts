import { AppError } from '../errors/errors.js';

/** Largest price, deposit or transfer: 10,000,000.00. A hundred items of 10,000 pieces each stay exact in a number. */
export const MAX_AMOUNT_CENTS = 1_000_000_000;

const DECIMAL = /^(-?)(\d{1,13})(?:\.(\d{1,2}))?$/;

/**
 * Cents of an amount written as `"5999.99"`, `"5999.9"`, `"5999"` or a JSON number with at most two decimals.
 * @throws AppError VALIDATION for anything else, exponents included.
 */
export function parseAmount(value: unknown, field: string): number {
  const text = typeof value === 'number' ? numberText(value) : typeof value === 'string' ? value : '';
  const match = DECIMAL.exec(text);
  if (match === null) {
    throw new AppError('VALIDATION', 'An amount is a decimal with at most two places, such as "19.90".', { field });
  }
  const [, sign, units, fraction = ''] = match;
  const cents = Number(units) * 100 + Number(fraction.padEnd(2, '0'));
  return sign === '-' && cents !== 0 ? -cents : cents;
}

/** Plain decimal digits, never an exponent; '' for NaN and infinities. */
function numberText(value: number): string {
  return Number.isFinite(value) && Math.abs(value) < 1e13 ? String(value) : '';
}

/** `599999` is `"5999.99"`. */
export function formatAmount(cents: number): string {
  const digits = String(Math.abs(cents)).padStart(3, '0');
  return `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
