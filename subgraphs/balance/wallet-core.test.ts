import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toRecord } from '../../shared/events/event.js';
import type { AccountState, OrderState, PaymentsState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { formatAmount } from '../../shared/money/money.js';
import { startSubgraph, userIdentity, type TestSubgraph } from '../../tests/subgraph.js';
import { until } from '../../tests/until.js';
import { SALES_ID } from './account.js';
import { buildBalance, type BalanceSubgraph } from './app.js';
import { Collector, WALLET_CORE_EXTERNAL } from './collector.js';
import { move } from './ledger.js';
import type { PaymentBook } from './payments.js';

const EVA = newId();
let balance: TestSubgraph<BalanceSubgraph>;

beforeAll(async () => {
  balance = await startSubgraph('balance', (deps) =>
    buildBalance({ ...deps, config: { ...deps.config, walletCore: 'external' } }),
  );
});
afterAll(() => balance.dispose());

const accountOf = (id: string, cents: number): AccountState => ({
  id,
  version: 1,
  userId: EVA,
  kind: 'USER',
  balance: cents,
  createdAt: 1,
  updatedAt: 1,
});

test('while accounts are kept elsewhere none is made here, not even the house gets its own', async () => {
  expect(await balance.database.read('SELECT id FROM accounts')).toEqual([]);
});

test('while accounts are kept elsewhere nobody can change one, and callers are told why', async () => {
  const [from, to] = [newId(), newId()];
  const calls = [
    ['createAccount', 'CreateAccountInput', { userId: EVA }, '{ account { id } }'],
    ['deposit', 'DepositInput', { accountId: from, amount: '1.00' }, '{ transaction { id } }'],
    ['transfer', 'TransferInput', { fromAccountId: from, toAccountId: to, amount: '1.00' }, '{ transaction { id } }'],
  ] as const;
  for (const [mutation, type, input, selection] of calls) {
    const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) ${selection} }`;
    const { errors } = await balance.graphql(query, { input });
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('WALLET_CORE=external'),
      extensions: { code: 'UNAVAILABLE' },
    });
  }
  const deposit = 'mutation ($input: DepositInput!) { deposit(input: $input) { transaction { id } } }';
  expect(await balance.refusal(deposit, { input: { accountId: from, amount: '1.00' } }, userIdentity(EVA))).toEqual({
    code: 'FORBIDDEN',
    field: undefined,
  });
  expect(await balance.database.read('SELECT id FROM outbox')).toEqual([]);
});

test('the write side answers for no account that is kept elsewhere', async () => {
  const query = `{ _entities(representations: [{ __typename: "Account", id: "${newId()}" }]) { ... on Account { balance } } }`;
  expect(await balance.ok(query)).toEqual({ _entities: [null] });
});

test('a wallet payment that was under way when accounts were handed over fails, so that the order can be paid otherwise', async () => {
  const [id, paymentId] = [newId(), newId()];
  const order: OrderState = {
    id,
    version: 3,
    userId: EVA,
    status: 'AWAITING_PAYMENT',
    items: [{ productId: newId(), name: 'Thing', quantity: 1, unitPrice: 100 }],
    total: 100,
    payment: { paymentId, method: 'WALLET', accountId: newId(), status: 'REQUESTED', reference: null },
    cancelReason: null,
    history: [{ version: 3, status: 'AWAITING_PAYMENT', at: 1, reason: null }],
    deleted: false,
    createdAt: 1,
    updatedAt: 1,
  };
  await balance.publish({ type: 'order.payment_requested', subject: id, sequence: 3, data: { order } });
  const failed = await until(() => balance.heard.find((event) => event.type === 'payment.failed'));
  const { payments } = failed.data as { payments: PaymentsState };
  expect(payments.attempts).toMatchObject([{ paymentId, status: 'FAILED', reason: WALLET_CORE_EXTERNAL }]);
});

test('a refund to a wallet is never said to be made while wallets are kept elsewhere', () => {
  const wallet = newId();
  const book: PaymentBook = {
    orderId: 'o1',
    version: 1,
    attempts: [
      {
        paymentId: 'p1',
        method: 'WALLET',
        accountId: wallet,
        amount: 100,
        status: 'COMPLETED',
        reference: 'r1',
        reason: null,
        refunding: false,
      },
    ],
    closed: false,
    updatedAt: 1,
  };
  const accounts = () => new Map([wallet, SALES_ID].map((id) => [id, accountOf(id, 1_000)]));
  const cancel = (mode: 'own' | 'external') =>
    new Collector(new Map([['o1', book]]), accounts(), mode).handle(
      'o1',
      { type: 'cancel', orderId: 'o1', at: 2 },
      { userId: EVA, traceparent: null },
    );
  expect(() => cancel('external')).toThrow('WALLET_CORE=external');
  expect(() => cancel('own')).not.toThrow();
});

test('what a movement says to other wallets is their JSON and nothing more, every amount written to the cent', () => {
  const cents = fc.integer({ min: 1, max: 1_000_000_000 });
  fc.assert(
    fc.property(cents, fc.nat({ max: 100_000_000_000 }), fc.nat({ max: 100_000_000_000 }), (amount, left, right) => {
      const [from, to] = [accountOf(newId(), left + amount), accountOf(newId(), right)];
      const { events, transaction } = move(from, to, { kind: 'TRANSFER', amount, transactionId: newId(), at: 1 });
      const sent = events
        .slice(2)
        .map((event) => toRecord({ ...event, id: newId(), source: 'tributary/balance', time: 1, traceparent: null }));
      // 100.50 is written 100.5, and never with an exponent.
      const units = (value: number): string => formatAmount(value).replace(/\.?0+$/, '');
      const accountIds = `"account_id_from":"${from.id}","account_id_to":"${to.id}"`;
      expect(sent.map(({ topic, key, value }) => [topic, key, value])).toEqual([
        [
          'transactions',
          null,
          `{"Name":"TransactionCreated","Payload":{"id":"${transaction.id}",${accountIds},"amount":${units(amount)}}}`,
        ],
        [
          'balances',
          null,
          `{"Name":"BalanceUpdated","Payload":{${accountIds},"balance_account_id_from":${units(left)},"balance_account_id_to":${units(right + amount)}}}`,
        ],
      ]);
    }),
  );
});
