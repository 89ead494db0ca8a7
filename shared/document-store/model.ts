import type { Condition, Filter, FindOptions, PerKeyOptions, Scalar, Sort, Versioned } from './port.js';

/** What every engine is compared with: the port's promises written down as plainly as possible, over an array. */
export function modelFind<D>(
  docs: readonly Versioned<D>[],
  { filter, sort, after, limit }: FindOptions,
): Versioned<D>[] {
  const inOrder = docs.filter((item) => matches(item, filter)).sort((a, b) => order(a, b, sort));
  const position = after === undefined ? undefined : { ...after, value: sort.field === 'id' ? after.id : after.value };
  const rest =
    position === undefined
      ? inOrder
      : inOrder.filter((item) => {
          const apart =
            compareScalars(scalarAt(item, sort.field), position.value) || compareScalars(item.id, position.id);
          return sort.direction === 'asc' ? apart > 0 : apart < 0;
        });
  return rest.slice(0, limit);
}

export function modelCount<D>(docs: readonly Versioned<D>[], filter?: Filter): number {
  return docs.filter((item) => matches(item, filter)).length;
}

export function modelFindPerKey<D>(
  docs: readonly Versioned<D>[],
  field: string,
  keys: readonly string[],
  { filter, sort, first }: PerKeyOptions,
): Map<string, Versioned<D>[]> {
  const ofKey = (key: string) => modelFind(docs, { filter: withKey(field, key, filter), sort, limit: first });
  return new Map(keys.map((key) => [key, ofKey(key)]));
}

export function modelCountPerKey<D>(
  docs: readonly Versioned<D>[],
  field: string,
  keys: readonly string[],
  filter?: Filter,
): Map<string, number> {
  return new Map(keys.map((key) => [key, modelCount(docs, withKey(field, key, filter))]));
}

const withKey = (field: string, key: string, filter: Filter = []): Filter => [...filter, { field, is: { eq: key } }];

/** Nulls lowest, false before true, numbers by size, texts by their UTF-8 bytes. */
export function compareScalars(a: Scalar, b: Scalar): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Number(a) - Number(b);
}

function order<D>(a: Versioned<D>, b: Versioned<D>, { field, direction }: Sort): number {
  const ascending = compareScalars(scalarAt(a, field), scalarAt(b, field)) || compareScalars(a.id, b.id);
  return direction === 'asc' ? ascending : -ascending;
}

function valueAt<D>(item: Versioned<D>, field: string): unknown {
  if (field === 'id') return item.id;
  return field.split('.').reduce<unknown>((at, name) => {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return null;
    return (at as Record<string, unknown>)[name] ?? null;
  }, item.doc);
}

export function scalarAt<D>(item: Versioned<D>, field: string): Scalar {
  return valueAt(item, field) as Scalar;
}

function matches<D>(item: Versioned<D>, filter: Filter = []): boolean {
  return filter.every(({ field, is }) => holds(valueAt(item, field), is));
}

function holds(value: unknown, is: Condition): boolean {
  const scalar = value as Scalar;
  const range = (bound: Scalar | undefined, test: (apart: number) => boolean): boolean =>
    bound === undefined || (bound !== null && scalar !== null && test(compareScalars(scalar, bound)));
  return (
    (is.eq === undefined || scalar === is.eq) &&
    (is.in === undefined || is.in.includes(scalar)) &&
    range(is.gt, (apart) => apart > 0) &&
    range(is.gte, (apart) => apart >= 0) &&
    range(is.lt, (apart) => apart < 0) &&
    range(is.lte, (apart) => apart <= 0) &&
    (is.prefix === undefined || startsWith(value, is.prefix))
  );
}

function startsWith(value: unknown, prefix: string): boolean {
  const parts: unknown[] = Array.isArray(value) ? value : [value];
  return parts.some((part) => typeof part === 'string' && part.startsWith(prefix));
}
