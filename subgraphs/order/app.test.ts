import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AnyNewEvent } from '../../shared/events/event.js';
import type { OrderPayment, OrderState, PaymentAttempt, ProductState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { accountState, productState, published, startOrder, user, userState, type OrderTestbed } from './testing.js';

let bed: OrderTestbed;
const anaId = newId();
const ana = user(anaId);
const phone = newId();

beforeAll(async () => {
  bed = await startOrder({ worker: true });
  await bed.publish({ type: 'user.created', subject: anaId, sequence: 1, data: { user: userState({ id: anaId }) } });
  await bed.publish(productEvent(productState({ id: phone })));
});
afterAll(() => bed.stop());

function productEvent(product: ProductState): AnyNewEvent {
  const type = product.deleted ? 'product.deleted' : product.version === 1 ? 'product.created' : 'product.updated';
  return { type, subject: product.id, sequence: product.version, data: { product } };
}

const stockEvent = (type: 'stock.reserved' | 'stock.rejected', orderId: string): AnyNewEvent => ({
  type,
  subject: orderId,
  sequence: 1,
  data: {
    reservation: {
      orderId,
      version: 1,
      status: type === 'stock.reserved' ? 'RESERVED' : 'REJECTED',
      items: [{ productId: phone, quantity: 1 }],
      reason: null,
      updatedAt: 1,
    },
  },
});

function paymentEvent(
  type: 'payment.completed' | 'payment.failed' | 'payment.refunded',
  order: OrderState,
  sequence: number,
): AnyNewEvent {
  const { paymentId, method, accountId } = order.payment as OrderPayment;
  const attempt: PaymentAttempt = {
    paymentId,
    method,
    accountId,
    amount: order.total,
    status: type === 'payment.completed' ? 'COMPLETED' : type === 'payment.failed' ? 'FAILED' : 'REFUNDED',
    reference: type === 'payment.failed' ? null : 'ref-1',
    reason: type === 'payment.failed' ? 'DECLINED' : null,
  };
  const payments = { orderId: order.id, version: sequence, attempts: [attempt], updatedAt: 1 };
  return { type, subject: order.id, sequence, data: { payments, paymentId } };
}

async function send(field: string, input: object) {
  const type = `${field.charAt(0).toUpperCase()}${field.slice(1)}Input`;
  const query = `mutation ($input: ${type}!) { ${field}(input: $input) { order { id version status } } }`;
  const { data, errors } = await bed.graphql(query, { input }, ana);
  const payload = data as Record<string, { order: { id: string } }> | null | undefined;
  return { id: payload?.[field]?.order.id ?? '', error: errors?.[0]?.extensions };
}

async function create(productId = phone): Promise<string> {
  const { id, error } = await send('createOrder', { items: [{ productId, quantity: 1 }] });
  expect(error).toBeUndefined();
  return id;
}

const reaches = (id: string, expected: object): Promise<unknown> =>
  until(async () => {
    expect(await bed.order(id)).toMatchObject(expected);
    return true;
  });

/** Resolves once these events have been reacted to. */
const settled = (...eventIds: string[]): Promise<unknown> =>
  until(async () => {
    const marks = eventIds.map(() => '?').join(', ');
    const handled = await bed.database.read(
      `SELECT event_id FROM processed_events WHERE event_id IN (${marks})`,
      eventIds,
    );
    return handled.length === eventIds.length;
  });

test('an order goes its way as stock and payments answer, and the log tells it whole and in order', async () => {
  const id = await create();
  await send('payOrder', { id, method: 'PIX' });
  await bed.publish(stockEvent('stock.reserved', id));
  await reaches(id, { version: 4, status: 'AWAITING_PAYMENT', payment: { status: 'REQUESTED' } });
  await bed.publish(paymentEvent('payment.failed', await bed.order(id), 1));
  await reaches(id, { version: 5, status: 'AWAITING_PAYMENT', payment: { status: 'FAILED' } });
  await send('payOrder', { id, method: 'CREDIT_CARD' });
  await bed.publish(paymentEvent('payment.completed', await bed.order(id), 2));
  await reaches(id, { version: 7, status: 'PAID', payment: { status: 'COMPLETED', reference: 'ref-1' } });
  await send('cancelOrder', { id });
  await bed.publish(paymentEvent('payment.refunded', await bed.order(id), 3));
  await reaches(id, { version: 9, status: 'CANCELED', payment: { status: 'REFUNDED' } });

  const events = await until(async () => {
    const found = await published(bed.eventLog, id);
    return found.length >= 9 && found;
  });
  expect(events.map(({ type, sequence }) => `${sequence} ${type}`)).toEqual([
    '1 order.created',
    '2 order.payment_kept',
    '3 order.awaiting_payment',
    '4 order.payment_requested',
    '5 order.payment_failed',
    '6 order.payment_requested',
    '7 order.paid',
    '8 order.canceled',
    '9 order.payment_refunded',
  ]);
  for (const { data, sequence } of events) expect((data as { order: OrderState }).order.version).toBe(sequence);
  expect((events.at(-1)?.data as { order: OrderState }).order).toEqual(await bed.order(id));
});

test('no stock cancels the order', async () => {
  const id = await create();
  await bed.publish(stockEvent('stock.rejected', id));
  await reaches(id, { version: 2, status: 'CANCELED', cancelReason: 'INSUFFICIENT_STOCK' });
});

test('answers that come again, late, or about nothing change nothing', async () => {
  const id = await create();
  const eventId = newId();
  await bed.publish(stockEvent('stock.reserved', id), eventId);
  await reaches(id, { version: 2, status: 'AWAITING_PAYMENT' });
  await send('payOrder', { id, method: 'PIX' });
  const asked = await bed.order(id);
  await send('cancelOrder', { id });
  const canceled = await bed.order(id);

  const repeats = Array.from({ length: 6 }, () => newId());
  await bed.publish(stockEvent('stock.reserved', id), eventId);
  await bed.publish(stockEvent('stock.reserved', id), repeats[0]);
  await bed.publish(stockEvent('stock.rejected', id), repeats[1]);
  await bed.publish(stockEvent('stock.reserved', newId()), repeats[2]);
  await bed.publish(paymentEvent('payment.completed', asked, 1), repeats[3]);
  await bed.publish(paymentEvent('payment.failed', asked, 2), repeats[4]);
  const other = { ...asked, payment: asked.payment && { ...asked.payment, paymentId: newId() } };
  await bed.publish(paymentEvent('payment.refunded', other, 3), repeats[5]);
  await settled(...repeats);
  expect(await bed.order(id)).toEqual(canceled);
  expect(await bed.database.read('SELECT * FROM parked')).toEqual([]);
});

test('many answers at once are worked off, each order its own', async () => {
  const ids = await Promise.all(Array.from({ length: 60 }, () => create()));
  await Promise.all(ids.map((id, n) => bed.publish(stockEvent(n % 3 === 0 ? 'stock.rejected' : 'stock.reserved', id))));
  for (const [n, id] of ids.entries()) {
    await reaches(id, { version: 2, status: n % 3 === 0 ? 'CANCELED' : 'AWAITING_PAYMENT' });
  }
});

test('a product that was made a moment ago is waited for', async () => {
  const product = newId();
  const creating = create(product);
  await bed.publish(productEvent(productState({ id: product, name: 'Fresh', price: 100 })));
  expect(await bed.order(await creating)).toMatchObject({ total: 100, items: [{ name: 'Fresh' }] });
});

test('a product that never comes is not found, within a few seconds', async () => {
  const { error } = await send('createOrder', { items: [{ productId: newId(), quantity: 1 }] });
  expect(error).toMatchObject({ code: 'NOT_FOUND', field: 'items.0.productId' });
});

test('an account that was opened a moment ago is waited for', async () => {
  const id = await create();
  const accountId = newId();
  const paying = send('payOrder', { id, method: 'WALLET', accountId });
  await bed.publish({
    type: 'account.created',
    subject: accountId,
    sequence: 1,
    data: { account: accountState({ id: accountId, userId: anaId }) },
  });
  expect((await paying).error).toBeUndefined();
});

test('an older product never overwrites a newer one', async () => {
  const product = newId();
  const versions = [2, 3, 1, 3, 2].map((version) => ({ version, eventId: newId() }));
  for (const { version, eventId } of versions) {
    await bed.publish(productEvent(productState({ id: product, version, price: version * 100 })), eventId);
  }
  await settled(...versions.map(({ eventId }) => eventId));
  expect(await bed.database.read('SELECT version, price FROM products WHERE id = ?', [product])).toEqual([
    { version: 3, price: 300 },
  ]);
  await bed.publish(productEvent(productState({ id: product, version: 4, deleted: true })));
  await until(
    async () =>
      (await send('createOrder', { items: [{ productId: product, quantity: 1 }] })).error?.code === 'NOT_FOUND',
  );
});
