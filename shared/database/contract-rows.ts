import { randomUUID } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { accountsOf } from './contract-tools.js';
import type { Database, SqlValue } from './port.js';

/** The part of the contract about single statements and column types; contract.ts makes the tables. */
export function rowContract(db: () => Database): void {
  const { account, balanceOf, count } = accountsOf(db);

  describe('writing', () => {
    test('5,000 rows go in with one insert, and come back in order through lock', async () => {
      const rows = Array.from({ length: 5_000 }, (_, i) => ({
        id: `row-${String(i).padStart(5, '0')}`,
        balance: i,
        owner_id: null,
        version: i,
      }));
      await db().transaction((tx) => tx.insert('accounts', rows));
      expect(await db().read('SELECT COUNT(*) AS n, SUM(balance) AS total FROM accounts')).toEqual([
        { n: 5_000, total: 12_497_500 },
      ]);
      const ids = rows.map((row) => row.id);
      const locked = await db().transaction((tx) => tx.lock<{ id: string }>('accounts', 'id', [...ids].reverse()));
      expect(locked.map((row) => row.id)).toEqual(ids);
    });

    test('a duplicate among many long rows leaves none of them, and the transaction goes on', async () => {
      const things = Array.from({ length: 600 }, (_, i) => ({ name: `n${i}`, story: 'x'.repeat(5_000) }));
      await db().transaction(async (tx) => {
        await expect(tx.insert('things', [...things, { name: 'n0', story: '' }])).rejects.toMatchObject({
          code: 'CONFLICT',
        });
        expect(await tx.query('SELECT COUNT(*) AS n FROM things')).toEqual([{ n: 0 }]);
        expect(await tx.insertNew('things', ['name'], things)).toBe(600);
        expect(await tx.insertNew('things', ['name'], [...things, { name: 'n600', story: '' }])).toBe(1);
      });
      expect(await count('things')).toBe(601);
    });

    test('lock answers each row once, in id order, and nothing for ids that are missing', async () => {
      const rows = ['b', 'c', 'a', 'd'].map((id) => ({ id, balance: 1 }));
      await db().transaction((tx) => tx.insert('accounts', rows));
      const locked = await db().transaction((tx) => tx.lock('accounts', 'id', ['c', 'x', 'a', 'c', 'b', 'a']));
      expect(locked).toEqual(['a', 'b', 'c'].map((id) => ({ id, balance: 1, owner_id: null, version: 1 })));
      expect(await db().transaction((tx) => tx.lock('accounts', 'id', []))).toEqual([]);
    });

    test('tryLock answers each row once, in id order, and no more than it is asked for', async () => {
      const rows = ['m', 'k', 'l', 'n'].map((id) => ({ id, balance: 1 }));
      await db().transaction((tx) => tx.insert('accounts', rows));
      const ids = (most: number): Promise<string[]> =>
        db().transaction(async (tx) =>
          (await tx.tryLock<{ id: string }>('accounts', 'id', ['m', 'missing', 'k', 'l', 'm'], most)).map(
            ({ id }) => id,
          ),
        );
      expect(await ids(10)).toEqual(['k', 'l', 'm']);
      expect(await ids(2)).toEqual(['k', 'l']);
      expect(await ids(0)).toEqual([]);
    });

    test('lock orders numbers as numbers', async () => {
      await db().transaction((tx) =>
        tx.insert(
          'accounts',
          [10, 9, 100].map((version) => ({ id: `n${version}`, version })),
        ),
      );
      const locked = await db().transaction((tx) => tx.lock<{ version: number }>('accounts', 'version', [100, 9, 10]));
      expect(locked.map((row) => row.version)).toEqual([9, 10, 100]);
    });

    test('a duplicate is CONFLICT with a cause, leaves none of its rows, and the transaction goes on', async () => {
      const id = await account(1);
      const fresh = randomUUID();
      await db().transaction(async (tx) => {
        const insert = tx.insert('accounts', [
          { id: fresh, balance: 1 },
          { id, balance: 2 },
        ]);
        await expect(insert).rejects.toMatchObject({ code: 'CONFLICT', cause: expect.any(Error) });
        await tx.execute('UPDATE accounts SET balance = 3 WHERE id = ?', [id]);
      });
      expect([await balanceOf(id), await balanceOf(fresh), await count('accounts')]).toEqual([3, undefined, 1]);
      const raw = db().transaction((tx) => tx.execute('INSERT INTO accounts (id, balance) VALUES (?, 1)', [id]));
      await expect(raw).rejects.toMatchObject({ code: 'CONFLICT' });
      const unique = db().transaction((tx) => tx.insert('things', [{ name: 'same' }, { name: 'same' }]));
      await expect(unique).rejects.toMatchObject({ code: 'CONFLICT' });
    });

    test('insertNew counts the new rows only and leaves the others untouched', async () => {
      const id = await account(7);
      const rows = [
        { id, balance: 0 },
        { id: randomUUID(), balance: 1 },
        { id: randomUUID(), balance: 2 },
      ];
      expect(await db().transaction((tx) => tx.insertNew('accounts', ['id'], rows))).toBe(2);
      expect(await db().transaction((tx) => tx.insertNew('accounts', ['id'], rows))).toBe(0);
      expect([await balanceOf(id), await count('accounts')]).toEqual([7, 3]);
    });

    test('upsert inserts what is missing and updates every column but the key of what is there', async () => {
      const actor_id = randomUUID();
      const write = (rows: Record<string, SqlValue>[]): Promise<void> =>
        db().transaction((tx) => tx.upsert('requests', ['actor_id', 'request_key'], rows));
      await write([{ actor_id, request_key: 'a', payload: '1' }]);
      await write([
        { actor_id, request_key: 'a', payload: '2' },
        { actor_id, request_key: 'b', payload: null },
      ]);
      await write([{ actor_id, request_key: 'b' }]);
      expect(await db().read('SELECT request_key, payload FROM requests ORDER BY request_key')).toEqual([
        { request_key: 'a', payload: '2' },
        { request_key: 'b', payload: null },
      ]);
    });

    test('writing no rows does nothing', async () => {
      const written = await db().transaction(async (tx) => {
        await tx.insert('accounts', []);
        await tx.upsert('accounts', ['id'], []);
        return tx.insertNew('accounts', ['id'], []);
      });
      expect([written, await count('accounts')]).toEqual([0, 0]);
    });

    test('execute counts the rows matched, also those that stay the same', async () => {
      const id = await account(1);
      await account(1);
      const counts = await db().transaction(async (tx) => [
        await tx.execute('UPDATE accounts SET balance = 1'),
        await tx.execute('UPDATE accounts SET balance = 2 WHERE id = ?', [id]),
        await tx.execute('UPDATE accounts SET balance = 2 WHERE id = ?', ['nobody']),
        await tx.execute('DELETE FROM accounts'),
      ]);
      expect(counts).toEqual([2, 1, 0, 2]);
    });

    test('rows of different shapes and names that are not words are refused', async () => {
      const uneven = [
        { id: 'a', balance: 1 },
        { id: 'b', version: 1 },
      ];
      await expect(db().transaction((tx) => tx.insert('accounts', uneven))).rejects.toThrow(TypeError);
      await expect(db().transaction((tx) => tx.insert('accounts; DROP', [{ id: 'a' }]))).rejects.toThrow(TypeError);
      await expect(db().transaction((tx) => tx.insert('accounts', [{ 'id"': 'a' }]))).rejects.toThrow(TypeError);
      await expect(db().transaction((tx) => tx.lock('accounts', 'id --', ['a']))).rejects.toThrow(TypeError);
      expect(await count('accounts')).toBe(0);
    });
  });

  describe('columns', () => {
    const store = (things: Record<string, SqlValue>[]): Promise<void> =>
      db().transaction((tx) => tx.insert('things', things));

    test('keys differ by case, accents and 4-byte characters', async () => {
      const names = ['Key', 'key', 'kéy', 'ke\u0301y', 'KEY', '🔑', '🔒', 'ß', 'ss'];
      await store(names.map((name) => ({ name })));
      for (const name of names)
        expect(await db().read('SELECT name FROM things WHERE name = ?', [name])).toEqual([{ name }]);
    });

    test('spaces at the end of a key do not make another key', async () => {
      await store([{ name: 'key' }]);
      await expect(store([{ name: 'key  ' }])).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await db().transaction((tx) => tx.insertNew('things', ['name'], [{ name: 'key ' }]))).toBe(0);
      expect(await db().read('SELECT name FROM things WHERE name = ?', ['key '])).toEqual([{ name: 'key' }]);
      await store([{ name: ' key' }]);
      expect(await count('things')).toBe(2);
    });

    test('ids differ by case', async () => {
      await db().transaction((tx) => tx.insert('accounts', [{ id: 'ab' }, { id: 'AB' }]));
      expect(await db().read('SELECT id FROM accounts WHERE id = ?', ['AB'])).toEqual([{ id: 'AB' }]);
    });

    test('instants and money come back as exactly the numbers that went in, up to 2^53 - 1', async () => {
      const numbers = [
        0,
        1,
        -1,
        1_735_689_599_999,
        2 ** 31,
        2 ** 32 + 1,
        Number.MAX_SAFE_INTEGER - 1,
        Number.MAX_SAFE_INTEGER,
        Number.MIN_SAFE_INTEGER,
      ];
      await store(numbers.map((value, i) => ({ name: `n${i}`, made_at: value, price: value })));
      const rows = await db().read('SELECT made_at, price FROM things ORDER BY id');
      expect(rows).toEqual(numbers.map((value) => ({ made_at: value, price: value })));
      expect(await db().read('SELECT name FROM things WHERE price = ?', [Number.MAX_SAFE_INTEGER])).toEqual([
        { name: 'n7' },
      ]);
      await db().transaction((tx) => tx.execute('UPDATE things SET price = price + ? WHERE name = ?', [1, 'n6']));
      expect(await db().read('SELECT price FROM things WHERE name = ?', ['n6'])).toEqual([
        { price: Number.MAX_SAFE_INTEGER },
      ]);
    });

    test('sums and counts are numbers', async () => {
      await store([
        { name: 'a', price: 2 ** 40 },
        { name: 'b', price: 3 },
        { name: 'c', price: null },
      ]);
      const rows = await db().read(
        'SELECT SUM(price) AS total, COUNT(*) AS n, COUNT(price) AS priced, MAX(price) AS top FROM things',
      );
      expect(rows).toEqual([{ total: 2 ** 40 + 3, n: 3, priced: 2, top: 2 ** 40 }]);
    });

    test('booleans are 0 and 1, null is null, defaults fill in', async () => {
      await store([
        { name: 'yes', hidden: true },
        { name: 'no', hidden: false },
        { name: 'one', hidden: 1 },
      ]);
      await store([{ name: 'default' }]);
      expect(await db().read('SELECT hidden, doc, title FROM things ORDER BY id')).toEqual(
        [1, 0, 1, 0].map((hidden) => ({ hidden, doc: null, title: "it's" })),
      );
      expect(await db().read('SELECT name FROM things WHERE hidden = ? ORDER BY id', [true])).toEqual([
        { name: 'yes' },
        { name: 'one' },
      ]);
      await expect(store([{ name: null }])).rejects.toThrow();
    });

    test('JSON and long text survive whole, far above 64 KB', async () => {
      const doc = JSON.stringify({ text: 'é🔑"\\\n'.repeat(60_000), nul: '\0' });
      const story = '語'.repeat(10_000);
      expect(Buffer.byteLength(doc)).toBeGreaterThan(500_000);
      await store([{ name: 'long', doc, story }]);
      const [row] = await db().read('SELECT doc, story FROM things');
      expect(row?.doc === doc && row.story === story).toBe(true);
    });

    test('text is stored as written, or refused, never cut', async () => {
      const title = ' quotes \' " ` backslash \\ percent % emoji 👩‍👩‍👧 zero\u200bwidth ';
      await store([{ name: 'odd', title }]);
      expect(await db().read('SELECT title FROM things WHERE title = ?', [title])).toEqual([{ title }]);
      const refused = await store([{ name: 'nul', title: 'a\0b' }]).then(
        () => false,
        () => true,
      );
      expect(await db().read('SELECT title FROM things WHERE name = ?', ['nul'])).toEqual(
        refused ? [] : [{ title: 'a\0b' }],
      );
    });

    test('a number in a text column reads as its digits; NaN is refused', async () => {
      await store([{ name: 5 }]);
      expect(await db().read('SELECT name FROM things WHERE name = ?', ['5'])).toEqual([{ name: '5' }]);
      await expect(store([{ name: 'nan', price: Number.NaN }])).rejects.toThrow();
    });

    test('a bigserial counts up in the order of insertion and is never reused', async () => {
      await store([{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
      const before = await db().read<{ id: number; name: string }>('SELECT id, name FROM things ORDER BY id');
      expect(before.map((row) => row.name)).toEqual(['a', 'b', 'c']);
      await db().transaction((tx) => tx.execute('DELETE FROM things WHERE name = ?', ['c']));
      await store([{ name: 'd' }]);
      const [d] = await db().read<{ id: number }>('SELECT id FROM things WHERE name = ?', ['d']);
      expect(d?.id).toBeGreaterThan(before[2]?.id ?? Number.NaN);
    });
  });
}
