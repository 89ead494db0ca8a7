import { describe, expect, test } from '@jest/globals';
import { AppError } from '../errors/errors.js';
import { item, unique, type Setup } from './contract-setup.js';
import type { Sort } from './port.js';

/** Every engine refuses the same input, before it reaches the engine. */
export function refusalContract(setup: Setup): void {
  describe('refusals', () => {
    const sorted: Sort = { field: 'rank', direction: 'asc' };
    const refused = async (call: Promise<unknown>, field: string): Promise<void> => {
      const error = await call.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(AppError);
      expect(error).toMatchObject({ code: 'VALIDATION', field });
    };

    test.each(['', 'Things', 'a b', 'a"b', 'a;drop', '1a', 'sqlite_master', '$a', 'a\0', 'x'.repeat(101)])(
      'the collection name %j is VALIDATION',
      async (bad) => {
        await refused(setup.store.ensureCollections([{ name: bad, indexes: [] }]), 'collection');
        await refused(setup.store.putIfNewer(bad, [item('a', 1, {})]), 'collection');
        await refused(setup.store.get(bad, 'a'), 'collection');
        await refused(setup.store.find(bad, { sort: sorted, limit: 1 }), 'collection');
        await refused(setup.store.count(bad), 'collection');
        await refused(setup.store.findPerKey(bad, 'owner', ['x'], { sort: sorted, first: 1 }), 'collection');
        await refused(setup.store.countPerKey(bad, 'owner', ['x']), 'collection');
        await refused(setup.store.drop(bad), 'collection');
      },
    );

    test.each(['', 'a b', 'a..b', '.a', 'a.', '$where', 'a.$b', "a')", 'a"b', 'a[0]', 'é'])(
      'the field %j is VALIDATION',
      async (bad) => {
        await refused(setup.store.find(setup.at, { sort: { field: bad, direction: 'asc' }, limit: 1 }), 'field');
        await refused(setup.store.count(setup.at, [{ field: bad, is: { eq: 1 } }]), 'field');
        await refused(setup.store.findPerKey(setup.at, bad, ['x'], { sort: sorted, first: 1 }), 'field');
        await refused(setup.store.countPerKey(setup.at, bad, ['x']), 'field');
        await refused(setup.store.ensureCollections([{ name: unique(), indexes: [{ fields: [bad] }] }]), 'field');
      },
    );

    test.each([0, -1, 1.5, Number.NaN, 2 ** 53])('the version %d is VALIDATION', async (bad) => {
      await refused(setup.store.putIfNewer(setup.at, [item('a', bad, {})]), 'version');
    });

    test.each(['a\0b', '\uD800', 'a\uDC00'])('the text %j, which no engine keeps, is VALIDATION', async (bad) => {
      await refused(setup.store.putIfNewer(setup.at, [item(bad, 1, {})]), 'id');
      await refused(setup.store.get(setup.at, bad), 'id');
      await refused(setup.store.getMany(setup.at, [bad]), 'id');
      await refused(setup.store.remove(setup.at, [bad]), 'id');
      await refused(setup.store.count(setup.at, [{ field: 'name', is: { eq: bad } }]), 'name');
      await refused(setup.store.count(setup.at, [{ field: 'name', is: { in: [bad] } }]), 'name');
      await refused(setup.store.count(setup.at, [{ field: 'name', is: { prefix: bad } }]), 'name');
      await refused(setup.store.find(setup.at, { sort: sorted, after: { id: bad, value: 1 }, limit: 1 }), 'after');
      await refused(setup.store.findPerKey(setup.at, 'owner', [bad], { sort: sorted, first: 1 }), 'owner');
      await refused(setup.store.countPerKey(setup.at, 'owner', [bad]), 'owner');
    });

    test.each([
      { eq: undefined },
      { eq: {} },
      { eq: ['x'] },
      { gt: Number.NaN },
      { in: 'x' },
      { in: [{}] },
      { prefix: 1 },
      { ne: 1 },
    ])('the condition %j is VALIDATION, never a wider filter', async (bad) => {
      await refused(setup.store.count(setup.at, [{ field: 'name', is: bad as never }]), 'name');
      await refused(setup.store.countPerKey(setup.at, 'owner', ['x'], [{ field: 'name', is: bad as never }]), 'name');
    });

    test.each([-1, 1.5, Number.NaN])('a limit of %d is VALIDATION', async (bad) => {
      await refused(setup.store.find(setup.at, { sort: sorted, limit: bad }), 'limit');
      await refused(setup.store.findPerKey(setup.at, 'owner', ['x'], { sort: sorted, first: bad }), 'first');
    });
  });
}
