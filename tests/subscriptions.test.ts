import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Client } from 'graphql-ws';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ANONYMOUS, type Identity } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { SALES_ID, Shop, type OrderStatus } from './shop.js';
import { collect, startTestSystem, userIdentity, type GraphQLAnswer } from './system.js';
import { until } from './until.js';

let dataDir: string;
let shop: Shop;
let ana: string;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'tributary-test-'));
  shop = new Shop(await startTestSystem({ dataDir }));
  ana = (await shop.user({ name: 'Ana Souza' })).id;
});

afterAll(async () => {
  await shop.server.dispose();
});

interface OrderMessage {
  readonly kind: 'SNAPSHOT' | 'CHANGE' | 'GAP';
  readonly cursor: string;
  readonly status: OrderStatus | null;
  readonly previousStatus: OrderStatus | null;
  readonly reason: string | null;
  readonly order: { readonly id: string; readonly version: number; readonly status: OrderStatus } | null;
}

interface BalanceMessage {
  readonly kind: 'SNAPSHOT' | 'CHANGE' | 'GAP';
  readonly cursor: string;
  readonly balance: string | null;
  readonly account: { readonly id: string; readonly version: number } | null;
  readonly transaction: { readonly kind: string; readonly amount: string } | null;
}

const ORDER_CHANGES = `subscription ($orderId: ID, $userId: ID, $after: String) {
  orderStatusChanged(orderId: $orderId, userId: $userId, after: $after) {
    kind cursor status previousStatus reason order { id version status }
  }
}`;
const BALANCE_CHANGES = `subscription ($accountId: ID!, $after: String) {
  balanceChanged(accountId: $accountId, after: $after) {
    kind cursor balance account { id version } transaction { kind amount }
  }
}`;
const STOCK_CHANGES = `subscription ($productId: ID!) {
  stockChanged(productId: $productId) { id version stock reserved available }
}`;

/** What a subscription delivered so far, by its field; fails on the first error. */
class Stream<T> {
  private readonly collected: ReturnType<typeof collect<Record<string, T>>>;

  constructor(
    query: string,
    private readonly field: string,
    variables: Readonly<Record<string, unknown>>,
    client: Client = shop.server.socket(),
  ) {
    this.collected = collect<Record<string, T>>(client, query, variables);
  }

  get messages(): T[] {
    expect(this.collected.state.error).toBeUndefined();
    return this.collected.messages.map(({ data, errors }) => {
      expect(errors).toBeUndefined();
      return data?.[this.field] as T;
    });
  }

  /** Waits for so many messages. */
  async arrived(count: number): Promise<T[]> {
    await until(() => this.messages.length >= count, {
      message: () => `${count} messages; there are ${JSON.stringify(this.collected.messages)}`,
    });
    return this.messages;
  }

  stop(): void {
    this.collected.stop();
  }
}

const followOrder = (variables: Readonly<Record<string, unknown>>, identity?: Identity): Stream<OrderMessage> =>
  new Stream(ORDER_CHANGES, 'orderStatusChanged', variables, shop.server.socket(identity));

const followBalance = (variables: Readonly<Record<string, unknown>>, identity?: Identity): Stream<BalanceMessage> =>
  new Stream(BALANCE_CHANGES, 'balanceChanged', variables, shop.server.socket(identity));

/** Code and field of the error that ends a subscription before its first message. */
async function refusal(query: string, variables: Readonly<Record<string, unknown>>, identity?: Identity) {
  const { messages, state } = collect<unknown>(shop.server.socket(identity), query, variables);
  const errors = await until(() => {
    return messages[0]?.errors ?? (state.error as GraphQLAnswer<unknown>['errors']);
  });
  const extensions = errors[0]?.extensions;
  return { code: extensions?.code, field: extensions?.field };
}

const kinds = (messages: readonly { readonly kind: string }[]): string[] => messages.map(({ kind }) => kind);
const statuses = (messages: readonly OrderMessage[]): (OrderStatus | null)[] => messages.map(({ status }) => status);

async function restart(): Promise<void> {
  await shop.server.stop();
  shop = new Shop(await startTestSystem({ dataDir }));
}

describe('orderStatusChanged', () => {
  test('begins with a snapshot, then delivers every change of status once, with rising versions', async () => {
    const { id: productId } = await shop.product();
    const { id } = await shop.order(ana, [productId, 1]);
    const stream = followOrder({ orderId: id });
    const [snapshot] = await stream.arrived(1);
    expect(snapshot).toMatchObject({ kind: 'SNAPSHOT', order: { id, status: snapshot?.status } });

    await shop.reaches(id, 'AWAITING_PAYMENT');
    await shop.pay(id);
    await shop.reaches(id, 'PAID');
    await shop.run('updateOrderStatus', { id, status: 'PROCESSING' });
    await shop.run('updateOrderStatus', { id, status: 'COMPLETED' });
    await until(() => stream.messages.at(-1)?.status === 'COMPLETED');

    const messages = stream.messages;
    const all: OrderStatus[] = ['PENDING', 'AWAITING_PAYMENT', 'PAID', 'PROCESSING', 'COMPLETED'];
    expect(statuses(messages)).toEqual(all.slice(all.indexOf(snapshot!.status!)));
    expect(kinds(messages)).toEqual(['SNAPSHOT', ...messages.slice(1).map(() => 'CHANGE')]);
    for (const [index, message] of messages.slice(1).entries()) {
      expect(message.previousStatus).toBe(messages[index]?.status);
      expect(message.order!.version).toBeGreaterThan(messages[index]!.order!.version);
      expect(message.order!.status).toBe(message.status);
    }
  });

  test('of a user: snapshots of the open orders, then new orders from PENDING on', async () => {
    const { id: userId } = await shop.user();
    const { id: productId } = await shop.product();
    const open = await shop.orderIn('AWAITING_PAYMENT', userId, [productId, 1]);
    const finished = await shop.orderIn('CANCELED', userId, [productId, 1]);
    await shop.orderWhere(finished.id, 'canceled', ({ status }) => status === 'CANCELED');
    const stream = followOrder({ userId }, userIdentity(userId));
    const [snapshot] = await stream.arrived(1);
    expect(snapshot).toMatchObject({ kind: 'SNAPSHOT', status: 'AWAITING_PAYMENT', order: { id: open.id } });

    const fresh = await shop.order(userId, [productId, 1]);
    await stream.arrived(3);
    await shop.cancel(open.id, 'Enough');
    const messages = await stream.arrived(4);
    expect(messages.slice(1)).toEqual([
      expect.objectContaining({ kind: 'CHANGE', status: 'PENDING', previousStatus: null }),
      expect.objectContaining({ kind: 'CHANGE', status: 'AWAITING_PAYMENT', previousStatus: 'PENDING' }),
      expect.objectContaining({ kind: 'CHANGE', status: 'CANCELED', reason: 'Enough' }),
    ]);
    expect(messages.map(({ order }) => order?.id)).toEqual([open.id, fresh.id, fresh.id, open.id]);
  });

  test('without arguments administrators hear of all orders, live only', async () => {
    const stream = followOrder({});
    const { id: productId } = await shop.product();
    // It has no snapshot: it is open once it hears of something.
    await until(async () => {
      const { id } = await shop.order(ana, [productId, 1]);
      await shop.orderWhere(id, 'settled', ({ status }) => status !== 'PENDING');
      return stream.messages.length > 0;
    });
    const { id } = await shop.order((await shop.user()).id, [productId, 1_000]);
    await until(() => stream.messages.some(({ order, status }) => order?.id === id && status === 'CANCELED'));
    expect(new Set(kinds(stream.messages))).toEqual(new Set(['CHANGE']));
    expect(statuses(stream.messages.filter(({ order }) => order?.id === id))).toEqual(['PENDING', 'CANCELED']);
    expect(await refusal(ORDER_CHANGES, {}, userIdentity(ana))).toEqual({ code: 'FORBIDDEN', field: undefined });
  });

  test('after a cursor: everything missed, nothing twice', async () => {
    const { id: productId } = await shop.product();
    const { id } = await shop.order(ana, [productId, 1]);
    const before = followOrder({ orderId: id });
    await until(() => before.messages.at(-1)?.status === 'AWAITING_PAYMENT');
    const { cursor } = before.messages.at(-1)!;
    before.stop();

    await shop.pay(id);
    await shop.reaches(id, 'PAID');
    await shop.cancel(id, 'Too late');
    const after = followOrder({ orderId: id, after: cursor });
    const messages = await after.arrived(2);
    expect(messages).toMatchObject([
      { kind: 'CHANGE', status: 'PAID', previousStatus: 'AWAITING_PAYMENT' },
      { kind: 'CHANGE', status: 'CANCELED', reason: 'Too late' },
    ]);
    // Whoever resumes behind the first of them gets the second alone.
    expect(await followOrder({ orderId: id, after: messages[0]!.cursor }).arrived(1)).toMatchObject([
      { kind: 'CHANGE', status: 'CANCELED' },
    ]);
  });

  test('after a cursor across a restart of the whole system: everything missed, nothing twice', async () => {
    const { id: userId } = await shop.user();
    const { id: productId } = await shop.product({ stock: 50 });
    const followed = await shop.order(userId, [productId, 1]);
    const before = followOrder({ userId });
    await until(() => before.messages.at(-1)?.status === 'AWAITING_PAYMENT');
    const { cursor } = before.messages.at(-1)!;
    before.stop();
    await shop.pay(followed.id);
    await shop.reaches(followed.id, 'PAID');
    const second = await shop.order(userId, [productId, 1]);
    await shop.reaches(second.id, 'AWAITING_PAYMENT');

    await restart();
    const after = followOrder({ userId, after: cursor });
    await after.arrived(3);
    await shop.run('updateOrderStatus', { id: followed.id, status: 'PROCESSING' });
    const messages = await after.arrived(4);
    expect(kinds(messages)).toEqual(['CHANGE', 'CHANGE', 'CHANGE', 'CHANGE']);
    const of = (orderId: string) => statuses(messages.filter(({ order }) => order?.id === orderId));
    expect(of(followed.id)).toEqual(['PAID', 'PROCESSING']);
    expect(of(second.id)).toEqual(['PENDING', 'AWAITING_PAYMENT']);
  });

  test('a chain of resumptions, one per message, sees every change once', async () => {
    const { id: productId } = await shop.product();
    const { id } = await shop.orderIn('COMPLETED', ana, [productId, 1]);
    await until(async () => (await shop.orderNow(id)).status === 'COMPLETED');
    const [snapshot] = await followOrder({ orderId: id }).arrived(1);
    // The snapshot's own place, but at the beginning of the log.
    const start = JSON.parse(Buffer.from(snapshot!.cursor, 'base64url').toString()) as unknown[];
    let after = Buffer.from(JSON.stringify(start.map((part, at) => (at < 4 ? part : 0)))).toString('base64url');
    const seen: (OrderStatus | null)[] = [];
    while (seen.at(-1) !== 'COMPLETED') {
      const stream = followOrder({ orderId: id, after });
      const [message] = await stream.arrived(1);
      stream.stop();
      expect(message?.kind).toBe('CHANGE');
      seen.push(message!.status);
      after = message!.cursor;
    }
    expect(seen).toEqual(['PENDING', 'AWAITING_PAYMENT', 'PAID', 'PROCESSING', 'COMPLETED']);
  });

  test('a cursor of another log is answered with GAP and a fresh snapshot, then changes', async () => {
    const { id: productId } = await shop.product();
    const { id } = await shop.orderIn('AWAITING_PAYMENT', ana, [productId, 1]);
    const [{ cursor } = { cursor: '' }] = await followOrder({ orderId: id }).arrived(1);
    const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
    const encode = (changed: unknown[]): string => Buffer.from(JSON.stringify(changed)).toString('base64url');
    const foreign = encode(parts.with(2, newId()));
    const beyond = encode(parts.map((part, at) => (at < 4 ? part : (part as number) + 1_000)));
    for (const after of [foreign, beyond]) {
      const stream = followOrder({ orderId: id, after });
      expect(await stream.arrived(2)).toMatchObject([
        { kind: 'GAP', order: null, status: null },
        { kind: 'SNAPSHOT', status: 'AWAITING_PAYMENT', order: { id } },
      ]);
      stream.stop();
    }
    const stream = followOrder({ orderId: id, after: foreign });
    const [gap] = await stream.arrived(2);
    await shop.cancel(id);
    expect(await stream.arrived(3)).toMatchObject([{}, {}, { kind: 'CHANGE', status: 'CANCELED' }]);
    // A client that got no further than the GAP still gets a snapshot.
    expect(await followOrder({ orderId: id, after: gap!.cursor }).arrived(1)).toMatchObject([
      { kind: 'SNAPSHOT', status: 'CANCELED' },
    ]);
  });

  test('a cursor that is none, or of another subscription, is refused', async () => {
    const { id: productId } = await shop.product();
    const { id } = await shop.order(ana, [productId, 1]);
    const [balance] = await followBalance({ accountId: await shop.account(ana) }).arrived(1);
    for (const after of ['', 'nonsense', balance!.cursor]) {
      expect(await refusal(ORDER_CHANGES, { orderId: id, after })).toEqual({ code: 'VALIDATION', field: 'after' });
    }
  });

  test('a selection across subgraphs shows each event as it was then, with everything around it', async () => {
    const product = await shop.product({ name: 'iPhone 15', stock: 10 });
    const { id } = await shop.order(ana, [product.id, 4]);
    const query = `subscription ($id: ID!) { orderStatusChanged(orderId: $id) {
      kind status order { id status version user { name } items { quantity product { name available } } }
    } }`;
    interface Message {
      readonly kind: string;
      readonly status: OrderStatus;
      readonly order: { readonly status: OrderStatus; readonly version: number };
    }
    const stream = new Stream<Message>(query, 'orderStatusChanged', { id });
    await until(() => stream.messages.at(-1)?.status === 'AWAITING_PAYMENT');
    await shop.stockReaches(product.id, 10, 4);
    await shop.pay(id);
    await until(() => stream.messages.at(-1)?.status === 'PAID');
    for (const { status, order } of stream.messages) {
      expect(order).toEqual({
        id,
        status,
        version: expect.any(Number),
        user: { name: 'Ana Souza' },
        items: [{ quantity: 4, product: { name: 'iPhone 15', available: expect.any(Number) } }],
      });
    }
    expect(stream.messages.at(-1)?.order).toMatchObject({ items: [{ product: { available: 6 } }] });
  });

  test('everybody follows their own orders, administrators any, others none', async () => {
    const { id: productId } = await shop.product();
    const { id } = await shop.order(ana, [productId, 1]);
    const stranger = userIdentity((await shop.user()).id);
    const unauthenticated = { code: 'UNAUTHENTICATED', field: undefined };
    const forbidden = { code: 'FORBIDDEN', field: undefined };
    for (const variables of [{ orderId: id }, { userId: ana }]) {
      expect(await refusal(ORDER_CHANGES, variables, ANONYMOUS)).toEqual(unauthenticated);
      expect(await refusal(ORDER_CHANGES, variables, stranger)).toEqual(forbidden);
      await followOrder(variables, userIdentity(ana)).arrived(1);
      await followOrder(variables).arrived(1);
    }
  });

  test('an id that is none or of nothing is refused', async () => {
    const of = (variables: Readonly<Record<string, unknown>>) => refusal(ORDER_CHANGES, variables);
    expect(await of({ orderId: 'x' })).toEqual({ code: 'VALIDATION', field: 'orderId' });
    expect(await of({ orderId: '0190a000-0000-7000-8000-00000000abcd' })).toEqual({
      code: 'NOT_FOUND',
      field: 'orderId',
    });
    expect(await of({ orderId: newId(), userId: ana })).toEqual({ code: 'VALIDATION', field: 'userId' });
  });
});

describe('balanceChanged', () => {
  test('begins with a snapshot, then delivers every change with the movement that made it', async () => {
    const [account, other] = [await shop.account(ana, '100.00'), await shop.account(ana)];
    await shop.balanceReaches(account, '100.00');
    const stream = followBalance({ accountId: account }, userIdentity(ana));
    await stream.arrived(1);
    await shop.run('deposit', { accountId: account, amount: '20.00' });
    await shop.run('transfer', { fromAccountId: account, toAccountId: other, amount: '0.01' });
    expect(await stream.arrived(3)).toMatchObject([
      { kind: 'SNAPSHOT', balance: '100.00', account: { id: account, version: 2 }, transaction: null },
      { kind: 'CHANGE', balance: '120.00', account: { version: 3 }, transaction: { kind: 'DEPOSIT', amount: '20.00' } },
      { kind: 'CHANGE', balance: '119.99', account: { version: 4 }, transaction: { kind: 'TRANSFER', amount: '0.01' } },
    ]);
  });

  test('after a cursor across a restart of the whole system: everything missed, nothing twice', async () => {
    const account = await shop.account(ana, '1.00');
    await shop.balanceReaches(account, '1.00');
    const before = followBalance({ accountId: account });
    const [{ cursor } = { cursor: '' }] = await before.arrived(1);
    before.stop();
    for (const amount of ['2.00', '3.00']) await shop.run('deposit', { accountId: account, amount });

    await restart();
    const after = followBalance({ accountId: account, after: cursor });
    await after.arrived(2);
    await shop.run('deposit', { accountId: account, amount: '4.00' });
    expect(await after.arrived(3)).toMatchObject([
      { kind: 'CHANGE', balance: '3.00' },
      { kind: 'CHANGE', balance: '6.00' },
      { kind: 'CHANGE', balance: '10.00' },
    ]);
  });

  test('no change is lost or repeated while transfers run at once', async () => {
    const [account, other] = [await shop.account(ana, '500.00'), await shop.account(ana, '500.00')];
    await shop.balanceReaches(account, '500.00');
    const stream = followBalance({ accountId: account });
    await stream.arrived(1);
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => {
        const [fromAccountId, toAccountId] = index % 2 === 0 ? [account, other] : [other, account];
        return shop.run('transfer', { fromAccountId, toAccountId, amount: '1.00' });
      }),
    );
    const messages = await stream.arrived(41);
    const versions = messages.map((message) => message.account?.version);
    expect(versions).toEqual(versions.map((_, index) => (versions[0] ?? 0) + index));
    expect(messages.at(-1)?.balance).toBe('500.00');
    expect(stream.messages).toHaveLength(41);
  });

  test('everybody follows their own accounts, administrators any, others none', async () => {
    const accountId = await shop.account(ana);
    const stranger = userIdentity((await shop.user()).id);
    expect(await refusal(BALANCE_CHANGES, { accountId }, ANONYMOUS)).toEqual({
      code: 'UNAUTHENTICATED',
      field: undefined,
    });
    for (const id of [accountId, SALES_ID]) {
      expect(await refusal(BALANCE_CHANGES, { accountId: id }, stranger)).toEqual({
        code: 'FORBIDDEN',
        field: undefined,
      });
    }
    await followBalance({ accountId: SALES_ID }).arrived(1);
    expect(await refusal(BALANCE_CHANGES, { accountId: '0190a000-0000-7000-8000-00000000abcd' })).toEqual({
      code: 'NOT_FOUND',
      field: 'accountId',
    });
  });
});

describe('stockChanged', () => {
  interface Stock {
    readonly version: number;
    readonly stock: number;
    readonly reserved: number;
    readonly available: number;
  }

  test('anyone hears of the newest stock, versions rising, though states in between may be left out', async () => {
    const { id: productId } = await shop.product({ stock: 10 });
    const stream = new Stream<Stock>(STOCK_CHANGES, 'stockChanged', { productId }, shop.server.socket(ANONYMOUS));
    // It has no snapshot: it is open once it hears of something.
    await until(async () => {
      await shop.run('updateProduct', { id: productId, stock: 11 });
      await shop.run('updateProduct', { id: productId, stock: 10 });
      return stream.messages.length > 0;
    });
    const { id } = await shop.order(ana, [productId, 3]);
    await until(() => stream.messages.at(-1)?.reserved === 3);
    expect(stream.messages.at(-1)).toMatchObject({ id: productId, stock: 10, available: 7 });
    await shop.reaches(id, 'AWAITING_PAYMENT');
    await shop.pay(id);
    await shop.reaches(id, 'PAID');
    await shop.run('updateOrderStatus', { id, status: 'PROCESSING' });
    await shop.run('updateOrderStatus', { id, status: 'COMPLETED' });
    await until(() => stream.messages.at(-1)?.stock === 7);
    expect(stream.messages.at(-1)).toMatchObject({ reserved: 0, available: 7 });
    const versions = stream.messages.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
  });

  test('a product that is deleted is told of as null', async () => {
    const { id: productId } = await shop.product();
    const stream = new Stream<Stock | null>(STOCK_CHANGES, 'stockChanged', { productId });
    await until(async () => {
      await shop.run('updateProduct', { id: productId, stock: 11 });
      await shop.run('updateProduct', { id: productId, stock: 10 });
      return stream.messages.length > 0;
    });
    await shop.run('deleteProduct', { id: productId });
    await until(() => stream.messages.at(-1) === null);
    expect(await refusal(STOCK_CHANGES, { productId })).toEqual({ code: 'NOT_FOUND', field: 'productId' });
  });
});

test('queries and mutations run over the socket too', async () => {
  const client = shop.server.socket();
  const created = collect<{ createProduct: { product: { id: string } } }>(
    client,
    'mutation { createProduct(input: { name: "Lamp", price: "1.00", stock: 1 }) { product { id } } }',
  );
  await until(() => created.state.completed);
  const id = created.messages[0]?.data?.createProduct.product.id;
  const read = collect<unknown>(client, 'query ($id: ID!) { product(id: $id, minVersion: 1) { name } }', { id });
  await until(() => read.state.completed);
  expect(read.messages).toEqual([{ data: { product: { name: 'Lamp' } } }]);
});

test('a subscription over HTTP is refused with the way to have it', async () => {
  const { errors } = await shop.server.graphql('subscription { orderStatusChanged { kind } }');
  expect(errors?.[0]?.extensions.code).toBe('VALIDATION');
  expect(errors?.[0]?.message).toContain('WebSocket');
});
