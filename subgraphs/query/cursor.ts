import { validationError } from '../../shared/errors/errors.js';
import type { Topic } from '../../shared/events/catalogue.js';

/** Where a subscription stands: everything below `next[partition]` was delivered to it. */
export interface Cursor {
  /** Identity of the log the offsets belong to. */
  readonly log: string;
  readonly topic: Topic;
  readonly next: readonly number[];
  /** Snapshots that were still to follow: all, of whom nothing was sent yet; some; or none. */
  readonly due: 'all' | Due | null;
}

/** Snapshots in their order, those behind `after` up to `upTo`. */
export interface Due {
  readonly after: Place;
  readonly upTo: Place;
}

/** Where a snapshot stands in their order, newest first: when its aggregate was made, and its id. */
export type Place = readonly [at: number, id: string];

/** For sorting. */
export const byPlace = ([at, id]: Place, [otherAt, otherId]: Place): number =>
  otherAt - at || (id < otherId ? 1 : id > otherId ? -1 : 0);

export const isDue = ({ after, upTo }: Due, place: Place): boolean =>
  byPlace(after, place) < 0 && byPlace(place, upTo) <= 0;

/** Raised when what a cursor says changes, so that old ones are recognised. */
const FORMAT = 1;

/** Opaque to clients; about 150 characters, 300 where some snapshots were still to follow. */
export function formatCursor({ log, topic, next, due }: Cursor): string {
  const written = due === null ? 0 : due === 'all' ? 1 : [...due.after, ...due.upTo];
  return Buffer.from(JSON.stringify([FORMAT, topic, log, written, ...next])).toString('base64url');
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
  const [format, name, log, written, ...next] = parts as unknown[];
  if (format !== FORMAT || name !== topic || typeof log !== 'string' || !next.every(isOffset)) throw notACursor();
  return { log, topic, next, due: parseDue(written) };
}

function parseDue(written: unknown): Cursor['due'] {
  if (written === 0) return null;
  if (written === 1) return 'all';
  if (!Array.isArray(written) || written.length !== 4) throw notACursor();
  const [at, id, lastAt, lastId] = written as unknown[];
  if (!isTime(at) || typeof id !== 'string' || !isTime(lastAt) || typeof lastId !== 'string') throw notACursor();
  return { after: [at, id], upTo: [lastAt, lastId] };
}

const isOffset = (value: unknown): value is number => isTime(value) && value >= 0;

/** Milliseconds. */
const isTime = (value: unknown): value is number => Number.isSafeInteger(value);

const notACursor = () =>
  validationError('after', 'This is not a cursor of this subscription; use one it gave you, or none.');
