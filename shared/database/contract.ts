import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { EngineUnavailable } from '../errors/errors.js';
import { columnsFor, createTable } from './columns.js';
import { concurrencyContract } from './contract-concurrency.js';
import { deferredContract } from './contract-deferred.js';
import { rowContract } from './contract-rows.js';
import { accountsOf } from './contract-tools.js';
import type { Database, DatabaseOptions } from './port.js';

/** Somewhere to open databases: a folder, a server. */
export interface DatabaseEngine {
  /** A handle on the database `name`, made where there is none. Opening it again is another handle on the same data. */
  open(options: DatabaseOptions): Promise<Database>;
  /** Removes every database that was opened. */
  dispose(): Promise<void>;
}

/** What an engine may lack; the suite then names the test it skips. */
export interface DatabaseFeatures {
  /** Transactions on different rows run side by side. */
  readonly rowLocks: boolean;
}

class First1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(
      runner,
      'accounts',
      [
        c.id('id'),
        c.money('balance', { default: 0 }),
        c.id('owner_id', { nullable: true }),
        c.integer('version', { default: 1 }),
      ],
      { primaryKey: ['id'], indexes: [['owner_id']] },
    );
    await createTable(
      runner,
      'requests',
      // The key's order differs from the columns' on purpose.
      [c.json('payload', { nullable: true }), c.key('request_key'), c.id('actor_id')],
      { primaryKey: ['actor_id', 'request_key'] },
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('requests');
    await runner.dropTable('accounts');
  }
}

class Second1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(
      runner,
      'things',
      [
        c.bigserial('id'),
        c.key('name', { length: 100 }),
        c.text('title', 200, { default: "it's" }),
        c.text('story', 10_000, { nullable: true }),
        c.instant('made_at', { nullable: true }),
        c.money('price', { nullable: true }),
        c.boolean('hidden', { default: false }),
        c.json('doc', { nullable: true }),
      ],
      { uniques: [['name']], indexes: [['hidden', 'made_at']] },
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('things');
  }
}

const migrations = [First1700000000001, Second1700000000002];

/** What every adapter of the database port keeps. `engine` is made once; every test gets fresh rows. */
export function databaseContract(
  name: string,
  makeEngine: () => Promise<DatabaseEngine>,
  features: DatabaseFeatures,
): void {
  describe(`database contract: ${name}`, () => {
    const title = `tributary_contract_${process.pid}`;
    let engine: DatabaseEngine;
    let db: Database;
    const opened: Database[] = [];
    const open = async (as = title): Promise<Database> => {
      const handle = await engine.open({ name: as, migrations });
      opened.push(handle);
      return handle;
    };

    beforeAll(async () => {
      engine = await makeEngine();
      db = await engine.open({ name: title, migrations });
      await db.migrate();
    });
    afterEach(async () => {
      for (const handle of opened.splice(0)) await handle.close();
      await db.transaction(async (tx) => {
        for (const table of ['accounts', 'requests', 'things']) await tx.execute(`DELETE FROM ${table}`);
      });
    });
    afterAll(async () => {
      await db.close();
      await engine.dispose();
    });

    const { account, add, balanceOf, count } = accountsOf(() => db);

    describe('atomicity', () => {
      test('all that a transaction wrote is there when its promise resolves, and its answer is handed on', async () => {
        const id = randomUUID();
        const answer = await db.transaction(async (tx) => {
          await tx.insert('accounts', [{ id, balance: 5 }]);
          await tx.insert('requests', [{ actor_id: id, request_key: 'a', payload: null }]);
          return 'done';
        });
        expect([answer, await balanceOf(id), await count('requests')]).toEqual(['done', 5, 1]);
      });

      test('a throw rolls everything back and is rethrown as it is', async () => {
        const id = await account(1);
        const error = new Error('no');
        const attempt = db.transaction(async (tx) => {
          await tx.execute('UPDATE accounts SET balance = 9 WHERE id = ?', [id]);
          await tx.insert('accounts', [{ id: randomUUID(), balance: 1 }]);
          throw error;
        });
        await expect(attempt).rejects.toBe(error);
        expect([await balanceOf(id), await count('accounts')]).toEqual([1, 1]);
      });

      test('wrong SQL rejects and leaves the connection usable', async () => {
        await expect(db.transaction((tx) => tx.query('SELECT nonsense FROM nowhere'))).rejects.toThrow();
        await expect(db.transaction((tx) => tx.execute('INSERT INTO accounts (id) VALUES (NULL)'))).rejects.toThrow();
        await expect(db.read('SELECT nonsense FROM nowhere')).rejects.toThrow();
        const id = await account(3);
        expect(await balanceOf(id)).toBe(3);
      });

      test('a transaction sees its own writes, a read beside it never does, nor does it wait', async () => {
        const id = await account(1);
        await db.transaction(async (tx) => {
          await tx.execute('UPDATE accounts SET balance = 2 WHERE id = ?', [id]);
          expect(await tx.query('SELECT balance FROM accounts WHERE id = ?', [id])).toEqual([{ balance: 2 }]);
          expect(await balanceOf(id)).toBe(1);
        });
        expect(await balanceOf(id)).toBe(2);
      });

      test('a transaction that is over takes no more statements', async () => {
        const id = await account(1);
        const leaked = await db.transaction(async (tx) => ({ tx }));
        await expect(leaked.tx.execute('UPDATE accounts SET balance = 9 WHERE id = ?', [id])).rejects.toThrow();
        expect(await balanceOf(id)).toBe(1);
      });

      test('afterCommit runs after the commit, in order, and never after a rollback', async () => {
        const id = await account(1);
        const seen: unknown[] = [];
        await db.transaction(async (tx) => {
          tx.afterCommit(() => seen.push('first'));
          tx.afterCommit(() => seen.push(balanceOf(id)));
          await tx.execute('UPDATE accounts SET balance = 2 WHERE id = ?', [id]);
          expect(seen).toEqual([]);
        });
        expect([seen[0], await seen[1]]).toEqual(['first', 2]);
        const failed = db.transaction(async (tx) => {
          tx.afterCommit(() => seen.push('never'));
          await tx.query('SELECT nonsense FROM nowhere');
        });
        await expect(failed).rejects.toThrow();
        expect(seen).toHaveLength(2);
      });

      test('a callback that throws changes neither the result nor the callbacks after it', async () => {
        let woken = false;
        const answer = await db.transaction(async (tx) => {
          tx.afterCommit(() => {
            throw new Error('deaf worker');
          });
          tx.afterCommit(() => (woken = true));
          return 7;
        });
        expect([answer, woken]).toEqual([7, true]);
      });
    });

    concurrencyContract(() => db, open, features);
    rowContract(() => db);
    deferredContract(() => db);

    describe('life', () => {
      test('data outlives the handle', async () => {
        const id = await account(42);
        const again = await open();
        await again.transaction((tx) => add(tx, id, 1));
        await again.close();
        const third = await open();
        expect(await third.read('SELECT balance FROM accounts WHERE id = ?', [id])).toEqual([{ balance: 43 }]);
      });

      test('migrations run once, also when repeated or started by two openers at once', async () => {
        const name = `${title}_b`;
        const [one, two] = await Promise.all([open(name), open(name)]);
        await Promise.all([one.migrate(), two.migrate(), one.migrate()]);
        await one.migrate();
        await one.transaction((tx) => tx.insert('things', [{ name: 'x' }]));
        await two.migrate();
        expect(await two.read('SELECT name FROM things')).toEqual([{ name: 'x' }]);
        expect(await two.read('SELECT name FROM migrations ORDER BY name')).toEqual(
          migrations.map((m) => ({ name: m.name })),
        );
      });

      test('a migration that was cut short runs again from its start and completes', async () => {
        let cut = true;
        class Cut1700000000001 extends First1700000000001 {
          override async up(runner: QueryRunner): Promise<void> {
            await super.up(runner);
            if (cut) throw new Error('cut short');
            await createTable(runner, 'later', [columnsFor(runner).id('id')], { primaryKey: ['id'] });
          }
        }
        const handle = await engine.open({ name: `${title}_e`, migrations: [Cut1700000000001] });
        opened.push(handle);
        await expect(handle.migrate()).rejects.toThrow('cut short');
        cut = false;
        await handle.migrate();
        expect(await handle.read('SELECT COUNT(*) AS n FROM accounts, later')).toEqual([{ n: 0 }]);
        expect(await handle.read('SELECT name FROM migrations')).toEqual([{ name: 'Cut1700000000001' }]);
      });

      test('a later release runs only its new migrations', async () => {
        const name = `${title}_c`;
        const old = await engine.open({ name, migrations: [First1700000000001] });
        opened.push(old);
        await old.migrate();
        await old.transaction((tx) => tx.insert('accounts', [{ id: 'kept', balance: 1 }]));
        const now = await open(name);
        await now.migrate();
        expect(
          await now.read(
            'SELECT a.id, COUNT(t.id) AS things FROM accounts a LEFT JOIN things t ON 1 = 1 GROUP BY a.id',
          ),
        ).toEqual([{ id: 'kept', things: 0 }]);
      });

      test('a named lock has one holder at a time, over all handles, until it is released or its holder closes', async () => {
        const other = await open();
        const mine = await db.tryLock('relay');
        expect([await mine?.isHeld(), await mine?.read('SELECT 1 AS one WHERE 1 = ?', [1])]).toEqual([
          true,
          [{ one: 1 }],
        ]);
        expect(await other.tryLock('relay')).toBeNull();
        expect(await db.tryLock('relay')).toBeNull();
        const different = await other.tryLock('timers');
        expect(await different?.isHeld()).toBe(true);
        await mine?.release();
        await mine?.release();
        expect([await mine?.isHeld(), await mine?.read('SELECT 1 AS one')]).toEqual([false, null]);
        const theirs = await other.tryLock('relay');
        expect([await theirs?.isHeld(), await mine?.isHeld()]).toEqual([true, false]);
        await expect(theirs?.read('SELECT nonsense FROM nowhere')).rejects.toThrow();
        expect(await theirs?.isHeld()).toBe(true);
        await other.close();
        expect(await theirs?.isHeld()).toBe(false);
        const back = await db.tryLock('relay');
        expect(await back?.isHeld()).toBe(true);
        await back?.release();
      });

      test('the same lock name in another database is another lock', async () => {
        const other = await open(`${title}_d`);
        const [mine, theirs] = [await db.tryLock('relay'), await other.tryLock('relay')];
        expect([await mine?.isHeld(), await theirs?.isHeld()]).toEqual([true, true]);
        await mine?.release();
      });

      test('close waits for transactions under way; afterwards everything is EngineUnavailable', async () => {
        const handle = await open();
        const id = await account(0);
        const running = handle.transaction(async (tx) => {
          await add(tx, id, 1);
          await handle.read('SELECT 1 AS one');
          await add(tx, id, 1);
        });
        await Promise.all([handle.close(), handle.close(), running]);
        expect(await balanceOf(id)).toBe(2);
        await expect(handle.transaction(async () => 1)).rejects.toBeInstanceOf(EngineUnavailable);
        await expect(handle.read('SELECT 1 AS one')).rejects.toBeInstanceOf(EngineUnavailable);
        await expect(handle.migrate()).rejects.toBeInstanceOf(EngineUnavailable);
        await expect(handle.tryLock('relay')).rejects.toBeInstanceOf(EngineUnavailable);
        await handle.close();
      });
    });
  });
}
