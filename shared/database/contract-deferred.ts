import { randomUUID } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { accountsOf } from './contract-tools.js';
import type { Database, Transaction } from './port.js';

/** The part of the contract about writes that nobody waits for and statements that travel together. */
export function deferredContract(db: () => Database): void {
  const { account, balanceOf, count } = accountsOf(db);
  const conflict = expect.objectContaining({ code: 'CONFLICT' });
  const read = (tx: Transaction, id: string): Promise<unknown[]> =>
    tx.query('SELECT balance FROM accounts WHERE id = ?', [id]);

  describe('deferred writes', () => {
    test('are there when the transaction`s promise resolves, in the order in which they were asked for', async () => {
      const [old, fresh] = [await account(1), randomUUID()];
      const answer = await db().transaction(async (tx) => {
        tx.deferred.insert('accounts', [{ id: fresh, balance: 1 }]);
        tx.deferred.upsert(
          'accounts',
          ['id'],
          [fresh, old].map((id) => ({ id, balance: 5 })),
        );
        tx.deferred.execute('UPDATE accounts SET balance = balance * 10 WHERE id = ?', [fresh]);
        return 'done';
      });
      expect([answer, await balanceOf(fresh), await balanceOf(old)]).toEqual(['done', 50, 5]);
    });

    test('are seen by the next statement of their transaction', async () => {
      const id = randomUUID();
      await db().transaction(async (tx) => {
        tx.deferred.insert('accounts', [{ id, balance: 1 }]);
        expect(await read(tx, id)).toEqual([{ balance: 1 }]);
        tx.deferred.execute('UPDATE accounts SET balance = 2 WHERE id = ?', [id]);
        expect(await tx.execute('UPDATE accounts SET balance = balance + 1 WHERE id = ?', [id])).toBe(1);
        tx.deferred.execute('UPDATE accounts SET balance = balance * 2 WHERE id = ?', [id]);
        expect(await tx.lock('accounts', 'id', [id])).toMatchObject([{ balance: 6 }]);
      });
      expect(await balanceOf(id)).toBe(6);
    });

    test('are undone with everything else', async () => {
      const id = await account(1);
      const attempt = db().transaction(async (tx) => {
        tx.deferred.execute('UPDATE accounts SET balance = 2 WHERE id = ?', [id]);
        await read(tx, id);
        tx.deferred.execute('UPDATE accounts SET balance = 3 WHERE id = ?', [id]);
        throw new Error('no');
      });
      await expect(attempt).rejects.toThrow('no');
      expect(await balanceOf(id)).toBe(1);
    });

    test.each(['first and only', 'after others', 'before others'])(
      'one that fails takes the transaction with it: %s',
      async (where) => {
        const [taken, fresh] = [await account(1), randomUUID()];
        const woken: string[] = [];
        const attempt = db().transaction(async (tx) => {
          tx.afterCommit(() => woken.push('never'));
          if (where === 'after others') await tx.insert('accounts', [{ id: fresh, balance: 1 }]);
          tx.deferred.insert('accounts', [{ id: taken, balance: 2 }]);
          if (where === 'before others') tx.deferred.insert('accounts', [{ id: fresh, balance: 1 }]);
        });
        await expect(attempt).rejects.toEqual(conflict);
        expect([await balanceOf(taken), await balanceOf(fresh), woken]).toEqual([1, undefined, []]);
      },
    );

    test('one that fails is the error of the next statement too, and swallowing that saves nothing', async () => {
      const [taken, fresh] = [await account(1), randomUUID()];
      const errors: unknown[] = [];
      const attempt = db().transaction(async (tx) => {
        tx.deferred.insert('accounts', [{ id: taken, balance: 2 }]);
        await read(tx, taken).catch((error: unknown) => errors.push(error));
        await tx.insert('accounts', [{ id: fresh, balance: 1 }]).catch((error: unknown) => errors.push(error));
        return 'swallowed';
      });
      await expect(attempt).rejects.toEqual(conflict);
      expect(errors).toEqual([conflict, conflict]);
      expect([await balanceOf(taken), await balanceOf(fresh)]).toEqual([1, undefined]);
    });

    test('one whose next statement fails is lost with it, also where that error is swallowed', async () => {
      const [taken, fresh] = [await account(1), randomUUID()];
      const attempt = db().transaction(async (tx) => {
        tx.deferred.insert('accounts', [{ id: fresh, balance: 1 }]);
        await tx.insert('accounts', [{ id: taken, balance: 2 }]).catch(() => undefined);
      });
      await expect(attempt).rejects.toEqual(conflict);
      expect([await balanceOf(taken), await balanceOf(fresh)]).toEqual([1, undefined]);
    });

    test('one that is still on its way when the work ends decides as well', async () => {
      const [taken, long] = [await account(1), 'x'.repeat(1_200_000)];
      const attempt = db().transaction(async (tx) => {
        const other = tx.query('SELECT LENGTH(?) AS n', [long]);
        // Too long for the same packet.
        tx.deferred.execute('UPDATE accounts SET balance = LENGTH(?) WHERE id = ?', [long, taken]);
        tx.deferred.insert('accounts', [{ id: taken, balance: 2 }]);
        await other;
      });
      await expect(attempt).rejects.toEqual(conflict);
      expect(await balanceOf(taken)).toBe(1);
    });

    test('many long rows arrive whole', async () => {
      const story = 'x'.repeat(5_000);
      const things = Array.from({ length: 1_000 }, (_, i) => ({ name: `n${i}`, story }));
      await db().transaction(async (tx) => {
        tx.deferred.insert('things', things);
        expect(await tx.query('SELECT COUNT(*) AS n FROM things')).toEqual([{ n: 1_000 }]);
        tx.deferred.upsert(
          'things',
          ['name'],
          things.map(({ name }) => ({ name, story: `${name} ${story}` })),
        );
      });
      expect(await db().read("SELECT COUNT(*) AS n FROM things WHERE story LIKE 'n%x'")).toEqual([{ n: 1_000 }]);
    });

    test('of values that cannot be stored are refused at once, and nothing is written', async () => {
      const id = await account(1);
      const attempt = db().transaction(async (tx) => {
        tx.deferred.execute('UPDATE accounts SET balance = 5 WHERE id = ?', [id]);
        tx.deferred.execute('UPDATE accounts SET balance = ? WHERE id = ?', [NaN, id]);
      });
      await expect(attempt).rejects.toThrow(TypeError);
      expect(await balanceOf(id)).toBe(1);
    });

    test('no rows are no statement', async () => {
      await db().transaction(async (tx) => {
        tx.deferred.insert('accounts', []);
        tx.deferred.upsert('accounts', ['id'], []);
      });
      expect(await count('accounts')).toBe(0);
    });

    test('of a transaction that is over are refused', async () => {
      const id = await account(1);
      const leaked = await db().transaction(async (tx) => ({ tx }));
      expect(() => leaked.tx.deferred.execute('UPDATE accounts SET balance = 9 WHERE id = ?', [id])).toThrow();
      expect(await balanceOf(id)).toBe(1);
    });
  });

  describe('statements that are asked for at once', () => {
    test('run in their order, and each gets its own answer', async () => {
      const [id, other] = [await account(1), await account(7)];
      const answers = await db().transaction((tx) =>
        Promise.all([
          read(tx, id),
          tx.execute('UPDATE accounts SET balance = 2 WHERE id IN (?, ?)', [id, other]),
          read(tx, other),
          tx.insertNew('accounts', ['id'], [{ id, balance: 9 }]),
          tx.query('SELECT id FROM accounts WHERE id = ?', ['nobody']),
          tx.lock<{ balance: number }>('accounts', 'id', [id]).then((rows) => rows.map(({ balance }) => balance)),
        ]),
      );
      expect(answers).toEqual([[{ balance: 1 }], 2, [{ balance: 2 }], 0, [], [2]]);
    });

    test('and not awaited are part of what is rolled back, never of the next transaction', async () => {
      const id = await account(1);
      for (let ticks = 0; ticks < 12; ticks++) {
        const attempt = db().transaction(async (tx) => {
          const late = async (): Promise<void> => {
            await read(tx, id);
            for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
            await tx.execute('UPDATE accounts SET balance = 9 WHERE id = ?', [id]);
          };
          const early = async (): Promise<never> => {
            await read(tx, id);
            throw new Error('early');
          };
          const running = late().catch(() => undefined);
          await Promise.all([running, early()]);
        });
        const others = Array.from({ length: 10 }, () => db().transaction((tx) => read(tx, id)));
        await expect(attempt).rejects.toThrow('early');
        await Promise.all(others);
        await db().transaction((tx) => read(tx, id));
      }
      expect(await balanceOf(id)).toBe(1);
    });

    test('end with the first error, whatever becomes of the others, and nothing of them stays', async () => {
      const [taken, fresh] = [await account(1), randomUUID()];
      const attempt = db().transaction((tx) =>
        Promise.all([
          tx.insert('accounts', [{ id: fresh, balance: 1 }]),
          tx.insert('accounts', [{ id: taken, balance: 2 }]),
          tx.execute('UPDATE accounts SET balance = 9 WHERE id = ?', [taken]),
        ]),
      );
      await expect(attempt).rejects.toEqual(conflict);
      const settled = db().transaction((tx) =>
        Promise.allSettled([
          tx.insert('accounts', [{ id: taken, balance: 2 }]),
          tx.insert('accounts', [{ id: fresh, balance: 1 }]),
        ]),
      );
      await expect(settled).rejects.toEqual(conflict);
      expect([await balanceOf(taken), await balanceOf(fresh)]).toEqual([1, undefined]);
    });
  });
}
