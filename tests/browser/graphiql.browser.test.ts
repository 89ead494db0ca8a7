/** Whoever pastes the README's operations into GraphiQL sees what the README says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { blocksOf, Placeholders } from '../markdown.js';
import { buildApp, portSettings, startApp, type AppProcess, type BuiltApp } from '../process.js';
import { until } from '../until.js';
import { browserProgram, openBrowser, visit, type Visit } from './browser.js';

const program = browserProgram();
const inBrowser = program === undefined ? test.skip : test;

let app: BuiltApp;
let dataDir: string;
let running: AppProcess;
let browser: Browser;
let graphiql: string;

beforeAll(async () => {
  if (program === undefined) return;
  app = buildApp();
  dataDir = mkdtempSync(join(tmpdir(), 'tributary-graphiql-'));
  const ports = await portSettings();
  running = startApp(app, { ...ports, DATA_DIR: dataDir });
  [browser] = await Promise.all([openBrowser(program), running.ready]);
  graphiql = `http://127.0.0.1:${ports.GATEWAY_PORT}/graphiql`;
});

afterAll(async () => {
  if (program === undefined) return;
  await browser.close();
  await running.end('SIGTERM');
  rmSync(dataDir, { recursive: true, force: true });
  app.remove();
});

/** The README's operation that begins so, and the answers printed behind it. */
function fromReadme(beginning: string): { readonly query: string; readonly answers: unknown[] } {
  const blocks = blocksOf('README.md');
  const at = blocks.findIndex(({ language, text }) => language === 'graphql' && text.startsWith(beginning));
  const next = blocks.findIndex(({ language }, index) => index > at && language === 'graphql');
  const answers = blocks.slice(at + 1, next).filter(({ language }) => language === 'json');
  return { query: blocks[at]?.text ?? '', answers: answers.map(({ text }): unknown => JSON.parse(text)) };
}

/** Pastes an operation in place of what is there, and runs it. */
async function run(page: Page, query: string): Promise<void> {
  await page.locator('.graphiql-query-editor .view-lines').click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(query)})`);
  await page.keyboard.press('ControlOrMeta+V');
  // The tab bears the operation's name, and ours have none: a moment later GraphiQL has taken notice.
  await page.getByRole('tab', { name: '<untitled>', selected: true }).waitFor();
  await page.getByRole('button', { name: /^Execute query/ }).click();
}

/** The answer on the page; a long one wraps, and no line break of it counts. */
async function answerOn(page: Page): Promise<unknown> {
  const lines = await page.locator('.graphiql-response .view-line').evaluateAll((elements) =>
    (elements as unknown as { style: { top: string }; textContent: string }[])
      .map(({ style, textContent }) => [parseFloat(style.top), textContent] as const)
      .sort(([one], [other]) => one - other)
      .map(([, text]) => text.replaceAll('\u00a0', ' ').replace(/^ +/, ''))
      .join(''),
  );
  return JSON.parse(lines);
}

/** An answer without what differs from message to message: the one before may still stand there. */
const settled = (answer: unknown): unknown =>
  JSON.parse(JSON.stringify(answer, (name, value: unknown) => (name === 'cursor' ? '…' : value)));

inBrowser(
  'GraphiQL shows the answer of the README’s mutation, and the message of its subscription as it comes',
  async () => {
    const placeholders = new Placeholders();
    const visits: Visit[] = [];
    const open = async (): Promise<Page> => {
      const one = await visit(browser, graphiql);
      visits.push(one);
      return one.page;
    };
    const shows = (page: Page, expected: unknown) =>
      until(
        async () => {
          const answer = settled(await answerOn(page));
          expect(answer).toEqual(placeholders.fill(settled(expected), answer));
          return true;
        },
        { timeoutMs: 20_000, message: 'the answer printed in the README' },
      );

    const [buyer, watcher] = [await open(), await open()];
    const create = fromReadme('mutation {\n  createOrder');
    await run(buyer, create.query);
    await shows(buyer, create.answers[0]);

    const watch = fromReadme('subscription {\n  orderStatusChanged(orderId: "<order>") {');
    await run(watcher, placeholders.replace(watch.query));
    await shows(watcher, watch.answers[0]);

    const pay = fromReadme('mutation {\n  payOrder');
    const [paying, paid] = pay.answers;
    await run(buyer, placeholders.replace(pay.query));
    await shows(buyer, paying);
    await shows(watcher, paid);

    expect(visits.map(({ errors, elsewhere }) => ({ errors, elsewhere }))).toEqual(
      visits.map(() => ({ errors: [], elsewhere: [] })),
    );
    await Promise.all(visits.map((one) => one.close()));
  },
);
