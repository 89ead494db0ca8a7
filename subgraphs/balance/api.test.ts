import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '../../shared/ids/ids.js';
import { userIdentity } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { SALES_ID, TREASURY_ID } from './account.js';
import {
  balance,
  balanceOf,
  cancel,
  CREATE,
  DEPOSIT,
  EVA,
  eventsOf,
  FRANK,
  newAccount,
  request,
  startBalance,
  sumOfBalances,
  typesOf,
  userCreated,
} from './balance-tools.js';

const TRANSFER =
  'mutation ($input: TransferInput!) { transfer(input: $input) { transaction { id kind fromAccountId toAccountId amount } } }';

beforeAll(startBalance);
afterAll(() => balance.dispose());

const userDeleted = (id: string) => {
  const { user } = userCreated(id).data;
  const gone = { ...user, version: 2, name: '', email: '', deleted: true };
  return { type: 'user.deleted', subject: id, sequence: 2, data: { user: gone } } as const;
};

/** The user is deleted, and balance has heard of it. */
async function remove(id: string): Promise<void> {
  await balance.publish(userDeleted(id));
  await until(async () => {
    const sql = 'SELECT deleted FROM users WHERE id = ?';
    return (await balance.database.read<{ deleted: number }>(sql, [id]))[0]?.deleted === 1;
  });
}

async function everything(): Promise<unknown> {
  const accounts = await balance.database.read('SELECT * FROM accounts ORDER BY id');
  const transactions = await balance.database.read('SELECT * FROM transactions ORDER BY id');
  const events = await balance.database.read('SELECT COUNT(*) AS count FROM outbox');
  return { accounts, transactions, events };
}

describe('accounts', () => {
  test('the house has its own from the start, and the log knows of them', async () => {
    await until(() => [TREASURY_ID, SALES_ID].every((id) => eventsOf(id)[0]?.type === 'account.created'));
    expect(eventsOf(TREASURY_ID)[0]?.data).toMatchObject({ account: { kind: 'TREASURY', userId: null, version: 1 } });
  });

  test('an account is opened for oneself, and by administrators for anybody', async () => {
    const mine = await balance.ok(CREATE, { input: {} }, userIdentity(EVA));
    expect(mine).toMatchObject({ createAccount: { account: { version: 1, userId: EVA, balance: '0.00' } } });
    expect(await balance.ok(CREATE, { input: { userId: FRANK } })).toMatchObject({
      createAccount: { account: { userId: FRANK } },
    });
    expect(await balance.refusal(CREATE, { input: { userId: FRANK } }, userIdentity(EVA))).toEqual({
      code: 'FORBIDDEN',
      field: 'userId',
    });
  });

  test('a user made a moment ago is waited for', async () => {
    const late = newId();
    const opening = balance.ok(CREATE, { input: { userId: late } });
    await balance.publish(userCreated(late));
    expect(await opening).toMatchObject({ createAccount: { account: { userId: late } } });
  });

  test('only the owner and administrators see an account', async () => {
    const id = await newAccount();
    const query = `{ _entities(representations: [{ __typename: "Account", id: "${id}" }]) { ... on Account { balance } } }`;
    const seen = { _entities: [{ balance: '0.00' }] };
    expect(await balance.ok(query, {}, userIdentity(EVA))).toEqual(seen);
    expect(await balance.ok(query)).toEqual(seen);
    expect(await balance.ok(query, {}, userIdentity(FRANK))).toEqual({ _entities: [null] });
  });
});

describe('money', () => {
  test('a deposit comes from the treasury, a transfer from the other account', async () => {
    const [eva, frank] = [await newAccount(EVA), await newAccount(FRANK)];
    const treasury = (await balanceOf(TREASURY_ID)) ?? NaN;
    expect(await balance.ok(DEPOSIT, { input: { accountId: eva, amount: '10.00' } })).toMatchObject({
      deposit: { transaction: { kind: 'DEPOSIT', fromAccountId: TREASURY_ID, toAccountId: eva, amount: '10.00' } },
    });
    const input = { fromAccountId: eva, toAccountId: frank, amount: 2.5 };
    expect(await balance.ok(TRANSFER, { input }, userIdentity(EVA))).toMatchObject({
      transfer: { transaction: { kind: 'TRANSFER', amount: '2.50' } },
    });
    expect([await balanceOf(eva), await balanceOf(frank)]).toEqual([750, 250]);
    expect(await balanceOf(TREASURY_ID)).toBe(treasury - 1_000);
  });

  test('a repeated call with the same key moves money once', async () => {
    const eva = await newAccount();
    const input = { accountId: eva, amount: '1.00', idempotencyKey: newId() };
    const answers = await Promise.all(Array.from({ length: 5 }, () => balance.ok(DEPOSIT, { input })));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await balanceOf(eva)).toBe(100);
    expect(await balance.refusal(DEPOSIT, { input: { ...input, amount: '2.00' } })).toEqual({
      code: 'CONFLICT',
      field: 'idempotencyKey',
    });
    expect(await balanceOf(eva)).toBe(100);
  });

  test('50 transfers at once in both directions neither deadlock nor create money', async () => {
    const [eva, frank] = [await newAccount(EVA, '10.00'), await newAccount(FRANK, '10.00')];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const [fromAccountId, toAccountId] = index % 2 === 0 ? [eva, frank] : [frank, eva];
        return balance.refusal(TRANSFER, { input: { fromAccountId, toAccountId, amount: '3.00' } });
      }),
    );
    for (const refusal of answers) {
      if (refusal !== undefined) expect(refusal).toEqual({ code: 'INSUFFICIENT_FUNDS', field: 'amount' });
    }
    const [left, right] = [(await balanceOf(eva)) ?? NaN, (await balanceOf(frank)) ?? NaN];
    expect(left + right).toBe(2_000);
    expect(Math.min(left, right)).toBeGreaterThanOrEqual(0);
    expect(await sumOfBalances()).toBe(0);
  });
});

describe('the account of a deleted user', () => {
  test('takes no more money, and gives what it has to whom an administrator sends it', async () => {
    const [gina, eva] = [newId(), await newAccount(EVA, '5.00')];
    await balance.publish(userCreated(gina));
    const account = await newAccount(gina);
    const deposit = { accountId: account, amount: '3.00', idempotencyKey: newId() };
    const first = await balance.ok(DEPOSIT, { input: deposit });
    await remove(gina);

    const before = await everything();
    expect(await balance.refusal(DEPOSIT, { input: { accountId: account, amount: '1.00' } })).toEqual({
      code: 'CONFLICT',
      field: 'accountId',
    });
    const into = { fromAccountId: eva, toAccountId: account, amount: '1.00' };
    for (const identity of [userIdentity(EVA), undefined]) {
      expect(await balance.refusal(TRANSFER, { input: into }, identity)).toEqual({
        code: 'CONFLICT',
        field: 'toAccountId',
      });
    }
    // A repeat is no new deposit: it is told how the first one ended.
    expect(await balance.ok(DEPOSIT, { input: deposit })).toEqual(first);
    expect(await everything()).toEqual(before);

    await balance.ok(TRANSFER, { input: { fromAccountId: account, toAccountId: eva, amount: '3.00' } });
    expect([await balanceOf(account), await balanceOf(eva)]).toEqual([0, 800]);
    expect(await sumOfBalances()).toBe(0);
  });

  test('gets back what its canceled order has paid', async () => {
    const [hugo, id] = [newId(), newId()];
    await balance.publish(userCreated(hugo));
    const accountId = await newAccount(hugo, '10.00');
    await balance.publish(request({ id, total: 1_000, userId: hugo, method: 'WALLET', accountId }));
    await until(() => typesOf(id).includes('payment.completed'));
    await remove(hugo);
    await balance.publish(cancel(id));
    await until(() => typesOf(id).includes('payment.refunded'));
    expect(await balanceOf(accountId)).toBe(1_000);
    expect(await sumOfBalances()).toBe(0);
  });
});

describe('bad input is refused with code and field, and changes nothing', () => {
  const unknown = '0190a000-0000-7000-8000-00000000dead';
  let eva: string;
  let frank: string;
  beforeAll(async () => {
    eva = await newAccount(EVA, '5.00');
    frank = await newAccount(FRANK);
  });
  const amounts: [unknown, string, string][] = [
    ['0', 'VALIDATION', 'amount'],
    ['-1.00', 'VALIDATION', 'amount'],
    ['1.005', 'VALIDATION', 'amount'],
    ['10000000.01', 'VALIDATION', 'amount'],
    ['1e3', 'VALIDATION', 'amount'],
    ['NaN', 'VALIDATION', 'amount'],
    ['', 'VALIDATION', 'amount'],
    [true, 'VALIDATION', 'amount'],
    [null, 'VALIDATION', 'amount'],
  ];

  test.each<[string, Record<string, unknown>, string, string]>([
    ['an unknown user', { userId: unknown }, 'NOT_FOUND', 'userId'],
    ['a malformed user id', { userId: 'me' }, 'VALIDATION', 'userId'],
    ['an empty idempotency key', { idempotencyKey: '' }, 'VALIDATION', 'idempotencyKey'],
    ['a blank idempotency key', { idempotencyKey: '  ' }, 'VALIDATION', 'idempotencyKey'],
  ])('createAccount: %s', async (_, input, code, field) => {
    const before = await everything();
    expect(await balance.refusal(CREATE, { input })).toEqual({ code, field });
    expect(await everything()).toEqual(before);
  });

  test.each<[string, (eva: string) => Record<string, unknown>, string, string]>([
    ['an unknown account', () => ({ accountId: unknown, amount: '1' }), 'NOT_FOUND', 'accountId'],
    ['a malformed account id', () => ({ accountId: '1', amount: '1' }), 'VALIDATION', 'accountId'],
    ["the house's own account", () => ({ accountId: SALES_ID, amount: '1' }), 'VALIDATION', 'accountId'],
    ...amounts.map(([amount, code, field]): [string, (eva: string) => Record<string, unknown>, string, string] => [
      `an amount of ${JSON.stringify(amount)}`,
      (accountId) => ({ accountId, amount }),
      code,
      field,
    ]),
  ])('deposit: %s', async (_, input, code, field) => {
    const before = await everything();
    expect(await balance.refusal(DEPOSIT, { input: input(eva) })).toEqual({ code, field });
    expect(await everything()).toEqual(before);
  });

  test('deposit: not by an administrator', async () => {
    const input = { accountId: eva, amount: '1' };
    expect(await balance.refusal(DEPOSIT, { input }, userIdentity(EVA))).toMatchObject({ code: 'FORBIDDEN' });
    expect(await balance.refusal(DEPOSIT, { input }, { role: 'ANONYMOUS', userId: null })).toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  test.each<[string, (ids: { eva: string; frank: string }) => Record<string, unknown>, string, string]>([
    ['more than there is', (ids) => ({ amount: '5.01', ...between(ids) }), 'INSUFFICIENT_FUNDS', 'amount'],
    [
      'to oneself',
      (ids) => ({ fromAccountId: ids.eva, toAccountId: ids.eva, amount: '1' }),
      'VALIDATION',
      'toAccountId',
    ],
    ['of zero', (ids) => ({ amount: '0.00', ...between(ids) }), 'VALIDATION', 'amount'],
    [
      'from nowhere',
      (ids) => ({ fromAccountId: unknown, toAccountId: ids.frank, amount: '1' }),
      'NOT_FOUND',
      'fromAccountId',
    ],
    [
      'to nowhere',
      (ids) => ({ fromAccountId: ids.eva, toAccountId: unknown, amount: '1' }),
      'NOT_FOUND',
      'toAccountId',
    ],
    [
      'from a malformed id',
      (ids) => ({ fromAccountId: '', toAccountId: ids.frank, amount: '1' }),
      'VALIDATION',
      'fromAccountId',
    ],
    [
      'to a malformed id',
      (ids) => ({ fromAccountId: ids.eva, toAccountId: 'x', amount: '1' }),
      'VALIDATION',
      'toAccountId',
    ],
    [
      'out of the treasury',
      (ids) => ({ fromAccountId: TREASURY_ID, toAccountId: ids.eva, amount: '1' }),
      'FORBIDDEN',
      'fromAccountId',
    ],
    [
      'into sales',
      (ids) => ({ fromAccountId: ids.eva, toAccountId: SALES_ID, amount: '1' }),
      'VALIDATION',
      'toAccountId',
    ],
  ])('transfer: %s', async (_, input, code, field) => {
    const before = await everything();
    expect(await balance.refusal(TRANSFER, { input: input({ eva, frank }) })).toEqual({ code, field });
    expect(await everything()).toEqual(before);
  });

  test("transfer: out of somebody else's account", async () => {
    const input = { amount: '1', ...between({ eva, frank }) };
    expect(await balance.refusal(TRANSFER, { input }, userIdentity(FRANK))).toMatchObject({ code: 'FORBIDDEN' });
  });
});

const between = ({ eva, frank }: { eva: string; frank: string }) => ({ fromAccountId: eva, toAccountId: frank });
