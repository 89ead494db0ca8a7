import { validationError } from '../errors/errors.js';
import type { Versioned } from './port.js';

/** A document as its collection holds it. */
export interface StoredDocument {
  readonly _id: string;
  readonly version: number;
  /** The document; without the parts named at `json` where that is there. */
  readonly doc: unknown;
  /**
   * The document as text, only where BSON would not give it back as JSON has it: keys with a dollar or dots, which mean
   * something else in queries, keys the driver takes for its own, halves of surrogate pairs, nesting too deep for a server.
   */
  readonly json?: string;
}

/** Servers take 100 levels; some of them are ours. */
const MAX_DEPTH = 90;
/** Names that any server takes and any query may spell; `_bsontype` and `__proto__` are special to the driver. */
const PLAIN_KEY = /^(?!\$|_bsontype$|__proto__$)[^.\0]+$/;

/**
 * A copy of the document, ready to be sent. By way of JSON, so that what comes back is what JSON gives, and that only:
 * dates become text, `undefined` is left out.
 * @throws AppError VALIDATION field `doc`: not an object.
 */
export function toStored<D extends object>({ id, version, doc }: Versioned<D>): StoredDocument {
  const json: unknown = JSON.stringify(doc);
  if (typeof json !== 'string') throw validationError('doc', 'A document must be an object.');
  const copy: unknown = JSON.parse(json);
  // JSON.stringify writes half a surrogate pair as an escape, and nothing else that begins with `\ud`.
  if (isPlain(copy, 1) && !json.includes('\\ud')) return { _id: id, version, doc: copy };
  return { _id: id, version, doc: plainPart(copy, 1), json };
}

export function fromStored<D>({ _id, version, doc, json }: StoredDocument): Versioned<D> {
  return { id: _id, version, doc: (json === undefined ? doc : JSON.parse(json)) as D };
}

function isPlain(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth > MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((one) => isPlain(one, depth + 1));
  // Not Object.entries, which is three times as slow; what JSON.parse made has no keys but its own.
  for (const key in value) {
    if (!PLAIN_KEY.test(key) || !isPlain((value as Record<string, unknown>)[key], depth + 1)) return false;
  }
  return true;
}

/** What can be asked for: a field of the port has plain names only, so nothing that is left out could be reached. */
function plainPart(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return null;
  if (Array.isArray(value)) return value.map((one) => plainPart(one, depth + 1));
  const plain = Object.entries(value).filter(([key]) => PLAIN_KEY.test(key));
  return Object.fromEntries(plain.map(([key, one]) => [key, plainPart(one, depth + 1)]));
}
