import {
  MongoBulkWriteError,
  MongoClient,
  MongoClientClosedError,
  MongoDriverError,
  MongoError,
  MongoExpiredSessionError,
  MongoInvalidArgumentError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoServerClosedError,
  MongoServerError,
  MongoSystemError,
  MongoTopologyClosedError,
  type Db,
  type DbOptions,
  type MongoClientOptions,
} from 'mongodb';
import type { TlsOptions } from '../config/tls.js';
import { AppError, EngineUnavailable, validationError } from '../errors/errors.js';
import type { Logger } from '../observability/logger.js';
import { mendConnections } from './mongodb-connection.js';

export interface MongoOptions {
  /** `mongodb://` or `mongodb+srv://`, with user and password where the server asks for them; its options win over ours. */
  readonly url: string;
  /** Put before the database's name, so that several systems can share a server. */
  readonly namespace?: string;
  readonly tls?: TlsOptions;
  readonly log?: Logger;
}

/** What the URL may say otherwise. A server that is away is given up after 5 s, one that hangs after about 8. */
const DEFAULTS = {
  appName: 'tributary',
  maxPoolSize: 32,
  serverSelectionTimeoutMS: 5_000,
  connectTimeoutMS: 5_000,
  heartbeatFrequencyMS: 3_000,
  // The last resort for a server whose heart beats but who answers nothing else.
  socketTimeoutMS: 60_000,
  waitQueueTimeoutMS: 10_000,
} satisfies MongoClientOptions;

/**
 * What the port promises is not for the URL to change: written is what a majority has on disk, and everything is read where
 * it was written. Read concern `local` is enough for that: what a failover can take back was never answered as stored.
 * Servers without replicas take it as it is. Writes are repeated by the driver where the server knows how (`retryWrites`);
 * it sees that for itself.
 */
const PROMISED = {
  writeConcern: { w: 'majority', journal: true, wtimeoutMS: 10_000 },
  readPreference: 'primary',
} satisfies DbOptions;

/**
 * The database, with a client of its own that has not connected yet.
 * @throws MongoParseError, or another error of the driver, when the URL or its options make no sense.
 */
export function openMongoDatabase(options: MongoOptions): Db {
  const { url, tls, log } = options;
  const given = new Set([...optionsOf(url).keys()].map((name) => name.toLowerCase()));
  const defaults = Object.entries(DEFAULTS).filter(([name]) => !given.has(name.toLowerCase()));
  mendConnections();
  const client = new MongoClient(url, {
    ...Object.fromEntries(defaults),
    ...(tls && { ...tls, tls: true }),
  });
  if (log !== undefined) report(client, log);
  return client.db(databaseOf(options), PROMISED);
}

function optionsOf(url: string): URLSearchParams {
  const start = url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : url.slice(start + 1));
}

/** The database that the URL names, `tributary` when it names none, with the namespace before it. */
export function databaseOf({ url, namespace = '' }: MongoOptions): string {
  const [, path = ''] = /^[^:]+:\/\/[^/?]*\/([^?]*)/.exec(url) ?? [];
  const name = decodeURIComponent(path) || 'tributary';
  return namespace === '' ? name : `${namespace}_${name}`;
}

/** Says once when a server goes away, and once when it is back. */
function report(client: MongoClient, log: Logger): void {
  const away = new Set<string>();
  client.on('serverHeartbeatFailed', ({ connectionId, failure }) => {
    if (!away.has(connectionId)) log.warn({ err: failure, server: connectionId }, 'the document store is away');
    away.add(connectionId);
  });
  client.on('serverHeartbeatSucceeded', ({ connectionId }) => {
    if (away.delete(connectionId)) log.info({ server: connectionId }, 'the document store is back');
  });
}

/** Codes of servers that are stopping, starting, changing roles, full, too slow, or that do not let us in. */
const AWAY_CODES: ReadonlySet<unknown> = new Set([
  6, 7, 13, 18, 50, 64, 79, 89, 91, 100, 133, 134, 189, 202, 262, 334, 8000, 9001, 10058, 10107, 11600, 11602, 13435,
  13436, 14031,
]);
/** BSONObjectTooLarge, and what a server says of an object nested or grown beyond what it takes. */
const TOO_LARGE_CODES: ReadonlySet<unknown> = new Set([10334, 17419, 17420]);
/**
 * FerretDB passes on what it hears, or does not hear, from its PostgreSQL, as an InternalError: connections that are lost,
 * refused or too many, and a server that starts, stops or recovers ("the database system is in recovery mode").
 */
const BACKEND_AWAY =
  /failed to connect|conn closed|closed the connection|connection re|terminating connection|connection slots|too many clients|the database system is|shutting down|unexpected EOF|broken pipe|SQLSTATE (08|53|57)/;

const AWAY_ERRORS = [
  MongoNetworkError,
  MongoSystemError,
  MongoNotConnectedError,
  MongoTopologyClosedError,
  MongoServerClosedError,
  MongoClientClosedError,
  MongoExpiredSessionError,
];

/** An error of the driver as the port's callers know it; any other as it is. */
export function translate(error: unknown): unknown {
  if (error instanceof AppError || !(error instanceof MongoError)) return error;
  // A bulk wraps the error that ended it.
  if (error instanceof MongoBulkWriteError && error.errorResponse instanceof MongoError) {
    return translate(error.errorResponse);
  }
  if (isAway(error)) return new EngineUnavailable('document store', error);
  const tooLarge = error instanceof MongoInvalidArgumentError && error.message.includes('larger than the maximum');
  if (tooLarge || codesOf(error).some((code) => TOO_LARGE_CODES.has(code))) {
    return validationError('doc', 'The document is too large for the document store.');
  }
  return error;
}

function isAway(error: MongoError): boolean {
  if (AWAY_ERRORS.some((kind) => error instanceof kind)) return true;
  // The pool's errors are exported as types only.
  if (error instanceof MongoDriverError) return /^Mongo(WaitQueueTimeout|PoolClosed)Error$/.test(error.name);
  return (
    codesOf(error).some((code) => AWAY_CODES.has(code)) ||
    error.hasErrorLabel('RetryableWriteError') ||
    (error.code === 1 && BACKEND_AWAY.test(error.message))
  );
}

/** A bulk's own code is only that of its first failure. */
function codesOf(error: MongoError): unknown[] {
  if (!(error instanceof MongoBulkWriteError)) return [error.code];
  return [error.code, error.result.getWriteConcernError()?.code, ...[error.writeErrors].flat().map(({ code }) => code)];
}

/** Whether a server's answer is of the kind `MongoServerError`, for its code. */
export const isServerError = (error: unknown, code: number): boolean =>
  error instanceof MongoServerError && error.code === code;
