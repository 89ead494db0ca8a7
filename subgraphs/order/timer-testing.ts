/** Orders, their timers and a clock to be set at will, for the tests of what the clock does. */
import { expect } from '@jest/globals';
import { v7 } from 'uuid';
import type { OrderTimes } from '../../shared/config/order-times.js';
import type { DatabaseEngine } from '../../shared/database/contract.js';
import type { Database } from '../../shared/database/port.js';
import { testDatabases } from '../../shared/database/testing.js';
import type { OrderState } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { Timers1760000000000 } from './migrations/2-timers.js';
import type { OrderCommand } from './order.js';
import { OrderStore, type Fired } from './store.js';
import { TimerWorker } from './timers.js';

export const MINUTE = 60_000;
export const TIMES: OrderTimes = {
  reminders: [10 * MINUTE, 20 * MINUTE],
  expiry: 60 * MINUTE,
  processing: 5 * MINUTE,
  completion: 5 * MINUTE,
};
export const NEVER: OrderTimes = { reminders: [], expiry: null, processing: null, completion: null };

const MIGRATIONS = [Initial1700000000000, Timers1760000000000];

interface Process {
  readonly database: Database;
  readonly worker: TimerWorker;
  readonly metrics: ReturnType<typeof createMetrics>;
}

/** What was published of an order: `payment_reminder 1`, `canceled`. */
type Story = readonly string[];

export class TimerBed {
  readonly begun = Date.now();
  /** The time, as everybody here sees it. */
  clock = this.begun;
  readonly now = (): number => this.clock;
  readonly store = this.storeOf(TIMES);
  private readonly processes: Process[] = [];

  private constructor(
    private readonly databases: DatabaseEngine,
    /** To set things up and to look into. */
    public database: Database,
  ) {}

  static async open(): Promise<TimerBed> {
    const databases = await testDatabases();
    const database = await databases.open({ name: 'tributary_order', migrations: MIGRATIONS });
    await database.migrate();
    return new TimerBed(databases, database);
  }

  async dispose(): Promise<void> {
    for (const { worker, database } of this.processes) {
      await worker.stop();
      await database.close();
    }
    await this.database.close();
    await this.databases.dispose();
  }

  storeOf(times: OrderTimes): OrderStore {
    return new OrderStore(new Outbox('tributary/order', this.now), times);
  }

  /** What one process has: its own handle of the database, or the one given, and a worker that is not started yet. */
  async newProcess(given?: Database): Promise<Process> {
    const database = given ?? (await this.databases.open({ name: 'tributary_order', migrations: MIGRATIONS }));
    const metrics = createMetrics();
    const { store, now } = this;
    const worker = new TimerWorker({ database, store, times: TIMES, log: silentLogger(), metrics, now });
    const process = { database, worker, metrics };
    this.processes.push(process);
    return process;
  }

  /** Goes on in another database, from before there were timers; answers what brings it up to date. */
  async beforeTimers(): Promise<() => Promise<void>> {
    const name = 'tributary_old';
    await this.database.close();
    this.database = await this.databases.open({ name, migrations: MIGRATIONS.slice(0, 1) });
    await this.database.migrate();
    return async () => {
      await this.database.close();
      this.database = await this.databases.open({ name, migrations: MIGRATIONS });
      await this.database.migrate();
    };
  }

  /** Made now, as the clock here says. Answers their ids. */
  async orders(count: number, store = this.store): Promise<string[]> {
    const ids = Array.from({ length: count }, () => v7({ msecs: this.clock }));
    const items = [{ productId: 'phone', name: 'Phone', quantity: 1, unitPrice: 100 }];
    await this.database.transaction(async (tx) => {
      for (const id of ids) {
        store.create(tx, { type: 'create', id, userId: newId(), items, at: this.clock }, null);
      }
    });
    return ids;
  }

  change(id: string, command: Partial<OrderCommand> & Pick<OrderCommand, 'type'>, store = this.store) {
    const whole = { at: this.clock, ...command } as OrderCommand;
    return this.database.transaction((tx) => store.update(tx, id, () => whole, null));
  }

  /** Up to the moment at which the money is on its way. */
  async pay(id: string): Promise<void> {
    await this.change(id, { type: 'stockReserved' });
    await this.change(id, { type: 'pay', attempt: { paymentId: paymentOf(id), method: 'PIX', accountId: null } });
  }

  async moneyArrives(id: string, store = this.store): Promise<void> {
    await this.change(id, { type: 'paymentCompleted', paymentId: paymentOf(id), reference: null }, store);
  }

  /** What a worker does in one transaction. */
  fire(ids: readonly string[], most = 100): Promise<Fired[]> {
    return this.database.transaction((tx) => this.store.fire(tx, ids, this.clock, most));
  }

  async order(id: string): Promise<OrderState> {
    return JSON.parse(await this.rawState(id)) as OrderState;
  }

  async rawState(id: string): Promise<string> {
    const [row] = await this.database.read<{ state: string }>('SELECT state FROM orders WHERE id = ?', [id]);
    return row?.state ?? 'null';
  }

  async setRawState(id: string, state: string): Promise<void> {
    await this.database.transaction((tx) => tx.execute('UPDATE orders SET state = ? WHERE id = ?', [state, id]));
  }

  /** What was published of each order; a hole or a repeat in the versions fails. */
  async stories(): Promise<Map<string, Story>> {
    const rows = await this.database.read<{ aggregate_id: string; version: number; headers: string; payload: string }>(
      'SELECT aggregate_id, version, headers, payload FROM outbox ORDER BY id',
    );
    const found = new Map<string, string[]>();
    for (const { aggregate_id: id, version, headers, payload } of rows) {
      const story = found.get(id) ?? [];
      expect(version).toBe(story.length + 1);
      const { reminder } = JSON.parse(payload) as { readonly reminder?: { readonly number: number } };
      const type = (JSON.parse(headers) as { readonly ce_type: string }).ce_type.replace('order.', '');
      story.push(reminder === undefined ? type : `${type} ${reminder.number}`);
      found.set(id, story);
    }
    return found;
  }

  async story(id: string): Promise<Story> {
    return (await this.stories()).get(id) ?? [];
  }

  /** Fails until what was published of the order is this. */
  async tells(id: string, story: Story): Promise<true> {
    expect(await this.story(id)).toEqual(story);
    return true;
  }

  /** Each order's timer, `REMINDER_1 at 10`, in minutes since the beginning. */
  async timers(): Promise<Map<string, string>> {
    const rows = await this.database.read<{ order_id: string; kind: string; due_at: number }>('SELECT * FROM timers');
    return new Map(rows.map((row) => [row.order_id, `${row.kind} at ${(row.due_at - this.begun) / MINUTE}`]));
  }
}

export const paymentOf = (orderId: string): string => `payment of ${orderId}`;
