/** The story as `tributary demo` plays it, against the whole system on embedded engines. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { ADMIN, startTestSystem, type TestSystem } from '../../tests/system.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import type { AccountState, OrderState, ProductState, UserState } from '../../shared/events/states.js';
import { Shop } from '../../tests/shop.js';
import { until } from '../../tests/until.js';
import { UserError } from '../toolbox.js';
import { cleanUp } from './demo-clean-up.js';
import { DemoClient } from './demo-client.js';
import { Witness } from './demo-facts.js';
import { playDemo, type DemoOptions } from './demo-play.js';
import { jsonScreen, TextScreen, type Closing, type Screen, type StepDone } from './demo-screen.js';
import { nothingBegun } from './demo-story.js';

/** A story has some hundred waits, all of which end at once on an idle machine. */
jest.setTimeout(120_000);

/** Keeps what the screen is told, and says when a step is over. */
function record(onEnd: (step: StepDone) => Promise<void> | void = () => undefined) {
  const steps: StepDone[] = [];
  const closings: Closing[] = [];
  const pending: Promise<void>[] = [];
  const screen: Screen = {
    opening: () => undefined,
    begin: () => undefined,
    fact: () => undefined,
    end(step) {
      steps.push(step);
      pending.push(Promise.resolve(onEnd(step)));
    },
    closing: (closing) => closings.push(closing),
    close: () => undefined,
  };
  return {
    screen,
    steps,
    outcomeOf: (key: string) => steps.find((step) => step.key === key)?.outcome,
    get closing(): Closing {
      return closings[0]!;
    },
    settled: () => Promise.all(pending),
  };
}

function play(server: TestSystem, screen: Screen, options: Partial<DemoOptions> = {}) {
  const { host, ports } = server.config;
  return playDemo({
    target: { gateway: `http://${host}:${ports.gateway}`, rest: `http://${host}:${ports.rest}` },
    locale: 'EN',
    reminderWaitMs: 20_000,
    patienceMs: 20_000,
    interrupt: new AbortController().signal,
    abandon: new AbortController().signal,
    screen,
    ...options,
  });
}

const all = async <T>({ engines }: TestSystem, collection: string): Promise<T[]> => {
  const sort = { field: 'createdAt', direction: 'asc' } as const;
  return (await engines.documents.find<T>(collection, { filter: [], sort, limit: 1_000 })).map(({ doc }) => doc);
};

/** What a run may leave behind: nothing but the purse, and what is deleted or at its end. */
async function expectNothingLeft(server: TestSystem): Promise<void> {
  await until(async () => {
    const users = await all<UserState>(server, 'users');
    expect(users.filter(({ deleted, role }) => !deleted && role === 'USER').map(({ email }) => email)).toEqual([
      'demo-purse@tributary.example',
    ]);
    expect((await all<ProductState>(server, 'products')).every(({ deleted }) => deleted)).toBe(true);
    const orders = await all<OrderState>(server, 'orders');
    expect(orders.filter(({ deleted, status }) => !deleted || status !== 'CANCELED')).toEqual([]);
    return true;
  });
}

/** Cents of every account, the treasury's and the purse's in a pair, and of all that have any money. */
async function money(server: TestSystem): Promise<Record<string, number>> {
  const accounts = await all<AccountState>(server, 'accounts');
  return Object.fromEntries(accounts.filter(({ balance }) => balance !== 0).map(({ id, balance }) => [id, balance]));
}

describe('against a system in demo mode', () => {
  let server: TestSystem;
  beforeAll(async () => {
    server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'demo', ORDER_REMINDERS: '1s' } });
    // The first run brings the purse.
    expect(await play(server, record().screen, { reminderWaitMs: 0 })).toBe('right');
  });
  afterAll(() => server.dispose());

  test('the whole story comes out right and leaves nothing behind', async () => {
    const told = record();
    expect(await play(server, told.screen)).toBe('right');
    expect(told.steps.map(({ key, outcome }) => [key, outcome])).toEqual(
      [
        ...['product', 'register', 'verify', 'wallet', 'order'],
        ...['reminder', 'pay', 'second-order', 'cancel', 'clean-up'],
      ].map((key) => [key, 'done']),
    );
    const facts = told.steps.flatMap((step) => step.facts);
    expect(facts.flatMap((fact) => (fact.kind === 'mail' ? [fact.mail] : []))).toEqual([
      ...['VERIFICATION', 'ORDER_CONFIRMATION', 'REMINDER', 'PAYMENT_RECEIPT'],
      ...['ORDER_CONFIRMATION', 'PAYMENT_RECEIPT', 'CANCELLATION'],
    ]);
    expect(facts.flatMap((fact) => (fact.kind === 'push' ? [fact.status] : []))).toEqual(
      expect.arrayContaining(['AWAITING_PAYMENT', 'PAID', 'CANCELED']),
    );
    const ids = facts.flatMap((fact) => (fact.kind === 'event' ? [fact.id] : []));
    expect(new Set(ids).size).toBe(ids.length);
    expect(told.closing.cleanedUp).toMatchObject({
      left: [],
      sums: {
        ok: true,
        money: { lent: 20_000, returned: 20_000, sold: 0, left: 0 },
        stock: { before: 10, after: 10, reserved: 0, sold: 0 },
      },
    });
    expect(told.closing.services.map(({ service }) => service)).toEqual([
      ...['gateway', 'user', 'product', 'order', 'balance', 'query', 'mail'],
    ]);
    await expectNothingLeft(server);
  });

  test('a further run finds the purse as it was, and leaves all money where it was', async () => {
    const before = await money(server);
    expect(await play(server, record().screen, { reminderWaitMs: 0 })).toBe('right');
    await until(async () => {
      expect(await money(server)).toEqual(before);
      return true;
    });
    await expectNothingLeft(server);
  });

  test('runs at the same time do not meet', async () => {
    const runs = [record(), record()];
    const outcomes = await Promise.all(runs.map(({ screen }) => play(server, screen, { reminderWaitMs: 0 })));
    expect(outcomes).toEqual(['right', 'right']);
    await expectNothingLeft(server);
  });

  test('for people: lines of at most 80 columns, and no colours or cursor movements where nobody sees them', async () => {
    let text = '';
    const write = (part: string): void => void (text += part);
    const screen = new TextScreen({ write, columns: 40, colour: false, live: false });
    expect(await play(server, screen, { reminderWaitMs: 0, locale: 'PT' })).toBe('right');
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toMatch(/● order {4}order\.awaiting_payment +orders\/\d+@\d+ +\+\d/);
    expect(text).toContain('“Confirme o seu endereço de e-mail”');
    expect(text).toContain('✓ The whole story came out right; money and stock are as they were.');
  });

  test('for scripts: a JSON object per step and line, the summary last', async () => {
    let text = '';
    const screen = jsonScreen((part) => void (text += part));
    expect(await play(server, screen, { reminderWaitMs: 0 })).toBe('right');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(11);
    expect(lines[4]).toMatchObject({ step: 'order', number: 5, outcome: 'done', facts: expect.any(Array) });
    expect(lines[5]).toMatchObject({ step: 'reminder', outcome: 'skipped' });
    expect(lines.at(-1)).toMatchObject({ step: 'summary', outcome: 'right', left: [], sums: { ok: true } });
  });

  test('what is refused half-way ends the story in plain words, and all that was begun is undone', async () => {
    const before = await money(server);
    // Somebody sells the last pieces elsewhere.
    const told = record(async ({ key, facts }) => {
      const [first] = facts;
      if (key !== 'product' || first?.kind !== 'event') return;
      const input = { id: first.aggregateId, stock: 2 };
      await server.ok('mutation ($input: UpdateProductInput!) { updateProduct(input: $input) { product { id } } }', {
        input,
      });
    });
    expect(await play(server, told.screen, { reminderWaitMs: 0 })).toBe('failed');
    await told.settled();
    expect(told.steps.find(({ key }) => key === 'second-order')).toMatchObject({
      outcome: 'failed',
      result: expect.stringMatching(
        /^stock\.reserved was to come; what came last is (stock\.rejected|order\.canceled)\.$/,
      ),
    });
    expect(told.outcomeOf('clean-up')).toBe('done');
    expect(told.closing.cleanedUp.left).toEqual([]);
    expect(told.closing.cleanedUp.sums?.money).toEqual({ lent: 20_000, returned: 20_000, sold: 0, left: 0 });
    await until(async () => {
      expect(await money(server)).toEqual(before);
      return true;
    });
    await expectNothingLeft(server);
  });

  test.each(['product', 'register', 'wallet', 'order', 'pay', 'second-order'])(
    'interrupted after the step %s, it undoes what was begun',
    async (last) => {
      const interrupt = new AbortController();
      const told = record(({ key }) => {
        if (key === last) interrupt.abort();
      });
      const outcome = await play(server, told.screen, { reminderWaitMs: 0, interrupt: interrupt.signal });
      expect(outcome).toBe('interrupted');
      expect(told.closing.cleanedUp.left).toEqual([]);
      await expectNothingLeft(server);
    },
  );
});

test('an order that is being prepared cannot be canceled: the clean-up brings it to its end, and counts it as sold', async () => {
  const server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'demo', ORDER_REMINDERS: 'off' } });
  const shop = new Shop(server);
  const begun = nothingBegun();
  const [customer, lender] = [await shop.user({ email: begun.email }), await shop.user()];
  const { id: productId } = await shop.product(begun.product);
  const purse = { userId: lender.id, accountId: await shop.account(lender.id, '50.00') };
  const walletId = await shop.account(customer.id);
  await shop.run('transfer', { fromAccountId: purse.accountId, toAccountId: walletId, amount: '50.00' });
  const order = await shop.order(customer.id, [productId, 1]);
  await shop.reaches(order.id, 'AWAITING_PAYMENT');
  await shop.pay(order.id, 'WALLET', walletId);
  await shop.reaches(order.id, 'PAID');
  await shop.run('updateOrderStatus', { id: order.id, status: 'PROCESSING' });

  const { host, ports } = server.config;
  const at = (port: number): string => `http://${host}:${port}`;
  const admin = new DemoClient({ gateway: at(ports.gateway), rest: at(ports.rest) }, []);
  const cleanedUp = await cleanUp({
    admin,
    begun: { ...begun, productId, userId: customer.id, walletId, purse, lent: 5_000, orders: [order.id] },
    witness: new Witness(admin, []),
    waiting: { patienceMs: 20_000, signal: new AbortController().signal },
    say: () => undefined,
  });
  expect(cleanedUp).toEqual({
    done: ['1 order ended', '5.00 back in the purse', 'user deleted', 'product deleted'],
    left: [],
    sums: {
      ok: true,
      money: { lent: 5_000, returned: 500, sold: 4_500, left: 0 },
      stock: { before: 10, after: 9, reserved: 0, sold: 1 },
    },
  });
  await server.dispose();
});

test('where a token is required, an administrator logs in and orders for the customer', async () => {
  const server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'required' } });
  const context = { identity: ADMIN, requestId: newId(), traceparent: null, log: silentLogger() };
  const login = { email: 'boss@example.com', password: 'a password of an administrator' };
  await server.system.user.commands.createAdmin(context, { ...login, name: 'Boss', replace: false });
  await expect(play(server, record().screen)).rejects.toThrow(/wants an administrator: say --email and --password/);
  const wrong = { ...login, password: 'another password' };
  await expect(play(server, record().screen, { login: wrong })).rejects.toThrow(UserError);
  const told = record();
  expect(await play(server, told.screen, { login, reminderWaitMs: 0 })).toBe('right');
  expect(told.outcomeOf('verify')).toBe('skipped');
  await expectNothingLeft(server);
  await server.dispose();
});

test('a gateway that is not there is told of in a line that says what to do', async () => {
  const server = await startTestSystem({ settings: { AUTH_MODE: 'demo' } });
  await server.dispose();
  const told = record();
  await expect(play(server, told.screen)).rejects.toThrow(UserError);
  await expect(play(server, told.screen)).rejects.toThrow(/does not answer: .+ Start Tributary with npm start, or say/);
  expect(told.steps).toEqual([]);
});

test('a system that goes away half-way: what is left behind is named, with ids', async () => {
  const server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'demo' } });
  const abandon = new AbortController();
  const told = record(async ({ key }) => {
    if (key === 'order') await server.stop();
  });
  const begin = told.screen.begin.bind(told.screen);
  const screen: Screen = {
    ...told.screen,
    begin(number, title) {
      begin(number, title);
      if (title === 'Nothing stays behind') abandon.abort();
    },
  };
  expect(await play(server, screen, { abandon: abandon.signal })).toBe('failed');
  await told.settled();
  expect(told.closing.cleanedUp.left).toEqual([
    expect.stringMatching(/^whatever answers were lost of: /),
    expect.stringMatching(/^order [\da-f-]{36}: /),
    expect.stringMatching(/^wallet [\da-f-]{36}, with money in it: /),
    expect.stringMatching(/^user [\da-f-]{36} \(ines\.[\da-f]+@tributary\.example\): /),
    expect.stringMatching(/^product [\da-f-]{36} \(Demo Coffee [\da-f]+\): /),
  ]);
  expect(told.outcomeOf('clean-up')).toBe('failed');
  await server.dispose();
});
