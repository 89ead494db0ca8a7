import type { Bindable } from '../libsql/libsql.js';
import { checkCollection, checkField, checkLimit, checkScalar, checkText, flatten, type Comparison } from './input.js';
import type { Filter, FindOptions, IndexSpec, PerKeyOptions, Scalar } from './port.js';

export interface Query {
  readonly sql: string;
  readonly params: readonly Bindable[];
}

/** The table of a collection, quoted. */
export function tableOf(collection: string): string {
  checkCollection(collection);
  return `"${collection}"`;
}

/** The value of a field. Indexes are used only where a query spells it exactly like this. */
function valueOf(field: string): string {
  checkField(field);
  return field === 'id' ? 'id' : `json_extract(doc, '$.${field}')`;
}

/** The check costs nothing measurable; without it one document too deep for SQLite would fail every query that meets it. */
export function createTable(collection: string): string {
  return `CREATE TABLE IF NOT EXISTS ${tableOf(collection)} (id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, doc TEXT NOT NULL CHECK (json_valid(doc)))`;
}

/** The id at the end lets one index answer sort, tie-break and keyset. */
export function createIndex(collection: string, { fields }: IndexSpec): string {
  const values = [...fields.filter((field) => field !== 'id'), 'id'].map(valueOf);
  return `CREATE INDEX IF NOT EXISTS "${collection}(${fields.join()})" ON ${tableOf(collection)} (${values.join(', ')})`;
}

/** Looked up, not pasted: what comes from a caller never becomes SQL. */
const DIRECTIONS = { asc: 'ASC', desc: 'DESC' } as const;
const COMPARATORS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

function equals(value: string, wanted: Scalar): Query {
  return wanted === null ? { sql: `${value} IS NULL`, params: [] } : { sql: `${value} = ?`, params: [wanted] };
}

function among(value: string, wanted: readonly Scalar[]): Query {
  const [only] = wanted;
  // As an equality the order of an index behind the field stays usable for sorting.
  if (wanted.length === 1 && only !== undefined) return equals(value, only);
  // One parameter for the whole list: no limit on its length, and one prepared statement for all lengths.
  const list = `${value} IN (SELECT value FROM json_each(?))`;
  return { sql: wanted.includes(null) ? `(${list} OR ${value} IS NULL)` : list, params: [JSON.stringify(wanted)] };
}

/**
 * Neither LIKE nor GLOB, which have characters of their own and fold case. `substr` counts code points, as does the
 * spread. json_each gives an array's elements or a single value alone, but also an object's members, whose keys are text.
 */
function startsWith(field: string, prefix: string): Query {
  const params = [[...prefix].length, prefix];
  if (field === 'id') return { sql: 'substr(id, 1, ?) = ?', params };
  const starts = `part.type = 'text' AND typeof(part.key) <> 'text' AND substr(part.value, 1, ?) = ?`;
  return { sql: `EXISTS (SELECT 1 FROM json_each(doc, '$.${field}') part WHERE ${starts})`, params };
}

function compare(field: string, comparison: Comparison): Query {
  const value = valueOf(field);
  switch (comparison.op) {
    case 'eq':
      return equals(value, comparison.value);
    case 'in':
      return among(value, comparison.value);
    case 'prefix':
      return startsWith(field, comparison.value);
    default:
      return { sql: `${value} ${COMPARATORS[comparison.op]} ?`, params: [comparison.value] };
  }
}

function and(...parts: readonly Query[]): Query {
  return { sql: parts.map(({ sql }) => sql).join(' AND ') || 'TRUE', params: parts.flatMap(({ params }) => params) };
}

function where(filter: Filter | undefined): Query {
  return and(...flatten(filter).map(({ field, comparison }) => compare(field, comparison)));
}

/**
 * What lies behind a position, as stretches to be read one after the other, each of them one range of an index. Nulls
 * are a stretch of their own, since no comparison in SQL holds for them.
 */
function stretches({ sort, after }: FindOptions): { readonly range: Query; readonly sortedById: boolean }[] {
  const value = valueOf(sort.field);
  const ascending = sort.direction === 'asc';
  const beyond = ascending ? '>' : '<';
  if (after === undefined) return [{ range: and(), sortedById: sort.field === 'id' }];
  checkText('after', after.id);
  checkScalar('after', after.value);
  const laterIds = { sql: `id ${beyond} ?`, params: [after.id] };
  if (sort.field === 'id') return [{ range: laterIds, sortedById: true }];
  if (after.value === null) {
    const restOfNulls = { range: and(equals(value, null), laterIds), sortedById: true };
    const rest = { range: { sql: `${value} IS NOT NULL`, params: [] }, sortedById: false };
    return ascending ? [restOfNulls, rest] : [restOfNulls];
  }
  const range = {
    sql: `${value} ${beyond}= ? AND (${value} ${beyond} ? OR id ${beyond} ?)`,
    params: [after.value, after.value, after.id],
  };
  const nulls = { range: equals(value, null), sortedById: true };
  return ascending ? [{ range, sortedById: false }] : [{ range, sortedById: false }, nulls];
}

/** The queries that give the answer of `find` when run in order until `limit` rows are there; each takes the limit last. */
export function findQueries(collection: string, options: FindOptions): Query[] {
  const { sort, limit, filter } = options;
  checkLimit('limit', limit);
  const table = tableOf(collection);
  const direction = DIRECTIONS[sort.direction];
  const conditions = where(filter);
  return stretches(options).map(({ range, sortedById }) => {
    const { sql, params } = and(conditions, range);
    const order = sortedById ? `id ${direction}` : `${valueOf(sort.field)} ${direction}, id ${direction}`;
    return { sql: `SELECT id, version, doc FROM ${table} WHERE ${sql} ORDER BY ${order} LIMIT ?`, params };
  });
}

export function countQuery(collection: string, filter?: Filter): Query {
  const { sql, params } = where(filter);
  return { sql: `SELECT count(*) AS total FROM ${tableOf(collection)} WHERE ${sql}`, params };
}

/** The keys of a batch, one parameter for all of them. */
const KEYS = 'WITH keys AS (SELECT key AS place, value AS owner FROM json_each(?))';

function keysParam(field: string, keys: readonly string[]): string {
  for (const key of keys) checkText(field, key);
  return JSON.stringify([...new Set(keys)]);
}

/**
 * The first documents of each key in order, each with its key as `owner`. Per key the index is read up to the limit and
 * no further; a window function would number all that a key has. Sorted once more outside, as a list of rowids has no
 * order.
 */
export function findPerKeyQuery(
  collection: string,
  field: string,
  keys: readonly string[],
  { filter, sort, first }: PerKeyOptions,
): Query {
  checkLimit('first', first);
  const table = tableOf(collection);
  const direction = DIRECTIONS[sort.direction];
  const order = `${valueOf(sort.field)} ${direction}, id ${direction}`;
  const { sql, params } = where(filter);
  return {
    sql:
      `${KEYS} SELECT owner, id, version, doc FROM keys CROSS JOIN ${table} stored ON stored.rowid IN ` +
      `(SELECT rowid FROM ${table} WHERE ${valueOf(field)} = owner AND ${sql} ORDER BY ${order} LIMIT ?) ` +
      `ORDER BY place, ${order}`,
    params: [keysParam(field, keys), ...params, first],
  };
}

/**
 * Each key as `owner` with its `total`. Counted key by key, as what the index compares need not be read from the
 * documents; grouping would read each of them for its key (measured: 70 times slower).
 */
export function countPerKeyQuery(collection: string, field: string, keys: readonly string[], filter?: Filter): Query {
  const { sql, params } = where(filter);
  const total = `SELECT count(*) FROM ${tableOf(collection)} WHERE ${valueOf(field)} = owner AND ${sql}`;
  return { sql: `${KEYS} SELECT owner, (${total}) AS total FROM keys`, params: [keysParam(field, keys), ...params] };
}
