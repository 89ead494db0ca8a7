import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../shared/database/port.js';
import { newId } from '../shared/ids/ids.js';
import { SALES_ID, Shop, type OrderView, type PaymentMethod } from './shop.js';
import { startTestSystem, userIdentity } from './system.js';
import { until } from './until.js';

let shop: Shop;
let ana: string;

beforeAll(async () => {
  shop = new Shop(await startTestSystem());
  ana = (await shop.user()).id;
});

afterAll(() => shop.server.dispose());

/** An order of one product that costs `price`, of Ana's when no user is named. */
async function priced(price: string, userId = ana): Promise<{ order: OrderView; productId: string }> {
  const { id: productId } = await shop.product({ price, stock: 10 });
  return { order: await shop.order(userId, [productId, 1]), productId };
}

async function awaiting(price: string, userId = ana): Promise<{ id: string; productId: string }> {
  const { order, productId } = await priced(price, userId);
  await shop.reaches(order.id, 'AWAITING_PAYMENT');
  return { id: order.id, productId };
}

const failures = ({ history }: OrderView): (string | null)[] =>
  history.flatMap(({ reason }) => (reason === null ? [] : [reason]));

const balanceDatabase = (): Database => shop.server.databases.get('tributary_balance')!;

/** What the balance service keeps of an order's attempts to be paid. */
async function attempts(orderId: string): Promise<readonly { readonly status: string; readonly amount: number }[]> {
  const sql = 'SELECT attempts FROM payments WHERE order_id = ?';
  const [book] = await balanceDatabase().read<{ attempts: string }>(sql, [orderId]);
  return book === undefined ? [] : (JSON.parse(book.attempts) as { status: string; amount: number }[]);
}

const EXTERNAL: readonly PaymentMethod[] = ['CREDIT_CARD', 'PIX', 'BOLETO'];
const DECLINED = { CREDIT_CARD: 'CARD_DECLINED', PIX: 'PIX_REJECTED', BOLETO: 'BOLETO_REFUSED', WALLET: '' } as const;

test.each(EXTERNAL)('%s pays an order and leaves the ledger alone', async (method) => {
  const { id } = await awaiting('100.00');
  expect(await shop.pay(id, method)).toMatchObject({
    status: 'AWAITING_PAYMENT',
    payment: { method, status: 'REQUESTED', reference: null },
  });
  const paid = await shop.reaches(id, 'PAID');
  expect(paid.payment).toEqual({ method, status: 'COMPLETED', reference: expect.any(String) });
  expect(await shop.balanceOf(SALES_ID)).toBe('0.00');
});

test.each(EXTERNAL)('%s of 402.02 is declined, and the order can be paid anew', async (method) => {
  const { id } = await awaiting('402.02');
  await shop.pay(id, method);
  const failed = await shop.paymentReaches(id, 'FAILED');
  expect(failed.status).toBe('AWAITING_PAYMENT');
  expect(failures(failed)).toEqual([DECLINED[method]]);

  const wallet = await shop.account(ana, '402.02');
  await shop.pay(id, 'WALLET', wallet);
  const paid = await shop.reaches(id, 'PAID');
  expect(paid.payment).toMatchObject({ method: 'WALLET', status: 'COMPLETED' });
  await shop.balanceReaches(wallet, '0.00');
  await shop.cancel(id);
  await shop.balanceReaches(wallet, '402.02');
  await shop.balanceReaches(SALES_ID, '0.00');
});

test('202.02 is approved late and 202.40 declined late; meanwhile the order waits and takes no second payment', async () => {
  const cases = EXTERNAL.flatMap((method) => [
    { method, price: '202.02' },
    { method, price: '202.40' },
  ]);
  const paying = await Promise.all(
    cases.map(async ({ method, price }) => {
      const { id } = await awaiting(price);
      await shop.pay(id, method);
      return { id, method, price };
    }),
  );
  for (const { id } of paying) {
    expect(await shop.refused('payOrder', { id, method: 'PIX' })).toEqual({ code: 'INVALID_STATE', field: 'id' });
  }
  for (const { id, method, price } of paying) {
    if (price === '202.02') {
      expect((await shop.reaches(id, 'PAID')).payment).toMatchObject({ method, status: 'COMPLETED' });
    } else {
      const failed = await shop.paymentReaches(id, 'FAILED');
      expect(failed.status).toBe('AWAITING_PAYMENT');
      expect(failures(failed)).toEqual([DECLINED[method]]);
    }
    const [attempt, ...others] = await attempts(id);
    expect(others).toEqual([]);
    expect(attempt?.status).toBe(price === '202.02' ? 'COMPLETED' : 'FAILED');
  }
});

test('a payment asked for while the order is PENDING runs as soon as the stock is there', async () => {
  const { order } = await priced('100.00');
  // Sent at once; should the reservation be faster all the same, it is an ordinary payment.
  const asked = await shop.pay(order.id, 'CREDIT_CARD');
  expect(['WAITING_FOR_STOCK', 'REQUESTED']).toContain(asked.payment?.status);
  const paid = await shop.reaches(order.id, 'PAID');
  expect(paid.history.map(({ status }) => status)).toEqual(['PENDING', 'AWAITING_PAYMENT', 'PAID']);
  expect(await attempts(order.id)).toHaveLength(1);
});

test('payments of many orders right after they were created are all kept', async () => {
  const { id: productId } = await shop.product({ price: '1.00', stock: 1_000 });
  const orders = await Promise.all(
    Array.from({ length: 15 }, async () => {
      const { id } = await shop.order(ana, [productId, 1]);
      return shop.pay(id);
    }),
  );
  expect(orders.some(({ payment }) => payment?.status === 'WAITING_FOR_STOCK')).toBe(true);
  for (const { id } of orders) await shop.reaches(id, 'PAID');
});

test('a payment that waits for stock is never made when there is none', async () => {
  const { id: productId } = await shop.product({ stock: 0 });
  const { id } = await shop.order(ana, [productId, 1]);
  const refusal = await shop.refused('payOrder', { id, method: 'PIX' });
  expect([undefined, 'INVALID_STATE']).toContain(refusal?.code);
  const canceled = await shop.reaches(id, 'CANCELED');
  expect(canceled.cancelReason).toBe('INSUFFICIENT_STOCK');
  expect([undefined, 'FAILED']).toContain(canceled.payment?.status);
  expect(await attempts(id)).toEqual([]);
});

test.each(EXTERNAL)('a PAID order that is canceled is refunded (%s)', async (method) => {
  const { id, productId } = await awaiting('100.00');
  await shop.pay(id, method);
  await shop.reaches(id, 'PAID');
  expect(await shop.cancel(id, 'Too late')).toMatchObject({ status: 'CANCELED', cancelReason: 'Too late' });
  const refunded = await shop.paymentReaches(id, 'REFUNDED');
  expect(refunded).toMatchObject({ status: 'CANCELED', payment: { method, status: 'REFUNDED' } });
  expect(await attempts(id)).toEqual([expect.objectContaining({ status: 'REFUNDED', amount: 10_000 })]);
  await shop.stockReaches(productId, 10, 0);
});

test('what the provider takes after a cancel is given back', async () => {
  const { id, productId } = await awaiting('202.02');
  await shop.pay(id, 'CREDIT_CARD');
  const asked = 'SELECT payment_id FROM provider_calls WHERE order_id = ? AND attempts > 0';
  await until(async () => (await balanceDatabase().read(asked, [id])).length === 1);
  // The provider approves two seconds after it was first asked.
  expect(await shop.cancel(id)).toMatchObject({ status: 'CANCELED', payment: { status: 'FAILED' } });
  expect(await shop.paymentReaches(id, 'REFUNDED')).toMatchObject({ status: 'CANCELED' });
  expect(await attempts(id)).toEqual([expect.objectContaining({ status: 'REFUNDED' })]);
  await shop.stockReaches(productId, 10, 0);
  expect(await shop.refused('payOrder', { id, method: 'PIX' })).toEqual({ code: 'INVALID_STATE', field: 'id' });
});

test('WALLET takes the total from the account, and a cancel brings it back', async () => {
  const wallet = await shop.account(ana, '150.00');
  const { id } = await awaiting('99.99');
  await shop.pay(id, 'WALLET', wallet);
  const paid = await shop.reaches(id, 'PAID');
  await shop.balanceReaches(wallet, '50.01');
  await shop.balanceReaches(SALES_ID, '99.99');
  await shop.ledgerIsBalanced();

  const MOVEMENTS =
    'query ($id: ID!) { transactions(accountId: $id) { nodes { id kind fromAccountId toAccountId amount } } }';
  const payment = { kind: 'PAYMENT', fromAccountId: wallet, toAccountId: SALES_ID, amount: '99.99' };
  expect((await shop.server.ok(MOVEMENTS, { id: wallet }))['transactions']).toMatchObject({
    nodes: [
      { ...payment, id: paid.payment?.reference },
      { kind: 'DEPOSIT', amount: '150.00' },
    ],
  });

  await shop.cancel(id);
  await shop.paymentReaches(id, 'REFUNDED');
  await shop.balanceReaches(wallet, '150.00');
  await shop.balanceReaches(SALES_ID, '0.00');
  await shop.ledgerIsBalanced();
  await until(async () => {
    expect((await shop.server.ok(MOVEMENTS, { id: wallet }))['transactions']).toMatchObject({
      nodes: [{ kind: 'REFUND', fromAccountId: SALES_ID, toAccountId: wallet, amount: '99.99' }, payment, {}],
    });
    return true;
  });
});

test('a wallet with too little in it fails the payment; the order waits, says why, and can be paid again', async () => {
  const wallet = await shop.account(ana, '10.00');
  const { id } = await awaiting('10.01');
  await shop.pay(id, 'WALLET', wallet);
  const failed = await shop.paymentReaches(id, 'FAILED');
  expect(failed.status).toBe('AWAITING_PAYMENT');
  expect(failed.history.at(-1)).toMatchObject({ status: 'AWAITING_PAYMENT', reason: 'INSUFFICIENT_FUNDS' });
  await shop.balanceReaches(wallet, '10.00');

  await shop.run('deposit', { accountId: wallet, amount: '0.01' });
  await shop.pay(id, 'WALLET', wallet);
  await shop.reaches(id, 'PAID');
  await shop.balanceReaches(wallet, '0.00');
  await shop.cancel(id);
  await shop.paymentReaches(id, 'REFUNDED');
  await shop.balanceReaches(wallet, '10.01');
  await shop.ledgerIsBalanced();
});

test('two orders paid at once from one wallet that covers one of them: one is paid, nothing is overdrawn', async () => {
  const wallet = await shop.account(ana, '15.00');
  const orders = await Promise.all([awaiting('10.00'), awaiting('10.00'), awaiting('10.00')]);
  await Promise.all(orders.map(({ id }) => shop.pay(id, 'WALLET', wallet)));
  const settled = await Promise.all(
    orders.map(({ id }) =>
      shop.orderWhere(id, 'settled', ({ payment }) => payment !== null && payment.status !== 'REQUESTED'),
    ),
  );
  expect(settled.map(({ payment }) => payment?.status).sort()).toEqual(['COMPLETED', 'FAILED', 'FAILED']);
  await shop.balanceReaches(wallet, '5.00');
  await shop.ledgerIsBalanced();
  for (const { id, status } of settled) if (status === 'PAID') await shop.cancel(id);
  await shop.balanceReaches(wallet, '15.00');
});

test('WALLET pays from an account of the customer and from no other', async () => {
  const eva = await shop.user();
  const [anas, evas] = [await shop.account(ana, '100.00'), await shop.account(eva.id, '100.00')];
  const { id } = await awaiting('10.00', eva.id);
  const refused = { code: 'VALIDATION', field: 'accountId' };
  const pay = (accountId: string | null, method = 'WALLET') => ({ id, method, accountId });
  expect(await shop.refused('payOrder', pay(anas))).toEqual(refused);
  expect(await shop.refused('payOrder', pay(evas), userIdentity(ana))).toEqual({ code: 'FORBIDDEN', field: undefined });
  expect(await shop.refused('payOrder', pay(SALES_ID))).toEqual(refused);
  expect(await shop.refused('payOrder', pay(null))).toEqual(refused);
  expect(await shop.refused('payOrder', pay('nonsense'))).toEqual(refused);
  expect(await shop.refused('payOrder', pay(evas, 'PIX'))).toEqual(refused);
  expect(await shop.refused('payOrder', pay('d6a41403-bbd0-11ee-8a24-0242ac120003'))).toEqual({
    code: 'NOT_FOUND',
    field: 'accountId',
  });
  expect((await shop.orderNow(id)).payment).toBeNull();
  await shop.run('payOrder', pay(evas), userIdentity(eva.id));
  await shop.reaches(id, 'PAID');
  await shop.balanceReaches(evas, '90.00');
  await shop.balanceReaches(anas, '100.00');
});

test('paying one order at once many times without a key takes the money once', async () => {
  const wallet = await shop.account(ana, '100.00');
  const { id } = await awaiting('10.00');
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => shop.refused('payOrder', { id, method: 'WALLET', accountId: wallet })),
  );
  expect(answers.filter((refusal) => refusal === undefined)).toHaveLength(1);
  expect(answers.filter((refusal) => refusal?.code === 'INVALID_STATE')).toHaveLength(9);
  await shop.reaches(id, 'PAID');
  await shop.balanceReaches(wallet, '90.00');
  expect(await attempts(id)).toHaveLength(1);
});

test('ten repeats of a WALLET payment with one key take the money once', async () => {
  const wallet = await shop.account(ana, '100.00');
  const { id } = await awaiting('10.00');
  const input = { id, method: 'WALLET', accountId: wallet, idempotencyKey: newId() };
  await Promise.all(Array.from({ length: 10 }, () => shop.run('payOrder', input)));
  await shop.reaches(id, 'PAID');
  await shop.run('payOrder', input);
  await shop.balanceReaches(wallet, '90.00');
  expect(await attempts(id)).toHaveLength(1);
});

test('a paid order takes no second payment', async () => {
  const { id } = await awaiting('10.00');
  await shop.pay(id);
  const { version } = await shop.reaches(id, 'PAID');
  expect(await shop.refused('payOrder', { id, method: 'PIX' })).toEqual({ code: 'INVALID_STATE', field: 'id' });
  expect(await shop.orderNow(id)).toMatchObject({ version });
});

test('an order of 0.00 is paid without anybody being asked, and canceled without a refund', async () => {
  const { id } = await awaiting('0.00');
  await shop.pay(id, 'CREDIT_CARD');
  expect((await shop.reaches(id, 'PAID')).payment).toMatchObject({ reference: null });
  await shop.cancel(id);
  await shop.paymentReaches(id, 'REFUNDED');
});
