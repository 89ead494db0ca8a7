import { createHash } from 'node:crypto';
import type { DocumentStore, Filter, Position, Scalar, Sort, Versioned } from '../../shared/document-store/port.js';
import { validationError } from '../../shared/errors/errors.js';

/** Lists as Relay connections over keyset cursors: a page costs the same wherever it stands, and nothing is skipped. */

export const DEFAULT_FIRST = 20;
export const MAX_FIRST = 100;

export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
}

/** Which list, as a cursor must fit it: name, filter and sort. */
export interface ListSpec {
  /** Name of the list: lists of one collection may differ in what they show. */
  readonly list: string;
  readonly collection: string;
  readonly filter: Filter;
  readonly sort: Sort;
}

/** @throws AppError VALIDATION field `first` unless it is 1 to 100; 20 when absent. */
export function parseFirst(first: number | null | undefined): number {
  const count = first ?? DEFAULT_FIRST;
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_FIRST) {
    throw validationError('first', `first is a whole number from 1 to ${MAX_FIRST}.`);
  }
  return count;
}

/** Ties a cursor to its list; short, since every edge carries it. */
function fingerprint({ list, filter, sort }: ListSpec): string {
  const text = JSON.stringify([list, filter, sort.field, sort.direction]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 12);
}

const encode = (parts: readonly Scalar[]): string => Buffer.from(JSON.stringify(parts)).toString('base64url');

/**
 * Where the cursor stands in this list.
 * @throws AppError VALIDATION field `after` if it is none, or one of a list with another name, filter or sort.
 */
export function parseCursor(spec: ListSpec, cursor: string): Position {
  const parts = decode(cursor);
  const [mark, value, id] = parts;
  const isScalar = value === null || typeof value === 'string' || typeof value === 'number';
  if (
    parts.length !== 3 ||
    typeof id !== 'string' ||
    typeof mark !== 'string' ||
    !isScalar ||
    encode([mark, value, id]) !== cursor
  ) {
    throw validationError('after', 'That is not a cursor of this API.');
  }
  if (mark !== fingerprint(spec)) {
    throw validationError('after', 'That cursor belongs to another list, or to this one with another filter or sort.');
  }
  return { value, id };
}

function decode(cursor: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}

export interface Edge<D> {
  readonly cursor: string;
  readonly node: D;
}

/** A connection as GraphQL reads it: what nobody selects is not computed, and the total is not counted. */
export class Page<D extends object> {
  private counted: Promise<number> | null = null;

  constructor(
    private readonly spec: ListSpec,
    private readonly items: readonly Versioned<D>[],
    private readonly more: { readonly hasNextPage: boolean; readonly hasPreviousPage: boolean },
    private readonly count: () => Promise<number>,
  ) {}

  get nodes(): readonly D[] {
    return this.items.map(({ doc }) => doc);
  }

  get edges(): readonly Edge<D>[] {
    const mark = fingerprint(this.spec);
    return this.items.map((item) => ({ cursor: this.cursorOf(item, mark), node: item.doc }));
  }

  get pageInfo() {
    const mark = fingerprint(this.spec);
    const [start, end] = [this.items[0], this.items.at(-1)];
    return {
      ...this.more,
      startCursor: start === undefined ? null : this.cursorOf(start, mark),
      endCursor: end === undefined ? null : this.cursorOf(end, mark),
    };
  }

  totalCount(): Promise<number> {
    this.counted ??= this.count();
    return this.counted;
  }

  private cursorOf({ id, doc }: Versioned<D>, mark: string): string {
    const value = (doc as Readonly<Record<string, Scalar | undefined>>)[this.spec.sort.field] ?? null;
    return encode([mark, value, id]);
  }
}

/**
 * A page of a list.
 * @param count how many the list has in all; asked only when the total is.
 * @throws AppError VALIDATION field `first` or `after`.
 */
export async function readPage<D extends object>(
  documents: DocumentStore,
  spec: ListSpec,
  args: PageArgs,
  count: () => Promise<number> = () => documents.count(spec.collection, spec.filter),
): Promise<Page<D>> {
  const { collection, filter, sort } = spec;
  const first = parseFirst(args.first);
  const after = args.after == null ? undefined : parseCursor(spec, args.after);
  const found = await documents.find<D>(collection, { filter, sort, limit: withNext(first), ...(after && { after }) });
  return pageOf(spec, found, { first, hasPreviousPage: after !== undefined }, count);
}

/** How many to read for a page of `first`: one more tells whether another page follows, without counting. */
export const withNext = (first: number): number => first + 1;

/** The page of what was read `withNext`. */
export function pageOf<D extends object>(
  spec: ListSpec,
  found: readonly Versioned<D>[],
  { first, hasPreviousPage }: { readonly first: number; readonly hasPreviousPage: boolean },
  count: () => Promise<number>,
): Page<D> {
  return new Page(spec, found.slice(0, first), { hasNextPage: found.length > first, hasPreviousPage }, count);
}
