/** The page that follows one order, in a browser, against a system started as `npm start` does it. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { cuttable, type Cuttable } from '../cuttable.js';
import { freePorts } from '../ports.js';
import { buildApp, portSettings, startApp, type AppProcess, type BuiltApp } from '../process.js';
import { until } from '../until.js';
import { browserProgram, openBrowser, visit } from './browser.js';

const program = browserProgram();
const inBrowser = program === undefined ? test.skip : test;
const PATIENCE = { timeoutMs: 20_000 };

let app: BuiltApp;
let browser: Browser;

beforeAll(async () => {
  if (program === undefined) return;
  app = buildApp();
  browser = await openBrowser(program);
});

afterAll(async () => {
  if (program === undefined) return;
  await browser.close();
  app.remove();
});

/** A system of this group of tests alone, behind a way that can be cut. */
function startSystem(settings: Readonly<Record<string, string>>) {
  let dataDir: string;
  let running: AppProcess;
  let way: Cuttable;
  let gateway: string;
  beforeAll(async () => {
    if (program === undefined) return;
    dataDir = mkdtempSync(join(tmpdir(), 'tributary-live-'));
    const ports = await portSettings();
    const [port = 0] = await freePorts(1);
    running = startApp(app, { ...ports, DATA_DIR: dataDir, ...settings });
    await running.ready;
    gateway = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
    way = cuttable(port, { host: '127.0.0.1', port: Number(ports.GATEWAY_PORT) });
    await way.mend();
  });
  afterAll(async () => {
    if (program === undefined) return;
    await way.cut();
    await running.end('SIGTERM');
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    get way() {
      return way;
    },
    /** Where it can always be reached. */
    get gateway() {
      return gateway;
    },
    address: (path: string) => `http://127.0.0.1:${way.port}${path}`,
  };
}

const post = (gateway: string, query: string, headers: Readonly<Record<string, string>> = {}) =>
  fetch(`${gateway}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });

const press = (page: Page, name: string) => page.getByRole('button', { name }).click();

/** Waits until that state is the lit one. */
const lit = (page: Page, state: string) =>
  page.locator(`[data-state="${state}"][data-kind="current"]`).waitFor({ timeout: PATIENCE.timeoutMs });

/** The type of each row, from top to bottom. */
const rows = (page: Page) =>
  page.locator('#events tr').evaluateAll((all) => all.map((row) => row.getAttribute('data-event')));

const showsRows = (page: Page, expected: readonly string[]) =>
  until(async () => {
    expect(await rows(page)).toEqual(expected);
    return true;
  }, PATIENCE);

const PLACED = ['order.created', 'stock.reserved', 'order.awaiting_payment'];
const PAID = [...PLACED, 'order.payment_requested', 'payment.completed', 'order.paid'];

const ofAnotherLog = (cursor: string): string => {
  const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  return Buffer.from(JSON.stringify(parts.with(2, randomUUID()))).toString('base64url');
};

describe('as the demo administrator', () => {
  const system = startSystem({});

  inBrowser('an order is seen from its placing to its end: every event once, every state lit in its turn', async () => {
    const { page, errors, elsewhere, close } = await visit(browser, system.address('/live'));
    await press(page, 'Place a demo order');
    await lit(page, 'AWAITING_PAYMENT');
    await showsRows(page, PLACED);
    expect(await page.locator('#events tr').first().innerText()).toMatch(/order\.created\s+order\s+orders\s+\d+\s+\d+/);

    await press(page, 'Pay with PIX');
    await lit(page, 'PAID');
    await showsRows(page, PAID);
    expect(await page.locator('#facts').innerText()).toMatch(/PIX, completed/);

    await press(page, 'Move to Processing');
    await lit(page, 'PROCESSING');
    await press(page, 'Move to Completed');
    await lit(page, 'COMPLETED');
    await showsRows(page, [...PAID, 'order.processing', 'order.completed', 'stock.consumed']);
    expect({ errors, elsewhere }).toEqual({ errors: [], elsewhere: [] });
    await close();
  });

  inBrowser('a lost connection is told of and resumed: nothing is missing, nothing is there twice', async () => {
    const { page, errors, close } = await visit(browser, system.address('/live'));
    await press(page, 'Place a demo order');
    await lit(page, 'AWAITING_PAYMENT');
    await showsRows(page, PLACED);
    await page.getByText('Live', { exact: true }).waitFor();

    await system.way.cut();
    await page.getByText('Connection lost, resuming').waitFor();
    await press(page, 'Pay with PIX');
    await page.getByText('The gateway does not answer').waitFor();
    await system.way.mend();
    await page.getByText('Live', { exact: true }).waitFor();
    await press(page, 'Pay with PIX');
    await lit(page, 'PAID');
    await showsRows(page, PAID);
    // Failed connections are the one thing a browser reports by itself.
    expect(errors.filter((error) => !/ERR_CONNECTION|WebSocket connection/.test(error))).toEqual([]);
    await close();
  });

  inBrowser('what happens while the connection is away is there when it is back', async () => {
    const { page, close } = await visit(browser, system.address('/live'));
    await press(page, 'Place a demo order');
    await lit(page, 'AWAITING_PAYMENT');
    await showsRows(page, PLACED);
    const order = await page.locator('#facts code').innerText();
    await system.way.cut();
    await page.getByText('Connection lost, resuming').waitFor();
    await post(system.gateway, `mutation { cancelOrder(input: { id: "${order}" }) { order { status } } }`);
    await system.way.mend();
    await lit(page, 'CANCELED');
    await showsRows(page, [...PLACED, 'order.canceled', 'stock.released']);
    await close();
  });

  inBrowser('a cursor that cannot be resumed leads to a word about the gap, and to how things stand', async () => {
    const { page, errors, close } = await visit(browser, system.address('/live'));
    // The log was made anew meanwhile, as far as the cursor tells.
    await page.routeWebSocket('**/graphql', (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((message) => server.send(String(message).replace(/(?<="after":")[^"]+/, ofAnotherLog)));
    });
    await page.reload();
    await press(page, 'Place a demo order');
    await lit(page, 'AWAITING_PAYMENT');
    await page.getByText('Live', { exact: true }).waitFor();
    await system.way.cut();
    await page.getByText('Connection lost, resuming').waitFor();
    await system.way.mend();
    await page.getByText('Some changes were missed').waitFor();
    await showsRows(page, PLACED);
    await press(page, 'Pay with PIX');
    await lit(page, 'PAID');
    await showsRows(page, PAID);
    expect(errors.filter((error) => !/ERR_CONNECTION|WebSocket connection/.test(error))).toEqual([]);
    await close();
  });

  inBrowser('an address with an order follows that order, and the keyboard alone is enough', async () => {
    const first = await visit(browser, system.address('/live'));
    const place = first.page.getByRole('button', { name: 'Place a demo order' });
    await place.focus();
    await first.page.keyboard.press('Enter');
    await lit(first.page, 'AWAITING_PAYMENT');
    const second = await visit(browser, first.page.url());
    await lit(second.page, 'AWAITING_PAYMENT');
    await showsRows(second.page, PLACED);
    const cancel = second.page.getByRole('button', { name: 'Cancel the order' });
    await cancel.focus();
    await second.page.keyboard.press('Enter');
    await Promise.all([lit(first.page, 'CANCELED'), lit(second.page, 'CANCELED')]);
    // Not lost with the button that can no longer be pressed.
    expect(await cancel.evaluate((element) => element.matches(':focus'))).toBe(true);
    await Promise.all([first.close(), second.close()]);
  });

  inBrowser('it fits into every width without scrolling sideways', async () => {
    const { page, close } = await visit(browser, system.address('/live'));
    await press(page, 'Place a demo order');
    await press(page, 'Pay with PIX');
    await showsRows(page, PAID);
    for (const width of [360, 390, 768, 1024, 1200, 1280, 1920]) {
      await page.setViewportSize({ width, height: 900 });
      const over = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
      expect({ width, over }).toEqual({ width, over: 0 });
    }
    await close();
  });
});

describe('where everybody has to log in', () => {
  // The customer has just registered, and nobody reads her mail here.
  const system = startSystem({ AUTH_MODE: 'required', VERIFIED_ORDERS: 'off' });

  inBrowser('a customer logs in and follows an order of their own; the token is stored nowhere', async () => {
    const password = 'a password of eight or more';
    const query = `mutation { register(input: { name: "Rita Dias", email: "rita@example.com", password: "${password}" }) { user { id } } }`;
    await post(system.gateway, query);
    const { page, context, errors, elsewhere, close } = await visit(browser, system.address('/live'));
    await page.getByLabel('E-mail').fill('rita@example.com');
    await page.getByLabel('Password').fill('not this one');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('E-mail or password is wrong.').waitFor();
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
    await page.getByText('Rita Dias').first().waitFor();
    await press(page, 'Place a demo order');
    await lit(page, 'AWAITING_PAYMENT');
    await showsRows(page, PLACED);
    await press(page, 'Pay with PIX');
    await lit(page, 'PAID');
    await showsRows(page, PAID);
    // Only administrators may move an order on.
    expect(await page.locator('#next').isVisible()).toBe(false);
    expect(await page.evaluate('localStorage.length + sessionStorage.length + document.cookie.length')).toBe(0);
    expect(await context.cookies()).toEqual([]);
    expect({ errors, elsewhere }).toEqual({ errors: [], elsewhere: [] });
    await press(page, 'Log out');
    await page.getByLabel('E-mail').waitFor();
    expect(await rows(page)).toEqual([]);
    await close();
  });
});

describe('where tokens are good for a few seconds', () => {
  const system = startSystem({ AUTH_MODE: 'required', VERIFIED_ORDERS: 'off', ACCESS_TOKEN_TTL_MS: '8000' });

  /** Somebody new, with an order. */
  async function customer(password: string): Promise<string> {
    const register = `mutation { register(input: { name: "Rui Reis", email: "rui@example.com", password: "${password}" }) { accessToken } }`;
    const { data } = (await (await post(system.gateway, register)).json()) as {
      readonly data: { readonly register: { readonly accessToken: string } };
    };
    const ask = async (query: string) => {
      const answer = await post(system.gateway, query, { authorization: `Bearer ${data.register.accessToken}` });
      return ((await answer.json()) as { readonly data: unknown }).data;
    };
    const { products } = (await ask('{ products(first: 1, filter: { inStock: true }) { nodes { id } } }')) as {
      readonly products: { readonly nodes: readonly { readonly id: string }[] };
    };
    const items = `[{ productId: "${products.nodes[0]?.id}", quantity: 1 }]`;
    const { createOrder } = (await ask(`mutation { createOrder(input: { items: ${items} }) { order { id } } }`)) as {
      readonly createOrder: { readonly order: { readonly id: string } };
    };
    return createOrder.order.id;
  }

  inBrowser('who follows an order until the token expires is asked to log in again, and goes on with it', async () => {
    const password = 'a password of eight or more';
    const order = await customer(password);
    const { page, close } = await visit(browser, system.address(`/live#order=${order}`));
    const follow = async (): Promise<void> => {
      await page.getByLabel('E-mail').fill('rui@example.com');
      await page.getByLabel('Password').fill(password);
      await page.keyboard.press('Enter');
      await page.locator('#connection[data-state="live"]').waitFor({ timeout: PATIENCE.timeoutMs });
    };
    await follow();
    await lit(page, 'AWAITING_PAYMENT');
    await page.getByText('Please log in again.').waitFor({ timeout: PATIENCE.timeoutMs });
    expect(await page.locator('#connection').getAttribute('data-state')).toBe('ended');
    await follow();
    expect(page.url()).toContain(order);
    await close();
  });
});
