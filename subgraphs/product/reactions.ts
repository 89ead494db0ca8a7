import type { Transaction } from '../../shared/database/port.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import { reaction, type EventOf, type Reaction } from '../../shared/reactions/reaction.js';
import { decide, evolve, type ProductState } from './product.js';
import { decideReservation, type ReservationCommand, type ReservationKept } from './reservation.js';
import type { ProductStore } from './store.js';

type OrderEvent = EventOf<'order.created' | 'order.canceled' | 'order.completed'>;

/** Permanent name of the consumer group: a new one would reserve for every order of the past again. */
const CONSUMER = 'product.reservations';

/** Reserves stock for new orders, releases it for canceled ones and takes it out for completed ones. */
export function reservations({ store, now }: { readonly store: ProductStore; readonly now: () => number }): Reaction {
  return reaction({
    consumer: CONSUMER,
    topics: ['orders'],
    types: ['order.created', 'order.canceled', 'order.completed'],
    async handle(tx, events) {
      const at = now();
      const kept = await store.lockReservations(
        tx,
        events.map((event) => event.subject),
      );
      const products = await store.lockProducts(tx, productsNeeded(events, kept));
      await settle(tx, events, { store, kept, products, at });
    },
  });
}

function* productsNeeded(events: readonly OrderEvent[], kept: ReadonlyMap<string, ReservationKept>): Iterable<string> {
  for (const { subject, data } of events) {
    for (const item of kept.get(subject)?.items ?? data.order.items) yield item.productId;
  }
}

/** Decides the whole batch in memory, then writes each table once: a product moves once, however many orders touch it. */
async function settle(
  tx: Transaction,
  events: readonly OrderEvent[],
  {
    store,
    kept,
    products,
    at,
  }: {
    readonly store: ProductStore;
    readonly kept: Map<string, ReservationKept>;
    readonly products: ReadonlyMap<string, ProductState>;
    readonly at: number;
  },
): Promise<void> {
  const current = new Map(products);
  const totals = new Map<string, { stock: number; reserved: number }>();
  const changed = new Map<string, ReservationKept>();
  const published: AnyNewEvent[] = [];

  for (const event of events) {
    const orderId = event.subject;
    const outcome = decideReservation(kept.get(orderId) ?? null, current, commandFor(event, at));
    if (outcome.reservation === null) continue;
    kept.set(orderId, outcome.reservation);
    changed.set(orderId, outcome.reservation);
    for (const { productId, stock, reserved } of outcome.moves) {
      const product = current.get(productId);
      if (product === undefined) throw new Error(`a reservation of the unknown product ${productId}`);
      current.set(productId, evolve(product, { type: 'product.stock_changed', stock, reserved, at }));
      const total = totals.get(productId) ?? { stock: 0, reserved: 0 };
      totals.set(productId, { stock: total.stock + stock, reserved: total.reserved + reserved });
    }
    if (outcome.event !== null) {
      const { reservation } = outcome;
      published.push({
        type: outcome.event,
        subject: orderId,
        sequence: reservation.version,
        data: { reservation: { ...reservation, items: [...reservation.items] } },
        traceparent: event.traceparent,
      });
    }
  }

  store.saveReservations(tx, [...changed.values()]);
  const moved = [...totals].map(([id, total]) => {
    const before = products.get(id) ?? null;
    return { before, events: decide(before, { type: 'moveStock', ...total, at }) };
  });
  store.save(tx, moved, null, published);
}

function commandFor(event: OrderEvent, at: number): ReservationCommand {
  const orderId = event.subject;
  switch (event.type) {
    case 'order.created':
      return {
        type: 'reserve',
        orderId,
        items: event.data.order.items.map(({ productId, quantity }) => ({ productId, quantity })),
        at,
      };
    case 'order.canceled':
      return { type: 'release', orderId, at };
    case 'order.completed':
      return { type: 'consume', orderId, at };
  }
}
