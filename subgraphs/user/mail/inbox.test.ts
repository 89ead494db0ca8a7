import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { IDENTITY_HEADER, signIdentity, type Identity } from '../../../shared/identity/identity.js';
import { ADMIN, startSubgraph, userIdentity, type TestSubgraph } from '../../../tests/subgraph.js';
import { until } from '../../../tests/until.js';
import { buildUser, type UserSubgraph } from '../app.js';
import type { InboxMessage } from './inbox.js';
import { orderOf } from './testing.js';

const SECRET = 'a secret of tests, longer than thirty-two';

let user: TestSubgraph<UserSubgraph>;
beforeAll(async () => {
  user = await startSubgraph('user', buildUser);
});
afterAll(() => user.dispose());

const ask = (query = '', headers: Record<string, string> = {}) =>
  fetch(`${user.subgraph.api.url}/inbox${query}`, { headers });
const askAs = (identity: Identity, query = '', audience: 'user' | 'order' = 'user') =>
  ask(query, { [IDENTITY_HEADER]: signIdentity(identity, audience, SECRET, Date.now()) });
const inbox = async (query = ''): Promise<InboxMessage[]> =>
  (await (await askAs(ADMIN, query)).json()) as InboxMessage[];

async function create(name: string, email: string, locale = 'EN'): Promise<string> {
  const { createUser } = await user.ok<{ createUser: { user: { id: string } } }>(
    `mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }`,
    { input: { name, email, locale } },
  );
  return createUser.user.id;
}

test('has every mail that was sent, the newest first, made for the person as it is now', async () => {
  const ana = await create('Ana', 'ana@example.com');
  const rui = await create('Rui', 'rui@example.com', 'PT');
  for (const id of [ana, rui]) {
    const order = orderOf(id);
    await user.publish({ type: 'order.awaiting_payment', subject: order.id, sequence: 2, data: { order } });
    await until(async () => (await inbox()).some(({ userId }) => userId === id));
  }
  const [newest, oldest] = await inbox();
  expect(newest).toMatchObject({
    kind: 'ORDER_CONFIRMATION',
    userId: rui,
    to: { name: 'Rui', address: 'rui@example.com' },
  });
  expect(newest?.html).toContain('Olá, Rui!');
  expect(oldest).toMatchObject({ userId: ana, from: 'Tributary <no-reply@tributary.example>' });
  expect(oldest?.messageId).toBe(`<${oldest?.id}@tributary.example>`);
  expect(Date.parse(oldest?.sentAt ?? '')).toBeLessThanOrEqual(Date.parse(newest?.sentAt ?? ''));
  expect((await inbox('?to=ANA@example.com')).map(({ userId }) => userId)).toEqual([ana]);
  expect(await inbox('?to=nobody@example.com')).toEqual([]);

  await user.ok(`mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { id } }`, {
    input: { id: ana },
  });
  expect((await inbox()).map(({ userId }) => userId)).toEqual([rui]);
});

test('is for administrators only, and for tokens made for this subgraph', async () => {
  expect((await ask()).status).toBe(401);
  expect((await askAs(userIdentity('0190a000-0000-7000-8000-000000000009'))).status).toBe(403);
  expect((await askAs({ role: 'ANONYMOUS', userId: null })).status).toBe(401);
  expect((await askAs(ADMIN, '', 'order')).status).toBe(401);
});
