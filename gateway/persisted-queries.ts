import { createHash } from 'node:crypto';
import { AppError, validationError } from '../shared/errors/errors.js';

/** Source text in all of the remembered documents, in bytes. */
const MAX_BYTES = 4_194_304; // 4 MiB
/** Longer documents are run and not remembered: one client's would push out everybody else's. */
const MAX_SOURCE_BYTES = 65_536; // 64 KiB

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * Automatic persisted queries, as Apollo's clients send them: the SHA-256 of a document instead of the document, once it is
 * known. What is asked for least recently is forgotten first.
 */
export class PersistedQueries {
  private readonly sources = new Map<string, { readonly source: string; readonly bytes: number }>();
  private bytes = 0;

  constructor(private readonly maxBytes = MAX_BYTES) {}

  /**
   * The document that is meant.
   * @param query as the client sent it, if it did
   * @param extension `extensions.persistedQuery`
   * @throws AppError PERSISTED_QUERY_NOT_FOUND when only the hash came and it is not known, VALIDATION when it is no hash
   *   or that of another document
   */
  resolve(query: string | undefined, extension: unknown): string {
    const hash = hashIn(extension);
    if (query !== undefined) {
      if (sha256(query) !== hash)
        throw validationError('extensions.persistedQuery', 'The hash is not that of the query.');
      return query;
    }
    const known = this.sources.get(hash);
    if (known === undefined) throw new AppError('PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound');
    this.sources.delete(hash);
    this.sources.set(hash, known);
    return known.source;
  }

  /** Remembers a document that was sent with its hash, after it has been found to keep the limits. */
  remember(source: string, extension: unknown): void {
    const hash = hashIn(extension);
    const bytes = Buffer.byteLength(source);
    if (bytes > MAX_SOURCE_BYTES || this.sources.has(hash)) return;
    this.sources.set(hash, { source, bytes });
    this.bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.sources) {
      if (this.bytes <= this.maxBytes) break;
      this.sources.delete(oldest);
      this.bytes -= freed;
    }
  }
}

function hashIn(extension: unknown): string {
  const { version, sha256Hash } = (typeof extension === 'object' && extension !== null ? extension : {}) as Record<
    string,
    unknown
  >;
  if (version === 1 && typeof sha256Hash === 'string' && SHA256.test(sha256Hash)) return sha256Hash;
  throw validationError(
    'extensions.persistedQuery',
    'A persisted query has version 1 and sha256Hash, 64 hexadecimal digits.',
  );
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
