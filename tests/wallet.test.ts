import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { SALES_ID, Shop, TREASURY_ID } from './shop.js';
import { startTestSystem, userIdentity } from './system.js';
import { until } from './until.js';

let shop: Shop;
let ana: string;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
  ana = (await shop.user()).id;
});

afterAll(() => shop.server.dispose());

interface Transaction {
  readonly id: string;
  readonly kind: string;
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: string;
}

const TRANSACTIONS = `query ($id: ID!, $sort: TransactionSort, $first: Int, $after: String) {
  transactions(accountId: $id, sort: $sort, first: $first, after: $after) {
    nodes { id kind fromAccountId toAccountId amount } pageInfo { hasNextPage endCursor } totalCount
  }
}`;

interface TransactionList {
  readonly nodes: readonly Transaction[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
  readonly totalCount: number;
}

const list = async (variables: Readonly<Record<string, unknown>>) =>
  (await shop.server.ok<{ transactions: TransactionList }>(TRANSACTIONS, variables)).transactions;

const transfer = (fromAccountId: string, toAccountId: string, amount: unknown) =>
  shop.run<Transaction>('transfer', { fromAccountId, toAccountId, amount });

test('a new account is empty and its user is its owner', async () => {
  const id = await shop.account(ana);
  const query =
    'query ($id: ID!) { account(id: $id, minVersion: 1) { version userId balance owner { id } transactions { totalCount } } }';
  expect(await shop.server.ok(query, { id })).toEqual({
    account: { version: 1, userId: ana, balance: '0.00', owner: { id: ana }, transactions: { totalCount: 0 } },
  });
});

test('a deposit comes from the treasury, which alone goes below zero', async () => {
  const id = await shop.account(ana);
  await shop.ledgerIsBalanced();
  const before = Number(await shop.balanceOf(TREASURY_ID));
  const deposit = await shop.run<Transaction>('deposit', { accountId: id, amount: '800.00' });
  expect(deposit).toMatchObject({ kind: 'DEPOSIT', fromAccountId: TREASURY_ID, toAccountId: id, amount: '800.00' });
  await shop.balanceReaches(id, '800.00');
  await shop.balanceReaches(TREASURY_ID, (before - 800).toFixed(2));
  await shop.ledgerIsBalanced();
});

test('a transfer moves money to the cent, and both sides show it', async () => {
  const [from, to] = [await shop.account(ana, '100.00'), await shop.account((await shop.user()).id)];
  const made = await transfer(from, to, 33.33);
  expect(made).toMatchObject({ kind: 'TRANSFER', fromAccountId: from, toAccountId: to, amount: '33.33' });
  await shop.balanceReaches(from, '66.67');
  await shop.balanceReaches(to, '33.33');
  await until(async () => {
    expect((await list({ id: to })).nodes).toEqual([made]);
    expect((await list({ id: from })).nodes[0]).toEqual(made);
    return true;
  });
});

test('nothing is moved that is not there', async () => {
  const [from, to] = [await shop.account(ana, '10.00'), await shop.account(ana)];
  const input = { fromAccountId: from, toAccountId: to };
  expect(await shop.refused('transfer', { ...input, amount: '10.01' })).toEqual({
    code: 'INSUFFICIENT_FUNDS',
    field: 'amount',
  });
  await transfer(from, to, '10.00');
  expect(await shop.refused('transfer', { ...input, amount: '0.01' })).toEqual({
    code: 'INSUFFICIENT_FUNDS',
    field: 'amount',
  });
  await shop.balanceReaches(from, '0.00');
  await shop.balanceReaches(to, '10.00');
});

test('fifty transfers at once in both directions neither fail nor make or lose money', async () => {
  const [one, two] = [await shop.account(ana, '1000.00'), await shop.account((await shop.user()).id, '1000.00')];
  const transfers = Array.from({ length: 50 }, (_, index) =>
    index % 2 === 0 ? transfer(one, two, '3.00') : transfer(two, one, '1.01'),
  );
  const made = await Promise.all(transfers);
  expect(new Set(made.map(({ id }) => id)).size).toBe(50);
  await shop.balanceReaches(one, '950.25');
  await shop.balanceReaches(two, '1049.75');
  await shop.ledgerIsBalanced();
  await until(async () => (await list({ id: one })).totalCount === 51);
});

test('of transfers at once that together ask for more than there is, as many are made as the money allows', async () => {
  const [from, to] = [await shop.account(ana, '50.00'), await shop.account(ana)];
  const answers = await Promise.all(
    Array.from({ length: 12 }, () =>
      shop.refused('transfer', { fromAccountId: from, toAccountId: to, amount: '9.00' }),
    ),
  );
  expect(answers.filter((refusal) => refusal === undefined)).toHaveLength(5);
  expect(answers.filter((refusal) => refusal?.code === 'INSUFFICIENT_FUNDS')).toHaveLength(7);
  await shop.balanceReaches(from, '5.00');
  await shop.balanceReaches(to, '45.00');
});

test('money that goes round in a circle of accounts at once is all there in the end', async () => {
  const accounts = await Promise.all(Array.from({ length: 5 }, () => shop.account(ana, '100.00')));
  await Promise.all(
    Array.from({ length: 50 }, (_, index) => {
      const from = accounts[index % 5]!;
      const to = accounts[(index + 1 + (index % 3)) % 5]!;
      return shop.refused('transfer', { fromAccountId: from, toAccountId: to, amount: '7.77' });
    }),
  );
  await until(async () => {
    const balances = await Promise.all(accounts.map((id) => shop.balanceOf(id)));
    return balances.reduce((sum, balance) => sum + Math.round(Number(balance) * 100), 0) === 50_000;
  });
  await shop.ledgerIsBalanced();
});

test('movements are paged newest or oldest first', async () => {
  const [from, to] = [await shop.account(ana, '100.00'), await shop.account(ana)];
  for (const amount of ['1.00', '2.00', '3.00']) await transfer(from, to, amount);
  await until(async () => (await list({ id: to })).totalCount === 3);
  const amounts = async (sort?: string): Promise<string[]> => {
    const found: string[] = [];
    for (let after: string | null = null; ;) {
      const page: TransactionList = await list({ id: to, first: 2, after, ...(sort && { sort }) });
      found.push(...page.nodes.map(({ amount }) => amount));
      if (!page.pageInfo.hasNextPage) return found;
      after = page.pageInfo.endCursor;
    }
  };
  expect(await amounts()).toEqual(['3.00', '2.00', '1.00']);
  expect(await amounts('CREATED_AT_ASC')).toEqual(['1.00', '2.00', '3.00']);
});

test("nobody moves the house's own money", async () => {
  const id = await shop.account(ana, '10.00');
  const balances = () => shop.server.databases.get('tributary_balance')?.read('SELECT id, balance FROM accounts');
  for (const house of [TREASURY_ID, SALES_ID]) {
    const before = await balances();
    const out = { fromAccountId: house, toAccountId: id, amount: '1.00' };
    expect(await shop.refused('transfer', out)).toEqual({ code: 'FORBIDDEN', field: 'fromAccountId' });
    const into = { fromAccountId: id, toAccountId: house, amount: '1.00' };
    expect(await shop.refused('transfer', into)).toEqual({ code: 'VALIDATION', field: 'toAccountId' });
    expect(await shop.refused('deposit', { accountId: house, amount: '1.00' })).toEqual({
      code: 'VALIDATION',
      field: 'accountId',
    });
    expect(await balances()).toEqual(before);
  }
});

test('repeats with one idempotency key move money once, also at once', async () => {
  const [from, to] = [await shop.account(ana, '100.00'), await shop.account(ana)];
  const input = { fromAccountId: from, toAccountId: to, amount: '5.00', idempotencyKey: newId() };
  const made = await Promise.all(Array.from({ length: 10 }, () => shop.run<Transaction>('transfer', input)));
  expect(new Set(made.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(await shop.run('transfer', input)).toEqual(made[0]);
  await shop.balanceReaches(to, '5.00');

  const deposit = { accountId: to, amount: '1.00', idempotencyKey: input.idempotencyKey };
  const deposited = await Promise.all(Array.from({ length: 10 }, () => shop.run<Transaction>('deposit', deposit)));
  expect(new Set(deposited.map(({ id }) => id)).size).toBe(1);
  await shop.balanceReaches(to, '6.00');
  await shop.balanceReaches(from, '95.00');

  const opened = { userId: ana, idempotencyKey: newId() };
  const accounts = await Promise.all(
    Array.from({ length: 10 }, () => shop.run<{ id: string }>('createAccount', opened)),
  );
  expect(new Set(accounts.map(({ id }) => id)).size).toBe(1);

  const conflict = { code: 'CONFLICT', field: 'idempotencyKey' };
  expect(await shop.refused('transfer', { ...input, amount: '5.01' })).toEqual(conflict);
  expect(await shop.refused('deposit', { ...deposit, amount: '1.01' })).toEqual(conflict);
  // The same amount in another spelling is the same input.
  expect(await shop.run('transfer', { ...input, amount: 5 })).toEqual(made[0]);
});

test('accounts are for users that exist', async () => {
  expect(await shop.refused('createAccount', { userId: '0190a000-0000-7000-8000-00000000abcd' })).toEqual({
    code: 'NOT_FOUND',
    field: 'userId',
  });
});

test('the account of a deleted user takes no more money, and administrators may empty it', async () => {
  const eva = await shop.user();
  const [from, evas] = [await shop.account(ana, '10.00'), await shop.account(eva.id)];
  await shop.run('deleteUser', { id: eva.id });
  const deposit = { accountId: evas, amount: '0.01' };
  const into = { fromAccountId: from, toAccountId: evas, amount: '0.01' };
  // Until balance has heard of it, money may still arrive: that is what administrators move on.
  await until(async () => (await shop.refused('deposit', deposit)) !== undefined);
  expect(await shop.refused('deposit', deposit)).toEqual({ code: 'CONFLICT', field: 'accountId' });
  expect(await shop.refused('transfer', into, userIdentity(ana))).toEqual({ code: 'CONFLICT', field: 'toAccountId' });

  const sql = 'SELECT balance FROM accounts WHERE id = ?';
  const rows = await shop.server.databases.get('tributary_balance')?.read<{ balance: number }>(sql, [evas]);
  const left = ((rows?.[0]?.balance ?? NaN) / 100).toFixed(2);
  if (left !== '0.00') await transfer(evas, from, left);
  await shop.balanceReaches(evas, '0.00');
  await shop.ledgerIsBalanced();
});

test('people move their own money only, and only administrators bring money in', async () => {
  const eva = await shop.user();
  const [anas, evas] = [await shop.account(ana, '10.00'), await shop.account(eva.id, '10.00')];
  const [asAna, asEva] = [userIdentity(ana), userIdentity(eva.id)];
  const forbidden = { code: 'FORBIDDEN', field: undefined };
  const unauthenticated = { code: 'UNAUTHENTICATED', field: undefined };
  const ACCOUNT = 'query ($id: ID!) { account(id: $id) { balance } }';
  const move = { fromAccountId: anas, toAccountId: evas, amount: '1.00' };
  await shop.balanceReaches(anas, '10.00');

  expect(await shop.refusal(ACCOUNT, { id: anas }, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refusal(ACCOUNT, { id: anas }, asEva)).toEqual(forbidden);
  expect(await shop.refusal(TRANSACTIONS, { id: anas }, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refusal(TRANSACTIONS, { id: anas }, asEva)).toEqual(forbidden);
  expect(await shop.refusal(ACCOUNT, { id: SALES_ID }, asEva)).toEqual(forbidden);
  expect(await shop.refused('transfer', move, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refused('transfer', move, asEva)).toEqual(forbidden);
  expect(await shop.refused('deposit', { accountId: anas, amount: '1.00' }, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refused('deposit', { accountId: anas, amount: '1.00' }, asAna)).toEqual(forbidden);
  expect(await shop.refused('createAccount', { userId: ana }, ANONYMOUS)).toEqual(unauthenticated);
  expect(await shop.refused('createAccount', { userId: ana }, asEva)).toEqual({ code: 'FORBIDDEN', field: 'userId' });
  await shop.balanceReaches(anas, '10.00');
  await shop.balanceReaches(evas, '10.00');

  expect(await shop.refused('transfer', move, asAna)).toBeUndefined();
  await shop.balanceReaches(evas, '11.00');
  expect(await shop.refusal(ACCOUNT, { id: anas }, asAna)).toBeUndefined();
  expect(await shop.run<{ userId: string }>('createAccount', {}, asEva)).toMatchObject({ userId: eva.id });
});

test('REST and GraphQL tell the same balance, and an unknown account is a problem', async () => {
  const id = await shop.account(ana, '850.00');
  await shop.balanceReaches(id, '850.00');
  const base = `http://127.0.0.1:${shop.server.config.ports.rest}`;
  const balance = await fetch(`${base}/balances/${id}`);
  expect(balance.status).toBe(200);
  expect(JSON.stringify(await balance.json())).toMatch(/850(\.00)?/);
  expect((await fetch(`${base}/accounts/${id}`)).status).toBe(200);
  const unknown = await fetch(`${base}/balances/${newId()}`);
  expect(unknown.status).toBe(404);
  expect(unknown.headers.get('content-type')).toContain('application/problem+json');
});
