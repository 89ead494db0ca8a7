import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import { fold } from '../../shared/events/fold.js';
import type { OrderState } from '../../shared/events/states.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { decide, evolve, toData, type OrderCommand, type OrderReport } from './order.js';

export interface OrderRow {
  readonly id: string;
  readonly state: string;
}

export const fromRow = ({ state }: OrderRow): OrderState => JSON.parse(state) as OrderState;

const toRow = (order: OrderState) => ({
  id: order.id,
  version: order.version,
  user_id: order.userId,
  status: order.status,
  state: JSON.stringify(order),
  created_at: order.createdAt,
  updated_at: order.updatedAt,
});

const byId = (rows: readonly OrderRow[]): Map<string, OrderState> => new Map(rows.map((row) => [row.id, fromRow(row)]));

/** What another subgraph reports about an order. */
export interface Reported {
  readonly orderId: string;
  readonly report: OrderReport;
  /** Trace context of the event that reported it. */
  readonly traceparent: string | null;
}

/** Orders and the events they lead to, written in one transaction. */
export class OrderStore {
  constructor(private readonly outbox: Outbox) {}

  /** @throws AppError CONFLICT if there is an order with this id. */
  async create(tx: Transaction, command: OrderCommand, traceparent: string | null): Promise<OrderState> {
    const { state, events } = fold(null, decide(null, command), evolve, toData);
    if (state === null) throw new Error(`${command.type} creates no order.`);
    await tx.insert('orders', [toRow(state)]);
    await this.outbox.append(tx, events, traceparent);
    return state;
  }

  /**
   * Locks the order, asks `request` what is to be done with it (null if there is none), and answers the order afterwards.
   * Whatever `request` or the rules throw comes through, and nothing is changed.
   */
  async update(
    tx: Transaction,
    id: string,
    request: (order: OrderState | null) => OrderCommand,
    traceparent: string | null,
  ): Promise<OrderState> {
    const before = byId(await tx.lock<OrderRow>('orders', 'id', [id])).get(id) ?? null;
    const { state, events } = fold(before, decide(before, request(before)), evolve, toData);
    if (state === null) throw new Error(`There is no order ${id} to update.`);
    if (events.length > 0) {
      await tx.upsert('orders', ['id'], [toRow(state)]);
      await this.outbox.append(tx, events, traceparent);
    }
    return state;
  }

  /** Applies reports to their orders, in their order, each table written once. Answers the ids that are no orders. */
  async report(tx: Transaction, reports: readonly Reported[]): Promise<string[]> {
    const orders = byId(await tx.lock<OrderRow>('orders', 'id', [...new Set(reports.map(({ orderId }) => orderId))]));
    const unknown: string[] = [];
    const changed = new Set<string>();
    const published: AnyNewEvent[] = [];
    for (const { orderId, report, traceparent } of reports) {
      const before = orders.get(orderId);
      if (before === undefined) {
        unknown.push(orderId);
        continue;
      }
      const { state, events } = fold(before, decide(before, report), evolve, toData);
      if (events.length === 0) continue;
      orders.set(orderId, state);
      changed.add(orderId);
      published.push(...events.map((event) => ({ ...event, traceparent })));
    }
    if (changed.size > 0) {
      await tx.upsert('orders', ['id'], [...orders.values()].filter(({ id }) => changed.has(id)).map(toRow));
      await this.outbox.append(tx, published);
    }
    return unknown;
  }

  /** The orders as last committed, deleted ones too. */
  async find(database: Database, ids: readonly string[]): Promise<Map<string, OrderState>> {
    return byId(
      await database.read<OrderRow>(`SELECT id, state FROM orders WHERE id IN (${placeholders(ids.length)})`, ids),
    );
  }
}
