/** Whom crash and fault tests are played with: customers, products, subscribers, and the reckoning at the end. */
import { expect } from '@jest/globals';
import { audit, isSettled, query, readOrders, type Audit, type AuditInput, type OrderView } from './crash-audit.js';
import { follow, type StreamMessage } from './crash-followers.js';
import { runClient, seeded, type Accepted, type Traffic, type World } from './crash-load.js';
import { until } from './until.js';

const CUSTOMERS = 4;
export const DEPOSIT_CENTS = 60_000;

/** What is refused for reasons of business; anything else is a fault. */
const BUSINESS = ['INVALID_STATE', 'INSUFFICIENT_FUNDS'];

export const isBusiness = (code: string): boolean => BUSINESS.includes(code);

/** Two run out soon; one declines cards and one is decided late, when an order is of one piece of it alone. */
const STOCKS = [
  { stock: 25, price: '10.00' },
  { stock: 60, price: '20.00' },
  { stock: 100_000, price: '5.00' },
  { stock: 100_000, price: '402.02' },
  { stock: 100_000, price: '202.02' },
];

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

/** Makes products, users and accounts with money, through the gateway. */
export async function prepareWorld(url: string): Promise<World> {
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

/** Pieces on hand of each product at the beginning. */
export const stockOf = (world: World): ReadonlyMap<string, number> =>
  new Map(world.products.map((id, index) => [id, STOCKS[index]?.stock ?? 0]));

/** How many commands of all kinds the system has said yes to. */
export const countOf = (accepted: Accepted): number =>
  accepted.orders.length +
  accepted.payments.length +
  accepted.cancels.length +
  accepted.moves.length +
  accepted.transfers.length +
  accepted.prices.length +
  accepted.counted;

export interface Load {
  /** Resolves when every client has its last answer. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly url: string;
  readonly world: World;
  readonly traffic: Traffic;
  /** Decides what they do, and begins their idempotency keys: another one for every load on a system. */
  readonly seed: number;
  readonly clients: number;
}

/** Customers who order, pay, cancel and move money until they are stopped. */
export function startLoad({ url, world, traffic, seed, clients: count }: LoadOptions): Load {
  let over = false;
  const clients = Array.from({ length: count }, (_, index) =>
    runClient({
      url,
      world,
      index,
      name: `client-${seed}-${index}`,
      random: seeded(seed + index + 1),
      traffic,
      over: () => over,
    }),
  );
  const done = Promise.all(clients);
  // Whoever stops the load hears of it.
  done.catch(() => undefined);
  return {
    async stop() {
      over = true;
      await done;
    },
  };
}

/** Waits until nothing is under way, then audits until all fits or it has had time enough. */
export async function reckon(input: AuditInput, timeoutMs = 40_000): Promise<Audit> {
  await until(async () => (await readOrders(input.url)).every(isSettled), { timeoutMs }).catch(() => undefined);
  let result = await audit(input);
  await until(async () => (result = await audit(input)).problems.length === 0).catch(() => undefined);
  return result;
}

export interface Subscribers {
  /** Fails where one of them missed a change of these orders, was told one twice, or out of order. */
  haveBeenTold(orders: readonly OrderView[]): Promise<void>;
  stop(): Promise<void>;
}

/** Every customer follows orders and balance, from now on and across every death of the server. */
export async function subscribe(url: string, world: World, traffic: Traffic): Promise<Subscribers> {
  const orderFollowers = world.customers.map(({ userId }) =>
    follow<OrderMessage>(url, 'orderStatusChanged', ORDER_STATUS, { userId }),
  );
  const balanceFollowers = world.customers.map(({ accountId }) =>
    follow<BalanceMessage>(url, 'balanceChanged', BALANCE, { accountId }),
  );
  const stop = async (): Promise<void> => {
    await Promise.all([...orderFollowers, ...balanceFollowers].map((follower) => follower.stop()));
  };
  // A subscriber has a cursor to come back with once it was told something.
  const isTold = async (index: number, userId: string): Promise<boolean> => {
    if (orderFollowers[index]?.messages.length === 0) {
      const items = [{ productId: world.products[2], quantity: 1 }];
      traffic.accepted.orders.push(await created(url, 'createOrder', 'Order', { userId, items }));
      await until(() => orderFollowers[index]?.messages.length, { timeoutMs: 1_000 });
    }
    return (balanceFollowers[index]?.messages.length ?? 0) > 0;
  };
  try {
    for (const [index, { userId }] of world.customers.entries()) {
      // The whole of a fleet has only just started.
      await until(() => isTold(index, userId), { timeoutMs: 90_000 });
    }
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    async haveBeenTold(orders) {
      for (const [index, { userId }] of world.customers.entries()) {
        const { messages, errors } = orderFollowers[index] ?? { messages: [], errors: ['no such follower'] };
        // Whoever came when there were orders already begins with their snapshots; all the rest are changes.
        const firstChange = messages.findIndex(({ kind }) => kind !== 'SNAPSHOT');
        const begun = firstChange < 0 ? [...messages] : messages.slice(0, firstChange);
        const known = new Map(begun.map(({ order }) => [order?.id, order?.version ?? 0]));
        const due = orders
          .filter((order) => order.userId === userId)
          .flatMap(({ id, history }) => history.map(({ version, status }) => ({ id, version, status })))
          .filter(({ id, version }) => version > (known.get(id) ?? 0))
          .map(({ id, version, status }) => `${id} ${version} ${status}`);
        const told = (): OrderMessage[] => messages.slice(begun.length);
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
    },
    stop,
  };
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
