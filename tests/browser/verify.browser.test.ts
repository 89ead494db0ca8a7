/** The page that the link in a verification mail leads to, in a browser. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { newId } from '../../shared/ids/ids.js';
import { VerificationTokens } from '../../subgraphs/user/verification-tokens.js';
import { startTestSystem, uniqueEmail, type TestSystem } from '../system.js';
import { browserProgram, openBrowser, visit } from './browser.js';

const program = browserProgram();
const inBrowser = program === undefined ? test.skip : test;
const SECRET = 'a secret of these tests, of more than 32 characters';
const tokens = new VerificationTokens(SECRET);

let server: TestSystem;
let browser: Browser;

beforeAll(async () => {
  if (program === undefined) return;
  server = await startTestSystem({ tokens: true, settings: { AUTH_MODE: 'required', AUTH_SECRET: SECRET } });
  browser = await openBrowser(program);
});
afterAll(async () => {
  if (program === undefined) return;
  await browser.close();
  await server.dispose();
});

const database = () => {
  const found = server.databases.get('tributary_user');
  if (found === undefined) throw new Error('no database of users');
  return found;
};

/** Somebody new, and the address in their mail. */
async function register(): Promise<{ readonly id: string; readonly email: string; readonly link: string }> {
  const email = uniqueEmail();
  const query = `mutation { register(input: { name: "Ana", email: "${email}", password: "correct horse" }) { user { id } } }`;
  const { register: made } = await server.ok<{ register: { user: { id: string } } }>(query);
  const sql = 'SELECT id FROM verifications WHERE user_id = ?';
  const [row] = await database().read<{ id: string }>(sql, [made.user.id]);
  return { id: made.user.id, email, link: addressOf(tokens.tokenOf(row?.id ?? '')) };
}

const addressOf = (token: string): string => `${server.system.gatewayUrl}/verify?token=${token}`;

const isVerified = async (id: string): Promise<boolean> =>
  (await database().read<{ verified: number }>('SELECT verified FROM users WHERE id = ?', [id]))[0]?.verified === 1;

inBrowser('a link that is opened confirms the address; opened again it says that it was used', async () => {
  const { id, link } = await register();
  const first = await visit(browser, link);
  await first.page.getByText('Your e-mail address is confirmed').waitFor();
  expect(await isVerified(id)).toBe(true);
  expect({ errors: first.errors, elsewhere: first.elsewhere }).toEqual({ errors: [], elsewhere: [] });
  expect(await first.page.locator('button:visible').count()).toBe(0);
  await first.page.reload();
  await first.page.getByText('This link was used already').waitFor();
  for (const width of [320, 1280]) {
    await first.page.setViewportSize({ width, height: 700 });
    const over = await first.page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
    expect({ width, over }).toEqual({ width, over: 0 });
  }
  await first.close();
});

inBrowser('a link that has expired leads to another one', async () => {
  const { email } = await register();
  const { page, errors, close } = await visit(browser, addressOf(tokens.tokenOf(newId())));
  await page.getByText('This link is good no more').waitFor();
  await page.getByLabel('E-mail address').fill(email);
  await page.keyboard.press('Enter');
  await page.getByText('a new link is on its way').waitFor();
  expect(errors).toEqual([]);
  await close();
});

inBrowser('what is no link is called so', async () => {
  const { page, errors, close } = await visit(browser, addressOf('"><b>x'));
  await page.getByText('This is not a valid link').waitFor();
  expect(await page.locator('b').count()).toBe(0);
  expect(errors).toEqual([]);
  await close();
});

inBrowser('without its script the page confirms nothing until its button is pressed', async () => {
  const { id, link } = await register();
  const context = await browser.newContext({ javaScriptEnabled: false, locale: 'pt-BR' });
  const page = await context.newPage();
  await page.goto(link);
  await page.getByText('Um clique e seu endereço está confirmado.').waitFor();
  expect(await isVerified(id)).toBe(false);
  await page.getByRole('button', { name: 'Confirmar' }).click();
  await page.getByText('Seu endereço de e-mail está confirmado').waitFor();
  expect(await isVerified(id)).toBe(true);
  await context.close();
});
