import { EngineUnavailable } from '../errors/errors.js';
import { headOf, isSelected, type Letter, type LetterHead, type LetterSource, type Selection } from './letter.js';

/** Letters changed in one transaction: short enough for consumers to wait for. */
const CHUNK = 100;

/** Letters that failed alike: of one consumer, with one error but for ids and numbers in it. */
export interface Group {
  readonly consumer: string;
  readonly error: string;
  readonly count: number;
}

export interface Survey {
  /** All that are meant. */
  readonly total: number;
  /** The largest first. */
  readonly groups: readonly Group[];
  /** The newest, up to the limit, newest first. */
  readonly newest: readonly LetterHead[];
  /** Source by source, in each in the order in which letters are to be sent back. */
  readonly ids: readonly string[];
  /** Sources whose engine is away: what they hold is not in the survey. */
  readonly away: readonly string[];
}

export interface Change {
  readonly changed: number;
  /** Not dead any more: sent back, handled or dropped meanwhile. */
  readonly unchanged: number;
  readonly away: readonly string[];
}

export interface DeadLettersOptions {
  readonly sources: readonly LetterSource[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The dead letters of every consumer, wherever they are kept. */
export class DeadLetters {
  constructor(private readonly options: DeadLettersOptions) {}

  /** Looks through all letters; keeps `limit` of them, without their payloads. */
  async survey(selection: Selection, limit: number): Promise<Survey> {
    const now = this.options.now();
    const ids: string[] = [];
    const groups = new Map<string, Group>();
    const away: string[] = [];
    let newest: LetterHead[] = [];
    for (const source of this.options.sources) {
      await unlessAway(source, away, async () => {
        for await (const letter of source.letters(selection.state)) {
          if (!isSelected(letter, selection, now)) continue;
          ids.push(letter.id);
          count(groups, letter);
          newest.push(headOf(letter));
          if (newest.length >= 2 * limit + CHUNK) newest = newestOf(newest, limit);
        }
      });
    }
    return {
      total: ids.length,
      groups: [...groups.values()].sort((a, b) => b.count - a.count),
      newest: newestOf(newest, limit),
      ids,
      away,
    };
  }

  /** The letter of that id; null where there is none (any more). */
  async find(id: string): Promise<Letter | null> {
    return (await this.sourceOf(id)?.find([id]))?.[0] ?? null;
  }

  /** What stands around a letter in its key; null where the order of letters does not matter. */
  surroundings(letter: Letter) {
    return this.sourceOf(letter.id)?.surroundings(letter) ?? Promise.resolve(null);
  }

  /** Whether it can be the id of a letter. */
  isId(id: string): boolean {
    return this.sourceOf(id) !== undefined;
  }

  /**
   * Sends letters back to the one consumer that failed, those of a key in the order of the log. In chunks of a transaction
   * each, after each of which `onProgress` hears how many are done: whoever is ended in between can begin anew, since
   * what is not dead any more is left alone.
   */
  redrive(ids: readonly string[], onProgress?: (done: number) => void): Promise<Change> {
    return this.change(ids, (source, chunk) => source.redrive(chunk), onProgress);
  }

  /** Removes letters for good, in chunks too. Their copies in the dead-letter topics stay. */
  drop(ids: readonly string[], onProgress?: (done: number) => void): Promise<Change> {
    return this.change(ids, (source, chunk) => source.drop(chunk), onProgress);
  }

  private async change(
    ids: readonly string[],
    work: (source: LetterSource, chunk: readonly string[]) => Promise<number>,
    onProgress?: (done: number) => void,
  ): Promise<Change> {
    const away: string[] = [];
    let [done, changed] = [0, 0];
    for (const source of this.options.sources) {
      const own = inOrder([...new Set(ids)].filter((id) => this.sourceOf(id) === source));
      await unlessAway(source, away, async () => {
        for (let start = 0; start < own.length; start += CHUNK) {
          const chunk = own.slice(start, start + CHUNK);
          changed += await work(source, chunk);
          done += chunk.length;
          onProgress?.(done);
        }
      });
    }
    return { changed, unchanged: done - changed, away };
  }

  private sourceOf(id: string): LetterSource | undefined {
    return this.options.sources.find((source) => source.owns(id));
  }
}

/** What an engine that is away does not keep people from: the letters of the others. */
async function unlessAway(source: LetterSource, away: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof EngineUnavailable)) throw error;
    away.push(source.name);
  }
}

/** Rows by their number, whatever order people name them in: what is cut off by an end is then the later part of each key. */
const inOrder = (ids: readonly string[]): string[] =>
  [...ids].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

const newestOf = (heads: readonly LetterHead[], limit: number): LetterHead[] =>
  [...heads].sort((a, b) => b.since - a.since || b.offset - a.offset).slice(0, limit);

function count(groups: Map<string, Group>, { consumer, error }: LetterHead): void {
  const kind = kindOf(error);
  const key = `${consumer} ${kind}`;
  groups.set(key, { consumer, error: kind, count: (groups.get(key)?.count ?? 0) + 1 });
}

/** An error without what differs from one letter to the next. */
const kindOf = (error: string | null): string =>
  error === null
    ? 'queues behind an earlier one of its key'
    : error.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, '<id>').replace(/\d+/g, '<n>');
