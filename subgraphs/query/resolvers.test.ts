import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DocumentStore } from '../../shared/document-store/port.js';
import type { AnyEvent } from '../../shared/events/event.js';
import type { ReservationState } from '../../shared/events/states.js';
import { ANONYMOUS, type Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import {
  account,
  ADMIN,
  as,
  happened,
  openTestbed,
  order,
  PAST,
  product,
  transaction,
  user,
  watched,
  type Testbed,
  type TestbedOptions,
} from './testbed.js';
import { project } from './views.js';

let open: Testbed[] = [];

beforeEach(() => {
  open = [];
});

afterEach(async () => {
  for (const bed of open) await bed.close();
});

async function testbed(options: TestbedOptions = {}): Promise<Testbed> {
  const bed = await openTestbed(options);
  open.push(bed);
  return bed;
}

/** Straight into the views, as the projector would. */
async function view(bed: Testbed, ...events: readonly AnyEvent[]): Promise<void> {
  for (const { collection, ...doc } of events.flatMap(project)) await bed.documents.putIfNewer(collection, [doc]);
}

interface Page {
  readonly nodes: readonly { readonly id: string }[];
  readonly totalCount: number;
}

const ENTITIES = `query ($keys: [_Any!]!) {
  _entities(representations: $keys) {
    ... on User { id name } ... on Product { id name } ... on Order { id status } ... on Account { id balance }
  }
}`;

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

describe('read your own writes', () => {
  const ORDER = 'query ($id: ID!, $minVersion: Int) { order(id: $id, minVersion: $minVersion) { version status } }';

  test('a query waits until the projector has caught up with minVersion', async () => {
    const bed = await testbed({ projectionWaitMs: 20_000 });
    const projector = bed.projector();
    await projector.start();
    const first = order({ userId: newId() });
    const paid = order({ ...first, version: 2, status: 'PAID' });
    const waits = [1, 2].map((minVersion) => bed.ask(as(first.userId), ORDER, { id: first.id, minVersion }));
    await bed.publish(happened('order.created', { order: first }));
    expect((await waits[0])?.data?.['order']).toMatchObject({ version: expect.any(Number) });
    await bed.publish(happened('order.paid', { order: paid }));
    expect((await waits[1])?.data?.['order']).toEqual({ version: 2, status: 'PAID' });
    await projector.stop();
  });

  test('a query that waits in vain says which version is there', async () => {
    const bed = await testbed({ projectionWaitMs: 30 });
    const first = order({ version: 3 });
    await view(bed, happened('order.created', { order: first }));
    const late = await bed.ask(as(first.userId), ORDER, { id: first.id, minVersion: 4 });
    expect(late).toEqual({
      data: { order: null },
      error: { code: 'PROJECTION_PENDING', field: undefined, details: { version: 3, minVersion: 4 } },
    });
    const unknown = await bed.ask(ADMIN, ORDER, { id: newId(), minVersion: 1 });
    expect(unknown.error).toMatchObject({ code: 'PROJECTION_PENDING', details: { version: 0, minVersion: 1 } });
  });

  test.each([0, -1])('minVersion %i is a mistake', async (minVersion) => {
    const bed = await testbed();
    for (const name of ['user', 'product', 'order', 'account']) {
      const { error } = await bed.ask(ADMIN, `{ ${name}(id: "${newId()}", minVersion: ${minVersion}) { id } }`);
      expect(error).toMatchObject({ code: 'VALIDATION', field: 'minVersion' });
    }
  });

  test('a reference waits for its version, and is pending when that does not come', async () => {
    const bed = await testbed({ projectionWaitMs: 300 });
    const first = order();
    const key = { __typename: 'Order', id: first.id, version: 1 };
    const waiting = bed.ask(as(first.userId), ENTITIES, { keys: [key] });
    await view(bed, happened('order.created', { order: first }));
    expect((await waiting).data).toEqual({ _entities: [{ id: first.id, status: 'PENDING' }] });
    const late = await bed.ask(as(first.userId), ENTITIES, { keys: [{ ...key, version: 2 }] });
    expect(late.data).toEqual({ _entities: [null] });
    expect(late.error).toMatchObject({ code: 'PROJECTION_PENDING', details: { version: 1, minVersion: 2 } });
  });

  test('an older version than the view has answers the newest', async () => {
    const bed = await testbed();
    const paid = order({ version: 4, status: 'PAID' });
    await view(bed, happened('order.paid', { order: paid }));
    const keys = [{ __typename: 'Order', id: paid.id, version: 2 }];
    expect((await bed.ask(ADMIN, ENTITIES, { keys })).data).toEqual({ _entities: [{ id: paid.id, status: 'PAID' }] });
  });

  test('who waits shares its reads with everybody else who waits', async () => {
    let reads = 0;
    const bed = await testbed({
      projectionWaitMs: 20_000,
      wrap: (documents) =>
        watched(documents, ({ name }) => {
          if (name === 'getMany') reads++;
        }),
    });
    const orders = Array.from({ length: 40 }, () => order());
    const waits = orders.map(({ id }) => bed.ask(ADMIN, ORDER, { id, minVersion: 1 }));
    await view(bed, ...orders.map((one) => happened('order.created', { order: one })));
    const answers = await Promise.all(waits);
    expect(answers.every(({ data }) => data?.['order'] !== null)).toBe(true);
    // One look of each request's own, and then a shared one every 10 ms.
    expect(reads).toBeGreaterThan(40);
    expect(reads).toBeLessThan(2 * 40);
  });

  test('a user or product made a moment ago is waited for where an order links to it', async () => {
    const bed = await testbed({ projectionWaitMs: 20_000 });
    const [ana, phone] = [user({ name: 'Ana' }), product()];
    const items = [{ productId: phone.id, name: 'Phone', quantity: 1, unitPrice: 100 }];
    const first = order({ userId: ana.id, items });
    await view(bed, happened('order.created', { order: first }));
    const waiting = bed.ask(ADMIN, '{ orders { nodes { user { name } items { product { name } } } } }');
    await view(bed, happened('user.created', { user: ana }), happened('product.created', { product: phone }));
    expect((await waiting).data?.['orders']).toEqual({
      nodes: [{ user: { name: 'Ana' }, items: [{ product: { name: 'iPhone 15' } }] }],
    });
  });
});

describe('who sees what', () => {
  const owner = newId();
  const stranger = as(newId());
  const mine = {
    user: user({ id: owner }),
    order: order({ userId: owner }),
    account: account({ userId: owner }),
  };
  const phone = product();

  async function peopled(): Promise<Testbed> {
    const bed = await testbed();
    await view(
      bed,
      happened('user.created', { user: mine.user }),
      happened('user.created', { user: user({ name: 'Ana', email: 'ana@example.com' }) }),
      happened('product.created', { product: phone }),
      happened('order.created', { order: mine.order }),
      happened('order.created', { order: order() }),
      happened('account.created', { account: mine.account }),
    );
    return bed;
  }

  const PRIVATE = [
    ['user', `{ user(id: "${owner}") { id } }`],
    ['order', `{ order(id: "${mine.order.id}") { id } }`],
    ['account', `{ account(id: "${mine.account.id}") { id } }`],
    ['orders of a user', `{ orders(filter: { userId: "${owner}" }) { nodes { id } } }`],
    ['transactions', `{ transactions(accountId: "${mine.account.id}") { totalCount } }`],
    ['timeline of an order', `{ timeline(aggregateId: "${mine.order.id}") { id } }`],
    ['timeline of an account', `{ timeline(aggregateId: "${mine.account.id}") { id } }`],
    ['timeline of a user', `{ timeline(aggregateId: "${owner}") { id } }`],
  ] as const;

  test.each(PRIVATE)('%s: the owner and administrators', async (_, query) => {
    const bed = await peopled();
    const code = async (identity: Identity) => (await bed.ask(identity, query)).error?.code;
    expect(await code(as(owner))).toBeUndefined();
    expect(await code(ADMIN)).toBeUndefined();
    expect(await code(stranger)).toBe('FORBIDDEN');
    expect(await code(ANONYMOUS)).toBe('UNAUTHENTICATED');
  });

  test('who asks for somebody else’s record does not learn whether there is one, and nothing waits', async () => {
    const bed = await testbed({ projectionWaitMs: 60_000 });
    const query = `{ user(id: "${newId()}", minVersion: 9) { id } }`;
    expect((await bed.ask(stranger, query)).error).toMatchObject({ code: 'FORBIDDEN' });
    for (const name of ['order', 'account', 'user']) {
      const { error } = await bed.ask(ANONYMOUS, `{ ${name}(id: "${newId()}", minVersion: 9) { id } }`);
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });

  test.each([
    ['users', '{ users { totalCount } }'],
    ['timeline of a product', `{ timeline(aggregateId: "${phone.id}") { id } }`],
  ])('%s: administrators only', async (_, query) => {
    const bed = await peopled();
    expect((await bed.ask(ADMIN, query)).error).toBeNull();
    expect((await bed.ask(as(owner), query)).error).toMatchObject({ code: 'FORBIDDEN' });
    expect((await bed.ask(ANONYMOUS, query)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('products: everybody', async () => {
    const bed = await peopled();
    const query = `{ product(id: "${phone.id}") { name price stock available } products { totalCount } }`;
    expect((await bed.ask(ANONYMOUS, query)).data).toEqual({
      product: { name: 'iPhone 15', price: '5999.99', stock: 10, available: 10 },
      products: { totalCount: 1 },
    });
  });

  test('orders: a user lists their own, an administrator everyone’s', async () => {
    const bed = await peopled();
    const query = '{ orders { nodes { id } totalCount } }';
    const own = (await bed.ask(as(owner), query)).data?.['orders'] as Page;
    expect(own).toEqual({ nodes: [{ id: mine.order.id }], totalCount: 1 });
    expect(((await bed.ask(ADMIN, query)).data?.['orders'] as Page).totalCount).toBe(2);
    expect((await bed.ask(ANONYMOUS, query)).error).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test.each(['User', 'Order', 'Account'] as const)('a reference to %s is checked too', async (type) => {
    const bed = await peopled();
    const { id } = { User: mine.user, Order: mine.order, Account: mine.account }[type];
    const keys = [{ __typename: type, id, version: 1 }];
    const code = async (identity: Identity) => (await bed.ask(identity, ENTITIES, { keys })).error?.code;
    expect(await code(as(owner))).toBeUndefined();
    expect(await code(ADMIN)).toBeUndefined();
    expect(await code(stranger)).toBe('FORBIDDEN');
    expect(await code(ANONYMOUS)).toBe('UNAUTHENTICATED');
  });

  test('the house’s own accounts: administrators', async () => {
    const bed = await testbed();
    const treasury = account({ kind: 'TREASURY', userId: null, balance: -500 });
    await view(bed, happened('account.created', { account: treasury }));
    const query = `{ account(id: "${treasury.id}") { balance owner { id } } }`;
    expect((await bed.ask(ADMIN, query)).data).toEqual({ account: { balance: '-5.00', owner: null } });
    expect((await bed.ask(as(owner), query)).error).toMatchObject({ code: 'FORBIDDEN' });
  });
});

describe('what is not there', () => {
  const FIELDS = ['user', 'product', 'order', 'account'];

  test.each(FIELDS)('an unknown %s is NOT_FOUND, a malformed id a mistake', async (name) => {
    const bed = await testbed();
    const ask = (id: string) => bed.ask(ADMIN, `query ($id: ID!) { ${name}(id: $id) { id } }`, { id });
    expect(await ask(newId())).toMatchObject({ data: { [name]: null }, error: { code: 'NOT_FOUND', field: 'id' } });
    for (const id of ['', '1', 'x'.repeat(10_000), `${newId()}\u0000`]) {
      expect((await ask(id)).error).toMatchObject({ code: 'VALIDATION', field: 'id' });
    }
  });

  test('the same goes for the account of transactions and the aggregate of a timeline', async () => {
    const bed = await testbed();
    for (const [query, field] of [
      ['transactions', 'accountId'],
      ['timeline', 'aggregateId'],
    ]) {
      const ask = (id: string) => bed.ask(ADMIN, `{ ${query}(${field}: "${id}") { __typename } }`);
      expect((await ask(newId())).error).toMatchObject({ code: 'NOT_FOUND', field });
      expect((await ask('no-id')).error).toMatchObject({ code: 'VALIDATION', field });
    }
  });

  test('what was deleted is hidden from reads, lists, counts, links and references', async () => {
    const bed = await testbed();
    const ana = user({ version: 2, name: '', email: '', deleted: true });
    const phone = product({ version: 2, deleted: true });
    const items = [{ productId: phone.id, name: 'iPhone 15', quantity: 3, unitPrice: 599_999 }];
    const kept = order({ userId: ana.id, items });
    const gone = order({ userId: ana.id, version: 5, deleted: true });
    const wallet = account({ userId: ana.id });
    await view(
      bed,
      happened('user.deleted', { user: ana }),
      happened('product.deleted', { product: phone }),
      happened('order.created', { order: kept }),
      happened('order.deleted', { order: gone }),
      happened('account.created', { account: wallet }),
    );
    for (const [name, { id }] of Object.entries({ user: ana, product: phone, order: gone })) {
      expect((await bed.ask(ADMIN, `{ ${name}(id: "${id}", minVersion: 2) { id } }`)).error).toMatchObject({
        code: 'NOT_FOUND',
        field: 'id',
      });
      expect((await bed.ask(ADMIN, `{ timeline(aggregateId: "${id}") { id } }`)).error).toMatchObject({
        code: 'NOT_FOUND',
      });
    }
    const { data } = await bed.ask(
      ADMIN,
      `{ users { totalCount nodes { id } } products { totalCount nodes { id } }
         orders { totalCount nodes { id user { id } items { name subtotal product { id } } } }
         account(id: "${wallet.id}") { owner { id } } }`,
    );
    expect(data).toEqual({
      users: { totalCount: 0, nodes: [] },
      products: { totalCount: 0, nodes: [] },
      orders: {
        totalCount: 1,
        nodes: [{ id: kept.id, user: null, items: [{ name: 'iPhone 15', subtotal: '17999.97', product: null }] }],
      },
      account: { owner: null },
    });
    const keys = [
      { __typename: 'User', id: ana.id, version: 1 },
      { __typename: 'Order', id: gone.id, version: 5 },
    ];
    expect(await bed.ask(ADMIN, ENTITIES, { keys })).toEqual({ data: { _entities: [null, null] }, error: null });
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
