import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { DocumentStore } from '../document-store/port.js';
import { userRecord } from '../outbox/messaging-tools.js';
import { DocumentLetters } from './documents.js';
import { PARKED, type Letter, type LetterState, type ParkedDoc } from './letter.js';

/** The dead letters of the projector, on any document store. `open` answers an empty one and what removes it. */
export function documentLettersContract(
  engine: string,
  open: () => Promise<{ readonly store: DocumentStore; readonly dispose: () => Promise<void> }>,
): void {
  describe(`letters in documents on ${engine}`, () => {
    let store: DocumentStore;
    let dispose: () => Promise<void>;
    let letters: DocumentLetters;

    beforeAll(async () => {
      ({ store, dispose } = await open());
      await store.ensureCollections([{ name: PARKED, indexes: [{ fields: ['consumer', 'state', 'at'] }] }]);
      letters = new DocumentLetters(() => Promise.resolve(store));
    });

    afterAll(async () => {
      await store.close();
      await dispose();
    });

    beforeEach(async () => {
      await store.remove(
        PARKED,
        (await all('all')).map(({ id }) => id),
      );
    });

    const idOf = (offset: number): string => `query.views:users:3:${offset}`;

    async function bury(count: number): Promise<string[]> {
      const ids = Array.from({ length: count }, (_, offset) => idOf(offset));
      await store.putIfNewer(
        PARKED,
        ids.map((id, offset) => ({
          id,
          version: 1,
          doc: {
            consumer: 'query.views',
            state: 'DEAD',
            error: 'not\n  today',
            attempts: 5,
            at: 1_000 + offset,
            record: { ...userRecord('a', 1), partition: 3, offset, timestamp: 1 },
          } satisfies ParkedDoc,
        })),
      );
      return ids;
    }

    async function all(state: LetterState): Promise<Letter[]> {
      const found: Letter[] = [];
      for await (const letter of letters.letters(state)) found.push(letter);
      return found;
    }

    test('all are found, however many, and each by its id', async () => {
      const ids = await bury(230);
      expect((await all('dead')).map(({ id }) => id).sort()).toEqual([...ids].sort());
      expect(await all('waiting')).toEqual([]);
      expect(await letters.find([idOf(17), 'query.views:users:3:999'])).toMatchObject([
        {
          id: idOf(17),
          state: 'DEAD',
          error: 'not today',
          attempts: 5,
          since: 1_017,
          offset: 17,
          type: 'user.created',
        },
      ]);
    });

    test('sent back once, whoever else does it at the same time, and with the record as it was', async () => {
      const ids = await bury(30);
      const [before] = await letters.find([idOf(3)]);
      const changed = await Promise.all([letters.redrive(ids), letters.redrive(ids), letters.redrive(ids)]);
      expect(changed.reduce((sum, one) => sum + one, 0)).toBe(30);
      expect(await letters.redrive(ids)).toBe(0);
      expect(await all('dead')).toEqual([]);
      expect((await all('waiting')).length).toBe(30);
      expect((await letters.find([idOf(3)]))[0]).toEqual({ ...before, state: 'WAITING' });
    });

    test('only dead ones are dropped', async () => {
      const ids = await bury(3);
      await letters.redrive([idOf(1)]);
      expect(await letters.drop(ids)).toBe(2);
      expect((await all('all')).map(({ id }) => id)).toEqual([idOf(1)]);
      expect(await letters.drop(ids)).toBe(0);
    });
  });
}
