import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Transaction } from '../../shared/database/port.js';
import { AppError, EngineUnavailable } from '../../shared/errors/errors.js';
import { newId } from '../../shared/ids/ids.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { startSubgraph, type TestSubgraph } from '../../tests/subgraph.js';
import { buildUser, type UserSubgraph } from './app.js';
import { UserStore, type Obligation } from './store.js';
import { decide, type UserState } from './user.js';
import { newVerification } from './verifications.js';

const store = new UserStore(new Outbox('tributary/test', Date.now));
let user: TestSubgraph<UserSubgraph>;

beforeAll(async () => {
  user = await startSubgraph('user', buildUser);
});
afterAll(() => user.dispose());

const newEmail = (): string => `${newId()}@example.com`;

const create = (tx: Transaction, email: string): Promise<UserState> => {
  const ana = { id: newId(), name: 'Ana', email, role: 'USER', locale: 'EN' } as const;
  return store.save(tx, null, decide(null, { type: 'create', ...ana, at: 1 }), null);
};

const rename = (tx: Transaction, before: UserState, email: string): Promise<UserState> =>
  store.save(tx, before, decide(before, { type: 'update', email, at: 2, verification: newVerification(2) }), null);

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

/** The transaction, with something else after its first look or write: what another process would do in between. */
function interrupted(tx: Transaction, rival: () => Promise<unknown>): Transaction {
  let done = false;
  const then = async <T>(statement: Promise<T>): Promise<T> => {
    const answer = await statement;
    if (!done) {
      done = true;
      await rival();
      // What the rival deferred is written by then: it stands for somebody else's transaction.
      await tx.query('SELECT 1 AS one');
    }
    return answer;
  };
  return {
    ...delegate(tx),
    query: (...all) => then(tx.query(...all)),
    insertNew: (...all) => then(tx.insertNew(...all)),
  };
}

const delegate = (tx: Transaction): Transaction => ({
  query: (...all) => tx.query(...all),
  execute: (...all) => tx.execute(...all),
  insert: (...all) => tx.insert(...all),
  upsert: (...all) => tx.upsert(...all),
  insertNew: (...all) => tx.insertNew(...all),
  lock: (...all) => tx.lock(...all),
  tryLock: (...all) => tx.tryLock(...all),
  deferred: tx.deferred,
  afterCommit: (callback) => tx.afterCommit(callback),
});

const taken = expect.objectContaining({ code: 'CONFLICT', field: 'email' });

test('whoever takes an address right after it was looked up is named, for a new user and a changed one', async () => {
  await user.database.transaction(async (tx) => {
    const [first, second] = [newEmail(), newEmail()];
    expect(
      await failure(
        create(
          interrupted(tx, () => create(tx, first)),
          first.toUpperCase(),
        ),
      ),
    ).toEqual(taken);
    const before = await create(tx, newEmail());
    expect(
      await failure(
        rename(
          interrupted(tx, () => create(tx, second)),
          before,
          second,
        ),
      ),
    ).toEqual(taken);
    expect(await store.lock(tx, before.id)).toEqual(before);
  });
});

test('after any other failure the transaction is asked for nothing more, and the failure is passed on', async () => {
  const lost = new EngineUnavailable('database');
  await user.database.transaction(async (tx) => {
    const before = await create(tx, newEmail());
    let broken = false;
    const breaks = async (): Promise<never> => {
      broken = true;
      throw lost;
    };
    const breaking: Transaction = {
      ...delegate(tx),
      insert: breaks,
      upsert: breaks,
      query: (...all) => (broken ? Promise.reject(new AppError('INTERNAL', 'asked again')) : tx.query(...all)),
    };
    expect(await failure(create(breaking, newEmail()))).toBe(lost);
    broken = false;
    expect(await failure(rename(breaking, before, newEmail()))).toBe(lost);
  });
});

test('of what ties a user the newest stays, in whatever order it comes and whoever writes in between', async () => {
  const [userId, subject] = [newId(), newId()];
  const at = (version: number, open: boolean, id = subject): Obligation => ({
    kind: 'order',
    subject: id,
    userId,
    version,
    open,
  });
  await user.database.transaction(async (tx) => {
    const save = (...all: Obligation[]) => store.saveObligations(tx, 'order', all);
    const open = async (): Promise<number> => (await store.obligations(tx, userId)).openOrders;
    await save(at(2, true), at(1, false));
    expect(await open()).toBe(1);
    await save(at(1, false), at(1, true, newId()));
    expect(await open()).toBe(2);
    await save(at(3, false));
    expect(await open()).toBe(1);
    for (const id of [subject, newId()]) {
      const rival = () => save(at(9, false, id));
      await store.saveObligations(interrupted(tx, rival), 'order', [at(8, true, id)]);
      expect(await open()).toBe(1);
    }
    await store.saveObligations(tx, 'account', [{ ...at(1, true), kind: 'account' }]);
    expect(await store.obligations(tx, userId)).toEqual({ openOrders: 1, accountsWithMoney: 1 });
  });
});
