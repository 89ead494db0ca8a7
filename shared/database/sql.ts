import { placeholders, type Database, type InsertRow, type SqlValue } from './port.js';

export type Dialect = Database['dialect'];

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** A quoted table or column name. Names come from code only; anything else than a plain word throws. */
export function identifier(dialect: Dialect, name: string): string {
  if (!NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} is not a table or column name.`);
  return dialect === 'mysql' ? `\`${name}\`` : `"${name}"`;
}

/** `INSERT INTO … VALUES (…), (…)` with `rowCount` rows. */
export function insertSql(dialect: Dialect, table: string, columns: readonly string[], rowCount: number): string {
  const row = `(${placeholders(columns.length)})`;
  const names = columns.map((column) => identifier(dialect, column)).join(', ');
  const values = Array.from({ length: rowCount }, () => row).join(', ');
  return `INSERT INTO ${identifier(dialect, table)} (${names}) VALUES ${values}`;
}

/**
 * An INSERT that passes over rows that are there. MySQL has no way to name the key that may collide, so on SQLite no key
 * is named either: both pass over a row that collides on any unique key. (MySQL: not INSERT IGNORE, which hides other
 * errors too and deadlocks with the update that follows.)
 */
export function insertNewSql(
  dialect: Dialect,
  table: string,
  key: readonly string[],
  columns: readonly string[],
  rowCount: number,
): string {
  return insertSql(dialect, table, columns, rowCount) + (dialect === 'mysql' ? keep(key) : ' ON CONFLICT DO NOTHING');
}

/** An INSERT that updates every column but the key where the key is there. */
export function upsertSql(
  dialect: Dialect,
  table: string,
  key: readonly string[],
  columns: readonly string[],
  rowCount: number,
): string {
  const insert = insertSql(dialect, table, columns, rowCount);
  const names = (list: readonly string[]): string[] => list.map((column) => identifier(dialect, column));
  const changed = names(columns.filter((column) => !key.includes(column)));
  if (dialect === 'mysql') {
    // VALUES() rather than a row alias: MariaDB knows no alias.
    if (changed.length === 0) return insert + keep(key);
    return `${insert} ON DUPLICATE KEY UPDATE ${changed.map((name) => `${name} = VALUES(${name})`).join(', ')}`;
  }
  const target = `${insert} ON CONFLICT (${names(key).join(', ')})`;
  if (changed.length === 0) return `${target} DO NOTHING`;
  return `${target} DO UPDATE SET ${changed.map((name) => `${name} = excluded.${name}`).join(', ')}`;
}

function keep(key: readonly string[]): string {
  if (key[0] === undefined) throw new TypeError('A key has at least one column.');
  const name = identifier('mysql', key[0]);
  return ` ON DUPLICATE KEY UPDATE ${name} = ${name}`;
}

/**
 * `SELECT * … WHERE column IN (count values) ORDER BY column`, with FOR UPDATE where rows can be locked; with `most`, there
 * only as many of those that nobody else holds.
 */
export function lockSql(dialect: Dialect, table: string, column: string, count: number, most?: number): string {
  const name = identifier(dialect, column);
  const select = `SELECT * FROM ${identifier(dialect, table)} WHERE ${name} IN (${placeholders(count)}) ORDER BY ${name}`;
  if (dialect === 'sqlite') return select;
  return most === undefined ? `${select} FOR UPDATE` : `${select} LIMIT ${Math.trunc(most)} FOR UPDATE SKIP LOCKED`;
}

/**
 * Ids for `lockSql`: without repeats, in ascending order, cut into chunks of at most `size` (a power of two), each filled up
 * to a power of two with its last id, so that a handful of prepared statements serves every number of ids.
 */
export function lockChunks<T extends string | number>(ids: readonly T[], size = 4096): T[][] {
  const sorted = [...new Set(ids)].sort(ascending);
  const chunks: T[][] = [];
  for (let start = 0; start < sorted.length; start += size) {
    const chunk = sorted.slice(start, start + size);
    const last = chunk[chunk.length - 1];
    if (last === undefined) continue;
    while ((chunk.length & (chunk.length - 1)) !== 0) chunk.push(last);
    chunks.push(chunk);
  }
  return chunks;
}

const ascending = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);

/** The columns of rows that are to be written together. Rows of different shapes throw: they need statements of their own. */
export function columnsOf(rows: readonly InsertRow[]): string[] {
  const columns = Object.keys(rows[0] ?? {});
  if (columns.length === 0) throw new TypeError('A row to be written has at least one column.');
  return columns;
}

/** A row's values in the order of `columns`. */
export function valuesOf(row: InsertRow, columns: readonly string[]): SqlValue[] {
  const values = columns.map((column) => row[column]);
  if (values.includes(undefined) || Object.keys(row).length !== columns.length) {
    throw new TypeError(
      `Rows written together have the same columns (${columns.join(', ')}), null where there is none.`,
    );
  }
  return values as SqlValue[];
}
