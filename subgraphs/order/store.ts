import type { OrderTimes } from '../../shared/config/order-times.js';
import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import { lockChunks } from '../../shared/database/sql.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import { fold } from '../../shared/events/fold.js';
import type { OrderState } from '../../shared/events/states.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { decide, evolve, toData, type OrderCommand, type OrderReport } from './order.js';
import { firstTimer, stageOf, tick, type Timer, type TimerKind } from './timetable.js';

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

/** A timer that was due, and whether anything came of it. */
export interface Fired {
  readonly orderId: string;
  readonly kind: TimerKind;
  readonly acted: boolean;
}

type TimerRow = { readonly order_id: string; readonly kind: TimerKind; readonly due_at: number };

/** An order before and after what happens to it in a transaction; null before is a new one. */
interface Change {
  readonly before: OrderState | null;
  readonly after: OrderState;
  /** Its timer from now on, where that does not follow from entering a stage. */
  readonly timer?: Timer | null;
}

/** Orders, the events they lead to, and what the clock will do to them next, written in one transaction. */
export class OrderStore {
  constructor(
    private readonly outbox: Outbox,
    private readonly times: OrderTimes,
  ) {}

  /** If there is an order with this id, the transaction fails with AppError CONFLICT. */
  create(tx: Transaction, command: OrderCommand, traceparent: string | null): OrderState {
    const { state, events } = fold(null, decide(null, command), evolve, toData);
    if (state === null) throw new Error(`${command.type} creates no order.`);
    tx.deferred.insert('orders', [toRow(state)]);
    this.outbox.append(tx, events, traceparent);
    this.saveTimers(tx, [{ before: null, after: state }]);
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
      tx.deferred.upsert('orders', ['id'], [toRow(state)]);
      this.outbox.append(tx, events, traceparent);
      this.saveTimers(tx, [{ before, after: state }]);
    }
    return state;
  }

  /** Applies reports to their orders, in their order, each table written once. Answers the ids that are no orders. */
  async report(tx: Transaction, reports: readonly Reported[]): Promise<string[]> {
    const orders = byId(await tx.lock<OrderRow>('orders', 'id', [...new Set(reports.map(({ orderId }) => orderId))]));
    const unknown: string[] = [];
    const changed = new Map<string, Change>();
    const published: AnyNewEvent[] = [];
    for (const { orderId, report, traceparent } of reports) {
      const before = changed.get(orderId)?.after ?? orders.get(orderId);
      if (before === undefined) {
        unknown.push(orderId);
        continue;
      }
      const { state, events } = fold(before, decide(before, report), evolve, toData);
      if (events.length === 0) continue;
      changed.set(orderId, { before: orders.get(orderId) ?? null, after: state });
      published.push(...events.map((event) => ({ ...event, traceparent })));
    }
    this.save(tx, [...changed.values()], published);
    return unknown;
  }

  /**
   * Does what the clock is to do to these orders by now: those of them whose timers are due and that nobody else holds, at
   * most `most`. Answers which they were; the others are somebody else's or were dealt with.
   */
  async fire(tx: Transaction, orderIds: readonly string[], now: number, most: number): Promise<Fired[]> {
    // The orders first, as everybody who changes them: from here on nobody else changes their timers either.
    const rows = await tx.tryLock<OrderRow>('orders', 'id', orderIds, most);
    const kinds = await dueTimers(tx, rows, now);
    const fired: Fired[] = [];
    const changes: Change[] = [];
    const published: AnyNewEvent[] = [];
    for (const row of rows) {
      const kind = kinds.get(row.id);
      if (kind === undefined) continue;
      const before = fromRow(row);
      const { command, next } = tick(before, kind, this.times, now);
      const happens = command === null ? [] : decide(before, command);
      const { state: after, events } = fold(before, happens, evolve, toData);
      const timer = stageOf(after) === stageOf(before) ? { timer: next } : {};
      changes.push({ before, after, ...timer });
      published.push(...events);
      fired.push({ orderId: row.id, kind, acted: events.length > 0 });
    }
    this.save(tx, changes, published);
    return fired;
  }

  /** The orders as last committed, deleted ones too. */
  async find(database: Database, ids: readonly string[]): Promise<Map<string, OrderState>> {
    return byId(
      await database.read<OrderRow>(`SELECT id, state FROM orders WHERE id IN (${placeholders(ids.length)})`, ids),
    );
  }

  private save(tx: Transaction, changes: readonly Change[], events: readonly AnyNewEvent[]): void {
    const changed = changes.filter(({ before, after }) => before !== after);
    tx.deferred.upsert(
      'orders',
      ['id'],
      changed.map(({ after }) => toRow(after)),
    );
    this.outbox.append(tx, events);
    this.saveTimers(tx, changes);
  }

  private saveTimers(tx: Transaction, changes: readonly Change[]): void {
    const rows: TimerRow[] = [];
    const ended: string[] = [];
    for (const { before, after, timer } of changes) {
      // Whatever stays in its stage keeps the timer it has.
      if (timer === undefined && before !== null && stageOf(before) === stageOf(after)) continue;
      const next = timer === undefined ? firstTimer(after, this.times, after.updatedAt) : timer;
      if (next !== null) rows.push(...toTimerRows(after.id, next));
      else if (before !== null) ended.push(after.id);
    }
    tx.deferred.upsert('timers', ['order_id'], rows);
    for (const ids of lockChunks(ended)) {
      tx.deferred.execute(`DELETE FROM timers WHERE order_id IN (${placeholders(ids.length)})`, ids);
    }
  }
}

const toTimerRows = (orderId: string, timer: Timer | null): TimerRow[] =>
  timer === null ? [] : [{ order_id: orderId, kind: timer.kind, due_at: timer.dueAt }];

/** Which of these orders' timers are due by now. */
async function dueTimers(
  tx: Transaction,
  orders: readonly OrderRow[],
  now: number,
): Promise<ReadonlyMap<string, TimerKind>> {
  const due = new Map<string, TimerKind>();
  for (const ids of lockChunks(orders.map(({ id }) => id))) {
    const rows = await tx.query<Pick<TimerRow, 'order_id' | 'kind'>>(
      `SELECT order_id, kind FROM timers WHERE order_id IN (${placeholders(ids.length)}) AND due_at <= ?`,
      [...ids, now],
    );
    for (const { order_id: orderId, kind } of rows) due.set(orderId, kind);
  }
  return due;
}
