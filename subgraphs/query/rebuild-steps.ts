import type { Database } from '../../shared/database/port.js';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { assertNever } from '../../shared/errors/errors.js';
import type { EventLog } from '../../shared/event-log/port.js';
import type { Topic } from '../../shared/events/catalogue.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { outboxDepth, outboxDrained, type SnapshotSource } from '../../shared/outbox/snapshots.js';
import { collectionOf, generationsOf, readGenerations, strays, type Rebuild, type RebuiltView } from './generations.js';
import { checkView, type CheckedView } from './rebuild-check.js';
import { RebuildRefused, rebuiltOf, viewsOf, writtenAlone, type Claim } from './rebuild-claim.js';
import type { Pace } from './rebuild-pace.js';
import { COLLECTIONS, VIEWS_GROUP, watermark, type ViewName } from './views.js';

/** Where a view's documents come from: the database of a write subgraph, and its outbox. */
export interface RebuildSource {
  readonly database: Database;
  readonly outbox: Outbox;
  readonly snapshots: SnapshotSource;
}

export interface StepsDeps {
  /** The store itself, not `withGenerations`. */
  readonly documents: DocumentStore;
  readonly eventLog: EventLog;
  readonly sources: Readonly<Record<ViewName, RebuildSource>>;
  /** Milliseconds: see `RebuildTiming`. */
  readonly timing: { readonly graceMs: number; readonly checkMs: number };
}

/** Aggregates in one transaction. */
const PAGE = 100;

/** Publishing waits while more than this waits for the relay or for the projectors: what people do comes behind it. */
const MAX_WAITING = 2_000;

const TOPIC_OF: Readonly<Record<ViewName, Topic>> = {
  users: 'users',
  products: 'products',
  orders: 'orders',
  accounts: 'accounts',
  transactions: 'accounts',
};

/** The steps of a rebuild, as generations.ts names them. Each may be taken again, from its beginning, after any failure. */
export class Steps {
  /** What the check of each view found, where it was made here. */
  readonly checked = new Map<ViewName, CheckedView>();

  constructor(
    private readonly deps: StepsDeps,
    private readonly claim: Claim,
    private readonly pace: Pace,
  ) {}

  /** Takes the step that is next. */
  take(rebuild: Rebuild): Promise<void> {
    switch (rebuild.step) {
      case 'publish':
        return this.publish(rebuild);
      case 'project':
        return this.project(rebuild);
      case 'check':
        return this.check(rebuild);
      case 'retire':
        return this.retire();
      case 'drop':
        return this.drop(rebuild);
      default:
        return assertNever(rebuild.step);
    }
  }

  private async publish(rebuild: Rebuild): Promise<void> {
    const { documents, sources } = this.deps;
    await documents.ensureCollections(
      COLLECTIONS.flatMap((spec) =>
        viewsOf(rebuild)
          .filter((view) => view === spec.name)
          .map((view) => ({ ...spec, name: collectionOf(view, rebuiltOf(rebuild, view).to) })),
      ),
    );
    // From then on everyone writes it.
    await this.pace.pause(this.deps.timing.graceMs);
    for (const view of viewsOf(rebuild)) {
      const { database, outbox, snapshots } = sources[view];
      let { after, published } = rebuiltOf(rebuild, view);
      while (after !== null) {
        await this.room(view);
        // Not locked: a change that is committed meanwhile tells of itself, and the newer version wins.
        const page = await snapshots.page(database, after, PAGE);
        if (page.length > 0) {
          await database.transaction(async (tx) =>
            outbox.appendSnapshots(
              tx,
              page.map(({ event }) => event),
            ),
          );
        }
        after = page.length < PAGE ? null : (page.at(-1)?.id ?? null);
        published += page.length;
        await this.noteView(view, { after, published });
      }
    }
    await this.claim.note({ step: 'project' });
  }

  /** Until neither relay nor projectors are so far behind that people would notice. */
  private async room(view: ViewName): Promise<void> {
    for (;;) {
      this.pace.proceed();
      const [depth, behind] = await Promise.all([
        outboxDepth(this.deps.sources[view].database),
        this.behind(TOPIC_OF[view], null),
      ]);
      if (depth <= MAX_WAITING && behind <= MAX_WAITING) return;
      const detail =
        depth > MAX_WAITING ? `${depth} rows wait for the relay` : `the projector is ${behind} records behind`;
      await this.pace.wait('publish', detail);
    }
  }

  private async project(rebuild: Rebuild): Promise<void> {
    const views = viewsOf(rebuild);
    for (const database of new Set(views.map((view) => this.deps.sources[view].database))) {
      await outboxDrained(database, (left) => this.pace.wait('project', `${left} rows wait for the relay`));
    }
    for (const topic of new Set(views.map((view) => TOPIC_OF[view]))) {
      const ends = new Map((await this.deps.eventLog.ranges(topic)).map(({ partition, next }) => [partition, next]));
      for (;;) {
        const behind = await this.behind(topic, ends);
        if (behind === 0) break;
        await this.pace.wait('project', `the projector is ${behind} records behind`);
      }
    }
    await this.claim.note({ step: 'check' });
  }

  /** Records that the views have still to take, of all there are or of those before `ends`. */
  private async behind(topic: Topic, ends: ReadonlyMap<number, number> | null): Promise<number> {
    const { documents, eventLog } = this.deps;
    const reached = await watermark(documents, eventLog.logId, VIEWS_GROUP, topic);
    // What retention has cut is not waited for.
    return (await eventLog.ranges(topic)).reduce((sum, { partition, first, next }) => {
      const end = ends === null ? next : (ends.get(partition) ?? 0);
      return sum + Math.max(0, end - Math.max(first, reached.get(partition) ?? 0));
    }, 0);
  }

  private async check(rebuild: Rebuild): Promise<void> {
    const { documents, sources } = this.deps;
    for (const view of viewsOf(rebuild)) {
      const { from, to } = rebuiltOf(rebuild, view);
      let least = Infinity;
      let since = performance.now();
      const checked = await checkView({
        documents,
        source: sources[view],
        from: collectionOf(view, from),
        to: collectionOf(view, to),
        onPage: (done) => {
          this.pace.proceed();
          this.pace.report('check', rebuild.views, `${view}: ${done} compared`);
        },
        onLacking: async (left) => {
          if (left < least) since = performance.now();
          least = Math.min(least, left);
          await this.pace.wait('check', `${view}: ${left} on their way`);
          return performance.now() - since < this.deps.timing.checkMs;
        },
      });
      this.checked.set(view, checked);
      if (checked.lacking.length > 0) await this.startOver(view, checked.lacking);
    }
    await this.claim.change((doc, mine) => {
      const generations = { ...doc.views };
      for (const view of viewsOf(mine)) {
        const { from, to } = rebuiltOf(mine, view);
        generations[view] = { current: to, others: [from], last: generationsOf(doc, view).last };
      }
      return { views: generations, rebuild: { ...mine, step: 'retire' } };
    });
  }

  private async startOver(view: ViewName, lacking: readonly string[]): Promise<never> {
    await this.claim.change((doc, mine) => ({
      ...doc,
      rebuild: {
        ...mine,
        step: 'publish',
        views: Object.fromEntries(
          viewsOf(mine).map((one) => [one, { ...rebuiltOf(mine, one), after: '', published: 0 }]),
        ),
      },
    }));
    throw new RebuildRefused(
      `The new generation of ${view} lacks ${lacking.length} of the documents that the database asks for, ` +
        `${lacking[0] ?? ''} for one; the old one stays in use. See \`dlq list\` and \`outbox status\`, then start it again, or abort it.`,
    );
  }

  private async retire(): Promise<void> {
    await this.pace.pause(this.deps.timing.graceMs);
    await this.claim.change((doc, mine) => ({ views: writtenAlone(doc), rebuild: { ...mine, step: 'drop' } }));
  }

  private async drop(rebuild: Rebuild): Promise<void> {
    const { documents } = this.deps;
    await this.pace.pause(this.deps.timing.graceMs);
    await this.claim.note({});
    const givenUp = viewsOf(rebuild).map((view) => {
      const { from, to } = rebuiltOf(rebuild, view);
      return collectionOf(view, rebuild.aborted ? to : from);
    });
    for (const name of new Set([...givenUp, ...strays(await readGenerations(documents))])) await documents.drop(name);
    await this.claim.change((doc) => ({ ...doc, rebuild: null }));
  }

  private noteView(view: ViewName, part: Partial<RebuiltView>): Promise<void> {
    return this.claim.change((doc, mine) => {
      const views = { ...mine.views, [view]: { ...rebuiltOf(mine, view), ...part } };
      this.pace.report('publish', views, null);
      return { ...doc, rebuild: { ...mine, views } };
    });
  }
}
