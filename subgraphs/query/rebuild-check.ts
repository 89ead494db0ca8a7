import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import type { Database } from '../../shared/database/port.js';
import type { SnapshotSource } from '../../shared/outbox/snapshots.js';
import { project } from './views.js';

const PAGE = 500;

/** So many are remembered and shown; a generation that lacks more is no better for being looked at longer. */
const MAX_LACKING = 10_000;

export interface CheckOptions {
  readonly documents: DocumentStore;
  readonly source: { readonly database: Database; readonly snapshots: SnapshotSource };
  /** Collections of the old and of the new generation. */
  readonly from: string;
  readonly to: string;
  /** Called before every page, with how many documents were compared; ends the checking by throwing. */
  readonly onPage: (checked: number) => Promise<void> | void;
  /** Called between looks at what was lacking, with how much still is; false when there was no use in waiting on. */
  readonly onLacking: (left: number) => Promise<boolean>;
}

export interface CheckedView {
  /** Documents that the database asks for. */
  readonly wanted: number;
  /** In the new generation. */
  readonly documents: number;
  /** Ids that the database has, and the new generation has not, or in an older version; none when all is well. */
  readonly lacking: readonly string[];
  /** Documents of the old generation that no database knows in that version any more: the new one does without them. */
  readonly leftOut: number;
}

/** The documents that a snapshot stands for, by the very rules of the projector. */
export const documentsOf = (event: AnyNewEvent): readonly { readonly id: string; readonly version: number }[] =>
  project({ ...event, id: '', source: '', time: 0, traceparent: null });

/**
 * Compares a new generation, while writing goes on, with the database it comes from, and then with the old generation.
 * What was committed a moment ago may be on its way still: what is lacking is looked at again, in the version that was
 * asked for first, so that this ends however fast things change. Numbers are as of the time when each was counted.
 */
export async function checkView(options: CheckOptions): Promise<CheckedView> {
  const { documents, from, to, onLacking, onPage } = options;
  let checked = 0;
  let wanted = 0;
  let lacking = new Map<string, number>();
  for await (const page of databasePages(options)) {
    await onPage(checked);
    for (const [id, version] of await lackingOf(documents, to, page)) lacking.set(id, version);
    checked += page.length;
    wanted += page.length;
    if (lacking.size >= MAX_LACKING) break;
  }
  while (lacking.size > 0 && (await onLacking(lacking.size))) {
    const pages = await Promise.all(
      chunks([...lacking].map(([id, version]) => ({ id, version }))).map((page) => lackingOf(documents, to, page)),
    );
    lacking = new Map(pages.flatMap((page) => [...page]));
  }
  let leftOut = 0;
  for await (const page of documentPages(documents, from)) {
    await onPage(checked);
    leftOut += (await lackingOf(documents, to, page)).size;
    checked += page.length;
  }
  return { wanted, documents: await documents.count(to), lacking: [...lacking.keys()], leftOut };
}

type Known = Pick<Versioned<unknown>, 'id' | 'version'>;

async function* databasePages({ source: { database, snapshots } }: CheckOptions): AsyncGenerator<readonly Known[]> {
  let after: string | undefined = '';
  while (after !== undefined) {
    const page = await snapshots.page(database, after, PAGE);
    yield page.flatMap(({ event }) => documentsOf(event));
    after = page.length < PAGE ? undefined : page.at(-1)?.id;
  }
}

async function* documentPages(documents: DocumentStore, collection: string): AsyncGenerator<readonly Known[]> {
  let after: string | undefined;
  do {
    const page: readonly Versioned<unknown>[] = await documents.find(collection, {
      sort: { field: 'id', direction: 'asc' },
      limit: PAGE,
      ...(after !== undefined && { after: { value: after, id: after } }),
    });
    yield page;
    after = page.length < PAGE ? undefined : page.at(-1)?.id;
  } while (after !== undefined);
}

/** Those that are not there, or in an older version. */
async function lackingOf(
  documents: DocumentStore,
  collection: string,
  page: readonly Known[],
): Promise<ReadonlyMap<string, number>> {
  const ids = page.map(({ id }) => id);
  const found = await documents.getMany<object>(collection, ids);
  return new Map(
    page.filter(({ id, version }) => (found.get(id)?.version ?? 0) < version).map(({ id, version }) => [id, version]),
  );
}

const chunks = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / PAGE) }, (_, index) => all.slice(index * PAGE, (index + 1) * PAGE));
