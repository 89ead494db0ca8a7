/**
 * The closed list of error codes a client can meet, in `extensions.code` of GraphQL errors and in REST problems.
 * docs/errors.md explains each one; a test keeps the two in step.
 */
export const ERROR_CODES = [
  'VALIDATION',
  'NOT_FOUND',
  'CONFLICT',
  'INVALID_STATE',
  'INSUFFICIENT_STOCK',
  'INSUFFICIENT_FUNDS',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PROJECTION_PENDING',
  'UNAVAILABLE',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Codes for which the same request may succeed later without being changed. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['RATE_LIMITED', 'PROJECTION_PENDING', 'UNAVAILABLE']);

export interface AppErrorOptions {
  /** The input field at fault, as the client spells it: `items.0.quantity`. */
  readonly field?: string;
  /** More for the client to act on, such as `{ retryAfter: 30 }` or `{ version: 4 }`. Never internals. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one error whose code and message reach clients. Everything else is masked as `INTERNAL` and logged. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.details = options.details ?? {};
  }

  /** Whether repeating the very same request may help. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

export const validationError = (field: string, message: string): AppError =>
  new AppError('VALIDATION', message, { field });

export const notFound = (what: string, id: string, field = 'id'): AppError =>
  new AppError('NOT_FOUND', `There is no ${what} ${id}.`, { field });

/**
 * Thrown by adapters when the engine itself is away (connection lost, server restarting).
 * Consumers pause on it and count no attempt; commands answer `UNAVAILABLE`.
 */
export class EngineUnavailable extends AppError {
  constructor(engine: string, cause?: unknown) {
    super('UNAVAILABLE', `The ${engine} cannot be reached at the moment; try again shortly.`, { cause });
  }
}

/** For exhaustive switches: the compiler proves that it is never reached. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
