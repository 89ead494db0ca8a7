import { describe, expect, test } from '@jest/globals';
import type { DocumentStore } from '../../shared/document-store/port.js';
import type { ReservationState } from '../../shared/events/states.js';
import { ANONYMOUS } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { ENTITIES, testbeds, view, type Page } from './resolvers-tools.js';
import {
  account,
  ADMIN,
  as,
  happened,
  order,
  PAST,
  product,
  transaction,
  user,
  watched,
  type Testbed,
} from './testbed.js';

/** What lists find, in which order, and how many reads that costs. */

const testbed = testbeds();

describe('a page of orders', () => {
  const counted = (calls: string[]) => (documents: DocumentStore) =>
    watched(documents, ({ name, args }) => calls.push(`${name} ${String(args[0])}`));

  async function fifty(calls: string[]): Promise<Testbed> {
    const bed = await testbed({ wrap: counted(calls) });
    const users = Array.from({ length: 10 }, (_, i) => user({ name: `User ${i}` }));
    const products = Array.from({ length: 20 }, (_, i) => product({ name: `Product ${i}` }));
    for (const one of users) {
      const wallet = account({ userId: one.id });
      await view(bed, happened('user.created', { user: one }), happened('account.created', { account: wallet }));
    }
    for (const one of products) await view(bed, happened('product.created', { product: one }));
    for (let i = 0; i < 50; i++) {
      const items = [0, 1, 2].map((n) => ({
        productId: products[(i + n) % 20]?.id ?? '',
        name: 'Something',
        quantity: 1,
        unitPrice: 100,
      }));
      await view(bed, happened('order.created', { order: order({ userId: users[i % 10]?.id ?? '', items }) }));
    }
    calls.length = 0;
    return bed;
  }

  test('reads its users, products and their accounts and orders once each, not once per order', async () => {
    const calls: string[] = [];
    const bed = await fifty(calls);
    const { data } = await bed.ask(
      ADMIN,
      `{ orders(first: 50) { nodes { id user { name orders(first: 3) { nodes { id } totalCount }
         accounts { balance owner { name } transactions { totalCount } } } items { product { name available } } } } }`,
    );
    const { nodes } = data?.['orders'] as {
      nodes: readonly { user: unknown; items: readonly { product: unknown }[] }[];
    };
    expect(nodes).toHaveLength(50);
    for (const { user: owner, items } of nodes) {
      expect(owner).toMatchObject({ orders: { totalCount: 5 }, accounts: [{ balance: '0.00' }] });
      expect(items.map((item) => item.product)).not.toContain(null);
    }
    expect(calls.sort()).toEqual([
      'countPerKey orders',
      'countPerKey transactions',
      'find orders',
      'findPerKey accounts',
      'findPerKey orders',
      'findPerKey transactions',
      'getMany products',
      'getMany users',
    ]);
  });

  test('is counted only when its total is asked for, and once', async () => {
    const calls: string[] = [];
    const bed = await fifty(calls);
    await bed.ask(ADMIN, '{ orders { nodes { id } pageInfo { hasNextPage endCursor } } }');
    expect(calls).toEqual(['find orders']);
    calls.length = 0;
    await bed.ask(ADMIN, '{ orders { totalCount again: totalCount } }');
    expect(calls).toEqual(['find orders', 'count orders']);
  });

  test('of each of fifty users is read with one call, and counted, where its total is asked for, with one more', async () => {
    const calls: string[] = [];
    const bed = await testbed({ wrap: counted(calls) });
    const users = Array.from({ length: 50 }, (_, i) => user({ name: `User ${i}`, createdAt: PAST + i }));
    for (const one of users) await view(bed, happened('user.created', { user: one }));
    for (let i = 0; i < 150; i++) {
      await view(bed, happened('order.created', { order: order({ userId: users[i % 25]?.id ?? '' }) }));
    }
    const pages = async (orders: string): Promise<unknown[]> => {
      calls.length = 0;
      const query = `{ users(first: 50, sort: CREATED_AT_ASC) { nodes { orders(first: 5) ${orders} } } }`;
      const { data } = await bed.ask(ADMIN, query);
      return (data?.['users'] as { nodes: { orders: unknown }[] }).nodes.map((node) => node.orders);
    };
    const listed = await pages('{ nodes { id } pageInfo { hasNextPage } }');
    expect(calls).toEqual(['find users', 'findPerKey orders']);
    expect(listed).toHaveLength(50);
    expect(listed[0]).toEqual({
      nodes: new Array(5).fill({ id: expect.any(String) }),
      pageInfo: { hasNextPage: true },
    });
    expect(listed[49]).toEqual({ nodes: [], pageInfo: { hasNextPage: false } });
    const totals = await pages('{ nodes { id } totalCount again: totalCount }');
    expect(calls).toEqual(['find users', 'findPerKey orders', 'countPerKey orders']);
    expect([totals[0], totals[49]]).toMatchObject([
      { totalCount: 6, again: 6 },
      { nodes: [], totalCount: 0 },
    ]);
  });

  test('of a user is counted once per request, on however many of its pages its total is asked for', async () => {
    const calls: string[] = [];
    const bed = await fifty(calls);
    const query = (after: string) => `query ($id: ID!) { user(id: $id) {
      orders(first: 2) { totalCount pageInfo { endCursor hasNextPage } } ${after} } }`;
    const { data: orders } = await bed.ask(ADMIN, '{ orders(first: 1) { nodes { user { id } } } }');
    const id = (orders?.['orders'] as { nodes: { user: { id: string } }[] }).nodes[0]?.user.id;
    const { data } = await bed.ask(ADMIN, query(''), { id });
    const first = (data?.['user'] as { orders: { pageInfo: { endCursor: string } } }).orders;
    expect(first).toMatchObject({ totalCount: 5, pageInfo: { hasNextPage: true } });
    calls.length = 0;
    const rest = `rest: orders(first: 3, after: "${first.pageInfo.endCursor}") { nodes { id } totalCount pageInfo { hasNextPage } }`;
    const { data: both } = await bed.ask(ADMIN, query(rest), { id });
    expect(both?.['user']).toMatchObject({
      orders: { totalCount: 5 },
      rest: { nodes: new Array(3).fill({ id: expect.any(String) }), totalCount: 5, pageInfo: { hasNextPage: false } },
    });
    expect(calls.sort()).toEqual(['countPerKey orders', 'find orders', 'findPerKey orders', 'getMany users']);
  });

  test('fifty references are read with one call', async () => {
    const calls: string[] = [];
    const bed = await fifty(calls);
    const { data } = await bed.ask(ADMIN, '{ orders(first: 50) { nodes { __typename id version } } }');
    calls.length = 0;
    const answer = await bed.ask(ADMIN, ENTITIES, { keys: (data?.['orders'] as Page).nodes });
    expect(answer.data?.['_entities']).toHaveLength(50);
    expect(calls).toEqual(['getMany orders']);
  });
});

describe('lists', () => {
  test('find names by the beginnings of their words, without case and accents', async () => {
    const bed = await testbed();
    const names = ['João Silva', 'Joana Prado', 'Zé', 'Ana João'];
    for (const [i, name] of names.entries()) {
      await view(
        bed,
        happened('user.created', { user: user({ name, email: `u${i}@mail.example`, createdAt: PAST + i }) }),
      );
    }
    const found = async (search: string) => {
      const { data } = await bed.ask(
        ADMIN,
        'query ($search: String) { users(filter: { search: $search }, sort: NAME_ASC) { nodes { name } } }',
        { search },
      );
      return (data?.['users'] as { nodes: readonly { name: string }[] }).nodes.map(({ name }) => name);
    };
    expect(await found('joao')).toEqual(['Ana João', 'João Silva']);
    expect(await found(' JO sil ')).toEqual(['João Silva']);
    expect(await found('oao')).toEqual([]);
    expect(await found('u2@mail.example')).toEqual(['Zé']);
    expect(await found('!?%_')).toEqual([]);
    expect(await found('  ')).toEqual(['Ana João', 'Joana Prado', 'João Silva', 'Zé']);
    const { error } = await bed.ask(ADMIN, `{ users(filter: { search: "${'x'.repeat(101)}" }) { totalCount } }`);
    expect(error).toMatchObject({ code: 'VALIDATION', field: 'filter.search' });
  });

  test('of products go by price and by what can still be ordered', async () => {
    const bed = await testbed();
    for (const [i, price] of [100, 200, 300, 400].entries()) {
      const reserved = i % 2 === 0 ? 10 : 4;
      await view(bed, happened('product.created', { product: product({ name: `P${i}`, price, stock: 10, reserved }) }));
    }
    const found = async (filter: string) => {
      const { data } = await bed.ask(
        ANONYMOUS,
        `{ products(filter: ${filter}, sort: PRICE_DESC) { nodes { name } totalCount } }`,
      );
      const { nodes, totalCount } = data?.['products'] as { nodes: readonly { name: string }[]; totalCount: number };
      expect(totalCount).toBe(nodes.length);
      return nodes.map(({ name }) => name).join(' ');
    };
    expect(await found('{}')).toBe('P3 P2 P1 P0');
    expect(await found('{ minPrice: "2.00", maxPrice: 3 }')).toBe('P2 P1');
    expect(await found('{ inStock: true }')).toBe('P3 P1');
    expect(await found('{ inStock: false, minPrice: "1.01" }')).toBe('P2');
    expect(await found('{ search: "p3", maxPrice: null }')).toBe('P3');
  });

  test('of orders go by status, user and date', async () => {
    const bed = await testbed();
    const buyer = newId();
    const orders = (['PENDING', 'PAID', 'CANCELED', 'PAID'] as const).map((status, i) =>
      order({ status, userId: i < 3 ? buyer : newId(), createdAt: PAST + i * 1_000 }),
    );
    for (const one of orders) await view(bed, happened('order.created', { order: one }));
    const found = async (filter: string) => {
      const { data } = await bed.ask(ADMIN, `{ orders(filter: ${filter}, sort: CREATED_AT_ASC) { nodes { id } } }`);
      return (data?.['orders'] as Page).nodes.map(({ id }) => orders.findIndex((one) => one.id === id)).join('');
    };
    const at = (i: number) => new Date(PAST + i * 1_000).toISOString();
    expect(await found('{ status: [PAID] }')).toBe('13');
    expect(await found('{ status: [PAID, PENDING] }')).toBe('013');
    expect(await found('{ status: [] }')).toBe('');
    expect(await found(`{ userId: "${buyer}", status: [PAID, CANCELED] }`)).toBe('12');
    expect(await found(`{ createdAfter: "${at(1)}", createdBefore: "${at(3)}" }`)).toBe('12');
  });

  test('of transactions show each movement in both accounts', async () => {
    const bed = await testbed();
    const [eva, frank] = [account(), account()];
    for (let i = 1; i <= 3; i++) {
      const moved = transaction({ fromAccountId: eva.id, toAccountId: frank.id, amount: i * 100, createdAt: PAST + i });
      await view(
        bed,
        happened('account.balance_changed', { account: { ...eva, version: i }, transaction: moved }),
        happened('account.balance_changed', { account: { ...frank, version: i }, transaction: moved }),
      );
    }
    for (const { id, userId } of [eva, frank]) {
      const { data } = await bed.ask(
        as(userId ?? ''),
        `{ transactions(accountId: "${id}", sort: CREATED_AT_ASC) { totalCount nodes { amount kind fromAccountId } }
           account(id: "${id}") { transactions(first: 1) { totalCount nodes { amount } pageInfo { hasNextPage } } } }`,
      );
      expect(data).toEqual({
        transactions: {
          totalCount: 3,
          nodes: ['1.00', '2.00', '3.00'].map((amount) => ({ amount, kind: 'TRANSFER', fromAccountId: eva.id })),
        },
        account: { transactions: { totalCount: 3, nodes: [{ amount: '3.00' }], pageInfo: { hasNextPage: true } } },
      });
    }
  });
});

describe('a timeline', () => {
  test('tells an order’s whole story, stock and payments too, each event once and in order', async () => {
    const bed = await testbed();
    const projector = bed.projector();
    await projector.start();
    const first = order();
    const reservation: ReservationState = {
      orderId: first.id,
      version: 1,
      status: 'RESERVED',
      items: [],
      reason: null,
      updatedAt: PAST,
    };
    const story = [
      happened('order.created', { order: first }, { time: PAST }),
      happened('stock.reserved', { reservation }, { time: PAST }),
      // The clock of the process that published this one was slow.
      happened('order.awaiting_payment', { order: { ...first, version: 2 } }, { time: PAST - 5 }),
      happened('order.paid', { order: { ...first, version: 3 } }, { time: PAST + 9 }),
    ];
    await bed.publish(...story, ...story, happened('order.created', { order: order() }));
    await bed.caughtUp();
    const { data } = await bed.ask(
      as(first.userId),
      `{ timeline(aggregateId: "${first.id}") { id type source aggregateId version at topic partition offset data } }`,
    );
    const entries = data?.['timeline'] as readonly Record<string, unknown>[];
    expect(entries.map(({ type }) => type)).toEqual([
      'order.created',
      'stock.reserved',
      'order.awaiting_payment',
      'order.paid',
    ]);
    expect(entries[0]).toEqual({
      id: story[0]?.id,
      type: 'order.created',
      source: 'tributary/test',
      aggregateId: first.id,
      version: 1,
      at: '2026-01-31T12:00:00.000Z',
      topic: 'orders',
      partition: expect.any(Number),
      offset: '0',
      data: { order: first },
    });
    await projector.stop();
  });
});
