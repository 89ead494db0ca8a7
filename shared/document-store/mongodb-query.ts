import type { Document } from 'mongodb';
import { checkField, checkLimit, checkScalar, checkText, flatten, type Comparison } from './input.js';
import type { Filter, FindOptions, IndexSpec, Sort } from './port.js';

/** One `find`: a range of an index where there is one for the filter's equalities and the sort. */
export interface Query {
  readonly filter: Document;
  readonly sort: Document;
}

const NOTHING: Document = { _id: { $in: [] } };

/** Where a field stands in a StoredDocument. */
export function pathOf(field: string): string {
  checkField(field);
  return field === 'id' ? '_id' : `doc.${field}`;
}

/** The id at the end lets one index answer sort, tie-break and keyset. */
export function indexOf({ fields }: IndexSpec): { readonly key: Document; readonly name: string } {
  const paths = [...fields.filter((field) => field !== 'id').map(pathOf), '_id'];
  return { key: Object.fromEntries(paths.map((path) => [path, 1])), name: fields.join() };
}

/** A pattern for texts that begin so; anchored and case-sensitive, as an index needs it. */
function beginsWith(prefix: string): string {
  return `^${prefix.replace(/[^A-Za-z0-9_\u0080-\u{10FFFF}]/gu, '\\$&')}`;
}

/**
 * MongoDB's comparisons are the port's with two exceptions: `$gte: null` would match null. And a range must not be asked of
 * an array as two conditions, which two elements could meet, so a prefix is a pattern.
 */
function compare(path: string, comparison: Comparison): Document {
  switch (comparison.op) {
    case 'eq':
      return { [path]: { $eq: comparison.value } };
    case 'in': {
      const [only] = comparison.value;
      // As an equality the order of an index behind the field stays usable for sorting.
      if (comparison.value.length === 1 && only !== undefined) return { [path]: { $eq: only } };
      return { [path]: { $in: [...comparison.value] } };
    }
    case 'prefix':
      return { [path]: { $regex: beginsWith(comparison.value) } };
    default:
      return comparison.value === null ? NOTHING : { [path]: { [`$${comparison.op}`]: comparison.value } };
  }
}

function and(parts: readonly Document[]): Document {
  const [only] = parts;
  if (only === undefined) return {};
  return parts.length === 1 ? only : { $and: parts };
}

/** The filter's conditions and `more` of one's own. */
export function where(filter: Filter | undefined, ...more: readonly Document[]): Document {
  return and([...more, ...flatten(filter).map(({ field, comparison }) => compare(pathOf(field), comparison))]);
}

function orderOf({ field, direction }: Sort): Document {
  const towards = direction === 'asc' ? 1 : -1;
  return { [pathOf(field)]: towards, _id: towards };
}

/**
 * What lies behind a position, as stretches to be read one after the other. Nulls are a stretch of their own, since a
 * comparison holds for values of one type only.
 */
function stretches({ sort, after }: Pick<FindOptions, 'sort' | 'after'>): Document[] {
  const path = pathOf(sort.field);
  if (after === undefined) return [{}];
  checkText('after', after.id);
  checkScalar('after', after.value);
  const ascending = sort.direction === 'asc';
  const beyond = ascending ? '$gt' : '$lt';
  const laterIds = { _id: { [beyond]: after.id } };
  if (sort.field === 'id') return [laterIds];
  const isNull = { [path]: { $eq: null } };
  if (after.value === null) {
    const restOfNulls = { ...isNull, ...laterIds };
    return ascending ? [restOfNulls, { [path]: { $ne: null } }] : [restOfNulls];
  }
  // The first condition is the range of the index; the second skips what has the very value and came before.
  const range = {
    [path]: { [`${beyond}e`]: after.value },
    $or: [{ [path]: { [beyond]: after.value } }, laterIds],
  };
  return ascending ? [range] : [range, isNull];
}

/** The queries that give the answer of `find` when run in order until `limit` documents are there. */
export function findQueries({ filter, sort, after, limit }: FindOptions): Query[] {
  checkLimit('limit', limit);
  const order = orderOf(sort);
  return stretches({ sort, ...(after && { after }) }).map((stretch) => ({
    filter: Object.keys(stretch).length === 0 ? where(filter) : where(filter, stretch),
    sort: order,
  }));
}
