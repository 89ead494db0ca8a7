import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../errors/errors.js';
import { queryContract } from './contract-queries.js';
import { refusalContract } from './contract-refusals.js';
import { INDEXES, item, unique, type Setup } from './contract-setup.js';
import type { DocumentStore, Sort } from './port.js';

export interface DocumentStoreFeatures {
  /** A store whose engine is away; absent where an engine cannot be. */
  readonly unreachable?: () => Promise<DocumentStore>;
  /** Rounds of each property; fewer for engines behind a network. */
  readonly propertyRuns: number;
}

/** Opens a store on the same data each time; `dispose` removes the data once all are closed. */
export interface DocumentStoreFactory {
  open(): Promise<DocumentStore>;
  dispose(): Promise<void>;
}

/** What every document store promises (port.ts). Engines with transactions and without pass it alike. */
export function documentStoreContract(
  name: string,
  factory: () => Promise<DocumentStoreFactory>,
  features: DocumentStoreFeatures,
): void {
  describe(`document store contract: ${name}`, () => {
    let place: DocumentStoreFactory;
    let store: DocumentStore;
    /** The collection of the test at hand. */
    let at: string;
    const testIf = (possible: boolean): typeof test | typeof test.skip => (possible ? test : test.skip);

    beforeAll(async () => {
      place = await factory();
      store = await place.open();
    });
    afterAll(async () => {
      await store.close();
      await place.dispose();
    });
    beforeEach(async () => {
      at = unique();
      await store.ensureCollections([{ name: at, indexes: INDEXES }]);
    });

    const setup: Setup = {
      get store() {
        return store;
      },
      get at() {
        return at;
      },
      propertyRuns: features.propertyRuns,
    };
    queryContract(setup);
    refusalContract(setup);

    describe('putIfNewer', () => {
      test('a document is stored when none or an older version is there, and only then', async () => {
        expect(await store.putIfNewer(at, [item('a', 2, { n: 2 })])).toEqual(new Set(['a']));
        expect(await store.putIfNewer(at, [item('a', 1, { n: 1 })])).toEqual(new Set());
        expect(await store.putIfNewer(at, [item('a', 2, { n: 22 })])).toEqual(new Set());
        expect(await store.get(at, 'a')).toEqual(item('a', 2, { n: 2 }));
        expect(await store.putIfNewer(at, [item('a', 3, { m: 3 })])).toEqual(new Set(['a']));
        expect(await store.get(at, 'a')).toEqual(item('a', 3, { m: 3 }));
      });

      test('of a mixed bulk exactly the newer ones are stored and answered', async () => {
        await store.putIfNewer(at, [item('old', 5, {}), item('new', 1, {})]);
        const stored = await store.putIfNewer(at, [
          item('old', 4, { x: 1 }),
          item('new', 2, { x: 1 }),
          item('none', 1, { x: 1 }),
        ]);
        expect(stored).toEqual(new Set(['new', 'none']));
        expect(await store.get(at, 'old')).toEqual(item('old', 5, {}));
      });

      test('the newest of several versions within one call wins, whatever their order', async () => {
        const versions = [3, 1, 7, 2, 7, 5];
        const bulk = versions.map((version, n) => item('a', version, { n }));
        expect(await store.putIfNewer(at, bulk)).toEqual(new Set(['a']));
        expect(await store.get(at, 'a')).toEqual(item('a', 7, { n: 2 }));
      });

      test('of many first versions those are stored that nothing is there of, beside later versions that are newer', async () => {
        const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `id-${from + n}`);
        await store.putIfNewer(
          at,
          ids(0, 30).map((id, n) => item(id, 1 + (n % 3), { by: 'earlier' })),
        );
        const bulk = [
          ...ids(10, 40).map((id) => item(id, 1, { by: 'now' })),
          ...ids(0, 10).map((id) => item(id, 2, { by: 'now' })),
        ];
        const older = ids(0, 10).filter((_, n) => n % 3 === 0);
        expect(await store.putIfNewer(at, bulk)).toEqual(new Set([...older, ...ids(30, 40)]));
        const all = await store.getMany<{ by: string }>(at, ids(0, 40));
        const changed = [...all.values()].filter(({ doc }) => doc.by === 'now').map(({ id }) => id);
        expect(changed.sort()).toEqual([...older, ...ids(30, 40)].sort());
      });

      test('an empty call stores nothing and answers nothing', async () => {
        expect(await store.putIfNewer(at, [])).toEqual(new Set());
      });

      test('2,000 documents in one call are stored, answered and counted', async () => {
        const bulk = Array.from({ length: 2_000 }, (_, n) =>
          item(`id-${n}`, 1 + (n % 3), { rank: n, pad: 'x'.repeat(500) }),
        );
        expect((await store.putIfNewer(at, bulk)).size).toBe(2_000);
        expect(await store.count(at)).toBe(2_000);
        expect((await store.putIfNewer(at, bulk)).size).toBe(0);
        const all = await store.getMany<{ rank: number }>(at, [...bulk.map((one) => one.id), 'missing']);
        expect(all.size).toBe(2_000);
        expect(all.get('id-1999')).toEqual(bulk[1_999]);
      });

      test('of 50 racing calls on one id the newest version is left, and answered as stored exactly once', async () => {
        for (let round = 0; round < 10; round += 1) {
          const versions = Array.from({ length: 50 }, () => 1 + Math.floor(Math.random() * 25));
          const newest = Math.max(...versions);
          const answers = await Promise.all(
            versions.map((version, n) => store.putIfNewer(at, [item(`raced-${round}`, version, { version, n })])),
          );
          const storedVersions = versions.filter((_, n) => answers[n]?.has(`raced-${round}`));
          // A version can win once at most; and the newest must, also when an older one took the insert from under it.
          expect(new Set(storedVersions).size).toBe(storedVersions.length);
          expect(storedVersions).toContain(newest);
          const left = await store.get<{ version: number; n: number }>(at, `raced-${round}`);
          expect(left?.version).toBe(newest);
          expect(left?.doc.version).toBe(newest);
          expect(answers[left?.doc.n ?? -1]?.has(`raced-${round}`)).toBe(true);
        }
      });

      test('racing bulks over the same ids leave the newest of every id', async () => {
        const bulks = Array.from({ length: 20 }, () =>
          Array.from({ length: 40 }, (_, n) => item(`id-${n}`, 1 + Math.floor(Math.random() * 1_000), {})),
        );
        await Promise.all(bulks.map((bulk) => store.putIfNewer(at, bulk)));
        const left = await store.getMany(
          at,
          Array.from({ length: 40 }, (_, n) => `id-${n}`),
        );
        for (let n = 0; n < 40; n += 1) {
          expect(left.get(`id-${n}`)?.version).toBe(Math.max(...bulks.map((bulk) => bulk[n]?.version ?? 0)));
        }
      });

      test('one refused call does not harm the others of its moment', async () => {
        const [good, bad, alsoGood] = await Promise.allSettled([
          store.putIfNewer(at, [item('a', 1, {})]),
          store.putIfNewer(at, [item('b', 0, {})]),
          store.putIfNewer(at, [item('c', 1, {})]),
        ]);
        expect([good.status, bad.status, alsoGood.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
        expect([...(await store.getMany(at, ['a', 'b', 'c'])).keys()].sort()).toEqual(['a', 'c']);
      });

      test('what a put resolved is seen by every later read', async () => {
        for (let version = 1; version <= 20; version += 1) {
          await store.putIfNewer(at, [item('a', version, { owner: 'ana', rank: version })]);
          const seen = await Promise.all([
            store.get(at, 'a').then((found) => found?.version),
            store.getMany(at, ['a']).then((found) => found.get('a')?.version),
            store.find(at, { sort: { field: 'rank', direction: 'asc' }, limit: 1 }).then(([found]) => found?.version),
            store.count(at, [{ field: 'rank', is: { eq: version } }]),
          ]);
          expect(seen).toEqual([version, version, version, 1]);
        }
      });

      test('readers beside a writer never see part of a document, and never an older version than before', async () => {
        let writing = true;
        const writer = (async () => {
          for (let version = 1; version <= 100; version += 1) {
            await store.putIfNewer(at, [
              item('a', version, { first: version, all: new Array(200).fill(version), last: version }),
            ]);
          }
          writing = false;
        })();
        const torn: unknown[] = [];
        let newest = 0;
        while (writing) {
          const found = await store.get<{ first: number; all: number[]; last: number }>(at, 'a');
          const versions = found === null ? [] : [found.version, found.doc.first, ...found.doc.all, found.doc.last];
          if (new Set(versions).size > 1 || (found?.version ?? newest) < newest) torn.push(found);
          newest = found?.version ?? newest;
          // A turn of the event loop, so that the writer of an engine that answers at once gets on.
          await new Promise((resolve) => setImmediate(resolve));
        }
        await writer;
        expect(torn).toEqual([]);
      });

      test("later changes of the caller's object are not stored", async () => {
        const doc = { n: 1 };
        const put = store.putIfNewer(at, [item('a', 1, doc)]);
        doc.n = 2;
        await put;
        expect((await store.get(at, 'a'))?.doc).toEqual({ n: 1 });
      });
    });

    describe('documents', () => {
      test('every JSON value comes back as it was put', async () => {
        const doc = {
          empty: {},
          list: [],
          texts: [
            '',
            ' ',
            'é',
            'e\u0301',
            '😀',
            '\u200B',
            '\n\t"\\\'',
            '$owner',
            '$$ROOT',
            '%_*',
            'null',
            'x'.repeat(100_000),
          ],
          numbers: [0, -1, 1.5, 0.1, 5999.99, 1e21, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 31, 2 ** 53],
          flags: [true, false, null],
          deep: { list: [{ of: [{ objects: [[1], [[]]] }] }] },
          id: 'another id',
          _id: 'yet another',
          version: 99,
        };
        await store.putIfNewer(at, [item('a', 1, doc)]);
        expect(await store.get(at, 'a')).toEqual(item('a', 1, doc));
        expect(await store.find(at, { sort: { field: 'id', direction: 'asc' }, limit: 5 })).toEqual([
          item('a', 1, doc),
        ]);
      });

      test('what JSON rewrites comes back rewritten, and keys keep their order', async () => {
        const doc = {
          z: new Date(0),
          y: undefined,
          x: [undefined, Number.NaN, -0, 1.0],
          b: { toJSON: () => ({ d: 1, c: 2 }) },
          a: new Map([['lost', 1]]),
        };
        await store.putIfNewer(at, [item('a', 1, doc)]);
        const found = await store.get(at, 'a');
        expect(JSON.stringify(found?.doc)).toBe(JSON.stringify(doc));
        expect((found?.doc as { x: unknown[] }).x.map((one) => Object.is(one, -0))).not.toContain(true);
      });

      test.each<[string, unknown]>([
        ['halves of surrogate pairs', ['\uD800', 'a\uDC00', { '\uDBFF': 1 }]],
        ['NUL', 'a\0b'],
        ['200 levels', JSON.parse(`${'[{"n":'.repeat(100)}1${'}]'.repeat(100)}`)],
      ])('%s inside a document are kept', async (_, inside) => {
        const doc = { owner: 'ana', inside };
        await store.putIfNewer(at, [item('a', 1, doc)]);
        expect(await store.get(at, 'a')).toEqual(item('a', 1, doc));
        expect(await store.count(at, [{ field: 'owner', is: { eq: 'ana' } }])).toBe(1);
      });

      test('documents with any keys come back as they were put, and answer to the others', async () => {
        const odd =
          '"$set":{"version":9},"a.b":1,"$ref":"a","$id":1,"":0,"nul\\u0000":0,"__proto__":{"x":1},"_bsontype":"Long"';
        const doc = JSON.parse(`{"rank":7,${odd},"inner":{"$gt":0,"c.d":[{"$ne":null,${odd}}],"label":"l"}}`) as object;
        await store.putIfNewer(at, [item('a', 1, doc), item('b', 1, { rank: 8 })]);
        expect(JSON.stringify((await store.get(at, 'a'))?.doc)).toBe(JSON.stringify(doc));
        const filter = [{ field: 'inner.label', is: { eq: 'l' } }];
        const [found] = await store.find(at, { filter, sort: { field: 'rank', direction: 'desc' }, limit: 2 });
        expect(JSON.stringify(found?.doc)).toBe(JSON.stringify(doc));
      });

      test('a newer version replaces the whole document: no field of the older one stays', async () => {
        await store.putIfNewer(at, [item('a', 1, { gone: 1, inner: { gone: 1 } })]);
        await store.putIfNewer(at, [item('a', 2, { inner: { kept: 1 } })]);
        expect((await store.get(at, 'a'))?.doc).toEqual({ inner: { kept: 1 } });
      });

      test('ids apart only in case, accents, normal form or 4-byte characters are different documents', async () => {
        const ids = ['key', 'Key', 'kéy', 'ke\u0301y', 'key ', ' key', '😀', '😁', '$key', 'a.b', '%', '_', '\'"'];
        await store.putIfNewer(
          at,
          ids.map((one) => item(one, 1, { one })),
        );
        expect(await store.count(at)).toBe(ids.length);
        for (const one of ids) expect((await store.get(at, one))?.doc).toEqual({ one });
        expect(await store.get(at, 'KEY')).toBeNull();
      });

      test('versions up to the greatest safe integer are kept exactly', async () => {
        await store.putIfNewer(at, [item('a', Number.MAX_SAFE_INTEGER - 1, {})]);
        expect(await store.putIfNewer(at, [item('a', Number.MAX_SAFE_INTEGER, {})])).toEqual(new Set(['a']));
        expect((await store.get(at, 'a'))?.version).toBe(Number.MAX_SAFE_INTEGER);
      });

      test('getMany gives those that exist, repeated ids once, none for none', async () => {
        await store.putIfNewer(at, [item('a', 1, {}), item('b', 2, {})]);
        expect(await store.getMany(at, ['b', 'a', 'b', 'c'])).toEqual(
          new Map([
            ['a', item('a', 1, {})],
            ['b', item('b', 2, {})],
          ]),
        );
        expect(await store.getMany(at, [])).toEqual(new Map());
      });
    });

    describe('collections', () => {
      test('ensuring again, with more indexes and from several callers, keeps what is there', async () => {
        await store.putIfNewer(at, [item('a', 1, { rank: 1 })]);
        const spec = { name: at, indexes: [...INDEXES, { fields: ['flag', 'name'] }] };
        await Promise.all([store.ensureCollections([spec]), store.ensureCollections([spec])]);
        expect(await store.get(at, 'a')).toEqual(item('a', 1, { rank: 1 }));
      });

      test('a removed document is gone, and any version may come anew', async () => {
        await store.putIfNewer(at, [item('a', 9, {}), item('b', 1, {})]);
        await store.remove(at, ['a', 'missing']);
        expect(await store.get(at, 'a')).toBeNull();
        expect(await store.count(at)).toBe(1);
        expect(await store.putIfNewer(at, [item('a', 1, {})])).toEqual(new Set(['a']));
        await store.remove(at, []);
        expect(await store.count(at)).toBe(2);
      });

      test('a collection dropped or never made reads as empty and can be put into', async () => {
        await store.putIfNewer(at, [item('a', 9, {})]);
        const other = unique();
        await store.putIfNewer(other, [item('a', 3, { other: true })]);
        await store.drop(at);
        await store.drop(at);
        const sorted: Sort = { field: 'rank', direction: 'asc' };
        expect(await store.get(at, 'a')).toBeNull();
        expect(await store.getMany(at, ['a'])).toEqual(new Map());
        expect(await store.find(at, { sort: sorted, limit: 1 })).toEqual([]);
        expect(await store.count(at)).toBe(0);
        expect(await store.findPerKey(at, 'owner', ['x'], { sort: sorted, first: 1 })).toEqual(new Map([['x', []]]));
        expect(await store.countPerKey(at, 'owner', ['x'])).toEqual(new Map([['x', 0]]));
        await store.remove(at, ['a']);
        expect(await store.putIfNewer(at, [item('a', 1, {})])).toEqual(new Set(['a']));
        expect(await store.get(other, 'a')).toEqual(item('a', 3, { other: true }));
      });
    });

    describe('life', () => {
      test('what a put resolved is there after closing and opening again', async () => {
        const first = await place.open();
        await first.putIfNewer(at, [item('a', 4, { kept: '😀' })]);
        await first.close();
        const second = await place.open();
        expect(await second.get(at, 'a')).toEqual(item('a', 4, { kept: '😀' }));
        expect(await second.putIfNewer(at, [item('a', 3, {})])).toEqual(new Set());
        await second.close();
      });

      test('closing finishes what was put, closing twice is harmless, and a closed store rejects with EngineUnavailable', async () => {
        const closing = await place.open();
        const put = closing.putIfNewer(at, [item('last', 1, {})]);
        await closing.close();
        await closing.close();
        expect(await put).toEqual(new Set(['last']));
        expect(await store.get(at, 'last')).not.toBeNull();
        await expect(closing.get(at, 'last')).rejects.toBeInstanceOf(EngineUnavailable);
        await expect(closing.putIfNewer(at, [item('x', 1, {})])).rejects.toBeInstanceOf(EngineUnavailable);
        await expect(closing.ping()).rejects.toBeInstanceOf(EngineUnavailable);
      });

      test('an open store answers a ping', async () => {
        await expect(store.ping()).resolves.toBeUndefined();
      });

      testIf(features.unreachable !== undefined)(
        'an engine that is away rejects every call with EngineUnavailable',
        async () => {
          const away = await features.unreachable?.();
          if (away === undefined) throw new Error('There is no unreachable store to test.');
          const calls = [
            away.ping(),
            away.get(at, 'a'),
            away.getMany(at, ['a']),
            away.count(at),
            away.putIfNewer(at, [item('a', 1, {})]),
            away.find(at, { sort: { field: 'rank', direction: 'asc' }, limit: 1 }),
            away.findPerKey(at, 'owner', ['x'], { sort: { field: 'rank', direction: 'asc' }, first: 1 }),
            away.countPerKey(at, 'owner', ['x']),
          ];
          for (const outcome of await Promise.allSettled(calls)) {
            expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
          }
          await away.close();
        },
      );
    });
  });
}
