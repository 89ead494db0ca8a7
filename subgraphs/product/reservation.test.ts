import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { available, evolve, type ProductState } from './product.js';
import { decideReservation, type ReservationCommand, type ReservationKept, type ReservedItem } from './reservation.js';

const product = (id: string, stock: number, changes: Partial<ProductState> = {}): ProductState => ({
  ...evolve(null, { type: 'product.created', id, name: id, description: '', price: 100, stock, at: 1 }),
  ...changes,
});
const shelf = (...products: ProductState[]) => new Map(products.map((one) => [one.id, one]));
const items = [
  { productId: 'a', quantity: 2 },
  { productId: 'b', quantity: 1 },
];
const reserve: ReservationCommand = { type: 'reserve', orderId: 'o1', items, at: 1 };
const release: ReservationCommand = { type: 'release', orderId: 'o1', at: 2 };
const consume: ReservationCommand = { type: 'consume', orderId: 'o1', at: 3 };
const full = shelf(product('a', 5), product('b', 5));

/** What is kept after some commands on full shelves. */
const after = (...commands: ReservationCommand[]): ReservationKept | null =>
  commands.reduce<ReservationKept | null>(
    (state, command) => decideReservation(state, full, command).reservation ?? state,
    null,
  );
const nothing = { reservation: null, event: null, moves: [] };

describe('a reservation', () => {
  test('holds all items of an order', () => {
    expect(decideReservation(null, full, reserve)).toEqual({
      reservation: { orderId: 'o1', version: 1, status: 'RESERVED', items, reason: null, updatedAt: 1 },
      event: 'stock.reserved',
      moves: [
        { productId: 'a', stock: 0, reserved: 2 },
        { productId: 'b', stock: 0, reserved: 1 },
      ],
    });
  });

  test.each([
    ['is short', shelf(product('a', 2), product('b', 5, { reserved: 5 }))],
    ['is no longer sold', shelf(product('a', 2), product('b', 5, { deleted: true }))],
    ['does not exist', shelf(product('a', 2))],
  ])('holds nothing when one product %s', (_, products) => {
    expect(decideReservation(null, products, reserve)).toMatchObject({
      reservation: { status: 'REJECTED', reason: 'INSUFFICIENT_STOCK', items, version: 1 },
      event: 'stock.rejected',
      moves: [],
    });
  });

  test('is made once', () => {
    expect(decideReservation(after(reserve), full, reserve)).toEqual(nothing);
    expect(decideReservation(after(reserve, release), full, reserve)).toEqual(nothing);
  });

  test('gives back exactly what it held, once', () => {
    expect(decideReservation(after(reserve), full, release)).toMatchObject({
      reservation: { status: 'RELEASED', version: 2, items },
      event: 'stock.released',
      moves: [
        { productId: 'a', stock: 0, reserved: -2 },
        { productId: 'b', stock: 0, reserved: -1 },
      ],
    });
    expect(decideReservation(after(reserve, release), full, release)).toEqual(nothing);
  });

  test('takes what it held out of the stock, once', () => {
    expect(decideReservation(after(reserve), full, consume)).toMatchObject({
      reservation: { status: 'CONSUMED', version: 2 },
      event: 'stock.consumed',
      moves: [
        { productId: 'a', stock: -2, reserved: -2 },
        { productId: 'b', stock: -1, reserved: -1 },
      ],
    });
    expect(decideReservation(after(reserve, consume), full, consume)).toEqual(nothing);
    expect(decideReservation(after(reserve, consume), full, release)).toEqual(nothing);
    expect(decideReservation(after(reserve, release), full, consume)).toEqual(nothing);
    expect(decideReservation(null, full, consume)).toEqual(nothing);
  });

  test('of an order canceled before leaves a tombstone, says nothing, and is never made', () => {
    expect(decideReservation(null, full, release)).toEqual({
      reservation: { orderId: 'o1', version: 0, status: 'RELEASED', items: [], reason: null, updatedAt: 2 },
      event: null,
      moves: [],
    });
    expect(decideReservation(after(release), full, reserve)).toEqual(nothing);
  });
});

test('duplicated and crossed as orders may come, what is reserved is what open reservations hold, never more than there is', () => {
  const products = ['a', 'b', 'c'];
  const orders = ['o1', 'o2', 'o3', 'o4', 'o5', 'o6'];
  const item = fc.record({
    productId: fc.constantFrom(...products, 'unknown'),
    quantity: fc.integer({ min: 1, max: 4 }),
  });
  const wanted = fc.uniqueArray(item, { minLength: 1, maxLength: 3, selector: (one) => one.productId });
  const step = fc.record({
    orderId: fc.constantFrom(...orders),
    type: fc.constantFrom('reserve', 'reserve', 'release', 'consume'),
  });
  fc.assert(
    fc.property(
      fc.tuple(...orders.map(() => wanted)),
      fc.tuple(...products.map(() => fc.integer({ min: 0, max: 12 }))),
      fc.array(step, { maxLength: 60 }),
      (baskets, stocks, steps) => {
        const current = shelf(...products.map((id, index) => product(id, stocks[index] ?? 0)));
        const kept = new Map<string, ReservationKept>();
        const handle = (type: (typeof steps)[number]['type'], orderId: string): void => {
          const basket = baskets[orders.indexOf(orderId)] as readonly ReservedItem[];
          const command = { type, orderId, items: basket, at: 1 } as ReservationCommand;
          const { reservation, moves, event } = decideReservation(kept.get(orderId) ?? null, current, command);
          if (reservation !== null) {
            expect(reservation.version).toBe((kept.get(orderId)?.version ?? 0) + (event === null ? 0 : 1));
            kept.set(orderId, reservation);
          }
          for (const { productId, stock, reserved } of moves) {
            const before = current.get(productId) as ProductState;
            current.set(productId, evolve(before, { type: 'product.stock_changed', stock, reserved, at: 1 }));
          }
          for (const one of current.values()) {
            const pieces = (status: ReservationKept['status']): number =>
              [...kept.values()]
                .filter((reservation) => reservation.status === status)
                .flatMap((reservation) => reservation.items)
                .reduce((sum, { productId, quantity }) => sum + (productId === one.id ? quantity : 0), 0);
            expect(one.reserved).toBe(pieces('RESERVED'));
            expect(one.stock).toBe((stocks[products.indexOf(one.id)] ?? 0) - pieces('CONSUMED'));
            expect(available(one)).toBeGreaterThanOrEqual(0);
          }
        };
        for (const { type, orderId } of steps) handle(type, orderId);
        for (const orderId of orders) handle('release', orderId);
        for (const one of current.values()) expect(one.reserved).toBe(0);
      },
    ),
  );
});
