import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../shared/database/port.js';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { assertNever, EngineUnavailable } from '../../shared/errors/errors.js';
import type { EventLog } from '../../shared/event-log/port.js';
import type { Topic } from '../../shared/events/catalogue.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { outboxDepth, outboxDrained, type SnapshotSource } from '../../shared/outbox/snapshots.js';
import {
  changeGenerations,
  collectionOf,
  generationsOf,
  readGenerations,
  strays,
  TIMING,
  type Rebuild,
  type RebuildStep,
  type RebuiltView,
  type Timing,
} from './generations.js';
import { checkView, type CheckedView } from './rebuild-check.js';
import {
  Claim,
  howToGoOn,
  isSwitched,
  lost,
  namesOf,
  RebuildRefused,
  rebuiltOf,
  running,
  viewsOf,
  writtenAlone,
} from './rebuild-claim.js';
import { COLLECTIONS, VIEWS, VIEWS_GROUP, watermark, type ViewName } from './views.js';

/** Where a view's documents come from: the database of a write subgraph, and its outbox. */
export interface RebuildSource {
  readonly database: Database;
  readonly outbox: Outbox;
  readonly snapshots: SnapshotSource;
}

export interface RebuildTiming extends Timing {
  /** How often a rebuild shows that it lives, and how long another one looks before it takes it for dead. */
  readonly beatMs: number;
  readonly watchMs: number;
  /** Between looks at how far others have come. */
  readonly pollMs: number;
  /** How long a document may be lacking without any other one arriving. */
  readonly checkMs: number;
}

export interface RebuildDeps {
  /** The store itself, not `withGenerations`. */
  readonly documents: DocumentStore;
  readonly eventLog: EventLog;
  readonly sources: Readonly<Record<ViewName, RebuildSource>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onProgress?: (progress: Progress) => void;
  /** Interrupts it in good order. */
  readonly signal?: AbortSignal;
  readonly timing?: Partial<RebuildTiming>;
}

export interface Progress {
  readonly step: RebuildStep | 'watch';
  readonly views: Rebuild['views'];
  /** What it waits for, if anything, or how far the step has come: for people. */
  readonly detail: string | null;
}

/** What a rebuild leaves behind. The check's numbers are missing where an earlier run made it. */
export interface Rebuilt {
  readonly view: ViewName;
  readonly generation: number;
  readonly documents: number;
  readonly checked: CheckedView | null;
}

/** Somebody asked for it to stop. */
export class RebuildInterrupted extends Error {
  override readonly name = 'RebuildInterrupted';
}

const DEFAULTS: RebuildTiming = { ...TIMING, beatMs: 1_000, watchMs: 5_000, pollMs: 100, checkMs: 30_000 };

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

/**
 * Builds views anew from the databases of the write subgraphs, while everything goes on, and puts them in the place of the
 * old ones: see generations.ts. Goes on with a rebuild of the same views that was interrupted. Relays and projectors must
 * run, here or elsewhere; it waits for them, and for engines that are away.
 * @throws RebuildRefused while another one runs, or an interrupted one of other views is there; when the new generation
 * turns out to lack something (it is then not used, and the next run publishes again); and when another process has taken
 * it over. RebuildInterrupted by `signal`.
 */
export async function rebuildViews(deps: RebuildDeps, views: readonly ViewName[]): Promise<readonly Rebuilt[]> {
  const run = new Run(deps);
  await run.begin(VIEWS.filter((view) => views.includes(view)));
  return run.finish();
}

/**
 * Drops what a rebuild has made so far, running or interrupted; the old generation was read all the time. Answers whether
 * there was one.
 * @throws RebuildRefused once the new generation is being read.
 */
export async function abortRebuild(deps: RebuildDeps): Promise<boolean> {
  const run = new Run(deps);
  if (!(await run.abort())) return false;
  await run.finish();
  return true;
}

class Run {
  private readonly claim: Claim;
  private readonly timing: RebuildTiming;
  private readonly checked = new Map<ViewName, CheckedView>();
  private lastStep: Progress['step'] = 'watch';
  private lastViews: Rebuild['views'] = {};

  constructor(private readonly deps: RebuildDeps) {
    this.claim = new Claim(deps.documents);
    this.timing = { ...DEFAULTS, ...deps.timing };
  }

  async begin(views: readonly ViewName[]): Promise<void> {
    for (;;) {
      const found = await this.unattended();
      if (found === null) return this.register(views);
      if (!found.aborted && viewsOf(found).join() !== views.join()) {
        throw new RebuildRefused(`An interrupted rebuild of ${namesOf(found)} is there. ${howToGoOn(found)}`);
      }
      await this.claim.takeOver(found);
      if (!found.aborted) return;
      await this.finish();
    }
  }

  async abort(): Promise<boolean> {
    const doc = await changeGenerations(this.deps.documents, (before) => {
      const { rebuild } = before;
      if (rebuild === null) return before;
      if (isSwitched(rebuild)) {
        throw new RebuildRefused(`The new generation of ${namesOf(rebuild)} is in use already. ${howToGoOn(rebuild)}`);
      }
      const mine = this.claim.mine(rebuild);
      return { views: writtenAlone(before), rebuild: { ...mine, step: 'drop', aborted: true } };
    });
    return doc.rebuild !== null;
  }

  /** From whatever step it is at to the end. */
  finish(): Promise<readonly Rebuilt[]> {
    this.lastStep = 'watch';
    return this.claim.beating(this.timing.beatMs, async () => {
      while (await this.step()) this.proceed();
      const { documents } = this.deps;
      const doc = await readGenerations(documents);
      return Promise.all(
        viewsOf({ views: this.lastViews }).map(async (view) => {
          const generation = generationsOf(doc, view).current;
          const count = await documents.count(collectionOf(view, generation));
          return { view, generation, documents: count, checked: this.checked.get(view) ?? null };
        }),
      );
    });
  }

  /** An interrupted rebuild, or null; refuses while one is at work. */
  private async unattended(): Promise<Rebuild | null> {
    const { rebuild: found } = await readGenerations(this.deps.documents);
    if (found === null || found.owner === null) return found;
    const until = performance.now() + this.timing.watchMs;
    while (performance.now() < until) {
      this.report('watch', found.views, `is the rebuild of ${found.where} still running?`);
      await this.pause(this.timing.pollMs);
      const { rebuild } = await readGenerations(this.deps.documents);
      if (rebuild === null) return null;
      if (rebuild.beat !== found.beat) throw running(rebuild);
    }
    return found;
  }

  private async register(views: readonly ViewName[]): Promise<void> {
    const totals = await Promise.all(
      views.map((view) => this.deps.sources[view].snapshots.count(this.deps.sources[view].database)),
    );
    await changeGenerations(this.deps.documents, (doc) => {
      if (doc.rebuild !== null) throw running(doc.rebuild);
      const generations = { ...doc.views };
      const rebuilt: Partial<Record<ViewName, RebuiltView>> = {};
      for (const [index, view] of views.entries()) {
        const { current, last } = generationsOf(doc, view);
        generations[view] = { current, others: [last + 1], last: last + 1 };
        rebuilt[view] = { from: current, to: last + 1, total: totals[index] ?? 0, published: 0, after: '' };
      }
      const rebuild = { step: 'publish', aborted: false, views: rebuilt, startedAt: this.deps.now(), beat: 0 } as const;
      return { views: generations, rebuild: this.claim.mine({ ...rebuild, owner: null, where: '' }) };
    });
  }

  /** Takes the step that is next; false when there is none. Each may be taken again. */
  private async step(): Promise<boolean> {
    try {
      const rebuild = await this.claim.rebuild();
      if (rebuild === null) {
        // There was nothing left to do but to drop a generation, and that has been done, by us or by somebody else.
        if (this.lastStep !== 'drop') throw lost();
        return false;
      }
      this.report(rebuild.step, rebuild.views, null);
      await this.take(rebuild);
      return rebuild.step !== 'drop';
    } catch (error) {
      if (!(error instanceof EngineUnavailable)) throw error;
      this.report(this.lastStep, null, error.message);
      await this.pause(10 * this.timing.pollMs);
      return true;
    }
  }

  private take(rebuild: Rebuild): Promise<void> {
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
    await this.pause(this.timing.graceMs);
    for (const view of viewsOf(rebuild)) {
      const { database, outbox, snapshots } = sources[view];
      let { after, published } = rebuiltOf(rebuild, view);
      while (after !== null) {
        await this.room(view);
        // Not locked: a change that is committed meanwhile tells of itself, and the newer version wins.
        const page = await snapshots.page(database, after, PAGE);
        if (page.length > 0) {
          await database.transaction((tx) =>
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
      this.proceed();
      const [depth, behind] = await Promise.all([
        outboxDepth(this.deps.sources[view].database),
        this.behind(TOPIC_OF[view], null),
      ]);
      if (depth <= MAX_WAITING && behind <= MAX_WAITING) return;
      const detail =
        depth > MAX_WAITING ? `${depth} rows wait for the relay` : `the projector is ${behind} records behind`;
      await this.wait('publish', detail);
    }
  }

  private async project(rebuild: Rebuild): Promise<void> {
    const views = viewsOf(rebuild);
    for (const database of new Set(views.map((view) => this.deps.sources[view].database))) {
      await outboxDrained(database, (left) => this.wait('project', `${left} rows wait for the relay`));
    }
    for (const topic of new Set(views.map((view) => TOPIC_OF[view]))) {
      const ends = new Map((await this.deps.eventLog.ranges(topic)).map(({ partition, next }) => [partition, next]));
      for (;;) {
        const behind = await this.behind(topic, ends);
        if (behind === 0) break;
        await this.wait('project', `the projector is ${behind} records behind`);
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
          this.proceed();
          this.report('check', rebuild.views, `${view}: ${done} compared`);
        },
        onLacking: async (left) => {
          if (left < least) since = performance.now();
          least = Math.min(least, left);
          await this.wait('check', `${view}: ${left} on their way`);
          return performance.now() - since < this.timing.checkMs;
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
    await this.pause(this.timing.graceMs);
    await this.claim.change((doc, mine) => ({ views: writtenAlone(doc), rebuild: { ...mine, step: 'drop' } }));
  }

  private async drop(rebuild: Rebuild): Promise<void> {
    const { documents } = this.deps;
    await this.pause(this.timing.graceMs);
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
      this.report('publish', views, null);
      return { ...doc, rebuild: { ...mine, views } };
    });
  }

  private async wait(step: RebuildStep, detail: string): Promise<void> {
    this.report(step, null, detail);
    await this.pause(this.timing.pollMs);
  }

  private report(step: Progress['step'], views: Rebuild['views'] | null, detail: string | null): void {
    this.lastStep = step;
    this.lastViews = views ?? this.lastViews;
    this.deps.onProgress?.({ step, views: this.lastViews, detail });
  }

  private proceed(): void {
    if (this.deps.signal?.aborted === true) throw new RebuildInterrupted('The rebuild was interrupted.');
  }

  private async pause(milliseconds: number): Promise<void> {
    const { signal } = this.deps;
    // It rejects when interrupted; what that means is said below.
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    this.proceed();
  }
}
