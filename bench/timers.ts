/** What the clock of orders costs whoever orders: createOrder with and without pending timers, and with the clock off. */
import { openEngines } from '../app/engines.js';
import { readConfig } from '../shared/config/config.js';
import type { Database } from '../shared/database/port.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { Outbox } from '../shared/outbox/outbox.js';
import { buildOrder } from '../subgraphs/order/app.js';
import { OrderStore } from '../subgraphs/order/store.js';
import { TimerWorker } from '../subgraphs/order/timers.js';
import { concurrently } from './client.js';
import { fillReplicas } from './order-api.js';
import { median, ms, perSecond, ratio, type Report } from './report.js';

const PENDING = 100_000;
const CHUNK = 2_000;

/** Orders under way at a time, orders of a turn, and turns of each. */
const AT_A_TIME = 16;
const ORDERS = 400;
const TURNS = 9;

const OFF = { ORDER_REMINDERS: 'off', ORDER_EXPIRY: 'off' };

interface Turn {
  /** Orders per second. */
  readonly rate: number;
  /** Processor time of this process per order, in milliseconds. */
  readonly cpuMs: number;
}

interface Candidate {
  turn(): Promise<Turn>;
  close(): Promise<void>;
}

/**
 * Orders are taken by the order subgraph's own commands, without HTTP around them, beside a worker that looks at the clock.
 * `settings` answers an empty place for each of the three that are measured in turns.
 */
export async function benchTimers(
  report: Report,
  settings: (name: string) => Readonly<Record<string, string>>,
): Promise<void> {
  const candidates = {
    none: await candidate(settings('none'), 0),
    many: await candidate(settings('many'), PENDING),
    off: await candidate({ ...settings('off'), ...OFF }, 0),
  };
  const names = Object.keys(candidates) as (keyof typeof candidates)[];
  const turns: Record<keyof typeof candidates, Turn[]> = { none: [], many: [], off: [] };
  for (const name of names) await candidates[name].turn();
  for (let round = 0; round < TURNS; round += 1) {
    // Whoever is first finds another machine than whoever is last.
    for (let index = 0; index < names.length; index += 1) {
      const name = names[(index + round) % names.length] ?? 'none';
      turns[name].push(await candidates[name].turn());
    }
  }
  for (const name of names) await candidates[name].close();

  const of = (name: keyof typeof candidates, what: keyof Turn): number => median(turns[name].map((turn) => turn[what]));
  const held = (ours: keyof typeof candidates, to: keyof typeof candidates): string => {
    const rates = turns[ours].map(({ rate }, at) => rate / (turns[to][at]?.rate ?? NaN));
    return `${ratio(median(rates))}, ${ratio(of(to, 'cpuMs') / of(ours, 'cpuMs'))} by processor time`;
  };
  const many = PENDING.toLocaleString('en');
  report.add(
    'createOrder as a command, no timers pending',
    `${perSecond(of('none', 'rate'))}, ${ms(of('none', 'cpuMs'))} of processor`,
  );
  report.add(
    `the same with ${many} timers pending`,
    `${perSecond(of('many', 'rate'))}, ${ms(of('many', 'cpuMs'))} of processor`,
  );
  report.add('ratio', held('many', 'none'), '0.95');
  report.add(
    'the same with the clock off, no timer is written',
    `${perSecond(of('off', 'rate'))}, ${ms(of('off', 'cpuMs'))} of processor`,
  );
  report.add('ratio of the clock on to the clock off', held('none', 'off'));
}

async function candidate(settings: Readonly<Record<string, string>>, pending: number): Promise<Candidate> {
  const config = readConfig(settings);
  const shop = await fillReplicas(config);
  const engines = await openEngines(config, { clientId: 'bench', log: silentLogger(), needs: ['database'] });
  let database: Database | undefined;
  const shared = { log: silentLogger(), metrics: createMetrics(), now: Date.now };
  const subgraph = await buildOrder({
    ...shared,
    config,
    identitySecret: 'nobody asks over HTTP',
    eventLog: engines.eventLog,
    openDatabase: async (options) => (database = await engines.openDatabase(options)),
  });
  if (database === undefined) throw new Error('The order subgraph opened no database.');
  const db: Database = database;
  const store = new OrderStore(new Outbox('tributary/order', Date.now), config.orderTimes);
  const worker = new TimerWorker({ ...shared, database, store, times: config.orderTimes });
  await addTimers(database, pending);
  await worker.start();
  const order = async (index: number): Promise<void> => {
    const { userId, products } = shop;
    const items = [{ productId: products[index % products.length] ?? '', quantity: 1 }];
    const context = {
      identity: { role: 'ADMIN', userId },
      requestId: newId(),
      traceparent: null,
      log: shared.log,
    } as const;
    await subgraph.commands.create(context, { userId, items });
  };
  return {
    async turn() {
      const [began, cpu] = [performance.now(), process.cpuUsage()];
      await concurrently(ORDERS, AT_A_TIME, order);
      const { user, system } = process.cpuUsage(cpu);
      const seconds = (performance.now() - began) / 1_000;
      if (pending === 0) await db.transaction((tx) => tx.execute('DELETE FROM timers'));
      return { rate: ORDERS / seconds, cpuMs: (user + system) / 1_000 / ORDERS };
    },
    async close() {
      await worker.stop();
      await subgraph.close();
      await engines.close();
    },
  };
}

/** Of orders that nobody has paid yet, due over the day to come. */
async function addTimers(database: Database, count: number): Promise<void> {
  const now = Date.now();
  for (let from = 0; from < count; from += CHUNK) {
    const rows = Array.from({ length: CHUNK }, (_, index) => ({
      order_id: newId(),
      kind: 'REMINDER_1',
      due_at: now + 3_600_000 + Math.round(((from + index) / count) * 72_000_000),
    }));
    await database.transaction((tx) => tx.insert('timers', rows));
  }
}
