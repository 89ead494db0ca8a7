/** From registering to the first order, over the page that the link in the mail leads to. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { CommandContext } from '../shared/commands/commands.js';
import { silentLogger } from '../shared/observability/logger.js';
import { VerificationTokens } from '../subgraphs/user/verification-tokens.js';
import { ADMIN, startTestSystem, uniqueEmail, type GraphQLAnswer, type TestSystem } from './system.js';
import { until } from './until.js';

const SECRET = 'a secret of these tests, of more than 32 characters';
const tokens = new VerificationTokens(SECRET);

let server: TestSystem;
let url: string;
let productId: string;

beforeAll(async () => {
  server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'required', AUTH_SECRET: SECRET } });
  url = server.system.gatewayUrl;
  const input = { name: 'Tea', price: 1_000, stock: 1_000 };
  const context: CommandContext = { identity: ADMIN, requestId: 'test', traceparent: null, log: silentLogger() };
  productId = (await server.system.product.commands.create(context, { ...input, description: '' })).id;
}, 60_000);
afterAll(() => server.dispose());

async function graphql<T>(query: string, input: object, token?: string): Promise<GraphQLAnswer<T>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables: { input } }),
  });
  return (await response.json()) as GraphQLAnswer<T>;
}

interface Person {
  readonly id: string;
  readonly email: string;
  readonly accessToken: string;
  readonly link: string;
}

async function register(): Promise<Person> {
  const email = uniqueEmail();
  const REGISTER = 'mutation ($input: RegisterInput!) { register(input: $input) { accessToken user { id } } }';
  type Registered = { register: { accessToken: string; user: { id: string } } };
  const { data } = await graphql<Registered>(REGISTER, { name: 'Ana', email, password: 'correct horse battery' });
  if (data == null) throw new Error('not registered');
  const { accessToken, user } = data.register;
  return { id: user.id, email, accessToken, link: tokens.tokenOf(await verificationOf(user.id)) };
}

async function verificationOf(userId: string): Promise<string> {
  const sql = 'SELECT id FROM verifications WHERE user_id = ? ORDER BY requested_at DESC LIMIT 1';
  const rows = await server.databases.get('tributary_user')?.read<{ id: string }>(sql, [userId]);
  return rows?.[0]?.id ?? '';
}

const CREATE = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id } } }';
const order = async ({ accessToken }: Person): Promise<string> => {
  const { errors } = await graphql(CREATE, { items: [{ productId, quantity: 1 }] }, accessToken);
  return errors?.[0]?.extensions.code ?? 'ordered';
};

/** What the page says, as its state; `fields` are sent as its form sends them. */
async function page(fields?: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) {
  const sent = fields === undefined ? {} : { method: 'POST', body: new URLSearchParams(fields) };
  const response = await fetch(`${url}/verify`, { ...sent, headers });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    state: /<main data-state="(\w+)">/.exec(text)?.[1],
    text,
  };
}

test('a customer confirms the address by the form of the page and orders at once', async () => {
  const person = await register();
  expect(await order(person)).toBe('FORBIDDEN');
  expect(await page({ token: person.link })).toMatchObject({ status: 200, state: 'confirmed' });
  expect(await order(person)).toBe('ordered');
  expect(await page({ token: person.link })).toMatchObject({ state: 'used' });
  const { data } = await graphql<{ me: object }>(
    '{ me { verified locale orders { totalCount } } }',
    {},
    person.accessToken,
  );
  expect(data?.me).toMatchObject({ verified: true, locale: 'EN' });
});

test('opening the link changes nothing, however often', async () => {
  const person = await register();
  for (let visit = 0; visit < 3; visit++) {
    const response = await fetch(`${url}/verify?token=${person.link}`);
    expect(await response.text()).toContain(person.link);
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(response.headers.get('content-security-policy')).not.toMatch(/unsafe|https?:|\*/);
    expect(response.headers.get('cache-control')).toBe('no-store');
  }
  expect(await order(person)).toBe('FORBIDDEN');
  expect(await page({ token: person.link })).toMatchObject({ state: 'confirmed' });
});

test('views show who is verified, and that is a write one can read', async () => {
  const person = await register();
  const VERIFY = 'mutation ($input: VerifyEmailInput!) { verifyEmail(input: $input) { user { id version verified } } }';
  type Verified = { verifyEmail: { user: { version: number } } };
  const { data } = await graphql<Verified>(VERIFY, { token: person.link });
  expect(data?.verifyEmail.user).toEqual({ id: person.id, version: 3, verified: true });
  const query = `{ user(id: "${person.id}", minVersion: 3) { version verified locale } }`;
  const { data: shown } = await graphql(query, {}, person.accessToken);
  expect(shown).toEqual({ user: { version: 3, verified: true, locale: 'EN' } });
});

test('a form sends for another link, once a minute, and does not tell who is here', async () => {
  const person = await register();
  for (const email of [person.email, uniqueEmail()]) {
    expect(await page({ email })).toMatchObject({ status: 200, state: 'sent' });
    expect(await page({ email })).toMatchObject({ state: 'slow' });
  }
  expect(await page({ email: 'nobody' })).toMatchObject({ state: 'address' });
  await until(async () => {
    const another = tokens.tokenOf(await verificationOf(person.id));
    return another !== person.link && (await page({ token: another })).state === 'confirmed';
  });
});

test('what is no link of ours is called so, and nothing of it is repeated', async () => {
  for (const token of ['', 'x', '"><script>alert(1)</script>', '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3e.AAAA']) {
    const { status, state, text } = await page({ token });
    expect({ status, state }).toEqual({ status: 200, state: 'invalid' });
    expect(text).not.toContain('alert(1)');
  }
});

test('the page speaks the language that the browser prefers', async () => {
  expect((await page(undefined, { 'accept-language': 'pt-BR,pt;q=0.9' })).text).toContain('<html lang="pt-BR">');
  expect((await page(undefined, { 'accept-language': 'en' })).text).toContain('<html lang="en">');
});

test('forms are read at the page only, from our own pages only, and short ones only', async () => {
  const form = { method: 'POST', body: new URLSearchParams({ query: '{ me { id } }' }) };
  expect((await fetch(`${url}/graphql`, form)).status).toBe(415);
  expect(await page({ token: 'x' }, { origin: 'https://elsewhere.example' })).toMatchObject({ status: 403 });
  expect(await page({ token: 'x'.repeat(10_000) })).toMatchObject({ status: 413 });
});
