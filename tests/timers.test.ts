import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OrderState } from '../shared/events/states.js';
import { Shop, type OrderStatus } from './shop.js';
import { ADMIN, collect, startTestSystem, userIdentity } from './system.js';
import { until } from './until.js';

let shop: Shop;

beforeAll(async () => {
  const settings = {
    // Far apart: a machine that stands still for longer than that skips the reminder, as it should.
    ORDER_REMINDERS: '2s',
    ORDER_EXPIRY: '12s',
    ORDER_PROCESSING_AFTER: '1s',
    ORDER_COMPLETION_AFTER: '1s',
  };
  shop = new Shop(await startTestSystem({ settings }));
});
afterAll(() => shop.server.dispose());

interface StatusMessage {
  readonly orderStatusChanged: {
    readonly kind: string;
    readonly status: OrderStatus;
    readonly reason: string | null;
    readonly order: { readonly id: string; readonly version: number };
  };
}

const STATUS = `subscription ($userId: ID) {
  orderStatusChanged(userId: $userId) { kind status reason order { id version } }
}`;

interface Entry {
  readonly type: string;
  readonly at: string;
  readonly data: {
    readonly order: OrderState;
    readonly reminder?: { readonly number: number; readonly expiresAt: number };
  };
}

const timeline = async (id: string): Promise<readonly Entry[]> => {
  const query = 'query ($id: ID!) { timeline(aggregateId: $id) { topic type at data } }';
  const { timeline: all } = await shop.server.ok<{ timeline: readonly (Entry & { readonly topic: string })[] }>(query, {
    id,
  });
  return all.filter(({ topic }) => topic === 'orders');
};

test('an order that nobody pays is reminded of and canceled; its stock is free again, and subscribers hear of the end only', async () => {
  const { id: userId } = await shop.user();
  const { id: productId } = await shop.product({ stock: 5 });
  const customer = collect<StatusMessage>(shop.server.socket(userIdentity(userId)), STATUS, { userId });
  const everybody = collect<StatusMessage>(shop.server.socket(ADMIN), STATUS);
  const { id } = await shop.order(userId, [productId, 2]);
  const canceled = await shop.reaches(id, 'CANCELED');
  expect(canceled).toMatchObject({ cancelReason: 'PAYMENT_EXPIRED', payment: null });
  await shop.stockReaches(productId, 5, 0);

  const entries = await until(async () => {
    const found = await timeline(id);
    return found.length === canceled.version && found;
  });
  expect(entries.map(({ type }) => type)).toEqual([
    'order.created',
    'order.awaiting_payment',
    'order.payment_reminder',
    'order.canceled',
  ]);
  const created = entries[0]?.data.order.createdAt ?? 0;
  expect(entries.map(({ data }) => data.reminder).filter((reminder) => reminder !== undefined)).toEqual([
    { number: 1, expiresAt: created + 12_000 },
  ]);
  // Never before its time.
  expect(entries[2]?.data.order.updatedAt).toBeGreaterThanOrEqual(created + 2_000);
  expect(entries[3]?.data.order.updatedAt).toBeGreaterThanOrEqual(created + 12_000);

  for (const { messages } of [customer, everybody]) {
    const heard = await until(() => {
      const mine = messages
        .flatMap(({ data }) => data?.orderStatusChanged ?? [])
        .filter(({ order }) => order.id === id);
      return mine.at(-1)?.status === 'CANCELED' && mine;
    });
    // Nothing of version 3, which is the reminder. Who was slow to subscribe begins later.
    const changes = heard
      .filter(({ kind }) => kind === 'CHANGE')
      .map(({ status, order }) => `${order.version} ${status}`);
    const all = ['1 PENDING', '2 AWAITING_PAYMENT', '4 CANCELED'];
    expect(changes).toEqual(all.slice(-changes.length));
    expect(heard.at(-1)?.reason).toBe('PAYMENT_EXPIRED');
  }
});

test('a paid order goes on to PROCESSING and COMPLETED by itself, and what was reserved leaves the stock', async () => {
  const { id: userId } = await shop.user();
  const { id: productId } = await shop.product({ stock: 5 });
  const { id } = await shop.order(userId, [productId, 2]);
  await shop.pay(id);
  const completed = await shop.reaches(id, 'COMPLETED');
  expect(completed.history.map(({ status }) => status)).toEqual([
    'PENDING',
    'AWAITING_PAYMENT',
    'PAID',
    'PROCESSING',
    'COMPLETED',
  ]);
  await shop.stockReaches(productId, 3, 0);
});
