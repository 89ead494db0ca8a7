/**
 * docs/add-a-subgraph.md tells the truth: its lines, command and operations are run as they stand, against the example and
 * a system of its own, which is not restarted for it and drops nothing meanwhile.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';
import { subgraphKey } from '../shared/identity/identity.js';
import { blocksOf, type Block } from './markdown.js';
import { freePorts } from './ports.js';
import { buildApp, portSettings, startApp, startProcess, type AppProcess, type PortSettings } from './process.js';
import { until } from './until.js';

const SECRET = 'a secret of at least thirty-two characters';
const root = process.cwd();
const blocks = blocksOf('docs/add-a-subgraph.md');
const blockOf = (language: string): Block => {
  const found = blocks.find((block) => block.language === language);
  if (found === undefined) throw new Error(`The document has no ${language} block.`);
  return found;
};

const app = buildApp();
/** Like the repository, as far as composition sees it. */
const folder = mkdtempSync(join(tmpdir(), 'tributary-add-'));
const supergraph = join(folder, 'supergraph.graphql');
let ports: PortSettings;
let running: AppProcess;
let example: AppProcess;
let sockets: Client;
let examplePorts: readonly number[];

/** A text with this run's ports in place of the documented ones, and the other way round. */
const here = (text: string): string =>
  ['5001', '5002'].reduce(
    (result, port, at) => result.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${examplePorts[at]}`),
    text,
  );
const there = (text: string): string =>
  ['5001', '5002'].reduce(
    (result, port, at) => result.replaceAll(`127.0.0.1:${examplePorts[at]}`, `127.0.0.1:${port}`),
    text,
  );

const startExample = async (settings: Readonly<Record<string, string>> = {}): Promise<AppProcess> => {
  const [http, ws] = examplePorts.map(String);
  const started = startProcess(
    process.execPath,
    ['server.mjs'],
    { PORT: http!, WS_PORT: ws!, ...settings },
    {
      cwd: resolve('examples/reviews'),
    },
  );
  await until(() => started.output().includes('Reviews at'), { message: () => started.output() });
  return started;
};

const settings = (): Record<string, string> => ({
  ...ports,
  DATA_DIR: join(folder, 'data'),
  IDENTITY_SECRET: SECRET,
  SUPERGRAPH: supergraph,
});
const gateway = (path: string): string => `http://127.0.0.1:${ports.GATEWAY_PORT}${path}`;

function compose(): { output: string; status: number | null } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'ops/compose.mjs')], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { output: there(stdout + stderr).trim(), status };
}

interface Answer {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly unknown[];
}

async function ask(query: string): Promise<Answer> {
  const response = await fetch(gateway('/graphql'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as Answer;
}

/** What a subscription has received, or its end. */
function subscribe(query: string) {
  const received: unknown[] = [];
  const stop = sockets.subscribe(
    { query },
    {
      next: (message) => received.push(message),
      error: (error) => received.push(error),
      complete: () => received.push('complete'),
    },
  );
  return { received, stop };
}

const metric = async (line: string): Promise<boolean> =>
  (await (await fetch(gateway('/metrics'))).text()).includes(line);

beforeAll(async () => {
  ports = await portSettings();
  examplePorts = await freePorts(2);
  copyFileSync('supergraph.yaml', join(folder, 'supergraph.yaml'));
  for (const name of ['subgraphs', 'examples']) symlinkSync(join(root, name), join(folder, name));
  expect(compose()).toEqual({
    output: 'wrote supergraph.graphql, composed from user, product, order, balance, query',
    status: 0,
  });
  running = startApp(app, { ...settings(), SUPERGRAPH_POLL_MS: '100' });
  [example] = await Promise.all([startExample(), running.ready]);
  sockets = createClient({
    url: gateway('/graphql').replace('http', 'ws'),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  });
});

afterAll(async () => {
  await sockets.dispose();
  await Promise.all([running.end('SIGTERM'), example.end('SIGTERM')]);
  rmSync(folder, { recursive: true, force: true });
  app.remove();
});

const PRODUCT = '0190a000-0001-7000-8000-000000000001';

test('a subgraph of somebody else’s joins a running system, and what was under way goes on', async () => {
  const answers = new Set<string>();
  let asking = true;
  const asked = (async () => {
    while (asking) answers.add(JSON.stringify(await ask(`{ product(id: "${PRODUCT}") { name } }`)));
  })();
  const before = subscribe('subscription { orderStatusChanged { status order { items { name product { name } } } } }');
  await until(() => metric('tributary_subscribers{service="query-api",field="orderStatusChanged"} 1'));

  appendFileSync(join(folder, 'supergraph.yaml'), `${here(blockOf('yaml').text)}\n`);
  const [, ...printed] = blockOf('console').text.split('\n');
  expect(compose()).toEqual({ output: printed.join('\n'), status: 0 });
  await until(async () => (await ask('{ latestReviews { id } }')).errors === undefined);

  await readOperations();
  asking = false;
  await asked;
  expect([...answers]).toEqual([JSON.stringify({ data: { product: { name: 'iPhone 15' } } })]);
  await until(() => before.received.length >= 1);
  expect(before.received[0]).toEqual({
    data: {
      orderStatusChanged: {
        status: 'PENDING',
        order: { items: [{ name: 'iPhone 15', product: { name: 'iPhone 15' } }] },
      },
    },
  });
  expect(before.received).not.toContain('complete');
  before.stop();
});

/** Every operation of the document with the answer that stands behind it. */
async function readOperations(): Promise<void> {
  let messages: unknown[] = [];
  let end = (): void => undefined;
  for (const [index, { language, tag, text, place }] of blocks.entries()) {
    const next = blocks[index + 1];
    if (language === 'graphql' && text.startsWith('subscription')) {
      end();
      ({ received: messages, stop: end } = subscribe(text));
    } else if (language === 'graphql') {
      const expected: unknown = JSON.parse(next!.text);
      const message = blocks[index + 2];
      await until(async () => {
        expect({ place, answer: await ask(text) }).toEqual({ place, answer: expected });
        if (message?.tag !== 'message') return true;
        // Whether the subgraph has the subscription nobody can see from here, so it is done again until it is heard.
        return until(() => messages.length > 0, { timeoutMs: 1_000 }).catch(() => false);
      });
    } else if (tag === 'message') {
      expect({ place, answer: messages.shift() }).toEqual({ place, answer: JSON.parse(text) as unknown });
    }
  }
  end();
}

test('a subgraph that checks who is asking is told so, over HTTP and over its WebSocket', async () => {
  const write = `mutation { addReview(input: { productId: "${PRODUCT}", rating: 5, text: "" }) { author { name } } }`;
  expect(await ask(write)).toEqual({ data: { addReview: { author: null } } });
  await example.end('SIGTERM');
  example = await startExample({ IDENTITY_KEY: subgraphKey('reviews', SECRET) });
  expect(await ask(write)).toEqual({ data: { addReview: { author: { name: 'Demo Administrator' } } } });
  const { received, stop } = subscribe('subscription { reviewAdded { author { name } } }');
  await until(async () => {
    await ask(write);
    return until(() => received.length > 0, { timeoutMs: 1_000 }).catch(() => false);
  });
  expect(received[0]).toEqual({ data: { reviewAdded: { author: { name: 'Demo Administrator' } } } });
  stop();
  const direct = await fetch(here('http://127.0.0.1:5001/'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ latestReviews { id } }' }),
  });
  expect(JSON.stringify(await direct.json())).toContain('UNAUTHENTICATED');
});

test('what a foreign subgraph refuses reaches the client with its code, and one that is down harms nothing of ours', async () => {
  const refused = await ask(`mutation { addReview(input: { productId: "${PRODUCT}", rating: 6, text: "" }) { id } }`);
  expect(refused.errors).toEqual([
    expect.objectContaining({ message: 'A rating is 1 to 5.', extensions: { code: 'VALIDATION', field: 'rating' } }),
  ]);
  await example.end('SIGKILL');
  const { data, errors } = await ask(`{ product(id: "${PRODUCT}") { name rating } }`);
  expect(data).toEqual({ product: { name: 'iPhone 15', rating: null } });
  expect(errors).toEqual([expect.objectContaining({ extensions: { code: 'UNAVAILABLE' } })]);
  const { checks } = (await (await fetch(gateway('/readyz'))).json()) as { checks: { name: string; ok: boolean }[] };
  expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['reviews']);
  example = await startExample();
  await until(async () => (await fetch(gateway('/readyz'))).status === 200);
});

test('SIGHUP has the file read again, and one that is broken changes nothing', async () => {
  await sockets.dispose();
  await running.end('SIGTERM');
  const withReviews = readFileSync(supergraph, 'utf8');
  copyFileSync('supergraph.graphql', supergraph);
  running = startApp(app, settings());
  await running.ready;
  expect((await ask('{ latestReviews { id } }')).errors).toHaveLength(1);
  writeFileSync(supergraph, withReviews);
  running.child.kill('SIGHUP');
  await until(async () => (await ask('{ latestReviews { id } }')).errors === undefined);
  writeFileSync(supergraph, withReviews.slice(0, 5_000));
  running.child.kill('SIGHUP');
  await until(() => metric('tributary_supergraph_reloads_total{outcome="refused"} 1'));
  expect((await ask('{ latestReviews { id } }')).errors).toBeUndefined();
  expect(running.output()).toContain('the supergraph is refused');
});
