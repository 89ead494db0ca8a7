import { validationError } from '../../shared/errors/errors.js';
import type { Topic } from '../../shared/events/catalogue.js';

/** Where a subscription stands: everything below `next[partition]` was delivered to it. */
export interface Cursor {
  /** Identity of the log the offsets belong to. */
  readonly log: string;
  readonly topic: Topic;
  readonly next: readonly number[];
  /** Whether more snapshots of the same moment were to follow: whoever resumes here begins with fresh ones. */
  readonly partial: boolean;
}

/** Raised when what a cursor says changes, so that old ones are recognised. */
const FORMAT = 1;

/** Opaque to clients; about 100 characters. */
export function formatCursor({ log, topic, next, partial }: Cursor): string {
  return Buffer.from(JSON.stringify([FORMAT, topic, log, partial ? 1 : 0, ...next])).toString('base64url');
}

/**
 * Reads a cursor of this topic.
 * @throws AppError VALIDATION field `after` if it is garbage or of another subscription field.
 */
export function parseCursor(text: string, topic: Topic, partitions: number): Cursor {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    parts = null;
  }
  if (!Array.isArray(parts) || parts.length !== 4 + partitions) throw notACursor();
  const [format, name, log, partial, ...next] = parts as unknown[];
  if (format !== FORMAT || name !== topic || typeof log !== 'string' || !next.every(isOffset)) throw notACursor();
  return { log, topic, next, partial: partial === 1 };
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const notACursor = () =>
  validationError('after', 'This is not a cursor of this subscription; use one it gave you, or none.');
