import { hostname } from 'node:os';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { newId } from '../../shared/ids/ids.js';
import {
  changeGenerations,
  generationsOf,
  readGenerations,
  type GenerationsDoc,
  type Rebuild,
  type RebuiltView,
} from './generations.js';
import { VIEWS, type ViewName } from './views.js';

/** It cannot be done now; the message says why, and what can be. */
export class RebuildRefused extends Error {
  override readonly name = 'RebuildRefused';
}

/**
 * One process's claim to the rebuild that is registered. At most one process has it: every change is refused once somebody
 * else has taken it over. Whoever has it shows that it lives by `beat`, which rises.
 */
export class Claim {
  private readonly owner = newId();

  constructor(private readonly documents: DocumentStore) {}

  /**
   * The rebuild as it is registered now; null when it is over.
   * @throws RebuildRefused when it is somebody else's.
   */
  async rebuild(): Promise<Rebuild | null> {
    const { rebuild } = await readGenerations(this.documents);
    if (rebuild !== null && rebuild.owner !== this.owner) throw lost();
    return rebuild;
  }

  /** The rebuild with this claim to it, and a beat later: for whoever registers it. */
  mine(rebuild: Rebuild): Rebuild {
    return { ...rebuild, owner: this.owner, beat: rebuild.beat + 1, where: `${hostname()}, process ${process.pid}` };
  }

  /** @throws RebuildRefused when the owner of what was found lives after all, or another one was faster. */
  async takeOver(found: Rebuild): Promise<void> {
    await changeGenerations(this.documents, (doc) => {
      if (doc.rebuild?.owner !== found.owner || doc.rebuild.beat !== found.beat) throw running(doc.rebuild ?? found);
      return { ...doc, rebuild: this.mine(doc.rebuild) };
    });
  }

  /** @throws RebuildRefused when it was taken over, or is over. */
  async change(next: (doc: GenerationsDoc, mine: Rebuild) => GenerationsDoc): Promise<void> {
    await changeGenerations(this.documents, (doc) => {
      if (doc.rebuild?.owner !== this.owner) throw lost();
      return next(doc, this.mine(doc.rebuild));
    });
  }

  note(part: Partial<Rebuild>): Promise<void> {
    return this.change((doc, mine) => ({ ...doc, rebuild: { ...mine, ...part } }));
  }

  /** Shows every so often that it lives, as long as the work goes on; if that fails, the claim is given up. */
  async beating<T>(everyMs: number, work: () => Promise<T>): Promise<T> {
    const heart = setInterval(() => {
      // Whoever took it over is met by the next step; a store that is away, too.
      this.note({}).catch(() => undefined);
    }, everyMs);
    try {
      return await work();
    } catch (error) {
      clearInterval(heart);
      // So that the next one need not look whether this one lives. Where it cannot be written, the next one looks.
      await this.note({ owner: null }).catch(() => undefined);
      throw error;
    } finally {
      clearInterval(heart);
    }
  }
}

export const viewsOf = (rebuild: Pick<Rebuild, 'views'>): readonly ViewName[] =>
  VIEWS.filter((view) => rebuild.views[view] !== undefined);

export function rebuiltOf({ views }: Pick<Rebuild, 'views'>, view: ViewName): RebuiltView {
  const rebuilt = views[view];
  if (rebuilt === undefined) throw new Error(`${view} is not being rebuilt.`);
  return rebuilt;
}

/** The current generations only. */
export const writtenAlone = (doc: GenerationsDoc): GenerationsDoc['views'] =>
  Object.fromEntries(VIEWS.map((view) => [view, { ...generationsOf(doc, view), others: [] }]));

/** Readers have gone over to the new generation: from then on a rebuild can only be finished. */
export const isSwitched = ({ step, aborted }: Rebuild): boolean => step === 'retire' || (step === 'drop' && !aborted);

export const namesOf = (rebuild: Rebuild): string => viewsOf(rebuild).join(', ');

export function howToGoOn(rebuild: Rebuild): string {
  const command = `\`projections rebuild ${viewsOf(rebuild).join(' ')}\``;
  return isSwitched(rebuild)
    ? `${command} finishes it.`
    : `${command} goes on with it, \`projections abort\` drops it.`;
}

export const running = (rebuild: Rebuild): RebuildRefused =>
  new RebuildRefused(
    `A rebuild of ${namesOf(rebuild)} is running (${rebuild.where}, since ${new Date(rebuild.startedAt).toISOString()}).`,
  );

export const lost = (): RebuildRefused =>
  new RebuildRefused('This rebuild was taken over or aborted by another process; nothing more is done here.');
