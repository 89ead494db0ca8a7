import { randomUUID } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { accountsOf } from './contract-tools.js';
import type { DatabaseFeatures } from './contract.js';
import type { Database } from './port.js';

/** The part of the contract about transactions that meet; contract.ts makes the tables. */
export function concurrencyContract(
  db: () => Database,
  open: () => Promise<Database>,
  features: DatabaseFeatures,
): void {
  const { account, add, balanceOf } = accountsOf(db);

  describe('concurrency', () => {
    test('20 workers that lock, read and write one row lose no increment', async () => {
      const id = await account(0);
      const worker = async (): Promise<void> => {
        for (let i = 0; i < 10; i++) await db().transaction((tx) => add(tx, id, 1));
      };
      await Promise.all(Array.from({ length: 20 }, worker));
      expect(await balanceOf(id)).toBe(200);
    });

    test('50 transfers that lock crosswise in both directions all end and lose nothing', async () => {
      const [a, b] = [await account(1_000), await account(1_000)];
      const transfer = (from: string, to: string, amount: number): Promise<void> =>
        db().transaction(async (tx) => {
          await add(tx, from, -amount);
          await add(tx, to, amount);
        });
      await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? transfer(a, b, 3) : transfer(b, a, 2))));
      expect([await balanceOf(a), await balanceOf(b)]).toEqual([975, 1_025]);
    });

    test('a transaction whose only statement failed, and was forgiven, holds nothing when it is over', async () => {
      const id = await account(1);
      await db().transaction((tx) => tx.insert('accounts', [{ id, balance: 2 }]).catch(() => undefined));
      const other = await open();
      await other.transaction((tx) => add(tx, id, 1));
      expect(await balanceOf(id)).toBe(2);
    });

    test('two handles on one database take turns on a row', async () => {
      const other = await open();
      const id = await account(0);
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? db() : other).transaction((tx) => add(tx, id, 1))),
      );
      expect(await other.read('SELECT balance FROM accounts WHERE id = ?', [id])).toEqual([{ balance: 40 }]);
    });

    const twins = async (firstCommits: boolean): Promise<{ fresh: number; log: string[]; payload: unknown }> => {
      const row = { actor_id: randomUUID(), request_key: 'pay-1' };
      const log: string[] = [];
      let second: Promise<{ fresh: number; payload: unknown }> | undefined;
      const first = db().transaction(async (tx) => {
        await tx.insertNew('requests', ['actor_id', 'request_key'], [{ ...row, payload: null }]);
        second ??= db().transaction(async (twin) => {
          const fresh = await twin.insertNew('requests', ['actor_id', 'request_key'], [{ ...row, payload: '"twin"' }]);
          log.push('twin answered');
          const [found] = await twin.query<{ payload: string }>('SELECT payload FROM requests WHERE actor_id = ?', [
            row.actor_id,
          ]);
          return { fresh, payload: found?.payload };
        });
        // Long enough for a twin that does not wait to be done.
        for (let i = 0; i < 50; i++) await db().read('SELECT 1 AS one');
        await tx.execute('UPDATE requests SET payload = ? WHERE actor_id = ?', ['"first"', row.actor_id]);
        log.push('first ends');
        if (!firstCommits) throw new Error('first fails');
      });
      if (firstCommits) await first;
      else await expect(first).rejects.toThrow('first fails');
      const { fresh, payload } = (await second) ?? { fresh: -1, payload: undefined };
      return { fresh, log, payload };
    };

    test('insertNew waits for a concurrent twin, then answers 0 and sees what the twin committed', async () => {
      expect(await twins(true)).toEqual({ fresh: 0, log: ['first ends', 'twin answered'], payload: '"first"' });
    });

    test('insertNew waits for a concurrent twin, then inserts when the twin rolled back', async () => {
      expect(await twins(false)).toEqual({ fresh: 1, log: ['first ends', 'twin answered'], payload: '"twin"' });
    });

    test('of 20 concurrent insertNew of one key exactly one is new', async () => {
      const row = { actor_id: randomUUID(), request_key: 'k', payload: null };
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          db().transaction((tx) => tx.insertNew('requests', ['actor_id', 'request_key'], [row])),
        ),
      );
      expect(answers.sort()).toEqual([...Array.from({ length: 19 }, () => 0), 1]);
    });

    test('insertNew holds the rows it met, until its transaction ends', async () => {
      const [met, fresh] = [await account(1), randomUUID()];
      const log: string[] = [];
      const rivals: Promise<void>[] = [];
      await db().transaction(async (tx) => {
        const rows = [met, fresh].map((id) => ({ id, balance: 0 }));
        expect(await tx.insertNew('accounts', ['id'], rows)).toBe(1);
        for (const id of rivals.length === 0 ? [met, fresh] : []) {
          rivals.push(
            db()
              .transaction((rival) => add(rival, id, 1))
              .then(() => void log.push('rival')),
          );
        }
        // Long enough for rivals that do not wait to be done.
        for (let i = 0; i < 50; i++) await db().read('SELECT 1 AS one');
        log.push('holder');
      });
      await Promise.all(rivals);
      expect(log).toEqual(['holder', 'rival', 'rival']);
      expect([await balanceOf(met), await balanceOf(fresh)]).toEqual([2, 1]);
    });

    (features.rowLocks ? test : test.skip)('tryLock waits for nobody: it passes over what others hold', async () => {
      const [held, free] = [await account(0), await account(0)];
      await db().transaction(async (tx) => {
        await tx.lock('accounts', 'id', [held]);
        await db().transaction(async (other) => {
          const rows = await other.tryLock<{ id: string }>('accounts', 'id', [held, free], 10);
          expect(rows.map(({ id }) => id)).toEqual([free]);
        });
      });
    });

    test('of 20 that tryLock, change and commit at once nobody loses what another wrote', async () => {
      const ids = await Promise.all(Array.from({ length: 4 }, () => account(0)));
      const taken = await Promise.all(
        Array.from({ length: 20 }, () =>
          db().transaction(async (tx) => {
            const rows = await tx.tryLock<{ id: string; balance: number }>('accounts', 'id', ids, 2);
            for (const { id, balance } of rows) {
              await tx.execute('UPDATE accounts SET balance = ? WHERE id = ?', [balance + 1, id]);
            }
            return rows.length;
          }),
        ),
      );
      const total = (await Promise.all(ids.map(balanceOf))).reduce<number>((sum, balance) => sum + (balance ?? 0), 0);
      expect(total).toBe(taken.reduce((sum, count) => sum + count, 0));
      expect(total).toBeGreaterThan(0);
    });

    (features.rowLocks ? test : test.skip)('transactions on different rows run side by side', async () => {
      const [a, b] = [await account(0), await account(0)];
      await db().transaction(async (tx) => {
        await add(tx, a, 1);
        await db().transaction((other) => add(other, b, 1));
      });
      expect([await balanceOf(a), await balanceOf(b)]).toEqual([1, 1]);
    });
  });
}
