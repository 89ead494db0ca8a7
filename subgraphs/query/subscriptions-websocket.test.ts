import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import { readConfig } from '../../shared/config/config.js';
import {
  ANONYMOUS,
  IDENTITY_EXTENSION,
  IDENTITY_HEADER,
  signIdentity,
  type Identity,
} from '../../shared/identity/identity.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { until } from '../../tests/until.js';
import { buildQuery, type QuerySubgraph } from './app.js';
import { moved, orderEvent, paidIn } from './subscriber-tools.js';
import { account, ADMIN, as, happened, openTestbed, order, product, user, type Testbed } from './testbed.js';

/** The subscriptions as the gateway gets them, over graphql-ws. */

const secret = 'a secret of more than thirty-two letters';
const metrics = createMetrics();
let bed: Testbed;
let query: QuerySubgraph;
let client: Client;

beforeEach(async () => {
  bed = await openTestbed();
  const { eventLog, documents } = bed;
  const config = readConfig({ QUERY_PORT: '0', REST_PORT: '0' });
  query = await buildQuery({
    config,
    identitySecret: secret,
    log: silentLogger(),
    metrics,
    now: Date.now,
    eventLog,
    documents,
  });
  await query.worker.start();
  await query.api.start();
  client = createClient({
    url: `${query.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { [IDENTITY_HEADER]: token(ANONYMOUS) },
    retryAttempts: 0,
  });
});

afterEach(async () => {
  await client.dispose();
  await query.api.stop();
  await query.worker.stop();
  await query.close();
  await bed.close();
});

const token = (identity: Identity) => signIdentity(identity, 'query', secret, Date.now());

/** What the field said, message by message. */
function follow<M>(identity: Identity, text: string, variables: Record<string, unknown>): M[] {
  const messages: M[] = [];
  client.subscribe<Record<string, M>>(
    { query: text, variables, extensions: { [IDENTITY_EXTENSION]: token(identity) } },
    {
      next: ({ data }) => messages.push(...Object.values(data ?? {})),
      error: () => undefined,
      complete: () => undefined,
    },
  );
  return messages;
}

const subscribed = (field: string) =>
  until(async () =>
    (await metrics.subscribers.get()).values.some(({ labels, value }) => labels.field === field && value > 0),
  );

test('orderStatusChanged reads the user and the products anew for every message', async () => {
  const someone = user();
  const phone = product();
  const items = [{ productId: phone.id, name: phone.name, quantity: 1, unitPrice: phone.price }];
  const first = order({ userId: someone.id, items });
  await bed.publish(
    happened('user.created', { user: someone }),
    happened('product.created', { product: phone }),
    orderEvent(first),
  );
  await bed.caughtUp();
  interface Message {
    readonly kind: string;
    readonly order: {
      readonly user: { readonly name: string } | null;
      readonly items: readonly { readonly product: { readonly name: string } | null }[];
    };
  }
  const messages = follow<Message>(
    as(someone.id),
    'subscription ($id: ID!) { orderStatusChanged(orderId: $id) { kind order { user { name } items { product { name } } } } }',
    { id: first.id },
  );
  await until(() => messages.length === 1);
  await bed.publish(
    happened('user.updated', { user: { ...someone, version: 2, name: 'Ana' } }),
    happened('product.updated', { product: { ...phone, version: 2, name: 'iPhone 16' } }),
  );
  await bed.caughtUp();
  const second = moved(first, 'AWAITING_PAYMENT');
  await bed.publish(orderEvent(second));
  await until(() => messages.length === 2);
  await bed.publish(happened('product.deleted', { product: { ...phone, version: 3, deleted: true } }));
  await bed.caughtUp();
  await bed.publish(orderEvent(moved(second, 'PAID')));
  await until(() => messages.length === 3);
  expect(messages).toEqual([
    { kind: 'SNAPSHOT', order: { user: { name: 'João Silva' }, items: [{ product: { name: 'iPhone 15' } }] } },
    { kind: 'CHANGE', order: { user: { name: 'Ana' }, items: [{ product: { name: 'iPhone 16' } }] } },
    { kind: 'CHANGE', order: { user: { name: 'Ana' }, items: [{ product: null }] } },
  ]);
});

test('stockChanged tells anonymous callers', async () => {
  const phone = product({ stock: 5 });
  await bed.publish(happened('product.created', { product: phone }));
  await bed.caughtUp();
  const messages = follow(
    ANONYMOUS,
    'subscription ($id: ID!) { stockChanged(productId: $id) { id version available } }',
    {
      id: phone.id,
    },
  );
  await subscribed('stockChanged');
  await bed.publish(happened('product.stock_changed', { product: { ...phone, version: 2, reserved: 1 } }));
  await until(() => messages.length === 1);
  expect(messages).toEqual([{ id: phone.id, version: 2, available: 4 }]);
});

test('balanceChanged tells the owner', async () => {
  const someone = user();
  const wallet = account({ userId: someone.id, balance: 100 });
  await bed.publish(happened('user.created', { user: someone }), happened('account.created', { account: wallet }));
  await bed.caughtUp();
  const messages = follow(
    as(someone.id),
    'subscription ($id: ID!) { balanceChanged(accountId: $id) { kind balance account { owner { name } } transaction { amount } } }',
    { id: wallet.id },
  );
  await until(() => messages.length === 1);
  await bed.publish(happened('account.balance_changed', paidIn(wallet, 50)));
  await until(() => messages.length === 2);
  const owned = { owner: { name: 'João Silva' } };
  expect(messages).toEqual([
    { kind: 'SNAPSHOT', balance: '1.00', account: owned, transaction: null },
    { kind: 'CHANGE', balance: '1.50', account: owned, transaction: { amount: '0.50' } },
  ]);
});

test('stopping the API ends subscriptions at once, and none is counted any more', async () => {
  const first = order();
  await bed.publish(orderEvent(first));
  await bed.caughtUp();
  const messages = follow(ADMIN, 'subscription ($id: ID!) { orderStatusChanged(orderId: $id) { kind } }', {
    id: first.id,
  });
  await until(() => messages.length === 1);
  const before = performance.now();
  await query.api.stop();
  expect(performance.now() - before).toBeLessThan(1_500);
  expect((await metrics.subscribers.get()).values.filter(({ value }) => value !== 0)).toEqual([]);
});
