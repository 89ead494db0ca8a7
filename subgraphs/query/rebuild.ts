import type { DocumentStore } from '../../shared/document-store/port.js';
import type { EventLog } from '../../shared/event-log/port.js';
import {
  changeGenerations,
  collectionOf,
  generationsOf,
  readGenerations,
  TIMING,
  type Rebuild,
  type RebuildStep,
  type RebuiltView,
  type Timing,
} from './generations.js';
import type { CheckedView } from './rebuild-check.js';
import {
  Claim,
  howToGoOn,
  isSwitched,
  lost,
  namesOf,
  RebuildRefused,
  running,
  viewsOf,
  writtenAlone,
} from './rebuild-claim.js';
import { Pace, type Progress } from './rebuild-pace.js';
import { Steps, type RebuildSource } from './rebuild-steps.js';
import { VIEWS, type ViewName } from './views.js';

export { RebuildInterrupted, type Progress } from './rebuild-pace.js';
export type { RebuildSource } from './rebuild-steps.js';

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

/** What a rebuild leaves behind. The check's numbers are missing where an earlier run made it. */
export interface Rebuilt {
  readonly view: ViewName;
  readonly generation: number;
  readonly documents: number;
  readonly checked: CheckedView | null;
}

const DEFAULTS: RebuildTiming = { ...TIMING, beatMs: 1_000, watchMs: 5_000, pollMs: 100, checkMs: 30_000 };

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
  private readonly pace: Pace;
  private readonly steps: Steps;

  constructor(private readonly deps: RebuildDeps) {
    this.claim = new Claim(deps.documents);
    this.timing = { ...DEFAULTS, ...deps.timing };
    const { onProgress, signal } = deps;
    this.pace = new Pace({ pollMs: this.timing.pollMs, onProgress, signal });
    this.steps = new Steps({ ...deps, timing: this.timing }, this.claim, this.pace);
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
    return this.claim.beating(this.timing.beatMs, async () => {
      let last: RebuildStep | null = null;
      /** Takes the step that is next; false when there is none left. */
      const next = async (): Promise<boolean> => {
        const rebuild = await this.claim.rebuild();
        if (rebuild === null) {
          // There was nothing left to do but to drop a generation, and that has been done, by us or by somebody else.
          if (last !== 'drop') throw lost();
          return false;
        }
        last = rebuild.step;
        this.pace.report(rebuild.step, rebuild.views, null);
        await this.steps.take(rebuild);
        return rebuild.step !== 'drop';
      };
      while (await this.pace.patiently(next)) this.pace.proceed();
      return this.pace.patiently(() => this.rebuilt());
    });
  }

  /** What is read by now. */
  private async rebuilt(): Promise<readonly Rebuilt[]> {
    const { documents } = this.deps;
    const doc = await readGenerations(documents);
    return Promise.all(
      viewsOf(this.pace).map(async (view) => {
        const generation = generationsOf(doc, view).current;
        const count = await documents.count(collectionOf(view, generation));
        return { view, generation, documents: count, checked: this.steps.checked.get(view) ?? null };
      }),
    );
  }

  /** An interrupted rebuild, or null; refuses while one is at work. */
  private async unattended(): Promise<Rebuild | null> {
    const { rebuild: found } = await readGenerations(this.deps.documents);
    if (found === null || found.owner === null) return found;
    const until = performance.now() + this.timing.watchMs;
    while (performance.now() < until) {
      this.pace.report('watch', found.views, `is the rebuild of ${found.where} still running?`);
      await this.pace.pause();
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
}
