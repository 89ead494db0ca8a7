import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AnyEvent } from '../../shared/events/event.js';
import type { OrderState, PaymentMethod, PaymentsState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { startSubgraph, userIdentity, type TestSubgraph } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { SALES_ID, TREASURY_ID } from './account.js';
import { buildBalance, type BalanceSubgraph } from './app.js';
import { createSandboxProvider } from './provider.js';

const CREATE =
  'mutation ($input: CreateAccountInput!) { createAccount(input: $input) { account { id version userId balance } } }';
const DEPOSIT =
  'mutation ($input: DepositInput!) { deposit(input: $input) { transaction { id kind fromAccountId toAccountId amount } } }';
const TRANSFER =
  'mutation ($input: TransferInput!) { transfer(input: $input) { transaction { id kind fromAccountId toAccountId amount } } }';

const EVA = newId();
const FRANK = newId();
let balance: TestSubgraph<BalanceSubgraph>;

beforeAll(async () => {
  balance = await startSubgraph('balance', (deps) =>
    buildBalance({ ...deps, provider: createSandboxProvider({ now: deps.now, delayMs: 300 }) }),
  );
  await balance.publish(...[EVA, FRANK].map((id) => userCreated(id)));
});
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

const userCreated = (id: string) => {
  const at = Date.now();
  const user = {
    id,
    version: 1,
    name: 'E',
    email: 'e@x.org',
    role: 'USER',
    locale: 'EN',
    verified: false,
    deleted: false,
    createdAt: at,
    updatedAt: at,
  } as const;
  return { type: 'user.created', subject: id, sequence: 1, data: { user } } as const;
};

async function newAccount(userId = EVA, amount?: string): Promise<string> {
  type Created = { createAccount: { account: { id: string } } };
  const { createAccount } = await balance.ok<Created>(CREATE, { input: { userId } });
  const { id } = createAccount.account;
  if (amount !== undefined) await balance.ok(DEPOSIT, { input: { accountId: id, amount } });
  return id;
}

/** What an order says when it is to be paid, or is canceled. */
function orderEvent(
  type: 'order.payment_requested' | 'order.canceled',
  {
    id,
    total,
    userId = EVA,
    method = 'CREDIT_CARD',
    accountId = null,
    paymentId = newId(),
    version = 3,
  }: {
    readonly id: string;
    readonly total: number;
    readonly userId?: string;
    readonly method?: PaymentMethod;
    readonly accountId?: string | null;
    readonly paymentId?: string;
    readonly version?: number;
  },
) {
  const status = type === 'order.canceled' ? 'CANCELED' : 'AWAITING_PAYMENT';
  const order: OrderState = {
    id,
    version,
    userId,
    status,
    items: [{ productId: newId(), name: 'Thing', quantity: 1, unitPrice: total }],
    total,
    payment: { paymentId, method, accountId, status: 'REQUESTED', reference: null },
    cancelReason: null,
    history: [{ version, status, at: 1, reason: null }],
    deleted: false,
    createdAt: 1,
    updatedAt: 1,
  };
  return { id: newId(), type, subject: id, sequence: version, data: { order } };
}

const request = (order: Parameters<typeof orderEvent>[1]) => orderEvent('order.payment_requested', order);
const cancel = (id: string, total = 1) => orderEvent('order.canceled', { id, total, version: 4 });

const eventsOf = (subject: string): AnyEvent[] => balance.heard.filter((event) => event.subject === subject);
const typesOf = (orderId: string): string[] =>
  eventsOf(orderId)
    .map(({ type }) => type)
    .filter((type) => type.startsWith('payment.'));
const attemptsOf = (orderId: string): PaymentsState['attempts'] => {
  const last = eventsOf(orderId).at(-1);
  return last !== undefined && 'payments' in last.data ? last.data.payments.attempts : [];
};

async function balanceOf(id: string): Promise<number | undefined> {
  const [row] = await balance.database.read<{ balance: number }>('SELECT balance FROM accounts WHERE id = ?', [id]);
  return row?.balance;
}

async function everything(): Promise<unknown> {
  const accounts = await balance.database.read('SELECT * FROM accounts ORDER BY id');
  const transactions = await balance.database.read('SELECT * FROM transactions ORDER BY id');
  const events = await balance.database.read('SELECT COUNT(*) AS count FROM outbox');
  return { accounts, transactions, events };
}

async function sumOfBalances(): Promise<number> {
  const [row] = await balance.database.read<{ sum: number }>('SELECT SUM(balance) AS sum FROM accounts');
  return row?.sum ?? NaN;
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

describe('payments by card, PIX and BOLETO', () => {
  test('are approved at once, without touching the ledger', async () => {
    const before = await sumOfBalances();
    const id = newId();
    await balance.publish(request({ id, total: 5_000, paymentId: 'p-approved' }));
    await until(() => typesOf(id).includes('payment.completed'));
    expect(attemptsOf(id)).toEqual([
      {
        paymentId: 'p-approved',
        method: 'CREDIT_CARD',
        accountId: null,
        amount: 5_000,
        status: 'COMPLETED',
        reference: 'sandbox-p-approved',
        reason: null,
      },
    ]);
    expect(await sumOfBalances()).toBe(before);
  });

  test('are declined with the reason of the provider, and may be tried again', async () => {
    const id = newId();
    await balance.publish(request({ id, total: 402_02, method: 'PIX' }));
    await until(() => typesOf(id).includes('payment.failed'));
    expect(attemptsOf(id)).toMatchObject([{ status: 'FAILED', reason: 'PIX_REJECTED' }]);
    await balance.publish(request({ id, total: 402_03, method: 'BOLETO', version: 5 }));
    await until(() => typesOf(id).includes('payment.completed'));
    expect(attemptsOf(id).map(({ status }) => status)).toEqual(['FAILED', 'COMPLETED']);
  });

  test('that are decided late stay open until then', async () => {
    const [approved, declined] = [newId(), newId()];
    await balance.publish(request({ id: approved, total: 202_02 }), request({ id: declined, total: 202_40 }));
    await until(async () => (await pendingCalls()) === 2);
    expect([typesOf(approved), typesOf(declined)]).toEqual([[], []]);
    await until(() => typesOf(approved).length + typesOf(declined).length === 2);
    expect([typesOf(approved), typesOf(declined)]).toEqual([['payment.completed'], ['payment.failed']]);
  });

  test('that come in after a cancel are given back', async () => {
    const id = newId();
    await balance.publish(request({ id, total: 202_02 }));
    await until(async () => (await pendingCalls()) === 1);
    await balance.publish(cancel(id, 202_02));
    await until(() => typesOf(id).includes('payment.refunded'));
    expect(typesOf(id)).toEqual(['payment.failed', 'payment.refunded']);
    expect(attemptsOf(id)).toMatchObject([{ status: 'REFUNDED', reason: 'ORDER_CANCELED' }]);
  });

  test('that came in before a cancel are given back, once', async () => {
    const id = newId();
    const canceled = cancel(id);
    await balance.publish(request({ id, total: 5_000 }));
    await until(() => typesOf(id).includes('payment.completed'));
    await balance.publish(canceled, canceled);
    await until(() => typesOf(id).includes('payment.refunded'));
    await settled();
    expect(typesOf(id)).toEqual(['payment.completed', 'payment.refunded']);
  });

  test('asked for after a cancel fail; the tombstone itself is not published', async () => {
    const id = newId();
    await balance.publish(cancel(id));
    await settled();
    expect(typesOf(id)).toEqual([]);
    await balance.publish(request({ id, total: 5_000 }));
    await until(() => typesOf(id).includes('payment.failed'));
    expect(attemptsOf(id)).toMatchObject([{ status: 'VOIDED', reason: 'ORDER_CANCELED' }]);
    expect(await pendingCalls()).toBe(0);
  });
});

describe('payments from a wallet', () => {
  test('move the money to sales, once however often the event comes, and a cancel moves it back', async () => {
    const eva = await newAccount(EVA, '100.00');
    const sales = (await balanceOf(SALES_ID)) ?? NaN;
    const id = newId();
    const asked = request({ id, total: 2_500, method: 'WALLET', accountId: eva });
    await balance.publish(asked, asked);
    await until(() => typesOf(id).includes('payment.completed'));
    expect([await balanceOf(eva), await balanceOf(SALES_ID)]).toEqual([7_500, sales + 2_500]);
    const [{ reference } = { reference: null }] = attemptsOf(id);
    expect(await balance.database.read('SELECT kind, amount FROM transactions WHERE id = ?', [reference])).toEqual([
      { kind: 'PAYMENT', amount: 2_500 },
    ]);

    await balance.publish(cancel(id));
    await until(() => typesOf(id).includes('payment.refunded'));
    expect([await balanceOf(eva), await balanceOf(SALES_ID)]).toEqual([10_000, sales]);
    expect(await sumOfBalances()).toBe(0);
  });

  test.each<[string, string, () => Promise<string | null>]>([
    ['INSUFFICIENT_FUNDS', 'too little money', () => newAccount(EVA, '24.99')],
    ['ACCOUNT_OF_ANOTHER_USER', 'the account of another', () => newAccount(FRANK, '100.00')],
    ['ACCOUNT_OF_ANOTHER_USER', 'the account of the house', () => Promise.resolve(TREASURY_ID)],
    ['ACCOUNT_NOT_FOUND', 'an unknown account', () => Promise.resolve(newId())],
    ['ACCOUNT_NOT_FOUND', 'no account', () => Promise.resolve(null)],
  ])('fail as %s with %s, and nothing moves', async (reason, _, account) => {
    const accountId = await account();
    const id = newId();
    const [before] = await balance.database.read('SELECT COUNT(*) AS count FROM transactions');
    await balance.publish(request({ id, total: 2_500, method: 'WALLET', accountId }));
    await until(() => typesOf(id).includes('payment.failed'));
    expect(attemptsOf(id)).toMatchObject([{ status: 'FAILED', reason }]);
    expect(await balance.database.read('SELECT COUNT(*) AS count FROM transactions')).toEqual([before]);
  });

  test('many at once from one account take what is there and no more', async () => {
    const eva = await newAccount(EVA, '50.00');
    const ids = Array.from({ length: 30 }, () => newId());
    await balance.publish(...ids.map((id) => request({ id, total: 1_000, method: 'WALLET', accountId: eva })));
    await until(() => ids.every((id) => typesOf(id).length === 1));
    expect(ids.filter((id) => typesOf(id)[0] === 'payment.completed')).toHaveLength(5);
    expect(await balanceOf(eva)).toBe(0);
    const versions = eventsOf(eva).map(({ sequence }) => sequence);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
  });
});

test('a paid order needs no money that is not there: totals of zero complete by themselves', async () => {
  const id = newId();
  await balance.publish(request({ id, total: 0 }));
  await until(() => typesOf(id).includes('payment.completed'));
  await balance.publish(cancel(id, 0));
  await until(() => typesOf(id).includes('payment.refunded'));
});

async function pendingCalls(): Promise<number> {
  const sql = `SELECT COUNT(*) AS count FROM provider_calls WHERE status = 'REQUESTED' AND attempts > 0`;
  const [row] = await balance.database.read<{ count: number }>(sql);
  return row?.count ?? NaN;
}

/** Everything published so far has been dealt with: a later event of ours has. */
async function settled(): Promise<void> {
  await until(async () => {
    const ranges = await balance.engines.eventLog.ranges('orders');
    const records = ranges.reduce((sum, { next }) => sum + next, 0);
    return (
      balance.heard.filter(({ source, type }) => source === 'tributary/test' && type.startsWith('order.')).length ===
      records
    );
  });
  await until(async () => {
    const ids = new Set(
      balance.heard.filter(({ type }) => /^order\.(payment_requested|canceled)$/.test(type)).map(({ id }) => id),
    );
    const [row] = await balance.database.read<{ count: number }>(
      `SELECT COUNT(*) AS count FROM processed_events WHERE consumer = 'balance.payments'`,
    );
    return row?.count === ids.size;
  });
}
