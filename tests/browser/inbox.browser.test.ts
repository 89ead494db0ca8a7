/** The inbox of a demo, in a browser, against a system started as `npm start` does it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { buildApp, portSettings, startApp, type AppProcess, type BuiltApp } from '../process.js';
import { until } from '../until.js';
import { browserProgram, openBrowser, visit } from './browser.js';

const program = browserProgram();
const inBrowser = program === undefined ? test.skip : test;

let app: BuiltApp;
let browser: Browser;
let running: AppProcess;
let dataDir: string;
let gateway: string;

beforeAll(async () => {
  if (program === undefined) return;
  app = buildApp();
  browser = await openBrowser(program);
  dataDir = mkdtempSync(join(tmpdir(), 'tributary-inbox-'));
  const ports = await portSettings();
  running = startApp(app, { ...ports, DATA_DIR: dataDir, DEMO_DATA: 'off' });
  await running.ready;
  gateway = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
});

afterAll(async () => {
  if (program === undefined) return;
  await browser.close();
  await running.end('SIGTERM');
  rmSync(dataDir, { recursive: true, force: true });
  app.remove();
});

const register = async (name: string, email: string): Promise<void> => {
  const query = `mutation { register(input: { name: "${name}", email: "${email}", password: "correct horse battery" }) { user { id } } }`;
  const answer = await fetch(`${gateway}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  expect(await answer.json()).not.toHaveProperty('errors');
};

inBrowser('mails appear by themselves, look as they should, and their links open elsewhere', async () => {
  const { page, context, errors, elsewhere, close } = await visit(browser, `${gateway}/inbox`);
  await page.getByText('No mail yet').waitFor();
  expect(await page.locator('#box').isVisible()).toBe(false);

  await register('Ana', 'ana@example.com');
  await page.locator('[data-mail]').waitFor();
  await page.getByRole('heading', { name: 'Confirm your e-mail address' }).first().waitFor();
  expect(await page.locator('#to').textContent()).toBe('Ana <ana@example.com>');
  const mail = page.frameLocator('#frame');
  await mail.getByText('Hello Ana,').waitFor();

  const opened = context.waitForEvent('page');
  await mail.getByRole('link', { name: 'Confirm my address' }).click();
  expect(new URL((await opened).url()).pathname).toBe('/verify');
  expect(page.url()).toContain('/inbox');

  await register('Rui', 'rui@example.com');
  await until(async () => (await page.locator('[data-mail]').count()) === 2);
  await page.locator('[data-mail] a').last().click();
  await until(async () => (await page.locator('#to').textContent()) === 'Ana <ana@example.com>');
  await page.getByRole('button', { name: 'As plain text' }).click();
  expect(await page.locator('#text').textContent()).toContain(`${gateway}/verify?token=`);
  expect({ errors, elsewhere }).toEqual({ errors: [], elsewhere: [] });
  await close();
});

inBrowser('it can be looked at for one person alone', async () => {
  const { page, close } = await visit(browser, `${gateway}/inbox?to=rui@example.com`);
  await page.getByText('Only mails to').waitFor();
  await until(async () => (await page.locator('[data-mail]').count()) === 1);
  expect(await page.locator('#to').textContent()).toBe('Rui <rui@example.com>');
  await page.getByRole('link', { name: 'Show all' }).click();
  await until(async () => (await page.locator('[data-mail]').count()) === 2);
  await close();
});
