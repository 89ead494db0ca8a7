/** Customers who never give up: what a crash test puts a system under. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Customer {
  readonly userId: string;
  readonly accountId: string;
}

export interface World {
  readonly customers: readonly Customer[];
  /** Those that are ordered. */
  readonly products: readonly string[];
  /** Never ordered; its stock is set to 1, 2, 3, …, each once. */
  readonly counterId: string;
}

/** What the system has said yes to, by what it answered. */
export interface Accepted {
  readonly orders: string[];
  /** Order ids, one per accepted payment. */
  readonly payments: string[];
  readonly cancels: string[];
  readonly moves: { readonly id: string; readonly status: string }[];
  readonly transfers: { readonly id: string; readonly from: string; readonly to: string; readonly cents: number }[];
  /** Changes of a price, by product. */
  readonly prices: string[];
  counted: number;
}

export interface Traffic {
  readonly accepted: Accepted;
  /** Refusals by code; only those of business are expected. */
  readonly refused: Map<string, number>;
  /** Calls that got no answer and were sent again with the same key. */
  repeated: number;
  /** When the newest answer came, by performance.now(). */
  lastAnswer: number;
  /** How often a client set out to change a price. */
  repriced: number;
  /** Reads with `minVersion` that came back older, or not at all. */
  readonly staleReads: string[];
}

export const newTraffic = (): Traffic => ({
  accepted: { orders: [], payments: [], cancels: [], moves: [], transfers: [], prices: [], counted: 0 },
  refused: new Map(),
  repeated: 0,
  lastAnswer: 0,
  repriced: 0,
  staleReads: [],
});

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Answer<T> {
  readonly data?: T | null;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

/** A refusal, or data. */
export type Outcome<T> = { readonly data: T } | { readonly code: string; readonly message: string };

const PAUSE_MS = 20;

/** No fault keeps a system from its work for so long: it is gone, and whoever asks on keeps the tests from ending. */
const GIVE_UP_MS = 150_000;

/**
 * Sends an operation until it is answered, by whichever process answers in the end.
 * @throws when nobody has answered for 150 s.
 */
export async function sendUntilAnswered<T>(
  url: string,
  query: string,
  variables: Readonly<Record<string, unknown>>,
  traffic?: Traffic,
): Promise<Outcome<T>> {
  const body = JSON.stringify({ query, variables });
  const deadline = performance.now() + GIVE_UP_MS;
  for (;;) {
    const answer = await send<T>(url, body);
    const code = answer?.errors?.[0]?.extensions?.code;
    if (answer !== undefined && code !== 'UNAVAILABLE') {
      if (traffic !== undefined) traffic.lastAnswer = performance.now();
      if (answer.data !== null && answer.data !== undefined && answer.errors === undefined)
        return { data: answer.data };
      return { code: code ?? 'NONE', message: answer.errors?.[0]?.message ?? '' };
    }
    if (performance.now() > deadline) throw new Error(`${url} has not answered for ${GIVE_UP_MS / 1_000} s.`);
    if (traffic !== undefined) traffic.repeated += 1;
    await delay(PAUSE_MS);
  }
}

async function send<T>(url: string, body: string): Promise<Answer<T> | undefined> {
  try {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return (await response.json()) as Answer<T>;
  } catch {
    return undefined;
  }
}

const CREATE = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id version } } }`;
const PAY = `mutation ($input: PayOrderInput!) { payOrder(input: $input) { order { id version } } }`;
const CANCEL = `mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { order { id version } } }`;
const MOVE = `mutation ($input: UpdateOrderStatusInput!) { updateOrderStatus(input: $input) { order { id version } } }`;
const UPDATE = `mutation ($input: UpdateProductInput!) { updateProduct(input: $input) { product { id version } } }`;
const TRANSFER = `mutation ($input: TransferInput!) { transfer(input: $input) { transaction { id } } }`;
const READ = `query ($id: ID!, $minVersion: Int!) { order(id: $id, minVersion: $minVersion) { version } }`;

type OrderAnswer = Readonly<Record<string, { readonly order: { readonly id: string; readonly version: number } }>>;

export interface ClientOptions {
  readonly url: string;
  readonly world: World;
  /** Customers may have several clients; the first client also counts. */
  readonly index: number;
  /** Begins its idempotency keys; no other client has it. */
  readonly name: string;
  readonly random: () => number;
  readonly traffic: Traffic;
  readonly over: () => boolean;
}

/** Orders remembered per client: what is older is left as it is. */
const REMEMBERED = 6;

/** One customer, one call after the other (now and then two at once), each with a key of its own, until it is over. */
export async function runClient({ url, world, index, name, random, traffic, over }: ClientOptions): Promise<void> {
  const { accepted, refused } = traffic;
  const customer = world.customers[index % world.customers.length];
  if (customer === undefined) throw new Error('no such customer');
  const recent: string[] = [];
  let step = 0;

  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const command = async <T>(query: string, input: Readonly<Record<string, unknown>>): Promise<T | undefined> => {
    step += 1;
    const idempotencyKey = `${name}-${step}`;
    const outcome = await sendUntilAnswered<T>(url, query, { input: { ...input, idempotencyKey } }, traffic);
    if ('data' in outcome) return outcome.data;
    refused.set(outcome.code, (refused.get(outcome.code) ?? 0) + 1);
    return undefined;
  };

  const create = async (): Promise<void> => {
    const wanted = new Set(Array.from({ length: 1 + below(3) }, () => pick(world.products)));
    const items = [...wanted].map((productId) => ({ productId, quantity: 1 + below(3) }));
    const answer = await command<OrderAnswer>(CREATE, { userId: customer.userId, items });
    const id = answer?.['createOrder']?.order.id;
    if (id === undefined) return;
    accepted.orders.push(id);
    recent.push(id);
    if (recent.length > REMEMBERED) recent.shift();
  };
  const pay = async (id: string): Promise<void> => {
    const method = pick(['CREDIT_CARD', 'PIX', 'WALLET', 'WALLET']);
    const wallet = method === 'WALLET' ? { accountId: customer.accountId } : {};
    const answer = await command<OrderAnswer>(PAY, { id, method, ...wallet });
    if (answer === undefined) return;
    accepted.payments.push(id);
    await read(id, answer['payOrder']?.order.version ?? 0);
  };
  const cancel = async (id: string): Promise<void> => {
    if ((await command(CANCEL, { id, reason: 'Changed my mind' })) !== undefined) accepted.cancels.push(id);
  };
  const move = async (id: string, status: string): Promise<void> => {
    if ((await command(MOVE, { id, status })) !== undefined) accepted.moves.push({ id, status });
  };
  /** One's own write is seen, or one is told that it is not there yet. */
  const read = async (id: string, minVersion: number): Promise<void> => {
    const outcome = await sendUntilAnswered<{ order: { version: number } | null }>(url, READ, { id, minVersion });
    if ('code' in outcome) {
      if (outcome.code !== 'PROJECTION_PENDING') traffic.staleReads.push(`${id}: ${outcome.code} ${outcome.message}`);
    } else if ((outcome.data.order?.version ?? 0) < minVersion) {
      traffic.staleReads.push(`${id}: version ${outcome.data.order?.version ?? 'none'} instead of ${minVersion}`);
    }
  };
  const transfer = async (): Promise<void> => {
    const to = pick(world.customers.filter((other) => other !== customer));
    const cents = 1 + below(5_000);
    const input = { fromAccountId: customer.accountId, toAccountId: to.accountId, amount: (cents / 100).toFixed(2) };
    const answer = await command<{ transfer: { transaction: { id: string } } }>(TRANSFER, input);
    const id = answer?.transfer.transaction.id;
    if (id !== undefined) accepted.transfers.push({ id, from: customer.accountId, to: to.accountId, cents });
  };
  const count = async (): Promise<void> => {
    const input = { id: world.counterId, stock: accepted.counted + 1 };
    if ((await command(UPDATE, input)) !== undefined) accepted.counted += 1;
  };
  const reprice = async (): Promise<void> => {
    const id = pick(world.products);
    // Never the price it has: that would be accepted and change nothing.
    traffic.repriced += 1;
    const input = { id, price: (5 + traffic.repriced / 100).toFixed(2) };
    if ((await command(UPDATE, input)) !== undefined) accepted.prices.push(id);
  };

  while (!over()) {
    const dice = random();
    const id = recent.length === 0 ? undefined : pick(recent);
    if (id === undefined || dice < 0.4) await create();
    else if (dice < 0.62) await pay(id);
    else if (dice < 0.67) await Promise.all([pay(id), cancel(id)]);
    else if (dice < 0.74) await cancel(id);
    else if (dice < 0.86) await move(id, pick(['PROCESSING', 'PROCESSING', 'COMPLETED']));
    else if (dice < 0.94) await transfer();
    else if (index === 0) await count();
    else await reprice();
  }
}
