import type { Connection, FieldPacket, ResultSetHeader, RowDataPacket } from 'mysql2';
import type { SqlValue } from './port.js';
import { Interrupted, translated } from './mysql-errors.js';

/** How long a statement may take, in milliseconds: longer than it may wait for a lock. Then its connection is given up. */
const STATEMENT_MS = 60_000;

/** Column types of the protocol whose values may be larger than a number can hold. */
const LONGLONG = 8;
const NEWDECIMAL = 246;

export interface Statement {
  readonly sql: string;
  /** The same with its values in it. */
  readonly text: string;
}

/**
 * Text with the values in it, not prepared statements: those were no faster (4 inserts in a transaction: 400 to 980 a
 * second as text, 260 to 650 prepared), bind every number as a DOUBLE, and take a round trip more the first time.
 * @throws TypeError for what cannot be stored
 */
export const statement = (connection: Connection, sql: string, params: readonly SqlValue[] = []): Statement => ({
  sql,
  text: connection.format(sql, params.map(bound)),
});

/** Rows of a SELECT, or what else the server said. */
export interface Answer {
  readonly result: ResultSetHeader | RowDataPacket[];
  readonly fields: FieldPacket[] | undefined;
}

/** Rows of a SELECT; see `rowsIn`. */
export async function rowsOf(
  connection: Connection,
  sql: string,
  params: readonly SqlValue[] = [],
  timeoutMs = STATEMENT_MS,
): Promise<unknown[]> {
  const [answer] = await send(connection, [statement(connection, sql, params)], { timeoutMs });
  return answer === undefined ? [] : rowsIn(answer);
}

/** Sends one statement whose answer says nothing but that it is done. */
export async function run(connection: Connection, sql: string): Promise<void> {
  await send(connection, [statement(connection, sql)]);
}

/**
 * Rows of a SELECT; integers and decimals as numbers.
 * @throws RangeError if a whole number lies beyond 2^53 - 1: it would not be the one that was stored.
 */
export function rowsIn({ result, fields = [] }: Answer): unknown[] {
  if (!Array.isArray(result)) return [];
  for (const { name, columnType } of fields) {
    if (columnType !== LONGLONG && columnType !== NEWDECIMAL) continue;
    // The driver answers text where a number might lose digits.
    for (const row of result) if (typeof row[name] === 'string') row[name] = numberOf(row[name], name);
  }
  return result;
}

/** How many rows a statement touched; for an UPDATE those it matched. */
export function countIn({ result }: Answer, sql: string): number {
  if (Array.isArray(result)) return 0;
  // Without the flag FOUND_ROWS, which would also change what INSERT … ON DUPLICATE KEY counts, `affectedRows` leaves out
  // the rows that stayed the same. "Rows matched: 2  Changed: 1  Warnings: 0", in the server's language.
  const matched = /^\s*UPDATE\b/i.test(sql) ? /\d+/.exec(result.info) : null;
  return matched ? Number(matched[0]) : result.affectedRows;
}

export interface SendOptions {
  readonly timeoutMs?: number;
  /** Hears of every statement that is done. */
  readonly onAnswer?: () => void;
}

/**
 * Sends statements in one packet, and answers what the server said to each. The first that fails is the last that is run.
 * More than one only on connections that allow it: those for transactions and for locks.
 */
export function send(
  connection: Connection,
  statements: readonly Statement[],
  { timeoutMs = STATEMENT_MS, onAnswer }: SendOptions = {},
): Promise<Answer[]> {
  const whole = (part: 'sql' | 'text'): string => statements.map((one) => one[part]).join(';\n');
  return new Promise((resolve, reject) => {
    // Not the driver's own time limit: its timers outlive connections that are lost.
    const timer = setTimeout(() => {
      connection.destroy();
      // A server that does not answer would not answer the same again either.
      reject(new Interrupted(new Error(`No answer within ${timeoutMs} ms.`), false, true));
    }, timeoutMs);
    const query = connection.query<Answer['result']>(whole('text'), (error, result, fields: unknown) => {
      clearTimeout(timer);
      if (error === null) resolve(answersOf(statements.length, result, fields));
      // The driver's error carries the statement with its values in it, and what is unexpected is logged: with password
      // hashes and whatever else was to be written.
      else reject(translated(Object.assign(error, { sql: whole('sql') })));
    });
    if (onAnswer !== undefined) query.on('fields', onAnswer);
  });
}

/** The driver answers one statement with its result, several with a list of results. */
function answersOf(count: number, result: unknown, fields: unknown): Answer[] {
  const results = (count === 1 ? [result] : result) as Answer['result'][];
  const columns = (count === 1 ? [fields] : fields) as Answer['fields'][];
  return results.map((one, index) => ({ result: one, fields: columns[index] }));
}

function bound(value: SqlValue | undefined): SqlValue {
  if (value === undefined) return null;
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} cannot be stored.`);
  // The driver would write out its fields as SQL.
  if (typeof value === 'object' && value !== null) {
    throw new TypeError('A value bound to SQL must be a string, a number, a boolean or null.');
  }
  return value;
}

function numberOf(text: string, column: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) && !text.includes('.')) {
    throw new RangeError(`${column} is ${text}, more than a number can hold exactly.`);
  }
  return value;
}
