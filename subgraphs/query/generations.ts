/**
 * Views exist in generations, so that one can be rebuilt while it is used. Generation 1 of `orders` is the collection
 * `orders`, generation 2 is `orders-2`, and so on; a number is never used twice. One small document says which generation
 * of each view is read, and which others are written besides.
 *
 * Nobody has to be told that it changed. Every process acts on a copy of that document read at most LEASE_MS ago, else it
 * reads it first; whoever changes it goes on no sooner than GRACE_MS later, when no process acts on the old one any more.
 * There is no list of projectors and readers to be kept, and none of them can be forgotten. All that is asked of clocks is
 * that they run about equally fast. What follows from it:
 *
 * - A record that a projector has put into the old generation only was in the log before a GRACE_MS after the new one was
 *   registered had passed, however long that projector slept afterwards. So its change was committed by then, and is in
 *   the snapshot that is taken of its aggregate from then on: nothing falls in between, without anybody's acknowledgement.
 * - A read that began with a copy still valid and ended while it was valid has read a generation that was still written.
 *   One that took longer looks again, and is repeated if its generation is read no more.
 * - Both are written, the newest generation first. So what a reader has seen in the one it finds in the next as well,
 *   with that version or a newer one.
 *
 * A rebuild (rebuild.ts) goes these steps. Each is one change of the document, and can be taken again after a crash:
 *
 *   publish  the new generation is registered and written. After a GRACE_MS, every aggregate is published as a snapshot
 *            through the outbox of its subgraph, page by page. Killed here: published again from the last page noted.
 *   project  it waits until outboxes, log and projectors have let all snapshots through. Killed: waits again.
 *   check    the new generation is compared with the databases. Killed: compared again; found wanting: `publish` again.
 *   retire   the pointer has been set; both are still written for those who read the old one. Killed: waits again.
 *   drop     the old generation is written no more, and after a GRACE_MS it is dropped. Killed: dropped again. An aborted
 *            rebuild comes here too, with the new generation.
 *
 * Until someone goes on with it or aborts it, a rebuild that was killed costs the writing of one more generation.
 */
import type { DocumentStore } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { isView, VIEWS, type ViewName } from './views.js';

export interface Timing {
  /** How long a copy of the document may be acted on, in milliseconds. It is renewed when half of that has passed. */
  readonly leaseMs: number;
  /** How long after a change nobody acts on what was before. More than the lease, for clocks that run a little faster. */
  readonly graceMs: number;
}

export const TIMING: Timing = { leaseMs: 1_000, graceMs: 2_500 };

export interface ViewGenerations {
  /** The one that is read. */
  readonly current: number;
  /** Written too. */
  readonly others: readonly number[];
  /** The highest number ever given. */
  readonly last: number;
}

export type RebuildStep = 'publish' | 'project' | 'check' | 'retire' | 'drop';

export interface RebuiltView {
  readonly from: number;
  readonly to: number;
  /** Aggregates, as counted at the beginning. */
  readonly total: number;
  readonly published: number;
  /** Id of the last one published; null when all are. */
  readonly after: string | null;
}

export interface Rebuild {
  readonly step: RebuildStep;
  readonly aborted: boolean;
  readonly views: Readonly<Partial<Record<ViewName, RebuiltView>>>;
  /** Who is at it; null once it was interrupted in good order. Rises with `beat` as long as it lives. */
  readonly owner: string | null;
  readonly beat: number;
  /** For people: host and process. */
  readonly where: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

export interface GenerationsDoc {
  readonly views: Readonly<Partial<Record<ViewName, ViewGenerations>>>;
  readonly rebuild: Rebuild | null;
}

const GENERATIONS = 'generations';
const ID = 'views';
const NONE: GenerationsDoc = { views: {}, rebuild: null };
const FIRST: ViewGenerations = { current: 1, others: [], last: 1 };

export const collectionOf = (view: ViewName, generation: number): string =>
  generation === 1 ? view : `${view}-${generation}`;

export const generationsOf = (doc: GenerationsDoc, view: ViewName): ViewGenerations => doc.views[view] ?? FIRST;

/** What is registered now. */
export const readGenerations = async (documents: Pick<DocumentStore, 'get'>): Promise<GenerationsDoc> =>
  (await documents.get<GenerationsDoc>(GENERATIONS, ID))?.doc ?? NONE;

/**
 * Changes what is registered, once, whoever else does so at the same time: `change` may be called again, with what the
 * other one left. A throw of it changes nothing.
 */
export async function changeGenerations(
  documents: DocumentStore,
  change: (doc: GenerationsDoc) => GenerationsDoc,
): Promise<GenerationsDoc> {
  for (;;) {
    const found = await documents.get<GenerationsDoc>(GENERATIONS, ID);
    const doc = change(found?.doc ?? NONE);
    const stored = await documents.putIfNewer(GENERATIONS, [{ id: ID, version: (found?.version ?? 0) + 1, doc }]);
    if (stored.has(ID)) return doc;
  }
}

interface Known {
  readonly doc: GenerationsDoc;
  /** By the process's own clock, when it was asked for. */
  readonly at: number;
}

const ATTEMPTS = 3;

/** What is registered, as far as this process may act on it. */
class Generations {
  private known: Known | null = null;
  private reading: Promise<Known> | null = null;

  constructor(
    private readonly documents: Pick<DocumentStore, 'get'>,
    private readonly leaseMs: number,
  ) {}

  async valid(): Promise<Known> {
    const { known } = this;
    if (known !== null && this.isValid(known)) {
      // Ahead of time, so that nobody has to wait; whoever comes after the lease hears of a failure.
      if (performance.now() - known.at > this.leaseMs / 2) this.renew().catch(() => undefined);
      return known;
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const renewed = await this.renew();
      if (this.isValid(renewed)) return renewed;
    }
    throw new EngineUnavailable('document store', new Error('It answers too slowly to be relied on.'));
  }

  isValid({ at }: Known): boolean {
    return performance.now() - at < this.leaseMs;
  }

  private renew(): Promise<Known> {
    this.reading ??= this.read().finally(() => (this.reading = null));
    return this.reading;
  }

  private async read(): Promise<Known> {
    const at = performance.now();
    const doc = await readGenerations(this.documents);
    this.known = { doc, at };
    return this.known;
  }
}

/**
 * The same store, in which each view stands for its generations: reads get the current one, writes go to all that are
 * registered, the newest first, and `ensureCollections` makes those. Everything else is the store's own. Whoever reads or
 * writes views does it through this.
 */
export function withGenerations(
  documents: DocumentStore,
  { leaseMs }: Pick<Timing, 'leaseMs'> = TIMING,
): DocumentStore {
  const generations = new Generations(documents, leaseMs);

  const read = async <T>(collection: string, work: (name: string) => Promise<T>): Promise<T> => {
    if (!isView(collection)) return work(collection);
    for (;;) {
      const known = await generations.valid();
      const { current } = generationsOf(known.doc, collection);
      const outcome = await work(collectionOf(collection, current)).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      const isCurrent =
        generations.isValid(known) || generationsOf((await generations.valid()).doc, collection).current === current;
      if (!isCurrent) continue;
      if ('error' in outcome) throw outcome.error;
      return outcome.value;
    }
  };

  /** One after the other: see above. */
  const write = async <T>(collection: string, work: (name: string) => Promise<T>): Promise<T> => {
    if (!isView(collection)) return work(collection);
    const { current, others } = generationsOf((await generations.valid()).doc, collection);
    const [oldest, ...newer] = [current, ...others].sort((a, b) => a - b);
    for (const generation of newer.reverse()) await work(collectionOf(collection, generation));
    return work(collectionOf(collection, oldest ?? current));
  };

  return {
    async ensureCollections(collections) {
      const { doc } = await generations.valid();
      const named = collections.flatMap((spec) => {
        const { name } = spec;
        if (!isView(name)) return [spec];
        const { current, others } = generationsOf(doc, name);
        return [current, ...others].map((generation) => ({ ...spec, name: collectionOf(name, generation) }));
      });
      await documents.ensureCollections(named);
    },
    putIfNewer: (collection, docs) => write(collection, (name) => documents.putIfNewer(name, docs)),
    remove: (collection, ids) => write(collection, (name) => documents.remove(name, ids)),
    get: (collection, id) => read(collection, (name) => documents.get(name, id)),
    getMany: (collection, ids) => read(collection, (name) => documents.getMany(name, ids)),
    find: (collection, options) => read(collection, (name) => documents.find(name, options)),
    count: (collection, filter) => read(collection, (name) => documents.count(name, filter)),
    findPerKey: (collection, field, keys, options) =>
      read(collection, (name) => documents.findPerKey(name, field, keys, options)),
    countPerKey: (collection, field, keys, filter) =>
      read(collection, (name) => documents.countPerKey(name, field, keys, filter)),
    drop: (collection) => documents.drop(collection),
    ping: () => documents.ping(),
    close: () => documents.close(),
  };
}

/** How many generations back somebody may have written to one that was dropped: who slept so long was seldom seen. */
const LATECOMERS = 3;

/** Collections of the last generations that are not in use: a latecomer may have made one again after it was dropped. */
export const strays = (doc: GenerationsDoc): readonly string[] =>
  VIEWS.flatMap((view) => {
    const { current, others, last } = generationsOf(doc, view);
    const used = new Set([current, ...others]);
    return Array.from({ length: LATECOMERS }, (_, back) => last - back)
      .filter((generation) => generation > 0 && !used.has(generation))
      .map((generation) => collectionOf(view, generation));
  });
