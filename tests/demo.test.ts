/** `tributary demo` as a program, beside a system that runs as `npm start` does it. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { buildApp, portSettings, startApp, startProcess, type AppProcess, type PortSettings } from './process.js';
import { until } from './until.js';

/** A story has some hundred waits, all of which end at once on an idle machine. */
jest.setTimeout(120_000);

const app = buildApp();
const root = mkdtempSync(join(tmpdir(), 'tributary-demo-'));
let system: AppProcess;
let ports: PortSettings;

beforeAll(async () => {
  ports = await portSettings();
  system = startApp(app, { ...ports, DATA_DIR: join(root, 'system'), LOG_LEVEL: 'warn', ORDER_REMINDERS: '1s' });
  await system.ready;
});

afterAll(async () => {
  await system.end('SIGTERM');
  rmSync(root, { recursive: true, force: true });
  app.remove();
});

const demo = (args: readonly string[] = [], settings: Readonly<Record<string, string>> = {}): AppProcess =>
  startProcess(process.execPath, [app.main, 'demo', ...args], {
    ...ports,
    DATA_DIR: join(root, 'nothing'),
    ...settings,
  });

const ESCAPE = '\u001b';

async function graphql<T>(query: string): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${ports.GATEWAY_PORT}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return ((await response.json()) as { readonly data: T }).data;
}

/** Customers and products of the demo that are still there. */
async function leftovers(): Promise<string[]> {
  const { users, products } = await graphql<Record<'users' | 'products', { nodes: { name: string }[] }>>(
    '{ users(filter: { search: "ines" }) { nodes { name } } products(filter: { search: "demo" }) { nodes { name } } }',
  );
  return [...users.nodes, ...products.nodes].map(({ name }) => name);
}

const nothingIsLeft = () => until(async () => (await leftovers()).length === 0);

test('it ends with 0, writes no escape sequence into a pipe, and opens no engines; its picture shows the same steps', async () => {
  const one = demo();
  expect(await one.exit).toEqual({ code: 0, signal: null });
  expect(one.output()).not.toContain(ESCAPE);
  expect(existsSync(join(root, 'nothing'))).toBe(false);
  const steps = [...one.output().matchAll(/^ ?\d+ {2}(.+)$/gm)].map(([, title]) => title);
  expect(steps).toHaveLength(10);
  // Stale? npm run record:demo
  const picture = readFileSync('docs/images/demo.svg', 'utf8');
  expect(steps.filter((title) => !picture.includes(`>${title}<`))).toEqual([]);
  await nothingIsLeft();
});

test('colours come where they are asked for, and NO_COLOR and --no-color win', async () => {
  const outputs = await Promise.all(
    [
      demo(['--wait', '0'], { FORCE_COLOR: '1' }),
      demo(['--wait', '0'], { FORCE_COLOR: '1', NO_COLOR: '1' }),
      demo(['--wait', '0', '--no-color'], { FORCE_COLOR: '1' }),
    ].map(async (one) => {
      expect(await one.exit).toEqual({ code: 0, signal: null });
      return one.output();
    }),
  );
  expect(outputs.map((output) => output.includes(ESCAPE))).toEqual([true, false, false]);
});

test('Ctrl-C half-way undoes what was begun and ends with 130, the last line of --json tells of it', async () => {
  const one = demo(['--json', '--wait', '60']);
  await until(() => one.output().includes('"step":"order"'));
  expect(await one.end('SIGINT')).toEqual({ code: 130, signal: null });
  const lines = one
    .output()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.at(-1)).toMatchObject({ step: 'summary', outcome: 'interrupted', left: [] });
  await nothingIsLeft();
});

test('a reader that has seen enough ends the story, and what was begun is undone', async () => {
  const one = demo(['--wait', '60']);
  await until(() => one.output().includes('The customer confirms'));
  one.child.stdout?.destroy();
  await one.exit;
  await nothingIsLeft();
});

test.each([
  [['--url', 'http://127.0.0.1:9'], 'does not answer'],
  [['--url', 'shop'], '--url must be an address, for example http://127.0.0.1:4000.'],
  [['--locale', 'fr'], '--locale must be en or pt.'],
  [['--wait', 'long'], '--wait must be a number of seconds'],
  [['--password', 'secret'], 'Whose password is it? Say --email too.'],
  [['--email', 'admin@tributary.example', '--password', 'wrong'], 'does not let us in'],
])('%j is a mistake that is told in a line, with exit code 2', async (args, line) => {
  const one = demo(args);
  expect(await one.exit).toEqual({ code: 2, signal: null });
  expect(one.output().trimEnd().split('\n')).toEqual([expect.stringContaining(line)]);
});
