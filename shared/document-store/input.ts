import { validationError } from '../errors/errors.js';
import type { Condition, Filter, Scalar, Versioned } from './port.js';

/** Lower case only: SQLite would take `Orders` and `orders` for one table. */
const COLLECTION = /^(?!sqlite_)[a-z][a-z0-9_-]{0,99}$/;
const FIELD = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
/** NUL cuts a string on its way into SQLite; half a surrogate pair does not survive UTF-8, so that two ids could become one. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

/** One comparison of a condition, checked. Written out per operator so that adapters can switch over `op`. */
export type Comparison =
  | { readonly op: 'eq' | 'gt' | 'gte' | 'lt' | 'lte'; readonly value: Scalar }
  | { readonly op: 'in'; readonly value: readonly Scalar[] }
  | { readonly op: 'prefix'; readonly value: string };

/** Throws `VALIDATION` unless every engine takes the name as it is. */
export function checkCollection(name: string): void {
  if (!COLLECTION.test(name)) throw validationError('collection', `"${name}" cannot be the name of a collection.`);
}

/** Throws `VALIDATION` unless it is a dotted path of plain names. Guards the SQL and the operators it is put into. */
export function checkField(field: string): void {
  if (!FIELD.test(field)) throw validationError('field', `"${field}" is not a path to a field.`);
}

export function checkText(field: string, value: unknown): void {
  if (typeof value !== 'string' || UNSTORABLE.test(value)) {
    throw validationError(field, 'It must be text without NUL characters and broken surrogate pairs.');
  }
}

export function checkScalar(field: string, value: unknown): void {
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'number' && Number.isFinite(value)) return;
  checkText(field, value);
}

export function checkLimit(field: string, limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 0) throw validationError(field, 'It must be a whole number from 0.');
}

/** The comparisons of a condition. `undefined` is refused: left out, it would silently widen a filter to everything. */
export function comparisonsOf(field: string, condition: Condition): Comparison[] {
  return Object.entries(condition).map(([op, value]: [string, unknown]): Comparison => {
    switch (op) {
      case 'eq':
      case 'gt':
      case 'gte':
      case 'lt':
      case 'lte':
        checkScalar(field, value);
        return { op, value: value as Scalar };
      case 'in':
        if (!Array.isArray(value)) throw validationError(field, '`in` takes a list.');
        for (const one of value) checkScalar(field, one);
        return { op, value: value as Scalar[] };
      case 'prefix':
        checkText(field, value);
        return { op, value: value as string };
      default:
        throw validationError(field, `There is no comparison "${op}".`);
    }
  });
}

/** Every comparison of a filter with its field, checked; all of them must hold. */
export function flatten(filter: Filter = []): { readonly field: string; readonly comparison: Comparison }[] {
  return filter.flatMap(({ field, is }) => {
    checkField(field);
    return comparisonsOf(field, is).map((comparison) => ({ field, comparison }));
  });
}

/** Checks ids and versions and keeps the newest of each id; of equal versions the first. */
export function newestOf<D>(docs: readonly Versioned<D>[]): Versioned<D>[] {
  const newest = new Map<string, Versioned<D>>();
  for (const item of docs) {
    checkText('id', item.id);
    if (!Number.isSafeInteger(item.version) || item.version < 1) {
      throw validationError('version', 'It must be a whole number from 1.');
    }
    const other = newest.get(item.id);
    if (other === undefined || other.version < item.version) newest.set(item.id, item);
  }
  return [...newest.values()];
}
