import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { INDEXES, item, unique, type Setup } from './contract-setup.js';
import { modelCount, modelCountPerKey, modelFind, modelFindPerKey, scalarAt } from './model.js';
import type { Filter, Position, Sort, Versioned } from './port.js';

interface Thing {
  readonly owner?: string | null;
  readonly rank?: number | null;
  readonly name?: string | null;
  readonly flag?: boolean | null;
  readonly words?: readonly string[];
  readonly inner?: { readonly label?: string | null };
}

/** Characters that go wrong: case, accents both ways, wildcards, quotes, and some whose UTF-16 order is not that of UTF-8. */
const TRICKY = [...'aAbZz é_%*.$^[]{}\'"\\\u0301ßﬀ\uE000\uFFFD😀𝒳'];
const text = fc.string({ unit: fc.constantFrom(...TRICKY), maxLength: 3 });
const owner = fc.constantFrom('ana', 'Ana', 'aná', '😀');
const rank = fc.oneof(
  fc.integer({ min: -2, max: 2 }),
  fc.constantFrom(1.5, 9_007_199_254_740_991, -9_007_199_254_740_991),
);
const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4 });
const thing: fc.Arbitrary<Thing> = fc.record(
  {
    owner: orNull(owner),
    rank: orNull(rank),
    name: orNull(text),
    flag: orNull(fc.boolean()),
    words: fc.array(text, { maxLength: 3 }),
    inner: fc.record({ label: orNull(text) }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const id = fc.string({ unit: fc.constantFrom(...TRICKY), minLength: 1, maxLength: 3 });
const things: fc.Arbitrary<Versioned<Thing>[]> = fc.uniqueArray(
  fc.record({ id, version: fc.nat(9).map((n) => n + 1), doc: thing }),
  {
    selector: (item) => item.id,
    maxLength: 30,
  },
);

const range = <T extends string | number | boolean>(value: fc.Arbitrary<T>) =>
  fc.record({ gt: orNull(value), gte: orNull(value), lt: orNull(value), lte: orNull(value) }, { requiredKeys: [] });
const equality = <T extends string | number | boolean>(value: fc.Arbitrary<T>) =>
  fc.oneof(fc.record({ eq: orNull(value) }), fc.record({ in: fc.array(orNull(value), { maxLength: 3 }) }));
const conditionOn = (field: string, is: fc.Arbitrary<Filter[number]['is']>): fc.Arbitrary<Filter[number]> =>
  is.map((condition) => ({ field, is: condition }));
const prefixed = fc.record({ prefix: text });
const filter: fc.Arbitrary<Filter> = fc.array(
  fc.oneof(
    conditionOn('owner', equality(owner)),
    conditionOn('rank', fc.oneof(equality(rank), range(rank))),
    conditionOn('name', fc.oneof(equality(text), range(text), prefixed)),
    conditionOn('flag', equality(fc.boolean())),
    conditionOn('words', prefixed),
    conditionOn('inner.label', fc.oneof(equality(text), range(text), prefixed)),
    conditionOn('id', fc.oneof(range(id), prefixed, fc.record({ in: fc.array(id, { maxLength: 5 }) }))),
    conditionOn('owner.beyond', fc.record({ eq: fc.constant(null) })),
  ),
  { maxLength: 2 },
);
const sort: fc.Arbitrary<Sort> = fc.record({
  field: fc.constantFrom('rank', 'name', 'flag', 'owner', 'inner.label', 'id'),
  direction: fc.constantFrom('asc', 'desc'),
});

/** Reading by filter, sort and position: compared with the model on random documents, and the traps by name. */
export function queryContract(setup: Setup): void {
  /** Runs a property on random documents, each time in a collection of its own. */
  async function property<T>(
    inputs: fc.Arbitrary<T>,
    check: (collection: string, docs: readonly Versioned<Thing>[], input: T) => Promise<void>,
  ): Promise<void> {
    await fc.assert(
      fc.asyncProperty(things, inputs, async (docs, input) => {
        const collection = unique();
        await setup.store.ensureCollections([{ name: collection, indexes: INDEXES }]);
        await setup.store.putIfNewer(collection, docs);
        await check(collection, docs, input);
        await setup.store.drop(collection);
      }),
      { numRuns: setup.propertyRuns },
    );
  }

  describe('find and count', () => {
    test('any filter, sort, position and limit give what the model gives', async () => {
      const position: fc.Arbitrary<Position> = fc.record({ id, value: fc.constant(null) });
      const options = fc.record({ filter, sort, after: fc.option(position, { nil: undefined }), limit: fc.nat(12) });
      const values = fc.record({
        rank: orNull(rank),
        name: orNull(text),
        flag: orNull(fc.boolean()),
        owner: orNull(owner),
      });
      await property(fc.tuple(options, values), async (collection, docs, [{ after, ...rest }, anyValues]) => {
        const value = { ...anyValues, id: after?.id ?? '', 'inner.label': anyValues.name }[rest.sort.field] ?? null;
        const asked = after === undefined ? rest : { ...rest, after: { id: after.id, value } };
        expect(await setup.store.find<Thing>(collection, asked)).toEqual(modelFind(docs, asked));
        expect(await setup.store.count(collection, asked.filter)).toBe(modelCount(docs, asked.filter));
      });
    });

    test('walking pages gives each document exactly once, in order, for any ties and nulls in either direction', async () => {
      await property(
        fc.record({ filter, sort, size: fc.integer({ min: 1, max: 4 }) }),
        async (collection, docs, asked) => {
          const walked: Versioned<Thing>[] = [];
          // A store that repeats documents would be walked forever.
          for (let after: Position | undefined; walked.length <= docs.length;) {
            const page: readonly Versioned<Thing>[] = await setup.store.find<Thing>(collection, {
              filter: asked.filter,
              sort: asked.sort,
              limit: asked.size,
              ...(after === undefined ? {} : { after }),
            });
            walked.push(...page);
            const last = page.at(-1);
            if (last === undefined) break;
            after = { id: last.id, value: scalarAt(last, asked.sort.field) };
          }
          expect(walked).toEqual(modelFind(docs, { filter: asked.filter, sort: asked.sort, limit: 1_000 }));
        },
      );
    });

    test('true matches true, false matches false, and neither matches null or a missing field', async () => {
      await setup.store.putIfNewer(setup.at, [
        item('t', 1, { flag: true }),
        item('f', 1, { flag: false }),
        item('n', 1, { flag: null }),
        item('m', 1, {}),
      ]);
      const ids = async (is: Filter[number]['is']): Promise<string[]> => {
        const found = await setup.store.find(setup.at, {
          filter: [{ field: 'flag', is }],
          sort: { field: 'id', direction: 'asc' },
          limit: 9,
        });
        return found.map((one) => one.id);
      };
      expect(await ids({ eq: true })).toEqual(['t']);
      expect(await ids({ eq: false })).toEqual(['f']);
      expect(await ids({ in: [true, false] })).toEqual(['f', 't']);
      expect(await ids({ eq: null })).toEqual(['m', 'n']);
      expect(await ids({ in: [null, true] })).toEqual(['m', 'n', 't']);
      expect(await ids({ in: [] })).toEqual([]);
    });

    test('several prefixes on one field each need some word of it; case and accents count', async () => {
      await setup.store.putIfNewer(setup.at, [
        item('1', 1, { search: ['joao', 'silva'] }),
        item('2', 1, { search: ['joana', 'souza'] }),
        item('3', 1, { search: ['João'] }),
        item('4', 1, { search: [] }),
      ]);
      await setup.store.putIfNewer(setup.at, [item('5', 1, { search: { joao: 'joao' } })]);
      const count = (...words: string[]): Promise<number> =>
        setup.store.count(
          setup.at,
          words.map((word) => ({ field: 'search', is: { prefix: word } })),
        );
      expect(await count('joa')).toBe(2);
      expect(await count('joa', 'sil')).toBe(1);
      expect(await count('joa', 'x')).toBe(0);
      expect(await count('Jo')).toBe(1);
      expect(await count('ilva')).toBe(0);
      expect(await count('')).toBe(3);
    });

    test.each([
      ['😀', ['😀', '😀a', '😀ab'], ['😁', 'a😀']],
      ['😀a', ['😀a', '😀ab'], ['😀', '😀b']],
      ['%', ['%', '%a'], ['a', 'a%']],
      ['a_', ['a_', 'a_b'], ['ab', 'a']],
      ['a*', ['a*b'], ['ab', 'aab']],
      ['a.', ['a.b'], ['ab']],
      ['(', ['(a'], ['a']],
      ['[', ['[a'], ['a']],
      ['^a', ['^ab'], ['ab']],
      ['a$', ['a$b'], ['a']],
      ["'", ["'a"], ['a']],
      ['"', ['"a'], ['a']],
      ['\\', ['\\a'], ['a']],
      ['é', ['é', 'éa'], ['e', 'e\u0301', 'É']],
      ['\u{10FFFF}', ['\u{10FFFF}\u{10FFFF}'], ['\u{10FFFE}', '\uFFFF']],
    ])('the prefix %j matches literally: %j but not %j', async (prefix, yes, no) => {
      await setup.store.putIfNewer(
        setup.at,
        [...yes, ...no].map((text, n) => item(`${n}`, 1, { name: text, words: ['-', text] })),
      );
      for (const field of ['name', 'words']) {
        const found = await setup.store.find<{ name: string }>(setup.at, {
          filter: [{ field, is: { prefix } }],
          sort: { field: 'id', direction: 'asc' },
          limit: 9,
        });
        expect(found.map((one) => one.doc.name)).toEqual(yes);
      }
    });

    test('a limit of 0 gives nothing', async () => {
      await setup.store.putIfNewer(setup.at, [item('a', 1, {})]);
      expect(await setup.store.find(setup.at, { sort: { field: 'id', direction: 'asc' }, limit: 0 })).toEqual([]);
    });
  });

  describe('findPerKey and countPerKey', () => {
    // Mostly the few owners, and often nothing else to hold, so that keys have several documents to sort and to cut.
    const field = fc.oneof(
      { weight: 5, arbitrary: fc.constant('owner') },
      fc.constantFrom('name', 'inner.label', 'id'),
    );
    const keys = fc.array(fc.oneof({ weight: 3, arbitrary: owner }, text), { maxLength: 8 });
    const perhaps = fc.oneof(fc.constant<Filter>([]), filter);

    test('any keys, filter, sort and number give what the model gives, with an entry for every key', async () => {
      const options = fc.record({ filter: perhaps, sort, first: fc.nat(4) });
      await property(fc.tuple(field, keys, options), async (collection, docs, [by, asked, rest]) => {
        const found = await setup.store.findPerKey<Thing>(collection, by, asked, rest);
        expect(found).toEqual(modelFindPerKey(docs, by, asked, rest));
      });
    });

    test('any keys and filter are counted as the model counts them, with an entry for every key', async () => {
      await property(fc.tuple(field, keys, perhaps), async (collection, docs, [by, asked, only]) => {
        const counted = await setup.store.countPerKey(collection, by, asked, only);
        expect(counted).toEqual(modelCountPerKey(docs, by, asked, only));
      });
    });

    test('without keys nothing is found or counted; a key named twice is answered once', async () => {
      await setup.store.putIfNewer(setup.at, [item('a', 1, { owner: 'x', rank: 1 })]);
      const options = { sort: { field: 'rank', direction: 'asc' }, first: 5 } as const;
      expect(await setup.store.findPerKey(setup.at, 'owner', [], options)).toEqual(new Map());
      expect(await setup.store.countPerKey(setup.at, 'owner', [])).toEqual(new Map());
      const found = await setup.store.findPerKey(setup.at, 'owner', ['x', 'x'], options);
      expect(found).toEqual(new Map([['x', [item('a', 1, { owner: 'x', rank: 1 })]]]));
      expect(await setup.store.countPerKey(setup.at, 'owner', ['x', 'x'])).toEqual(new Map([['x', 1]]));
    });

    test('1,000 keys are answered in one call', async () => {
      await setup.store.putIfNewer(
        setup.at,
        Array.from({ length: 2_000 }, (_, n) => item(`${n}`, 1, { owner: `o${n % 500}`, rank: n })),
      );
      const thousand = Array.from({ length: 1_000 }, (_, n) => `o${n}`);
      const found = await setup.store.findPerKey<Thing>(setup.at, 'owner', thousand, {
        sort: { field: 'rank', direction: 'desc' },
        first: 3,
      });
      expect(found.size).toBe(1_000);
      expect(found.get('o7')).toMatchObject([{ id: '1507' }, { id: '1007' }, { id: '507' }]);
      expect(found.get('o999')).toEqual([]);
      const counted = await setup.store.countPerKey(setup.at, 'owner', thousand);
      expect(counted.size).toBe(1_000);
      expect([counted.get('o7'), counted.get('o999')]).toEqual([4, 0]);
    });
  });
}
