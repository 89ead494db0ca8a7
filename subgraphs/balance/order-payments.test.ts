import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PaymentsState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { SALES_ID, TREASURY_ID } from './account.js';
import {
  balance,
  balanceOf,
  cancel,
  decide,
  EVA,
  eventsOf,
  FRANK,
  newAccount,
  request,
  startBalance,
  sumOfBalances,
  typesOf,
} from './balance-tools.js';

beforeAll(startBalance);
afterAll(() => balance.dispose());

const attemptsOf = (orderId: string): PaymentsState['attempts'] => {
  const last = eventsOf(orderId).at(-1);
  return last !== undefined && 'payments' in last.data ? last.data.payments.attempts : [];
};

async function count(sql: string): Promise<number> {
  const [row] = await balance.database.read<{ count: number }>(sql);
  return row?.count ?? NaN;
}

const transactions = (): Promise<number> => count('SELECT COUNT(*) AS count FROM transactions');

const pendingCalls = (): Promise<number> =>
  count(`SELECT COUNT(*) AS count FROM provider_calls WHERE status = 'REQUESTED' AND attempts > 0`);

/** What was published so far has been dealt with, and what came of that has been heard. */
async function settled(): Promise<void> {
  const heard = (is: (type: string) => boolean): number => balance.heard.filter(({ type }) => is(type)).length;
  const recordsOf = async (topic: string): Promise<number> =>
    (await balance.engines.eventLog.ranges(topic)).reduce((sum, { next }) => sum + next, 0);
  await until(async () => heard((type) => type.startsWith('order.')) === (await recordsOf('orders')));
  await until(async () => {
    const ids = new Set(
      balance.heard.filter(({ type }) => /^order\.(payment_requested|canceled)$/.test(type)).map(({ id }) => id),
    );
    const handled = `SELECT COUNT(*) AS count FROM processed_events WHERE consumer = 'balance.payments'`;
    return (await count(handled)) === ids.size;
  });
  const underWay = `SELECT (SELECT COUNT(*) FROM provider_calls WHERE status = 'REQUESTED')
                         + (SELECT COUNT(*) FROM outbox WHERE published_at IS NULL) AS count`;
  await until(async () => (await count(underWay)) === 0);
  await until(async () => heard((type) => type.startsWith('payment.')) === (await recordsOf('payments')));
}

describe('payments by card, PIX and BOLETO', () => {
  test('are approved at once, without touching the ledger', async () => {
    const before = await transactions();
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
    expect(await transactions()).toBe(before);
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
    decide();
    await until(() => typesOf(approved).length + typesOf(declined).length === 2);
    expect([typesOf(approved), typesOf(declined)]).toEqual([['payment.completed'], ['payment.failed']]);
  });

  test('that come in after a cancel are given back', async () => {
    const id = newId();
    await balance.publish(request({ id, total: 202_02 }));
    await until(async () => (await pendingCalls()) === 1);
    await balance.publish(cancel(id, 202_02));
    await until(() => typesOf(id).includes('payment.failed'));
    decide();
    await until(() => typesOf(id).includes('payment.refunded'));
    await settled();
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
    const before = await transactions();
    await balance.publish(request({ id, total: 2_500, method: 'WALLET', accountId }));
    await until(() => typesOf(id).includes('payment.failed'));
    expect(attemptsOf(id)).toMatchObject([{ status: 'FAILED', reason }]);
    expect(await transactions()).toBe(before);
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
