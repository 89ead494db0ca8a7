import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { testDatabases } from '../../shared/database/testing.js';
import type { UserState } from '../../shared/events/states.js';
import type { Identity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { until } from '../../tests/until.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { VerifiedUsers1760000000001 } from './migrations/3-verified-users.js';
import { Replicas } from './replicas.js';
import { admin, productState, startOrder, user, userState, type OrderTestbed } from './testing.js';

const CREATE = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id userId } } }';
const phone = newId();

const FORBIDDEN = {
  code: 'FORBIDDEN',
  message:
    'Confirm your e-mail address before you order: follow the link in the mail, or ask for another one with resendVerification.',
};

/** Old for a UUIDv7: nobody waits for it to be heard of. */
let people = 0;
const somebody = (): string => `0190a000-0000-7000-8000-${String(++people).padStart(12, '0')}`;

const tell = (bed: OrderTestbed, type: 'user.created' | 'user.updated', state: UserState): Promise<void> =>
  bed.publish({ type, subject: state.id, sequence: state.version, data: { user: state } });

async function order(bed: OrderTestbed, identity: Identity, more: object = {}) {
  const input = { items: [{ productId: phone, quantity: 1 }], ...more };
  const { data, errors } = await bed.graphql(CREATE, { input }, identity);
  const [error] = errors ?? [];
  return error === undefined ? { id: expectId(data) } : { code: error.extensions.code, message: error.message };
}

const expectId = (data: unknown): string => (data as { createOrder: { order: { id: string } } }).createOrder.order.id;

/** Until the replica has heard of that version. */
const heardOf = (bed: OrderTestbed, id: string, version: number) =>
  until(async () => {
    const [row] = await bed.database.read<{ version: number }>('SELECT version FROM users WHERE id = ?', [id]);
    return row?.version === version;
  });

describe('where addresses have to be confirmed', () => {
  let bed: OrderTestbed;
  beforeAll(async () => {
    bed = await startOrder({ worker: true });
    await bed.database.transaction((tx) => bed.replicas.saveProducts(tx, [productState({ id: phone })]));
  });
  afterAll(() => bed.stop());

  /** Somebody of whom the replica has heard. */
  async function person(verified: boolean): Promise<string> {
    const id = somebody();
    await tell(bed, 'user.created', userState({ id, verified }));
    await heardOf(bed, id, 1);
    return id;
  }

  test('who has not done so may not order, and nothing is left of the attempt', async () => {
    const id = await person(false);
    const before = await bed.contents();
    expect(await order(bed, user(id), { idempotencyKey: newId() })).toEqual(FORBIDDEN);
    expect(await bed.contents()).toEqual(before);
  });

  test('who has done so may, and so may an administrator for anybody', async () => {
    const [yes, no] = [await person(true), await person(false)];
    expect(await order(bed, user(yes))).toEqual({ id: expect.any(String) });
    expect(await order(bed, admin, { userId: no })).toEqual({ id: expect.any(String) });
  });

  test('who confirms and orders at once is not refused, however late the news is', async () => {
    const id = await person(false);
    const ordered = order(bed, user(id));
    await tell(bed, 'user.updated', userState({ id, version: 3, verified: true }));
    expect(await ordered).toEqual({ id: expect.any(String) });
  });

  test('whose address is another one has to confirm it anew, and the newest news counts', async () => {
    const id = await person(true);
    await tell(bed, 'user.updated', userState({ id, version: 4, verified: false }));
    await tell(bed, 'user.updated', userState({ id, version: 3, verified: true }));
    await heardOf(bed, id, 4);
    expect(await order(bed, user(id))).toEqual(FORBIDDEN);
  });

  test('an order that was placed answers again, confirmed or not', async () => {
    const id = await person(true);
    const key = { idempotencyKey: newId() };
    const first = await order(bed, user(id), key);
    await tell(bed, 'user.updated', userState({ id, version: 2, verified: false }));
    await heardOf(bed, id, 2);
    expect(await order(bed, user(id), key)).toEqual(first);
  });
});

test('where they need not be confirmed, everybody orders', async () => {
  const bed = await startOrder({ worker: false, settings: { VERIFIED_ORDERS: 'off' } });
  try {
    const id = somebody();
    await bed.database.transaction(async (tx) => {
      await bed.replicas.saveProducts(tx, [productState({ id: phone })]);
      await bed.replicas.saveUsers(tx, [userState({ id, verified: false })]);
    });
    expect(await order(bed, user(id))).toEqual({ id: expect.any(String) });
  } finally {
    await bed.stop();
  }
});

test('users who were here before count as confirmed', async () => {
  const databases = await testDatabases();
  try {
    const name = 'tributary_order';
    const before = await databases.open({ name, migrations: [Initial1700000000000] });
    await before.migrate();
    const [id, gone] = [somebody(), somebody()];
    await before.transaction((tx) =>
      tx.insert('users', [
        { id, version: 1, deleted: false },
        { id: gone, version: 2, deleted: true },
      ]),
    );
    await before.close();
    const after = await databases.open({ name, migrations: [Initial1700000000000, VerifiedUsers1760000000001] });
    await after.migrate();
    const replicas = new Replicas(after, Date.now);
    const customerOf = async (userId: string) =>
      (await after.transaction((tx) => replicas.parties(tx, { userId, productIds: [somebody()] }))).customer;
    expect(await customerOf(id)).toEqual({ verified: true });
    expect(await customerOf(gone)).toBeUndefined();
    await after.close();
  } finally {
    await databases.dispose();
  }
});
