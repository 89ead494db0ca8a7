import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { evolve, type ProductEvent, type ProductState } from './product.js';
import type { ReservationKept } from './reservation.js';

export interface ProductRow {
  readonly id: string;
  readonly version: number;
  readonly name: string;
  readonly description: string;
  readonly price: number;
  readonly stock: number;
  readonly reserved: number;
  readonly deleted: number;
  readonly created_at: number;
  readonly updated_at: number;
}

interface ReservationRow {
  readonly order_id: string;
  readonly version: number;
  readonly status: ReservationKept['status'];
  readonly items: string;
  readonly reason: string | null;
  readonly updated_at: number;
}

export const fromRow = ({ created_at, updated_at, deleted, ...rest }: ProductRow): ProductState => ({
  ...rest,
  deleted: deleted === 1,
  createdAt: created_at,
  updatedAt: updated_at,
});

const toRow = ({ createdAt, updatedAt, ...rest }: ProductState) => ({
  ...rest,
  created_at: createdAt,
  updated_at: updatedAt,
});

/** Products as events with a snapshot row, and the reservations of orders. */
export class ProductStore {
  constructor(private readonly outbox: Outbox) {}

  /** The products by id, locked in id order until the transaction ends. */
  async lockProducts(tx: Transaction, ids: Iterable<string>): Promise<Map<string, ProductState>> {
    const rows = await tx.lock<ProductRow>('products', 'id', [...new Set(ids)]);
    return new Map(rows.map((row) => [row.id, fromRow(row)]));
  }

  /** The products by id as last committed. */
  async findProducts(db: Database, ids: readonly string[]): Promise<Map<string, ProductState>> {
    const rows = await db.read<ProductRow>(`SELECT * FROM products WHERE id IN (${placeholders(ids.length)})`, ids);
    return new Map(rows.map((row) => [row.id, fromRow(row)]));
  }

  /** Appends events to products, each list to its product, and publishes them and `others`; answers the products afterwards. */
  save(
    tx: Transaction,
    changes: readonly { readonly before: ProductState | null; readonly events: readonly ProductEvent[] }[],
    traceparent: string | null = null,
    others: readonly AnyNewEvent[] = [],
  ): ProductState[] {
    const stored: Record<string, string | number>[] = [];
    const published: AnyNewEvent[] = [];
    const after = changes.map(({ before, events }) => {
      let state = before;
      for (const event of events) {
        state = evolve(state, event);
        const { type, at, ...data } = event;
        stored.push({ product_id: state.id, version: state.version, type, data: JSON.stringify(data), at });
        published.push({ type, subject: state.id, sequence: state.version, data: { product: state } });
      }
      if (state === null) throw new Error('a change of no product');
      return state;
    });
    if (stored.length > 0) {
      tx.deferred.insert('product_events', stored);
      tx.deferred.upsert('products', ['id'], after.map(toRow));
    }
    this.outbox.append(tx, [...others, ...published], traceparent);
    return after;
  }

  /** The reservations by order, locked in id order until the transaction ends. */
  async lockReservations(tx: Transaction, orderIds: Iterable<string>): Promise<Map<string, ReservationKept>> {
    const rows = await tx.lock<ReservationRow>('reservations', 'order_id', [...new Set(orderIds)]);
    return new Map(
      rows.map(({ order_id, items, updated_at, ...rest }) => [
        order_id,
        { ...rest, orderId: order_id, items: JSON.parse(items) as ReservationKept['items'], updatedAt: updated_at },
      ]),
    );
  }

  saveReservations(tx: Transaction, reservations: readonly ReservationKept[]): void {
    tx.deferred.upsert(
      'reservations',
      ['order_id'],
      reservations.map(({ orderId, items, updatedAt, ...rest }) => ({
        ...rest,
        order_id: orderId,
        items: JSON.stringify(items),
        updated_at: updatedAt,
      })),
    );
  }
}

/** How many events are read at a time. */
const REBUILD_CHUNK = 1_000;

/**
 * Makes every snapshot row anew from the events, in one transaction. Answers how many products there are.
 * Publishes nothing: the events were published when they happened.
 */
export function rebuild(database: Database): Promise<number> {
  return database.transaction(async (tx) => {
    await tx.execute('DELETE FROM products');
    let last = { product_id: '', version: 0 };
    let state: ProductState | null = null;
    let products = 0;
    const flush = async (): Promise<void> => {
      if (state === null) return;
      await tx.insert('products', [toRow(state)]);
      products += 1;
      state = null;
    };
    for (;;) {
      const rows: { product_id: string; version: number; type: string; data: string; at: number }[] = await tx.query(
        `SELECT * FROM product_events WHERE product_id > ? OR (product_id = ? AND version > ?)
         ORDER BY product_id, version LIMIT ${REBUILD_CHUNK}`,
        [last.product_id, last.product_id, last.version],
      );
      for (const { product_id, type, data, at } of rows) {
        if (product_id !== last.product_id) await flush();
        state = evolve(state, { ...(JSON.parse(data) as object), type, at } as ProductEvent);
        last = { product_id, version: state.version };
      }
      if (rows.length < REBUILD_CHUNK) break;
    }
    await flush();
    return products;
  });
}
