import { v7 } from 'uuid';
import { AppError } from '../errors/errors.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A new UUIDv7: unique, and sorted by the time it was made. */
export const newId = (): string => v7();

/** Whether the text is an id in its one spelling. */
export const isId = (text: string): boolean => UUID.test(text);

/**
 * The id in its one spelling (lower case).
 * @throws AppError VALIDATION if it is not a UUID.
 */
export function parseId(value: unknown, field = 'id'): string {
  const id = typeof value === 'string' ? value.toLowerCase() : '';
  if (!UUID.test(id)) {
    throw new AppError('VALIDATION', 'An id is a UUID, such as "0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3e".', { field });
  }
  return id;
}

/** When a UUIDv7 was made, in milliseconds since the epoch; null for ids of other kinds. */
export function madeAt(id: string): number | null {
  return id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : null;
}

/** Comes before every UUIDv7 that is made at that time, in milliseconds since the epoch, or later. */
export function firstIdAt(time: number): string {
  const hex = Math.max(0, Math.trunc(time)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** How old an id may be for its event to be still on its way. */
const YOUNG_MS = 30_000;

/** Whether a thing that is not yet known here may just have been made elsewhere, so that waiting for it makes sense. */
export function isYoung(id: string, now: number): boolean {
  const made = madeAt(id);
  return made !== null && Math.abs(now - made) < YOUNG_MS;
}
