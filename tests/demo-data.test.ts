import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DEMO_PRODUCTS, DEMO_USERS, loadDemoData } from '../app/demo.js';
import { silentLogger } from '../shared/observability/logger.js';
import { startTestSystem, userIdentity, type TestSystem } from './system.js';

let server: TestSystem;
beforeAll(async () => {
  server = await startTestSystem();
}, 60_000);
afterAll(() => server.dispose());

const load = (): Promise<boolean> =>
  loadDemoData(server.system, server.engines.documents, silentLogger(), server.config);

const users = () =>
  server.databases
    .get('tributary_user')
    ?.read<{ id: string; version: number; verified: number }>('SELECT id, version, verified FROM users ORDER BY id');

test('everybody in the demo data has a confirmed address, and orders', async () => {
  expect(await load()).toBe(true);
  expect((await users())?.map(({ id, verified }) => [id, verified])).toEqual(
    DEMO_USERS.map(({ id }) => [id, 1]).sort(([one], [other]) => String(one).localeCompare(String(other))),
  );
  const input = { items: [{ productId: DEMO_PRODUCTS[5].id, quantity: 1 }] };
  const CREATE = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { userId } } }';
  const joao = DEMO_USERS[1]?.id ?? '';
  expect(await server.ok(CREATE, { input }, userIdentity(joao))).toEqual({ createOrder: { order: { userId: joao } } });
});

test('demo data from before addresses had to be confirmed is brought up to date, once', async () => {
  const unverify = 'UPDATE users SET verified = 0 WHERE id = ?';
  const [first, second] = DEMO_USERS;
  await server.databases.get('tributary_user')?.transaction(async (tx) => {
    await tx.execute(unverify, [first?.id ?? '']);
    await tx.execute(`UPDATE users SET verified = 0, email = 'new@example.com' WHERE id = ?`, [second?.id ?? '']);
  });
  expect(await load()).toBe(false);
  const after = await users();
  // Whoever has another address now has to confirm that one.
  expect(after?.filter(({ verified }) => verified === 0).map(({ id }) => id)).toEqual([second?.id]);
  expect(await load()).toBe(false);
  expect(await users()).toEqual(after);
});
