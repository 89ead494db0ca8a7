import { describe, expect, test } from '@jest/globals';
import type { EventType } from '../../shared/events/catalogue.js';
import { CATALOGUE } from '../../shared/events/catalogue.js';
import { account, happened, order, product, transaction, user } from './testbed.js';
import { project, timelineEntry } from './views.js';

describe('an event becomes the state it carries', () => {
  test('a user, with the words it is found by', () => {
    const joao = user({ version: 3 });
    expect(project(happened('user.updated', { user: joao }))).toEqual([
      {
        collection: 'users',
        id: joao.id,
        version: 3,
        doc: { ...joao, search: ['joao', 'silva', 'example', 'com'], sortName: 'joao silva' },
      },
    ]);
  });

  test('a deleted user keeps a tombstone without personal data', () => {
    const gone = user({ version: 4, name: '', email: '', deleted: true });
    expect(project(happened('user.deleted', { user: gone }))).toEqual([
      { collection: 'users', id: gone.id, version: 4, doc: { ...gone, search: [], sortName: '' } },
    ]);
  });

  test('a product, with what can still be ordered of it', () => {
    const phone = product({ version: 7, stock: 10, reserved: 4 });
    expect(project(happened('product.stock_changed', { product: phone }))).toEqual([
      {
        collection: 'products',
        id: phone.id,
        version: 7,
        doc: { ...phone, search: ['iphone', '15'], sortName: 'iphone 15', available: 6 },
      },
    ]);
  });

  test('an order as it is, history included', () => {
    const paid = order({ version: 4, status: 'PAID' });
    expect(project(happened('order.paid', { order: paid }))).toEqual([
      { collection: 'orders', id: paid.id, version: 4, doc: paid },
    ]);
  });

  test('an account', () => {
    const eva = account();
    expect(project(happened('account.created', { account: eva }))).toEqual([
      { collection: 'accounts', id: eva.id, version: 1, doc: eva },
    ]);
  });

  test('each account of a transaction makes its own side of it', () => {
    const [eva, frank] = [account({ version: 5, balance: 70_000 }), account({ version: 2, balance: 130_000 })];
    const moved = transaction({ fromAccountId: eva.id, toAccountId: frank.id });
    const sides = [eva, frank].flatMap((one) =>
      project(happened('account.balance_changed', { account: one, transaction: moved })),
    );
    expect(sides).toEqual([
      { collection: 'accounts', id: eva.id, version: 5, doc: eva },
      { collection: 'transactions', id: `${moved.id}:${eva.id}`, version: 1, doc: { ...moved, accountId: eva.id } },
      { collection: 'accounts', id: frank.id, version: 2, doc: frank },
      { collection: 'transactions', id: `${moved.id}:${frank.id}`, version: 1, doc: { ...moved, accountId: frank.id } },
    ]);
  });

  test('stock, payments and the Wallet Core topics have no view', () => {
    const orderId = order().id;
    const reservation = { orderId, version: 1, status: 'RELEASED' as const, items: [], reason: null, updatedAt: 1 };
    expect(project(happened('stock.released', { reservation }))).toEqual([]);
  });

  test('every type of the four aggregates has a view', () => {
    const states = { user: user(), product: product(), order: order(), account: account(), transaction: transaction() };
    const viewed = (Object.keys(CATALOGUE) as EventType[]).filter((type) =>
      ['users', 'products', 'orders', 'accounts'].includes(CATALOGUE[type].topic),
    );
    for (const type of viewed) expect(project(happened(type, states as never))).not.toEqual([]);
  });
});

test('an entry of the timeline knows its place in the log and whose it is', () => {
  const created = order({ version: 1 });
  const event = happened('order.created', { order: created });
  const record = { topic: 'orders', key: created.id, value: '', headers: {}, partition: 3, offset: 42, timestamp: 9 };
  expect(timelineEntry(event, record, 'log-1')).toEqual({
    collection: 'timeline',
    id: event.id,
    version: 1,
    doc: {
      type: 'order.created',
      source: 'tributary/test',
      subject: created.id,
      version: 1,
      at: event.time,
      log: 'log-1',
      topic: 'orders',
      partition: 3,
      offset: 42,
      userId: created.userId,
      data: { order: created },
    },
  });
});
