import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { OrderState } from '../shared/events/states.js';
import { SALES_ID } from '../subgraphs/balance/account.js';
import { Saga, type Method } from './saga-model.js';

const PRODUCTS = [
  { id: 'scarce', price: 1_000, stock: 3 },
  { id: 'plenty', price: 1, stock: 1_000 },
  { id: 'free', price: 0, stock: 5 },
] as const;
const WALLETS = ['rich', 'poor'] as const;

type Step =
  | { readonly do: 'create'; readonly items: readonly { productId: string; quantity: number }[] }
  | { readonly do: 'pay'; readonly order: number; readonly method: Method; readonly wallet: string }
  | {
      readonly do: 'request';
      readonly order: number;
      readonly what: 'cancel' | 'startProcessing' | 'complete' | 'delete';
    }
  | { readonly do: 'tick'; readonly order: number; readonly what: 'remind' | 'expire' }
  | { readonly do: 'deliver'; readonly order: number; readonly consumer: number; readonly upTo: number }
  | { readonly do: 'deliverAhead'; readonly order: number; readonly consumer: number }
  | { readonly do: 'redeliver'; readonly order: number; readonly consumer: number; readonly which: number }
  | { readonly do: 'advance'; readonly order: number }
  | { readonly do: 'provide'; readonly which: number; readonly approves: boolean; readonly answerIsLost: boolean }
  | { readonly do: 'restock'; readonly product: string; readonly stock: number }
  | { readonly do: 'transfer'; readonly back: boolean; readonly amount: number };

// Few orders, so that many things happen to each of them.
const order = fc.nat(3);
const which = fc.nat(7);
const product = fc.constantFrom(...PRODUCTS.map(({ id }) => id));
const consumer = fc.nat(3);
const is = <T extends Step['do']>(name: T) => fc.constant(name);
const items = fc.uniqueArray(fc.record({ productId: product, quantity: fc.integer({ min: 1, max: 2 }) }), {
  minLength: 1,
  maxLength: 2,
  selector: ({ productId }) => productId,
});
const method = fc.constantFrom<Method>('CREDIT_CARD', 'WALLET');
const wallet = fc.constantFrom(...WALLETS);
const what = fc.constantFrom<(Step & { do: 'request' })['what'][]>(
  'cancel',
  'startProcessing',
  'startProcessing',
  'complete',
  'complete',
  'delete',
);
const upTo = fc.integer({ min: 1, max: 4 });
const mostly = fc.nat(3).map((number) => number > 0);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: is('create'), items }) },
  { weight: 5, arbitrary: fc.record({ do: is('pay'), order, method, wallet }) },
  { weight: 5, arbitrary: fc.record({ do: is('request'), order, what }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: is('tick'), order, what: fc.constantFrom<'remind' | 'expire'>('remind', 'expire') }),
  },
  { weight: 10, arbitrary: fc.record({ do: is('deliver'), order, consumer, upTo }) },
  { weight: 2, arbitrary: fc.record({ do: is('deliverAhead'), order, consumer }) },
  { weight: 4, arbitrary: fc.record({ do: is('redeliver'), order, consumer, which }) },
  { weight: 6, arbitrary: fc.record({ do: is('advance'), order }) },
  { weight: 6, arbitrary: fc.record({ do: is('provide'), which, approves: mostly, answerIsLost: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: is('restock'), product, stock: fc.nat(10) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: is('transfer'), back: fc.boolean(), amount: fc.integer({ min: 1, max: 4_000 }) }),
  },
);

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, number) => total + number, 0);

/** What the orders of these statuses hold of a product. */
const piecesIn = (saga: Saga, productId: string, ...statuses: OrderState['status'][]): number =>
  sum(
    [...saga.orders.values()]
      .filter(({ status }) => statuses.includes(status))
      .flatMap(({ items }) => items.filter((item) => item.productId === productId).map(({ quantity }) => quantity)),
  );

const PAID: readonly OrderState['status'][] = ['PAID', 'PROCESSING', 'COMPLETED'];

/** What must hold at every moment, whatever is under way, and does not. */
function faults(saga: Saga): string[] {
  const found: string[] = [];
  const accounts = [...saga.accounts.values()];
  if (sum(accounts.map(({ balance }) => balance)) !== 0) found.push('the ledger is out of balance');
  for (const { id, kind, balance } of accounts) {
    if (kind !== 'TREASURY' && balance < 0) found.push(`account ${id} is at ${balance}`);
  }
  for (const { id, stock, reserved } of saga.products.values()) {
    if (reserved < 0 || stock < reserved) found.push(`${id}: ${reserved} reserved of ${stock}`);
  }
  for (const { id } of saga.orders.values()) {
    if (saga.taken(id).length > 1) found.push(`order ${id} is paid twice`);
  }
  return found;
}

/** Once everything has been delivered and answered. */
function expectSettled(saga: Saga, onHand: ReadonlyMap<string, number>): void {
  for (const { id, stock, reserved } of saga.products.values()) {
    expect(reserved).toBe(piecesIn(saga, id, 'AWAITING_PAYMENT', 'PAID', 'PROCESSING'));
    expect(stock).toBe((onHand.get(id) ?? 0) - piecesIn(saga, id, 'COMPLETED'));
  }
  for (const order of saga.orders.values()) {
    const { id, status, payment, total } = order;
    expect(status).not.toBe('PENDING');
    const reservation = saga.reservations.get(id)?.status;
    const attempts = saga.books.get(id)?.attempts ?? [];
    expect(attempts.filter((attempt) => attempt.status === 'REQUESTED' || attempt.refunding)).toEqual([]);
    expect(payment?.status).not.toBe('WAITING_FOR_STOCK');
    expect(payment?.status).not.toBe('REQUESTED');

    if (status === 'CANCELED') {
      expect(['RELEASED', 'REJECTED']).toContain(reservation);
      expect(saga.taken(id)).toEqual([]);
      expect(attempts.some((attempt) => attempt.status === 'COMPLETED')).toBe(false);
      const moneyCame = attempts.find(({ paymentId }) => paymentId === payment?.paymentId)?.status === 'REFUNDED';
      expect(payment?.status).toBe(payment === null ? undefined : moneyCame ? 'REFUNDED' : 'FAILED');
    } else if (PAID.includes(status)) {
      expect(reservation).toBe(status === 'COMPLETED' ? 'CONSUMED' : 'RESERVED');
      expect(sum(saga.taken(id))).toBe(total);
      const paid = attempts.filter((attempt) => attempt.status === 'COMPLETED');
      expect(paid.map(({ paymentId }) => paymentId)).toEqual([payment?.paymentId]);
      expect(payment?.status).toBe('COMPLETED');
    } else {
      expect(reservation).toBe('RESERVED');
      expect(saga.taken(id)).toEqual([]);
      expect(payment?.status ?? 'FAILED').toBe('FAILED');
    }
  }
  const paidBy = (wallet: boolean): number =>
    sum(
      [...saga.orders.values()]
        .filter(({ status, payment }) => PAID.includes(status) && (payment?.method === 'WALLET') === wallet)
        .map(({ total }) => total),
    );
  expect(saga.accounts.get(SALES_ID)?.balance).toBe(paidBy(true));
  const charges = [...saga.charges.values()].filter(({ approved }) => approved);
  const captured = sum(charges.map(({ amount }) => amount));
  const refunded = sum(charges.filter((charge) => charge.refunded).map(({ amount }) => amount));
  expect(captured - refunded).toBe(paidBy(false));
}

/** How often each kind of end was met, so that a property that meets nothing is not taken for one that holds. */
const met = new Map<string, number>();

test('whatever people do and however events are delivered, stock and money add up in the end', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), (steps) => {
      const saga = new Saga(PRODUCTS);
      const onHand = new Map<string, number>(PRODUCTS.map(({ id, stock }) => [id, stock]));
      for (const wallet of WALLETS) saga.openAccount(wallet);
      saga.deposit('rich', 20_000);
      saga.deposit('poor', 1_500);

      for (const one of steps) {
        const orders = [...saga.orders.keys()];
        const orderId = 'order' in one ? orders[one.order % Math.max(orders.length, 1)] : undefined;
        if ('order' in one && orderId === undefined) continue;
        const id = orderId ?? '';
        switch (one.do) {
          case 'create':
            saga.create(one.items);
            break;
          case 'pay':
            saga.pay(id, one.method, one.wallet);
            break;
          case 'request':
            saga.request(id, one.what);
            break;
          case 'tick':
            saga.tick(id, one.what);
            break;
          case 'deliver':
            for (let count = 0; count < one.upTo; count++) saga.deliver(one.consumer, id);
            break;
          case 'deliverAhead':
            saga.deliverAhead(one.consumer, id);
            break;
          case 'advance':
            saga.advance(id);
            break;
          case 'redeliver':
            saga.redeliver(one.consumer, id, one.which);
            break;
          case 'provide':
            saga.provide(one.which, one.approves, one.answerIsLost);
            break;
          case 'restock':
            onHand.set(one.product, (onHand.get(one.product) ?? 0) + saga.restock(one.product, one.stock));
            break;
          case 'transfer':
            if (one.back) saga.transfer('poor', 'rich', one.amount);
            else saga.transfer('rich', 'poor', one.amount);
            break;
        }
        const wrong = faults(saga);
        if (wrong.length > 0) expect(wrong).toEqual([]);
      }
      saga.settle();
      expect(faults(saga)).toEqual([]);
      expectSettled(saga, onHand);
      for (const { status, payment, cancelReason } of saga.orders.values()) {
        const end = [status, payment?.status, cancelReason].join(' ');
        met.set(end, (met.get(end) ?? 0) + 1);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('the sequences above met every end an order can have', () => {
  expect([...met.keys()].sort()).toEqual([
    'AWAITING_PAYMENT  ',
    'AWAITING_PAYMENT FAILED ',
    'CANCELED  INSUFFICIENT_STOCK',
    'CANCELED  PAYMENT_EXPIRED',
    'CANCELED  canceled',
    'CANCELED FAILED INSUFFICIENT_STOCK',
    'CANCELED FAILED PAYMENT_EXPIRED',
    'CANCELED FAILED canceled',
    'CANCELED REFUNDED PAYMENT_EXPIRED',
    'CANCELED REFUNDED canceled',
    'COMPLETED COMPLETED ',
    'PAID COMPLETED ',
    'PROCESSING COMPLETED ',
  ]);
});
