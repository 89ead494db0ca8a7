import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { openEmbeddedEngines } from '../app/engines.js';
import { deadLetterTopic, TOPICS } from '../shared/events/catalogue.js';
import { audit, isSettled, query, readOrders, type AuditInput } from './crash-audit.js';
import { follow, type Follower, type StreamMessage } from './crash-followers.js';
import { newTraffic, runClient, seeded, type World } from './crash-load.js';
import { buildApp, portSettings, startApp, type AppProcess } from './process.js';
import { until } from './until.js';

/** CRASH_SEED=… repeats a run's decisions, though not its timing; CRASH_KILLS=… makes it longer. */
const SEED = Number(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));
const KILLS = Number(process.env['CRASH_KILLS'] ?? 20);

/** So long a process lives, at most, once it is ready. */
const MOST_LIFE_MS = 1_200;
const CUSTOMERS = 4;
const CLIENTS = 12;
const DEPOSIT_CENTS = 60_000;

/** What is refused for reasons of business; anything else is a fault. */
const BUSINESS = ['INVALID_STATE', 'INSUFFICIENT_FUNDS'];

/** Two run out soon; one declines cards and one is decided late, when an order is of one piece of it alone. */
const STOCKS = [
  { stock: 25, price: '10.00' },
  { stock: 60, price: '20.00' },
  { stock: 100_000, price: '5.00' },
  { stock: 100_000, price: '402.02' },
  { stock: 100_000, price: '202.02' },
];

const app = buildApp();
const dataDir = mkdtempSync(join(tmpdir(), 'tributary-crash-'));
const identitySecret = 'a secret of crash tests, longer than thirty-two';
let running: AppProcess | undefined;
const followers: Follower<StreamMessage>[] = [];

afterAll(async () => {
  await Promise.all(followers.map((follower) => follower.stop()));
  await running?.end('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
  app.remove();
});

interface OrderMessage extends StreamMessage {
  readonly status: string | null;
  readonly order: { readonly id: string; readonly version: number } | null;
}

interface BalanceMessage extends StreamMessage {
  readonly balance: string | null;
  readonly account: { readonly version: number } | null;
}

const ORDER_STATUS = `subscription ($userId: ID!, $after: String) {
  orderStatusChanged(userId: $userId, after: $after) { kind cursor status order { id version } }
}`;
const BALANCE = `subscription ($accountId: ID!, $after: String) {
  balanceChanged(accountId: $accountId, after: $after) { kind cursor balance account { version } }
}`;

const created = async (url: string, mutation: string, type: string, input: object): Promise<string> => {
  const field = type.toLowerCase();
  const document = `mutation ($input: ${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input!) {
    ${mutation}(input: $input) { ${field} { id } }
  }`;
  const answer = await query<Record<string, Record<string, { id: string }>>>(url, document, { input });
  return answer[mutation]?.[field]?.id ?? '';
};

test(`after ${KILLS} kills under load nothing accepted is lost and nothing has happened twice`, async () => {
  const ports = await portSettings();
  const settings = {
    ...ports,
    DATA_DIR: dataDir,
    DEMO_DATA: 'off',
    LOG_LEVEL: 'warn',
    IDENTITY_SECRET: identitySecret,
  };
  const url = `http://127.0.0.1:${ports.GATEWAY_PORT}/graphql`;
  const random = seeded(SEED);
  const traffic = newTraffic();
  const faults: string[] = [];
  let longestRecovery = 0;

  const start = (): AppProcess => (running = startApp(app, settings));
  const kill = async (process: AppProcess): Promise<void> => {
    await process.end('SIGKILL');
    // What it wrote before: at this level, only what went wrong.
    faults.push(
      ...process
        .output()
        .split('\n')
        .filter((line) => /"level":[56]0|Error/.test(line)),
    );
  };
  await start().ready;

  const world = await prepareWorld(url);
  const stock = new Map(world.products.map((id, index) => [id, STOCKS[index]?.stock ?? 0]));
  const orderFollowers = world.customers.map(({ userId }) =>
    follow<OrderMessage>(url, 'orderStatusChanged', ORDER_STATUS, { userId }),
  );
  const balanceFollowers = world.customers.map(({ accountId }) =>
    follow<BalanceMessage>(url, 'balanceChanged', BALANCE, { accountId }),
  );
  followers.push(...orderFollowers, ...balanceFollowers);
  // A subscriber has a cursor to come back with once it was told something.
  for (const [index, { userId }] of world.customers.entries()) {
    await until(async () => {
      if (orderFollowers[index]?.messages.length === 0) {
        const items = [{ productId: world.products[2], quantity: 1 }];
        traffic.accepted.orders.push(await created(url, 'createOrder', 'Order', { userId, items }));
        await until(() => orderFollowers[index]?.messages.length, { timeoutMs: 1_000 });
      }
      return (balanceFollowers[index]?.messages.length ?? 0) > 0;
    });
  }

  let over = false;
  const clients = Array.from({ length: CLIENTS }, (_, index) =>
    runClient({ url, world, index, random: seeded(SEED + index + 1), traffic, over: () => over }),
  );
  let killsAtStart = 0;
  for (let kills = 0; kills < KILLS; kills += 1) {
    await running?.ready;
    await delay(random() * MOST_LIFE_MS);
    if (running !== undefined) await kill(running);
    const died = performance.now();
    // Every fourth time the next one does not even get to start.
    if (random() < 0.25) {
      const unborn = start();
      await delay(random() * 1_000);
      await kill(unborn);
      killsAtStart += 1;
    }
    await start().ready;
    await until(() => traffic.lastAnswer > died);
    longestRecovery = Math.max(longestRecovery, traffic.lastAnswer - died);
  }
  over = true;
  await Promise.all(clients);

  const input: AuditInput = {
    url,
    subgraphUrl: (name) => `http://127.0.0.1:${ports[`${name.toUpperCase() as 'USER'}_PORT`]}/graphql`,
    identitySecret,
    world,
    accepted: traffic.accepted,
    stock,
    deposit: DEPOSIT_CENTS,
  };
  await until(async () => (await readOrders(url)).every(isSettled), { timeoutMs: 40_000 }).catch(() => undefined);
  let result = await audit(input);
  await until(async () => (result = await audit(input)).problems.length === 0).catch(() => undefined);
  const { accepted } = traffic;
  const total =
    accepted.orders.length +
    accepted.payments.length +
    accepted.cancels.length +
    accepted.moves.length +
    accepted.transfers.length +
    accepted.prices.length +
    accepted.counted;
  process.stdout.write(
    `seed ${SEED}: ${KILLS} kills under load and ${killsAtStart} while starting, ${total} commands accepted ` +
      `(${accepted.orders.length} orders), ${traffic.repeated} sent again, ${result.lost} lost, ` +
      `${result.duplicated} duplicated, longest recovery ${(longestRecovery / 1_000).toFixed(1)} s\n`,
  );
  expect(result.problems).toEqual([]);
  expect([...traffic.refused.keys()].filter((code) => !BUSINESS.includes(code))).toEqual([]);
  expect(traffic.staleReads).toEqual([]);
  expect(faults).toEqual([]);

  for (const [index, { userId }] of world.customers.entries()) {
    const { messages, errors } = orderFollowers[index]!;
    // Whoever came when there was an order already begins with its snapshot; all the rest are changes.
    const [first] = messages;
    const begun = first?.kind === 'SNAPSHOT' ? first : undefined;
    const due = result.orders
      .filter((order) => order.userId === userId)
      .flatMap(({ id, history }) => history.map(({ version, status }) => ({ id, version, status })))
      .filter(({ id, version }) => id !== begun?.order?.id || version > begun.order.version)
      .map(({ id, version, status }) => `${id} ${version} ${status}`);
    const told = (): OrderMessage[] => messages.filter((message) => message !== begun);
    await until(() => told().length >= due.length, { timeoutMs: 5_000 }).catch(() => undefined);
    expect(errors).toEqual([]);
    expect(told().filter(({ kind }) => kind !== 'CHANGE')).toEqual([]);
    const lines = told().map(({ order, status }) => `${order?.id} ${order?.version} ${status}`);
    expect(differences(due, lines)).toEqual({ missed: [], tooMany: [] });
    expect(outOfOrder(told().map(({ order }) => [order?.id ?? '', order?.version ?? 0]))).toEqual([]);
  }
  for (const { messages, errors } of balanceFollowers) {
    expect(errors).toEqual([]);
    expect(messages.slice(1).every(({ kind }) => kind === 'CHANGE')).toBe(true);
    const first = messages[0]?.account?.version ?? 0;
    expect(messages.map(({ account }) => account?.version)).toEqual(messages.map((_, index) => first + index));
  }

  await Promise.all(followers.map((follower) => follower.stop()));
  expect(await running?.end('SIGTERM')).toEqual({ code: 0, signal: null });
  await start().ready;
  expect((await audit(input)).problems).toEqual([]);
  expect(await running?.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(await deadLetters()).toEqual([]);
}, 240_000);

async function prepareWorld(url: string): Promise<World> {
  const products: string[] = [];
  for (const [index, values] of STOCKS.entries()) {
    products.push(await created(url, 'createProduct', 'Product', { name: `Product ${index}`, ...values }));
  }
  const counterId = await created(url, 'createProduct', 'Product', { name: 'Counter', price: '1.00', stock: 0 });
  const customers: { userId: string; accountId: string }[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    const email = `customer${index}@example.com`;
    const userId = await created(url, 'createUser', 'User', { name: `Customer ${index}`, email });
    const accountId = await created(url, 'createAccount', 'Account', { userId });
    await created(url, 'deposit', 'Transaction', { accountId, amount: (DEPOSIT_CENTS / 100).toFixed(2) });
    customers.push({ userId, accountId });
  }
  return { customers, products, counterId };
}

/** What was due and did not come, and what came once too often. */
function differences(due: readonly string[], told: readonly string[]) {
  const left = new Map<string, number>();
  for (const one of told) left.set(one, (left.get(one) ?? 0) + 1);
  const missed = due.filter((one) => {
    const count = left.get(one) ?? 0;
    left.set(one, count - 1);
    return count < 1;
  });
  return { missed, tooMany: [...left].filter(([, count]) => count > 0).map(([one]) => one) };
}

function outOfOrder(told: readonly (readonly [id: string, version: number])[]): string[] {
  const newest = new Map<string, number>();
  return told.flatMap(([id, version]) => {
    const before = newest.get(id) ?? 0;
    newest.set(id, version);
    return version > before ? [] : [`${id}: ${version} after ${before}`];
  });
}

/** What lies in the dead-letter topics, once nobody uses the folder. */
async function deadLetters(): Promise<string[]> {
  const engines = await openEmbeddedEngines(dataDir);
  const found: string[] = [];
  for (const topic of Object.keys(TOPICS) as (keyof typeof TOPICS)[]) {
    for (const { next } of await engines.eventLog.ranges(deadLetterTopic(topic))) {
      if (next > 0) found.push(`${next} in ${deadLetterTopic(topic)}`);
    }
  }
  await engines.close();
  return found;
}
