import { AppError, EngineUnavailable } from '../errors/errors.js';

/** A statement's answer did not come, or says that its transaction is over. Nothing of that transaction can be committed. */
export class Interrupted extends EngineUnavailable {
  constructor(
    cause: unknown,
    /** Whether the same work may well succeed when it is begun again now. */
    readonly repeatable: boolean,
    /** Whether the connection is gone as well. */
    readonly lost: boolean,
  ) {
    super('database', cause);
  }
}

interface DriverError extends Error {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly fatal?: boolean;
}

// Numbers rather than names: the driver knows MySQL's names only, MariaDB has some of its own.
const DUPLICATE: ReadonlySet<unknown> = new Set([1022, 1062, 1586]);

/** Lock wait timeout, lock table full, deadlock, lost certification in a cluster. */
const CONFLICTING: ReadonlySet<unknown> = new Set([1205, 1206, 1213, 3101]);

/** Shutdown, aborted, interrupted (a KILL arrives as this or as a closed socket), network, idle for too long. */
const LOST: ReadonlySet<unknown> = new Set([
  1053, 1077, 1078, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 2006, 2013, 4031,
]);

/** Too many connections, no rights, no database, disk or memory full, read only (a replica after a failover), time limits. */
const AWAY: ReadonlySet<unknown> = new Set([
  1021, 1030, 1037, 1038, 1040, 1041, 1044, 1045, 1049, 1114, 1129, 1130, 1142, 1143, 1203, 1226, 1227, 1290, 1698,
  1792, 1836, 1969, 3024,
]);

/** A duplicate becomes `CONFLICT`, an engine that cannot work at present `Interrupted`, all else stays as it is. */
export function translated(error: unknown): unknown {
  if (error instanceof AppError || typeof error !== 'object' || error === null) return error;
  const { code, errno, fatal } = ((error as { driverError?: unknown }).driverError ?? error) as DriverError;
  if (DUPLICATE.has(errno))
    return new AppError('CONFLICT', 'There is one with the same key already.', { cause: error });
  if (CONFLICTING.has(errno)) return new Interrupted(error, true, false);
  if (fatal === true || LOST.has(errno) || isSocketCode(code)) return new Interrupted(error, true, true);
  if (AWAY.has(errno)) return new Interrupted(error, false, false);
  return error;
}

const isSocketCode = (code: unknown): boolean =>
  typeof code === 'string' && /^(PROTOCOL_|ECONN|EPIPE$|ETIMEDOUT$|EHOST|ENET|ENOTFOUND$|EAI_)/.test(code);

/** Whether the server said so, not the driver or the network, which have no numbers or negative ones. */
export function isOfServer(error: unknown): boolean {
  const cause = (error instanceof AppError ? error.cause : error) as DriverError | undefined;
  return Number(cause?.errno) >= 1_000;
}

/** Whether it says that the database does not exist. To those without rights MySQL does not say so, but that they may not. */
export const isUnknownDatabase = (error: unknown): boolean =>
  [1044, 1049].includes(Number((error as DriverError).errno));

/** What is wrong with a server, for the log: the driver's words, also where it has none (several addresses refused). */
export function unreachable(server: string, error: unknown): EngineUnavailable {
  const words = (one: unknown): string => {
    const { message, code, errors } = one as DriverError & { readonly errors?: readonly unknown[] };
    return errors === undefined ? message || String(code) : [...new Set(errors.map(words))].join('; ');
  };
  return new EngineUnavailable('database', new Error(`MySQL at ${server}: ${words(error)}`, { cause: error }));
}
