import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { findChromium } from '../../ops/chromium.mjs';

/** It asks nobody for updates, and needs neither a sandbox of its own nor a display. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * The browser's program; undefined where there is none, and tests are skipped by name.
 * @throws Error in CI, where nothing may be skipped
 */
export function browserProgram(): string | undefined {
  const program = findChromium();
  if (program === undefined && process.env['CI'] !== undefined) {
    throw new Error('There is no Chromium for the browser tests: node ops/install-chromium.mjs, or set CHROMIUM.');
  }
  if (program === undefined) console.log('There is no Chromium: the tests in the browser are skipped.');
  return program;
}

/** Headless, with a new and empty profile. */
export const openBrowser = (program: string): Promise<Browser> =>
  chromium.launch({ executablePath: program, headless: true, args: FLAGS });

/** A page, and what has gone wrong on it. */
export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts and on the console, where violations of the page's security policy stand too. */
  readonly errors: string[];
  /** Addresses of other hosts that the page has asked for something. */
  readonly elsewhere: string[];
  close(): Promise<void>;
}

/** Opens an address as somebody who was never there. */
export async function visit(browser: Browser, address: string): Promise<Visit> {
  const { origin, host } = new URL(address);
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  const page = await context.newPage();
  const errors: string[] = [];
  const elsewhere: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('pageerror', ({ message }) => errors.push(message));
  const notice = (url: string): void => {
    // What a page makes for itself has no host.
    const asked = new URL(url);
    if (asked.host !== '' && asked.host !== host) elsewhere.push(url);
  };
  page.on('request', (request) => notice(request.url()));
  page.on('websocket', (socket) => notice(socket.url()));
  await page.goto(address);
  return { page, context, errors, elsewhere, close: () => context.close() };
}
