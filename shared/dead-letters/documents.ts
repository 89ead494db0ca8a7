import type { DocumentStore, Versioned } from '../document-store/port.js';
import {
  PARKED,
  recordHead,
  type Letter,
  type LetterSource,
  type LetterState,
  type ParkedDoc,
  type Surroundings,
} from './letter.js';

/** Documents read at once: payloads have up to a megabyte. */
const PAGE = 100;

const STATES: Readonly<Record<LetterState, readonly ParkedDoc['state'][]>> = {
  dead: ['DEAD'],
  waiting: ['WAITING'],
  all: ['DEAD', 'WAITING'],
};

/**
 * The dead letters of the projector: documents of the collection `parked`. One that is sent back becomes a newer version
 * in the state WAITING, which a running projector finds and applies. In which order does not matter, nor how often: the
 * newest version of a view's document wins.
 */
export class DocumentLetters implements LetterSource {
  readonly name = 'query';

  /** The store is asked for when first needed, so that one that is away does not keep people from the other letters. */
  constructor(private readonly open: () => Promise<DocumentStore>) {}

  /** `<group>:<topic>:<partition>:<offset>` */
  owns(id: string): boolean {
    return /^[^:\s]+:[^:\s]+:\d+:\d+$/.test(id);
  }

  async *letters(state: LetterState): AsyncGenerator<Letter> {
    const documents = await this.open();
    const filter = [{ field: 'state', is: { in: STATES[state] } }];
    for (let last: string | undefined; ;) {
      const page = await documents.find<ParkedDoc>(PARKED, {
        filter,
        sort: { field: 'id', direction: 'asc' },
        limit: PAGE,
        ...(last === undefined ? {} : { after: { value: last, id: last } }),
      });
      for (const one of page) yield letterOf(one);
      last = page.at(-1)?.id;
      if (page.length < PAGE) return;
    }
  }

  async find(ids: readonly string[]): Promise<readonly Letter[]> {
    if (ids.length === 0) return [];
    const found = await (await this.open()).getMany<ParkedDoc>(PARKED, ids);
    return [...found.values()].map(letterOf).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async redrive(ids: readonly string[]): Promise<number> {
    const documents = await this.open();
    const waiting = (await this.dead(ids)).map(({ id, version, doc }) => ({
      id,
      version: version + 1,
      doc: { ...doc, state: 'WAITING' } satisfies ParkedDoc,
    }));
    return waiting.length === 0 ? 0 : (await documents.putIfNewer(PARKED, waiting)).size;
  }

  async drop(ids: readonly string[]): Promise<number> {
    const dead = await this.dead(ids);
    if (dead.length > 0) {
      await (
        await this.open()
      ).remove(
        PARKED,
        dead.map(({ id }) => id),
      );
    }
    return dead.length;
  }

  surroundings(): Promise<Surroundings | null> {
    return Promise.resolve(null);
  }

  private async dead(ids: readonly string[]): Promise<readonly Versioned<ParkedDoc>[]> {
    const found = await (await this.open()).getMany<ParkedDoc>(PARKED, ids);
    return [...found.values()].filter(({ doc }) => doc.state === 'DEAD');
  }
}

function letterOf({ id, doc }: Versioned<ParkedDoc>): Letter {
  const { consumer, state, attempts, error, at, record } = doc;
  return {
    id,
    consumer,
    state,
    attempts,
    // For people in one line; the reasons of a schema come in several.
    error: error.replace(/\s+/g, ' '),
    since: at,
    dueAt: null,
    ...recordHead(record),
    record,
  };
}
