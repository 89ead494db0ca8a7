import { createHash } from 'node:crypto';
import type { Transaction } from '../database/port.js';
import { AppError, validationError } from '../errors/errors.js';
import { isBlank } from '../validation/text.js';

/** How long the answer to a key is kept, in milliseconds: seven days. */
export const KEY_TTL_MS = 7 * 86_400_000;

const FIELD = 'idempotencyKey';
const MAX_CHARACTERS = 255;
const KEY_COLUMNS = ['actor', 'mutation', 'idempotency_key'] as const;

// Control characters, and halves of 4-byte characters, which UTF-8 cannot tell apart.
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u;

/**
 * The key as the client sent it, or null where there is none. Compared byte by byte: not trimmed, not normalised.
 * @throws AppError VALIDATION, field `idempotencyKey`, unless it has 1 to 255 characters, one at least to be seen and no
 * control characters.
 */
export function parseIdempotencyKey(key: string | null | undefined): string | null {
  if (key === null || key === undefined) return null;
  const length = Array.from(key).length;
  if (isBlank(key)) throw validationError(FIELD, 'An idempotency key must not be blank; leave it out instead.');
  if (length > MAX_CHARACTERS) {
    throw validationError(FIELD, `An idempotency key has at most ${MAX_CHARACTERS} characters.`);
  }
  if (FORBIDDEN.test(key)) throw validationError(FIELD, 'An idempotency key has no control characters.');
  return key;
}

/**
 * SHA-256 of an input without its key: the same for the same values, whatever the order of the fields. A field that is
 * null is left out: many clients send null for what they do not mean to send.
 */
export function hashOfInput(input: object): string {
  const json = JSON.stringify({ ...input, [FIELD]: undefined }, (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value);
    if (!isPlain(value)) return value;
    const given = Object.entries(value).filter(([, field]) => field !== null);
    return Object.fromEntries(given.sort(byName));
  });
  return createHash('sha256').update(json).digest('hex');
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface KeyedCall {
  readonly actor: string;
  readonly mutation: string;
  readonly key: string;
  readonly inputHash: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

interface KeyRow {
  readonly input_hash: string;
  readonly payload: string;
  readonly created_at: number;
}

/**
 * Runs `work` unless this actor has run this mutation under this key before; then answers what it answered.
 * The key is written first, so that a concurrent twin waits for this transaction, and goes with it when it rolls back:
 * only successes are kept.
 * @throws AppError CONFLICT if the key came with another input.
 */
export async function once<T>(
  tx: Transaction,
  call: KeyedCall,
  work: (tx: Transaction) => Promise<T>,
): Promise<{ readonly result: T; readonly replayed: boolean }> {
  // Both engines ignore spaces at the end of a text; between quotes they count.
  const id = [call.actor, call.mutation, `"${call.key}"`];
  const where = KEY_COLUMNS.map((column) => `${column} = ?`).join(' AND ');
  const added = await tx.insertNew('idempotency_keys', KEY_COLUMNS, [
    {
      actor: call.actor,
      mutation: call.mutation,
      idempotency_key: `"${call.key}"`,
      input_hash: call.inputHash,
      payload: null,
      created_at: call.now,
    },
  ]);
  if (added === 0) {
    const [row] = await tx.query<KeyRow>(
      `SELECT input_hash, payload, created_at FROM idempotency_keys WHERE ${where}`,
      id,
    );
    // An expired key that was not purged yet counts as new.
    if (row && row.created_at >= call.now - KEY_TTL_MS) {
      if (row.input_hash === call.inputHash) return { result: JSON.parse(row.payload) as T, replayed: true };
      throw new AppError('CONFLICT', 'This idempotency key was used with another input.', { field: FIELD });
    }
  }
  const result = await work(tx);
  tx.deferred.execute(`UPDATE idempotency_keys SET input_hash = ?, payload = ?, created_at = ? WHERE ${where}`, [
    call.inputHash,
    JSON.stringify(result ?? null),
    call.now,
    ...id,
  ]);
  return { result, replayed: false };
}
