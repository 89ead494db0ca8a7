import { newId } from '../shared/ids/ids.js';
import { concurrently, httpClient, quantile, socketClient, type GraphQL } from './client.js';
import { ms, perSecond, type Report } from './report.js';

export const CREATE_PRODUCT =
  'mutation ($input: CreateProductInput!) { createProduct(input: $input) { product { id } } }';
export const CREATE_ORDER = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id } } }';

/** Orders per second; the first is one that leaves room on two cores even with every process apart. */
const RATES = [10, 50] as const;
const SECONDS = 20;
const WARM_UP = 1_000; // orders; a system of many processes takes long to get warm
const BURST = 2_000;
const CONNECTIONS = 32;
const PRODUCTS = 20;

const CREATE_USER = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }';

/** Somebody who orders. */
export async function customer(graphql: GraphQL): Promise<string> {
  const input = { name: 'Bench', email: `${newId()}@example.com` };
  return (await graphql<{ createUser: { user: { id: string } } }>(CREATE_USER, { input })).createUser.user.id;
}

/** Products with stock for everything that is ordered here. */
export async function stocked(graphql: GraphQL): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < PRODUCTS; index += 1) {
    const input = { name: `Bench ${index}`, price: '10.00', stock: 1_000_000 };
    const { createProduct } = await graphql<{ createProduct: { product: { id: string } } }>(CREATE_PRODUCT, { input });
    ids.push(createProduct.product.id);
  }
  return ids;
}

interface Latencies {
  readonly created: { readonly p50: number; readonly p99: number };
  readonly awaitingPayment: { readonly p50: number; readonly p99: number };
}

/** At the gateway's port: from sending createOrder to the subscriber's messages, at a fixed rate whatever the answers take. Milliseconds. */
async function orderLatency(gateway: number, rate: number, orders: number): Promise<Latencies> {
  const { graphql, close } = httpClient(gateway, CONNECTIONS);
  const socket = socketClient(gateway);
  const products = await stocked(graphql);
  const userId = await customer(graphql);

  const seen = { PENDING: new Map<string, number>(), AWAITING_PAYMENT: new Map<string, number>() };
  const stop = socket.subscribe<{
    orderStatusChanged: { kind: string; status: keyof typeof seen; order: { id: string } };
  }>(
    {
      query: 'subscription ($userId: ID) { orderStatusChanged(userId: $userId) { kind status order { id } } }',
      variables: { userId },
    },
    {
      next({ data }) {
        const message = data?.orderStatusChanged;
        if (message?.kind === 'CHANGE') seen[message.status].set(message.order.id, performance.now());
      },
      error: (error) => {
        throw error as Error;
      },
      complete: () => undefined,
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 500));

  const sent = new Map<string, number>();
  const begun = performance.now();
  const pending: Promise<void>[] = [];
  for (let index = 0; index < orders; index += 1) {
    const due = begun + (index * 1_000) / rate;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const at = performance.now();
    const input = { userId, items: [{ productId: products[index % PRODUCTS], quantity: 1 }] };
    pending.push(
      graphql<{ createOrder: { order: { id: string } } }>(CREATE_ORDER, { input }).then(({ createOrder }) => {
        sent.set(createOrder.order.id, at);
      }),
    );
  }
  await Promise.all(pending);
  while ([...sent.keys()].some((id) => !seen.AWAITING_PAYMENT.has(id)))
    await new Promise((resolve) => setTimeout(resolve, 20));
  stop();
  await socket.dispose();
  await close();

  const of = (arrived: ReadonlyMap<string, number>) => {
    const times = [...sent].map(([id, at]) => (arrived.get(id) ?? NaN) - at);
    return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  };
  return { created: of(seen.PENDING), awaitingPayment: of(seen.AWAITING_PAYMENT) };
}

interface Burst {
  /** Orders answered per second. */
  readonly accepted: number;
  /** Orders created, reserved and in the view as AWAITING_PAYMENT, per second, from the first request on. */
  readonly processed: number;
}

/** At the gateway's port: so many orders as fast as they are taken, until every one is AWAITING_PAYMENT in the view. */
async function orderBurst(gateway: number): Promise<Burst> {
  const { graphql, close } = httpClient(gateway, CONNECTIONS);
  const [userId, products] = [await customer(graphql), await stocked(graphql)];
  const waiting = async (): Promise<number> => {
    const query = '{ orders(first: 1, filter: { status: [AWAITING_PAYMENT] }) { totalCount } }';
    return (await graphql<{ orders: { totalCount: number } }>(query)).orders.totalCount;
  };
  const before = await waiting();
  const begun = performance.now();
  await concurrently(BURST, CONNECTIONS, async (index) => {
    await graphql(CREATE_ORDER, { input: { userId, items: [{ productId: products[index % PRODUCTS], quantity: 1 }] } });
  });
  const accepted = performance.now();
  while ((await waiting()) < before + BURST) await new Promise((resolve) => setTimeout(resolve, 20));
  const processed = performance.now();
  await close();
  return { accepted: (BURST * 1_000) / (accepted - begun), processed: (BURST * 1_000) / (processed - begun) };
}

/** Orders through a gateway: how soon a subscriber hears of them at a fixed rate, and how many a burst gets through. */
export async function benchOrders(report: Report, gateway: number, processedGoal = ''): Promise<void> {
  // At the highest rate, so that the first figures are not those of cold processes.
  await orderLatency(gateway, Math.max(...RATES), WARM_UP);
  for (const rate of RATES) {
    const { created, awaitingPayment } = await orderLatency(gateway, rate, rate * SECONDS);
    report.add(`createOrder sent → CHANGE (PENDING) at ${rate} orders/s, p50`, ms(created.p50), '25 ms');
    report.add('the same, p99', ms(created.p99));
    report.add('createOrder sent → CHANGE (AWAITING_PAYMENT), p50', ms(awaitingPayment.p50), '60 ms');
    report.add('the same, p99', ms(awaitingPayment.p99));
  }
  const { accepted, processed } = await orderBurst(gateway);
  const burst = `burst of ${BURST.toLocaleString('en')} orders`;
  report.add(`${burst}: accepted through the gateway`, perSecond(accepted));
  report.add(`${burst}: created, reserved and projected`, perSecond(processed), processedGoal);
}
