import { describe, expect, test } from '@jest/globals';
import { ANONYMOUS, type Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { ENTITIES, testbeds, view, type Page } from './resolvers-tools.js';
import { account, ADMIN, as, happened, order, product, user, watched, type Testbed } from './testbed.js';

/** Who gets to see what, and when: not before it is there, never what is somebody else's, no more once it is deleted. */

const testbed = testbeds();

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
    expect((await waits[0])?.data?.['order']).toEqual({ version: 1, status: 'PENDING' });
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
    const [patient, hasty] = [await testbed({ projectionWaitMs: 20_000 }), await testbed({ projectionWaitMs: 30 })];
    const first = order();
    const key = { __typename: 'Order', id: first.id, version: 1 };
    const waiting = patient.ask(as(first.userId), ENTITIES, { keys: [key] });
    for (const bed of [patient, hasty]) await view(bed, happened('order.created', { order: first }));
    expect((await waiting).data).toEqual({ _entities: [{ id: first.id, status: 'PENDING' }] });
    const late = await hasty.ask(as(first.userId), ENTITIES, { keys: [{ ...key, version: 2 }] });
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
    const begun = performance.now();
    const waits = orders.map(({ id }) => bed.ask(ADMIN, ORDER, { id, minVersion: 1 }));
    await view(bed, ...orders.map((one) => happened('order.created', { order: one })));
    const answers = await Promise.all(waits);
    expect(answers.every(({ data }) => data?.['order'] !== null)).toBe(true);
    // One look of each request's own, and then a shared one every 10 ms.
    expect(reads).toBeGreaterThan(40);
    expect(reads - 40).toBeLessThanOrEqual(1 + (performance.now() - begun) / 10);
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

  test('who may not ask does not learn whether there is such a record, and nothing waits', async () => {
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
