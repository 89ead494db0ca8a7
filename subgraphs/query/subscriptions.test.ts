import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OrderState } from '../../shared/events/states.js';
import { ANONYMOUS, type Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { formatCursor } from './cursor.js';
import {
  LARGE,
  moved,
  openReadSide,
  orderEvent,
  paidIn,
  touched,
  type ReadSide,
  type Subscriber,
} from './subscriber-tools.js';
import { account, ADMIN, as, happened, order, PAST, product, user } from './testbed.js';

let folder: string;
let side: ReadSide;
let open: Subscriber[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-subscriptions-'));
  side = await openReadSide(folder, { limits: { ...LARGE, waiting: 4 }, projectionWaitMs: 2_000 });
  open = [];
});

afterEach(async () => {
  for (const subscriber of open) await subscriber.leave();
  expect(side.subscriptions.listening()).toBe(0);
  await side.close();
  await rm(folder, { recursive: true });
});

const ORDER = '{ kind cursor status previousStatus reason at order { id version } }';
const ORDERS = `subscription ($orderId: ID, $userId: ID, $after: String) {
  orderStatusChanged(orderId: $orderId, userId: $userId, after: $after) ${ORDER}
}`;
const BALANCE = `subscription ($accountId: ID!, $after: String) {
  balanceChanged(accountId: $accountId, after: $after) {
    kind cursor balance at account { id version balance } transaction { id amount }
  }
}`;
const STOCK = 'subscription ($productId: ID!) { stockChanged(productId: $productId) { id version available } }';

async function subscriber(identity: Identity, query: string, variables?: Record<string, unknown>): Promise<Subscriber> {
  const made = await side.subscribe(identity, query, variables);
  open.push(made);
  return made;
}

async function refusal(identity: Identity, query: string, variables: Record<string, unknown>) {
  const { ended, error } = await subscriber(identity, query, variables);
  expect(ended).toBe(true);
  return error;
}

async function published(state: Partial<OrderState> = {}): Promise<OrderState> {
  const made = order(state);
  await side.publish(orderEvent(made));
  await side.caughtUp();
  return made;
}

describe('orderStatusChanged', () => {
  test('says which status was reached from which, when and why', async () => {
    const first = await published();
    const told = await subscriber(ADMIN, ORDERS, { orderId: first.id });
    await told.tells('SNAPSHOT 1');
    const asked = { ...moved(first, 'AWAITING_PAYMENT') };
    await side.publish(orderEvent(asked), orderEvent(touched(asked)));
    await side.publish(orderEvent(moved(touched(asked), 'CANCELED', 'changed my mind')));
    await told.tells('SNAPSHOT 1', 'CHANGE 2', 'CHANGE 4');
    const at = (version: number) => new Date(version === 1 ? PAST : PAST + version).toISOString();
    expect(told.messages.map(({ cursor, kind, order: _, ...rest }) => rest)).toEqual([
      { status: 'PENDING', previousStatus: null, reason: null, at: at(1) },
      { status: 'AWAITING_PAYMENT', previousStatus: 'PENDING', reason: null, at: at(2) },
      { status: 'CANCELED', previousStatus: 'AWAITING_PAYMENT', reason: 'changed my mind', at: at(4) },
    ]);
  });

  test('by user begins with one snapshot per open order, the newest first', async () => {
    const userId = newId();
    const orders = [3, 1, 2].map((minute) => order({ userId, createdAt: PAST + minute * 60_000 }));
    const closed = order({ userId });
    await side.publish(...orders.map(orderEvent), orderEvent(closed), orderEvent(moved(closed, 'COMPLETED')));
    await side.publish(orderEvent(order()));
    await side.caughtUp();
    const told = (await subscriber(as(userId), ORDERS, { userId })).flow();
    await until(() => told.messages.length === 3);
    const newestFirst = [...orders].sort((a, b) => b.createdAt - a.createdAt).map(({ id }) => id);
    expect(told.messages.map(({ order: one }) => one?.id)).toEqual(newestFirst);
    expect(new Set(told.messages.map(({ kind }) => kind))).toEqual(new Set(['SNAPSHOT']));
  });

  test('by user begins with at most 100 snapshots, and tells of the other orders as they change', async () => {
    const userId = newId();
    const orders = Array.from({ length: 103 }, (_, i) => order({ userId, createdAt: PAST + i }));
    await side.publish(...orders.map(orderEvent));
    await side.caughtUp();
    const told = (await subscriber(as(userId), ORDERS, { userId })).flow();
    await until(() => told.messages.length === 100);
    expect(told.messages.map(({ order: one }) => one?.id)).toEqual(
      orders
        .slice(3)
        .reverse()
        .map(({ id }) => id),
    );
    const [oldest] = orders as [OrderState];
    await side.publish(orderEvent(moved(oldest, 'AWAITING_PAYMENT')));
    await until(() => told.messages.length === 101);
    expect(told.messages.at(-1)).toMatchObject({ kind: 'CHANGE', order: { id: oldest.id, version: 2 } });
  });

  test('by user knows what was closed and opened though the view lags behind', async () => {
    const userId = newId();
    const first = await published({ userId });
    side.gates.views.shut();
    const second = order({ userId });
    await side.publish(orderEvent(moved(first, 'CANCELED')), orderEvent(second));
    const told = (await subscriber(as(userId), ORDERS, { userId })).flow();
    await told.tells('SNAPSHOT 1');
    expect(told.messages[0]?.order?.id).toBe(second.id);
  });

  test('a user without open orders hears of the first one', async () => {
    const userId = newId();
    const told = (await subscriber(as(userId), ORDERS, { userId })).flow();
    await until(() => side.subscriptions.listening() === 1);
    await published({ userId });
    await until(() => told.messages.length === 1);
    expect(told.messages[0]?.order?.version).toBe(1);
  });

  test('events of others never reach a user', async () => {
    const userId = newId();
    const mine = await published({ userId });
    const told = (await subscriber(as(userId), ORDERS, { userId })).flow();
    const one = (await subscriber(as(userId), ORDERS, { orderId: mine.id })).flow();
    await told.tells('SNAPSHOT 1');
    await one.tells('SNAPSHOT 1');
    await published();
    await published({ userId });
    await side.publish(orderEvent(moved(mine, 'PAID')));
    await until(() => told.messages.length === 3);
    const ids = (
      await side.documents.find<OrderState>('orders', {
        filter: [{ field: 'userId', is: { eq: userId } }],
        sort: { field: 'createdAt', direction: 'asc' },
        limit: 10,
      })
    ).map(({ id }) => id);
    expect(told.messages.every(({ order: seen }) => ids.includes(seen?.id ?? ''))).toBe(true);
    await one.tells('SNAPSHOT 1', 'CHANGE 2');
  });

  test('without arguments administrators hear of all orders, live only', async () => {
    await published();
    const all = (await subscriber(ADMIN, ORDERS)).flow();
    const [one, two] = [order(), order()];
    await side.publish(orderEvent(one), orderEvent(two));
    await side.publish(orderEvent(touched(one)), orderEvent(moved(touched(one), 'PAID')));
    await until(() => all.messages.length === 3);
    const told = (id: string) =>
      all.messages.filter(({ order: seen }) => seen?.id === id).map(({ order: seen }) => seen?.version);
    expect([told(one.id), told(two.id)]).toEqual([[1, 3], [1]]);
  });

  test('an order that was deleted meanwhile is not shown after a GAP', async () => {
    const first = await published({ status: 'COMPLETED' });
    const told = await subscriber(ADMIN, ORDERS, { orderId: first.id });
    await told.take();
    const other = await subscriber(ADMIN, ORDERS, { orderId: first.id });
    await other.tells('SNAPSHOT 1');
    let state = first;
    for (let i = 0; i < 5; i++) await side.publish(orderEvent((state = moved(state, 'COMPLETED'))));
    await side.publish(orderEvent({ ...touched(state), deleted: true }));
    await until(() => other.messages.at(-1)?.order?.version === 6);
    await side.caughtUp();
    await told.tells('SNAPSHOT 1', 'GAP');
    expect(await refusal(ADMIN, ORDERS, { orderId: first.id })).toEqual({ code: 'NOT_FOUND', field: 'orderId' });
  });
});

describe('who may not, and what is not there', () => {
  const nobody = newId();
  const cursorOf = (topic: 'orders' | 'accounts') =>
    formatCursor({ log: newId(), topic, next: Array.from({ length: 12 }, () => 0), due: null });

  test("another's order, orders and account are FORBIDDEN, to anonymous callers UNAUTHENTICATED", async () => {
    const theirs = await published();
    const wallet = account({ userId: theirs.userId });
    const foreign = account({ userId: null });
    await side.publish(
      happened('account.created', { account: wallet }),
      happened('account.created', { account: foreign }),
    );
    await side.caughtUp();
    const stranger = as(newId());
    const attempts: [string, Record<string, unknown>][] = [
      [ORDERS, { orderId: theirs.id }],
      [ORDERS, { userId: theirs.userId }],
      [ORDERS, {}],
      [BALANCE, { accountId: wallet.id }],
      [BALANCE, { accountId: foreign.id }],
    ];
    for (const [query, variables] of attempts) {
      expect(await refusal(stranger, query, variables)).toMatchObject({ code: 'FORBIDDEN' });
      expect(await refusal(ANONYMOUS, query, variables)).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });

  test.each<[string, string, Record<string, unknown>, string]>([
    ['order', ORDERS, { orderId: 'd6a41403-bbd0-11ee-8a24-0242ac120003' }, 'orderId'],
    ['user', ORDERS, { userId: 'd6a41403-bbd0-11ee-8a24-0242ac120003' }, 'userId'],
    ['account', BALANCE, { accountId: 'd6a41403-bbd0-11ee-8a24-0242ac120003' }, 'accountId'],
    ['product', STOCK, { productId: 'd6a41403-bbd0-11ee-8a24-0242ac120003' }, 'productId'],
  ])('an unknown %s is NOT_FOUND', async (_, query, variables, field) => {
    expect(await refusal(ADMIN, query, variables)).toEqual({ code: 'NOT_FOUND', field });
  });

  test.each<[string, string, Record<string, unknown>, string]>([
    ['a malformed order id', ORDERS, { orderId: '17' }, 'orderId'],
    ['a malformed user id', ORDERS, { userId: '17' }, 'userId'],
    ['a malformed account id', BALANCE, { accountId: '17' }, 'accountId'],
    ['a malformed product id', STOCK, { productId: '' }, 'productId'],
    ['an order and a user', ORDERS, { orderId: nobody, userId: nobody }, 'userId'],
    ['a cursor for all orders', ORDERS, { after: cursorOf('orders') }, 'after'],
    ['a garbage cursor', ORDERS, { userId: ADMIN.userId, after: 'garbage' }, 'after'],
    ['a cursor of another subscription', ORDERS, { userId: ADMIN.userId, after: cursorOf('accounts') }, 'after'],
  ])('%s is VALIDATION', async (_, query, variables, field) => {
    expect(await refusal(ADMIN, query, variables)).toEqual({ code: 'VALIDATION', field });
  });

  test('a cursor of orders is none of a balance', async () => {
    const wallet = account();
    await side.publish(happened('account.created', { account: wallet }));
    const refused = await refusal(ADMIN, BALANCE, { accountId: wallet.id, after: cursorOf('orders') });
    expect(refused).toEqual({ code: 'VALIDATION', field: 'after' });
  });

  test('an id just made elsewhere is waited for', async () => {
    const [anOrder, wallet, phone, someone] = [order(), account(), product(), user()];
    const waiting = Promise.all([
      subscriber(ADMIN, ORDERS, { orderId: anOrder.id }),
      subscriber(ADMIN, BALANCE, { accountId: wallet.id }),
      subscriber(ADMIN, STOCK, { productId: phone.id }),
      subscriber(ADMIN, ORDERS, { userId: someone.id }),
    ]);
    await side.publish(
      orderEvent(anOrder),
      happened('account.created', { account: wallet }),
      happened('product.created', { product: phone }),
      happened('user.created', { user: someone }),
    );
    const [one, balance] = await waiting;
    await one.tells('SNAPSHOT 1');
    await balance.tells('SNAPSHOT');
    expect(side.subscriptions.listening()).toBe(4);
  });
});

describe('stockChanged', () => {
  test('tells the newest state, and null once it is deleted', async () => {
    const first = product({ stock: 10 });
    await side.publish(happened('product.created', { product: first }));
    const told = (await subscriber(ANONYMOUS, STOCK, { productId: first.id })).flow();
    await until(() => side.subscriptions.listening() === 1);
    await side.publish(happened('product.stock_changed', { product: { ...first, version: 2, reserved: 3 } }));
    await until(() => told.results.length === 1);
    await side.publish(happened('product.deleted', { product: { ...first, version: 3, deleted: true } }));
    await until(() => told.results.length === 2);
    expect(told.results.map(({ data }) => data?.['stockChanged'])).toEqual([
      { id: first.id, version: 2, available: 7 },
      null,
    ]);
  });

  test('a slow client skips to the newest, and is told of no gap', async () => {
    const first = product();
    await side.publish(happened('product.created', { product: first }));
    await side.caughtUp();
    const slow = await subscriber(ANONYMOUS, STOCK, { productId: first.id });
    const pending = slow.take();
    const watching = (await subscriber(ANONYMOUS, STOCK, { productId: first.id })).flow();
    const versionOf = (told: Subscriber) =>
      (told.results.at(-1)?.data?.['stockChanged'] as { version: number } | undefined)?.version;
    for (let version = 2; version <= 20; version++) {
      await side.publish(happened('product.stock_changed', { product: { ...first, version } }));
    }
    await until(() => versionOf(watching) === 20);
    await pending;
    await slow.take();
    expect(versionOf(slow)).toBe(20);
    expect(slow.results).toHaveLength(2);
    expect(await side.gaps()).toEqual({});
  });
});

describe('balanceChanged', () => {
  test('tells the balance, then every movement with its transaction, and resumes', async () => {
    const first = account({ balance: 80_000 });
    await side.publish(happened('account.created', { account: first }));
    const one = paidIn(first, 2_050);
    await side.publish(happened('account.balance_changed', one));
    await side.caughtUp();
    const told = await subscriber(as(first.userId ?? ''), BALANCE, { accountId: first.id });
    await told.tells('SNAPSHOT');
    const two = paidIn(one.account, 100);
    await side.publish(happened('account.balance_changed', two));
    await told.tells('SNAPSHOT', 'CHANGE');
    expect(told.messages).toMatchObject([
      { balance: '820.50', account: { id: first.id, version: 2 }, transaction: null },
      {
        balance: '821.50',
        account: { id: first.id, version: 3, balance: '821.50' },
        transaction: { id: two.transaction.id, amount: '1.00' },
        at: new Date(PAST + 1).toISOString(),
      },
    ]);
    await told.leave();
    const three = paidIn(two.account, 200);
    await side.publish(happened('account.balance_changed', three));
    const again = await subscriber(ADMIN, BALANCE, { accountId: first.id, after: told.messages[0]?.cursor });
    await again.tells('CHANGE', 'CHANGE');
    expect(again.messages.map(({ balance }) => balance)).toEqual(['821.50', '823.50']);
  });

  test('a GAP has neither account nor balance', async () => {
    const first = account({ balance: 100 });
    await side.publish(happened('account.created', { account: first }));
    const after = formatCursor({
      log: 'another',
      topic: 'accounts',
      next: Array.from({ length: 12 }, () => 0),
      due: null,
    });
    const told = await subscriber(ADMIN, BALANCE, { accountId: first.id, after });
    await told.tells('GAP', 'SNAPSHOT');
    expect(told.messages).toMatchObject([
      { kind: 'GAP', account: null, balance: null, transaction: null, at: null },
      { kind: 'SNAPSHOT', balance: '1.00' },
    ]);
  });
});
