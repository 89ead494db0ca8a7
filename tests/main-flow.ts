import { strict as assert } from 'node:assert';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { newId } from '../shared/ids/ids.js';
import { until } from './until.js';

export interface Addresses {
  /** `http://127.0.0.1:4000` */
  readonly gateway: string;
  /** `http://127.0.0.1:3003` */
  readonly rest: string;
}

interface OrderMessage {
  readonly kind: 'SNAPSHOT' | 'CHANGE' | 'GAP';
  readonly status: string;
  readonly order: { readonly version: number };
}

const ORDER = 'order { id version status }';

/**
 * What the system is for, played from outside through its published addresses: a product is sold, paid and followed over
 * a subscription, another order canceled, money moved, balances read over REST. Throws where an answer is not right.
 */
export async function playMainFlow({ gateway, rest }: Addresses): Promise<void> {
  const run = async <T>(query: string, variables: object = {}): Promise<T> => {
    const response = await fetch(`${gateway}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { readonly data: T; readonly errors?: unknown };
    assert.equal(errors, undefined, JSON.stringify(errors));
    return data;
  };
  /** A mutation `name(input)`, of whose payload `fields` are asked. */
  const change = async <T>(name: string, fields: string, input: object): Promise<T> => {
    const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
    const data = await run<Record<string, T>>(`mutation ($input: ${type}!) { ${name}(input: $input) { ${fields} } }`, {
      input,
    });
    return data[name] as T;
  };
  const made = (name: string, thing: string, input: object): Promise<string> =>
    change<Record<string, { id: string }>>(name, `${thing} { id }`, input).then((payload) => payload[thing]?.id ?? '');

  const userId = await made('createUser', 'user', { name: 'Ana Souza', email: `${newId()}@example.com` });
  const productId = await made('createProduct', 'product', { name: 'Café', price: '12.50', stock: 10 });
  const items = [{ productId, quantity: 2 }];
  // Spread, since what fetch answers has another realm's prototype under jest.
  const stock = async (): Promise<object> => ({
    ...(await run<{ product: object }>(`{ product(id: "${productId}") { stock reserved available } }`)).product,
  });
  const stockReaches = (expected: object): Promise<unknown> =>
    until(async () => {
      assert.deepEqual(await stock(), expected);
      return true;
    });

  const orderId = await made('createOrder', 'order', { userId, items });
  const followed = follow(gateway, orderId);
  await until(() => followed.messages.some(({ status }) => status === 'AWAITING_PAYMENT'));
  await change('payOrder', ORDER, { id: orderId, method: 'CREDIT_CARD' });
  await until(() => followed.messages.some(({ status }) => status === 'PAID'));
  for (const status of ['PROCESSING', 'COMPLETED']) await change('updateOrderStatus', ORDER, { id: orderId, status });
  await until(() => followed.messages.some(({ status }) => status === 'COMPLETED'));
  await followed.stop();
  assert.equal(followed.messages[0]?.kind, 'SNAPSHOT');
  assert.ok(followed.messages.slice(1).every(({ kind }) => kind === 'CHANGE'));
  const versions = followed.messages.map(({ order }) => order.version);
  assert.deepEqual(
    versions,
    [...new Set(versions)].sort((a, b) => a - b),
    'each version once, in order',
  );
  await stockReaches({ stock: 8, reserved: 0, available: 8 });

  const second = await made('createOrder', 'order', { userId, items });
  await stockReaches({ stock: 8, reserved: 2, available: 6 });
  await change('cancelOrder', ORDER, { id: second, reason: 'changed my mind' });
  await stockReaches({ stock: 8, reserved: 0, available: 8 });

  const [from, to] = [
    await made('createAccount', 'account', { userId }),
    await made('createAccount', 'account', { userId }),
  ];
  await change('deposit', 'transaction { id }', { accountId: from, amount: '100.00' });
  await change('transfer', 'transaction { id }', { fromAccountId: from, toAccountId: to, amount: '30.25' });
  for (const [id, balance] of [
    [from, 69.75],
    [to, 30.25],
  ] as const) {
    await until(async () => {
      const answer = (await (await fetch(`${rest}/balances/${id}`)).json()) as { balance: number };
      assert.equal(answer.balance, balance);
      return true;
    });
  }
}

function follow(gateway: string, orderId: string): { messages: OrderMessage[]; stop(): Promise<void> } {
  const client = createClient({ url: `${gateway.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket });
  const messages: OrderMessage[] = [];
  client.subscribe<{ orderStatusChanged: OrderMessage }>(
    { query: `subscription { orderStatusChanged(orderId: "${orderId}") { kind status order { version } } }` },
    {
      next: ({ data }) => {
        if (data) messages.push(data.orderStatusChanged);
      },
      // What never arrives is noticed by whoever waits for it.
      error: () => undefined,
      complete: () => undefined,
    },
  );
  return { messages, stop: async () => client.dispose() };
}
