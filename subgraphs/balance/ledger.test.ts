import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toRecord } from '../../shared/events/event.js';
import { MAX_AMOUNT_CENTS } from '../../shared/money/money.js';
import { specify } from '../../tests/given.js';
import {
  decide,
  effectOn,
  evolve,
  SALES_ID,
  SYSTEM_ACCOUNTS,
  TREASURY_ID,
  type AccountCommand,
  type AccountEvent,
  type AccountState,
} from './account.js';
import { checkAmount, move, open, type TransactionKind, type TransactionState } from './ledger.js';

const given = specify<AccountState | null, AccountCommand, AccountEvent>({ initial: null, decide, evolve });

const opened: AccountEvent = { type: 'account.created', id: 'eva', userId: 'u1', kind: 'USER', at: 1 };
const treasury: AccountEvent = { type: 'account.created', id: TREASURY_ID, userId: null, kind: 'TREASURY', at: 1 };
const booking = (fromAccountId: string, toAccountId: string, amount: number): TransactionState => ({
  id: `${fromAccountId}-${toAccountId}`,
  kind: 'TRANSFER',
  fromAccountId,
  toAccountId,
  amount,
  createdAt: 5,
});
const booked = (transaction: TransactionState): AccountEvent => ({ type: 'account.balance_changed', transaction });
const account = (id: string, balance = 0): AccountState => ({
  ...open({ id, userId: 'u', kind: 'USER' }, 1).account,
  balance,
});
const movement = (amount: number, kind: TransactionKind = 'TRANSFER') => ({ kind, amount, transactionId: 't1', at: 2 });

describe('an account', () => {
  test('is opened empty, once', () => {
    given([]).when({ type: 'open', id: 'eva', userId: 'u1', kind: 'USER', at: 1 }).then([opened]);
    given([])
      .when({ type: 'open', id: 'eva', userId: 'u1', kind: 'USER', at: 1 })
      .thenState({ balance: 0, version: 1 });
    given([opened]).when({ type: 'open', id: 'eva', userId: 'u1', kind: 'USER', at: 2 }).thenRefused('CONFLICT', 'id');
  });

  test('that is not there takes part in nothing', () => {
    given([])
      .when({ type: 'book', transaction: booking('frank', 'eva', 1) })
      .thenRefused('NOT_FOUND', 'id');
  });

  test('gains what it receives and loses what it sends, a version each', () => {
    const got = booking('frank', 'eva', 500);
    given([opened]).when({ type: 'book', transaction: got }).thenState({ balance: 500, version: 2, updatedAt: 5 });
    given([opened, booked(got)])
      .when({ type: 'book', transaction: booking('eva', 'frank', 500) })
      .thenState({ balance: 0, version: 3 });
  });

  test('never goes below zero, unless it is the treasury', () => {
    given([opened, booked(booking('frank', 'eva', 499))])
      .when({ type: 'book', transaction: booking('eva', 'frank', 500) })
      .thenRefused('INSUFFICIENT_FUNDS', 'amount');
    given([treasury])
      .when({ type: 'book', transaction: booking(TREASURY_ID, 'eva', 500) })
      .thenState({ balance: -500 });
  });

  test('holds no more than a number can tell exactly', () => {
    const full = booked(booking('frank', 'eva', Number.MAX_SAFE_INTEGER));
    given([opened, full])
      .when({ type: 'book', transaction: booking('frank', 'eva', 1) })
      .thenRefused('VALIDATION', 'amount');
    given([treasury, booked(booking(TREASURY_ID, 'eva', Number.MAX_SAFE_INTEGER))])
      .when({ type: 'book', transaction: booking(TREASURY_ID, 'eva', 1) })
      .thenRefused('VALIDATION', 'amount');
  });
});

describe('a movement', () => {
  test('changes both accounts and tells of it four times', () => {
    const { from, to, transaction, events } = move(account('eva', 1_000), account('frank', 20), movement(150));
    expect([from.balance, to.balance]).toEqual([850, 170]);
    expect([from.version, to.version]).toEqual([2, 2]);
    expect(events.map(({ type, subject, sequence, data }) => ({ type, subject, sequence, data }))).toEqual([
      { type: 'account.balance_changed', subject: 'eva', sequence: 2, data: { account: from, transaction } },
      { type: 'account.balance_changed', subject: 'frank', sequence: 2, data: { account: to, transaction } },
      {
        type: 'TransactionCreated',
        subject: 't1',
        sequence: 1,
        data: {
          Name: 'TransactionCreated',
          Payload: { id: 't1', account_id_from: 'eva', account_id_to: 'frank', amount: 1.5 },
        },
      },
      {
        type: 'BalanceUpdated',
        subject: 't1',
        sequence: 1,
        data: {
          Name: 'BalanceUpdated',
          Payload: {
            account_id_from: 'eva',
            account_id_to: 'frank',
            balance_account_id_from: 8.5,
            balance_account_id_to: 1.7,
          },
        },
      },
    ]);
  });

  test('everything it tells fits the catalogue', () => {
    const { events } = move(account('eva', 100), account('frank'), movement(1));
    const sent = [...open({ id: 'eva', userId: 'u', kind: 'USER' }, 1).events, ...events];
    for (const event of sent) {
      expect(() => toRecord({ ...event, id: 'e', source: 's', time: 0, traceparent: null })).not.toThrow();
    }
  });

  test('needs two accounts', () => {
    expect(() => move(account('eva', 10), account('eva', 10), movement(1))).toThrow(
      expect.objectContaining({ code: 'VALIDATION', field: 'toAccountId' }),
    );
  });

  test.each([0, -1, 0.5, Number.NaN, Infinity, MAX_AMOUNT_CENTS + 1])('of %p cents is refused', (amount) => {
    const refused = expect.objectContaining({ code: 'VALIDATION', field: 'amount' });
    expect(() => move(account('eva', 10), account('frank'), movement(amount))).toThrow(refused);
    expect(() => checkAmount(amount)).toThrow(refused);
  });

  test('for an order may be larger than what people move at a time', () => {
    const amount = MAX_AMOUNT_CENTS + 1;
    expect(move(account('eva', amount), account(SALES_ID), movement(amount, 'PAYMENT')).from.balance).toBe(0);
  });
});

test('whatever moves, all balances together are zero, only the treasury owes, and the transactions explain every balance', () => {
  const people = ['a', 'b', 'c'];
  const ids = [...people, TREASURY_ID, SALES_ID];
  const someone = fc.constantFrom(...people);
  const amount = fc.oneof(fc.integer({ min: -1, max: 500 }), fc.integer({ min: 1, max: MAX_AMOUNT_CENTS + 1 }));
  const step = fc.oneof(
    fc.record({ kind: fc.constant('DEPOSIT' as const), from: fc.constant(TREASURY_ID), to: someone, amount }),
    fc.record({ kind: fc.constant('TRANSFER' as const), from: someone, to: someone, amount }),
    fc.record({ kind: fc.constant('PAYMENT' as const), from: someone, to: fc.constant(SALES_ID), amount }),
    fc.record({ kind: fc.constant('REFUND' as const), from: fc.constant(SALES_ID), to: someone, amount }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const accounts = new Map<string, AccountState>();
      for (const id of ids) {
        const kind = SYSTEM_ACCOUNTS.find((system) => system.id === id)?.kind ?? 'USER';
        accounts.set(id, open({ id, userId: kind === 'USER' ? id : null, kind }, 0).account);
      }
      const get = (id: string): AccountState => accounts.get(id) as AccountState;
      const transactions: TransactionState[] = [];
      for (const [index, { kind, from, to, amount: cents }] of steps.entries()) {
        const before = new Map(accounts);
        try {
          const moved = move(get(from), get(to), { kind, amount: cents, transactionId: `t${index}`, at: index });
          accounts.set(from, moved.from).set(to, moved.to);
          transactions.push(moved.transaction);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(VALIDATION|INSUFFICIENT_FUNDS)$/) });
          expect(accounts).toEqual(before);
        }
      }
      expect([...accounts.values()].reduce((sum, { balance }) => sum + balance, 0)).toBe(0);
      for (const { id, kind, balance, version } of accounts.values()) {
        if (kind !== 'TREASURY') expect(balance).toBeGreaterThanOrEqual(0);
        const mine = transactions.filter((one) => one.fromAccountId === id || one.toAccountId === id);
        expect(mine.reduce((sum, one) => sum + effectOn(id, one), 0)).toBe(balance);
        expect(version).toBe(1 + mine.length);
      }
    }),
  );
});
