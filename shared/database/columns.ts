import { Table, TableIndex, type QueryRunner, type TableColumnOptions } from 'typeorm';
import { identifier, type Dialect } from './sql.js';

export interface ColumnOptions {
  /** Columns are NOT NULL unless this is true. */
  readonly nullable?: boolean;
  /** Value of rows written without this column; not for `json`. */
  readonly default?: string | number | boolean;
}

/**
 * The only column types of this project, so that one migration serves both engines and both compare and decode alike:
 * text is compared byte by byte (MySQL's default would call `Key`, `key` and `kéy` the same), numbers come back as numbers.
 */
export interface Columns {
  /** An id of at most 36 ASCII characters. */
  id(name: string, options?: ColumnOptions): TableColumnOptions;
  /**
   * A text that is looked up or unique: e-mail, idempotency key, name of a consumer. At most `length` characters
   * (191 unless told). Spaces at the end do not count in comparisons; trim before writing, since they are stored.
   */
  key(name: string, options?: ColumnOptions & { readonly length?: number }): TableColumnOptions;
  /** Text for people, at most `length` characters; no index on it. MySQL refuses more, SQLite does not: validate before. */
  text(name: string, length: number, options?: ColumnOptions): TableColumnOptions;
  /** Primary key that counts up and is never reused. Gaps occur, and ids may become visible out of order. */
  bigserial(name: string): TableColumnOptions;
  /** Milliseconds since 1970, UTC. */
  instant(name: string, options?: ColumnOptions): TableColumnOptions;
  /** Cents, up to 2^53 - 1 either side of zero. */
  money(name: string, options?: ColumnOptions): TableColumnOptions;
  /** A whole number, up to 2^53 - 1 either side of zero. */
  integer(name: string, options?: ColumnOptions): TableColumnOptions;
  /** Written as a boolean or 0 and 1, read as 0 or 1. */
  boolean(name: string, options?: ColumnOptions): TableColumnOptions;
  /** JSON as text, up to 16 MB; no index on it. */
  json(name: string, options?: Omit<ColumnOptions, 'default'>): TableColumnOptions;
}

/** Above this a varchar would eat too much of MySQL's 64 KB for one row. */
const LONGEST_VARCHAR = 4_000;

/** Column types for the engine that the migration runs on. */
export function columnsFor(runner: QueryRunner): Columns {
  return columnsOfDialect(dialectOf(runner));
}

export function columnsOfDialect(dialect: Dialect): Columns {
  const mysql = dialect === 'mysql';
  const column = (name: string, type: string, options: ColumnOptions = {}, more: Partial<TableColumnOptions> = {}) => {
    identifier(dialect, name);
    return {
      name,
      type,
      isNullable: options.nullable === true,
      ...(options.default === undefined ? {} : { default: literal(options.default) }),
      ...more,
    };
  };
  // MariaDB has it too, unlike utf8mb4_0900_bin; it compares as if spaces at the end were not there, as RTRIM does on SQLite.
  const text = mysql ? { charset: 'utf8mb4', collation: 'utf8mb4_bin' } : {};
  const padded = mysql ? text : { collation: 'RTRIM' };
  const bigint = (name: string, options?: ColumnOptions): TableColumnOptions => column(name, 'bigint', options);
  return {
    id: (name, options) => column(name, 'varchar', options, { length: '36', ...text }),
    key: (name, options) => column(name, 'varchar', options, { length: String(options?.length ?? 191), ...padded }),
    text: (name, length, options) =>
      length > LONGEST_VARCHAR
        ? column(name, mysql ? 'mediumtext' : 'text', options, text)
        : column(name, 'varchar', options, { length: String(length), ...text }),
    bigserial: (name) =>
      // SQLite counts up by itself only in a column that is called INTEGER.
      column(
        name,
        mysql ? 'bigint' : 'integer',
        {},
        { isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
      ),
    instant: bigint,
    money: bigint,
    integer: bigint,
    boolean: (name, options) => column(name, mysql ? 'tinyint' : 'boolean', options),
    json: (name, options) => column(name, mysql ? 'mediumtext' : 'text', options, text),
  };
}

export interface TableKeys {
  /** Columns of the primary key, in the order of the index. Left out only where there is a `bigserial`. */
  readonly primaryKey?: readonly string[];
  readonly indexes?: readonly (readonly string[])[];
  /** Unique indexes. Rows with a null in one of the columns are never duplicates. */
  readonly uniques?: readonly (readonly string[])[];
}

/**
 * Creates a table with its keys, alike on both engines; does nothing where there is one of that name. MySQL has no
 * transactions around migrations: one that was cut short runs again from its start, so each of its steps has to bear that.
 * The table and its keys are one statement, there together or not at all.
 */
export async function createTable(
  runner: QueryRunner,
  name: string,
  columns: readonly TableColumnOptions[],
  { primaryKey, indexes = [], uniques = [] }: TableKeys,
): Promise<void> {
  identifier(dialectOf(runner), name);
  const known = new Map(columns.map((column) => [column.name, column]));
  const find = (column: string): TableColumnOptions => {
    const found = known.get(column);
    if (!found) throw new TypeError(`Table ${name} has no column ${column} to put a key on.`);
    return found;
  };
  const serial = columns.filter((column) => column.isPrimary === true).map((column) => column.name);
  if ((primaryKey ?? serial).length === 0) throw new TypeError(`Table ${name} needs a primary key.`);
  if (primaryKey && serial.length > 0) throw new TypeError(`The bigserial of table ${name} is its primary key.`);
  // TypeORM puts the columns of a primary key in the order of the table, so the table follows the key.
  const first = (primaryKey ?? serial).map((column) => ({ ...find(column), isPrimary: true }));
  const rest = columns.filter((column) => !first.some((key) => key.name === column.name));
  const index = (columnNames: readonly string[], isUnique: boolean): TableIndex => {
    columnNames.forEach(find);
    const title = `${isUnique ? 'uq' : 'ix'}_${name}_${columnNames.join('_')}`;
    // Names are global on SQLite and at most 64 characters on MySQL; TypeORM makes up a short one where there is none.
    return new TableIndex({ columnNames: [...columnNames], isUnique, ...(title.length > 64 ? {} : { name: title }) });
  };
  await runner.createTable(
    new Table({
      name,
      columns: [...first, ...rest],
      indices: [...indexes.map((names) => index(names, false)), ...uniques.map((names) => index(names, true))],
    }),
    true,
  );
}

function dialectOf(runner: QueryRunner): Dialect {
  const { type } = runner.dataSource.options;
  if (type === 'better-sqlite3') return 'sqlite';
  if (type === 'mysql' || type === 'mariadb') return 'mysql';
  throw new TypeError(`There are no column types for ${type}.`);
}

function literal(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'number') return String(value);
  if (value.includes('\\'))
    throw new TypeError('A default with a backslash means different things to the two engines.');
  return `'${value.replaceAll("'", "''")}'`;
}
