import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { OrderState, PaymentsState } from '../shared/events/states.js';
import type { Database } from '../shared/database/port.js';
import { PAYMENT_EXPIRED } from '../subgraphs/order/order.js';
import { SALES_ID, Shop, TREASURY_ID } from './shop.js';
import { startTestSystem } from './system.js';
import { until } from './until.js';

/** Milliseconds between an order's end and its payment: some are well before it, some a moment, some a moment after it. */
const PAID_AT = [-2_500, -1_500, -800, -400, -250, -150, -100, -60, -30, -15, -5, 0, 5, 20];

const PRICE = 10;
const CUSTOMERS = 6;
const AT_A_TIME = 8;
const MOST_MS = 180_000;

const ordersIn = async (database: Database | undefined): Promise<OrderState[]> =>
  ((await database?.read<{ state: string }>('SELECT state FROM orders')) ?? []).map(
    ({ state }) => JSON.parse(state) as OrderState,
  );

/** Orders that are paid and expire at the same moment, through everything: order, stock, wallets and payment provider. */
export function expiryRaceSuite(orders: number, expirySeconds: number): void {
  let shop: Shop;
  beforeAll(async () => {
    const settings = { ORDER_REMINDERS: '1s,2s', ORDER_EXPIRY: `${expirySeconds}s` };
    shop = new Shop(await startTestSystem({ settings }));
  });
  afterAll(() => shop.server.dispose());

  test(
    `${orders} orders paid in the moment they expire are each paid or canceled, and money and stock add up`,
    async () => {
      const { id: productId } = await shop.product({ price: `${PRICE}.00`, stock: orders });
      const customers = await Promise.all(
        Array.from({ length: CUSTOMERS }, async () => {
          const { id } = await shop.user();
          return { id, accountId: await shop.account(id, `${PRICE * orders}.00`) };
        }),
      );

      const payments: Promise<unknown>[] = [];
      let next = 0;
      const ordering = async (): Promise<void> => {
        for (let index = next++; index < orders; index = next++) {
          const { id: userId, accountId } = customers[index % CUSTOMERS] ?? { id: '', accountId: '' };
          const { id, createdAt } = await shop.order(userId, [productId, 1]);
          const offset = PAID_AT[index % PAID_AT.length] ?? 0;
          const due = Date.parse(createdAt) + expirySeconds * 1_000 + offset - Date.now();
          // Every other payment is the wallet's, and the next round of offsets has it the other way round.
          const wallet = (index + Math.floor(index / PAID_AT.length)) % 2 === 0;
          payments.push(
            new Promise((resolve) => setTimeout(resolve, due)).then(() =>
              shop.refused('payOrder', wallet ? { id, method: 'WALLET', accountId } : { id, method: 'PIX' }),
            ),
          );
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, ordering));
      const refusals = (await Promise.all(payments)).filter((refusal) => refusal !== undefined);
      // Whoever comes too late is told so, and nothing else goes wrong.
      expect(new Set(refusals.map((refusal) => JSON.stringify(refusal)))).toEqual(
        new Set(refusals.length === 0 ? [] : [JSON.stringify({ code: 'INVALID_STATE', field: 'id' })]),
      );

      const { databases } = shop.server;
      const all = (): Promise<OrderState[]> => ordersIn(databases.get('tributary_order'));
      await until(async () => (await all()).every(({ status }) => status === 'PAID' || status === 'CANCELED'));
      const ended = await all();
      expect(ended).toHaveLength(orders);
      const paid = ended.filter(({ status }) => status === 'PAID');
      const canceled = ended.filter(({ status }) => status === 'CANCELED');
      expect(new Set(canceled.map(({ cancelReason }) => cancelReason))).toEqual(new Set([PAYMENT_EXPIRED]));
      for (const { history } of ended) {
        expect(history.filter(({ status }) => status === 'PAID' || status === 'CANCELED')).toHaveLength(1);
      }
      // The offsets see to it that both happen.
      expect(Math.min(paid.length, canceled.length)).toBeGreaterThan(0);

      await shop.stockReaches(productId, orders, paid.length);
      const byWallet = paid.filter(({ payment }) => payment?.method === 'WALLET');
      const amount = (pieces: number): string => `${PRICE * pieces}.00`;
      await shop.balanceReaches(SALES_ID, amount(byWallet.length));
      await shop.balanceReaches(TREASURY_ID, `-${amount(CUSTOMERS * orders)}`);
      for (const { id, accountId } of customers) {
        const spent = byWallet.filter(({ userId }) => userId === id).length;
        await shop.balanceReaches(accountId, amount(orders - spent));
      }
      await shop.ledgerIsBalanced();

      // Of every order money was kept once if it is paid, and not at all if it is canceled; the order says the same.
      await until(async () => {
        const books = new Map<string, PaymentsState['attempts']>();
        const balance = databases.get('tributary_balance');
        const rows = await balance?.read<{ order_id: string; attempts: string }>(
          'SELECT order_id, attempts FROM payments',
        );
        for (const { order_id: id, attempts } of rows ?? []) {
          books.set(id, JSON.parse(attempts) as PaymentsState['attempts']);
        }
        for (const { id, status, payment } of await all()) {
          const attempts = books.get(id) ?? [];
          expect(attempts.filter((attempt) => attempt.status === 'COMPLETED')).toHaveLength(status === 'PAID' ? 1 : 0);
          expect(attempts.filter((attempt) => attempt.status === 'REQUESTED')).toEqual([]);
          const refunded = attempts.some((attempt) => attempt.status === 'REFUNDED');
          const told =
            status === 'PAID' ? 'COMPLETED' : refunded ? 'REFUNDED' : payment === null ? undefined : 'FAILED';
          expect(payment?.status).toBe(told);
        }
        return true;
      });
      expect(await databases.get('tributary_order')?.read('SELECT * FROM timers')).toEqual([]);
    },
    MOST_MS,
  );
}
