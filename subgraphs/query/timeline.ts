import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { TIMELINE, type TimelineDoc } from './views.js';

/** The newest so many events of an aggregate are shown: one with a longer story is a product sold very often. */
export const MAX_ENTRIES = 5_000;

type Entry = Versioned<TimelineDoc>;

/** What happened to an aggregate, oldest first. */
export async function readTimeline(documents: DocumentStore, aggregateId: string): Promise<readonly Entry[]> {
  const found = await documents.find<TimelineDoc>(TIMELINE, {
    filter: [{ field: 'subject', is: { eq: aggregateId } }],
    sort: { field: 'at', direction: 'desc' },
    limit: MAX_ENTRIES,
  });
  return inOrder(found);
}

/**
 * The entries by time; those of one topic by version, even where the clocks of two processes differ. So each topic is a
 * row in order of its versions, in which no entry counts as earlier than the one before it, and the next entry is always
 * the earliest of the heads of the rows.
 */
export function inOrder(entries: readonly Entry[]): readonly Entry[] {
  const rows = new Map<string, Entry[]>();
  for (const entry of entries) {
    const row = rows.get(entry.doc.topic);
    if (row === undefined) rows.set(entry.doc.topic, [entry]);
    else row.push(entry);
  }
  const open = [...rows.values()].map(byVersion);
  const ordered: Entry[] = [];
  while (ordered.length < entries.length) {
    const next = open.reduce((best, row) => (isEarlier(row.at(-1), best.at(-1)) ? row : best)).pop();
    if (next !== undefined) ordered.push(next.entry);
  }
  return ordered;
}

interface Placed {
  readonly entry: Entry;
  /** Never before the entry of the version before it. */
  readonly at: number;
}

/** The newest first, to take the oldest from the end. */
function byVersion(row: Entry[]): Placed[] {
  row.sort((a, b) => a.doc.version - b.doc.version || a.doc.offset - b.doc.offset);
  let latest = 0;
  return row.map((entry) => ({ entry, at: (latest = Math.max(latest, entry.doc.at)) })).reverse();
}

/** Ids of events are UUIDv7: of the same millisecond, the one made first sorts first. */
function isEarlier(a: Placed | undefined, b: Placed | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.at === b.at ? a.entry.id < b.entry.id : a.at < b.at;
}
