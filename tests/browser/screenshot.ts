/**
 * `npm run screenshot`: makes the README's picture of `/live`, in the middle of an order's life. Arguments: file, width,
 * `light` or `dark`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApp, portSettings, startApp } from '../process.js';
import { until } from '../until.js';
import { browserProgram, openBrowser } from './browser.js';

const [file = 'docs/images/live.png', width = '1280', scheme = 'light'] = process.argv.slice(2);
const program = browserProgram();
if (program === undefined) throw new Error('There is no Chromium: install it, or set CHROMIUM.');

const app = buildApp();
const dataDir = mkdtempSync(join(tmpdir(), 'tributary-screenshot-'));
const ports = await portSettings();
const running = startApp(app, { ...ports, DATA_DIR: dataDir });
const browser = await openBrowser(program);
try {
  await running.ready;
  const page = await browser.newPage({
    viewport: { width: Number(width), height: 800 },
    colorScheme: scheme === 'dark' ? 'dark' : 'light',
    reducedMotion: 'reduce',
  });
  await page.goto(`http://127.0.0.1:${ports.GATEWAY_PORT}/live`);
  const place = page.getByRole('button', { name: 'Place a demo order' });
  const events = (count: number) => until(async () => (await page.locator('#events tr').count()) === count);
  // The first one is what the processes get warm with.
  await place.click();
  await events(3);
  await place.click();
  await until(async () => (await page.locator('[data-event="order.created"]').count()) === 1);
  await events(3);
  await page.getByRole('button', { name: 'Pay with PIX' }).click();
  await events(6);
  // Nothing looks pressed or pointed at.
  await page.mouse.move(0, 0);
  await page.locator('.skip').evaluate((link: { focus(): void; blur(): void }) => {
    link.focus();
    link.blur();
  });
  await page.screenshot({ path: file, fullPage: true });
  console.log(`${file} is made.`);
} finally {
  await browser.close();
  await running.end('SIGTERM');
  rmSync(dataDir, { recursive: true, force: true });
  app.remove();
}
