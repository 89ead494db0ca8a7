/**
 * The documents tell the truth: their operations and commands are run, in the order in which they stand, against a system
 * started as `npm start` does it, and the answers are those printed. markdown.ts says what the answers may leave open.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Kind, OperationTypeNode, parse } from 'graphql';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';
import { readRequests, substitute } from './api-http.js';
import { blocksOf, Placeholders, textPattern, type Block } from './markdown.js';
import { buildApp, portSettings, startApp, startProcess, type AppProcess, type PortSettings } from './process.js';
import { until } from './until.js';

const app = buildApp();
const dataDir = mkdtempSync(join(tmpdir(), 'tributary-readme-'));
let ports: PortSettings;
let running: AppProcess;
let sockets: Client;

beforeAll(async () => {
  ports = await portSettings();
  running = startApp(app, { ...ports, DATA_DIR: dataDir });
  await running.ready;
  sockets = createClient({ url: here('ws://127.0.0.1:4000/graphql'), webSocketImpl: WebSocket, retryAttempts: 0 });
});

afterAll(async () => {
  await sockets.dispose();
  await running.end('SIGTERM');
  rmSync(dataDir, { recursive: true, force: true });
  app.remove();
});

/** The ports that documents name, and whose they are. */
const DOCUMENTED: readonly (readonly [string, keyof PortSettings])[] = [
  ['4000', 'GATEWAY_PORT'],
  ['3003', 'REST_PORT'],
];

/** A text with this run's ports in place of the documented ones. */
const here = (text: string): string =>
  DOCUMENTED.reduce((result, [port, name]) => result.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${ports[name]}`), text);

/** The other way round. */
const there = (text: string): string =>
  DOCUMENTED.reduce((result, [port, name]) => result.replaceAll(`127.0.0.1:${ports[name]}`, `127.0.0.1:${port}`), text);

async function post(body: object): Promise<unknown> {
  const response = await fetch(here('http://127.0.0.1:4000/graphql'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

/** Runs the blocks of one document, each with the answers that stand behind it. */
class Reader {
  private readonly placeholders = new Placeholders();
  private messages: unknown[] = [];
  private unsubscribe: () => void = () => undefined;

  async read(blocks: readonly Block[]): Promise<void> {
    for (const [index, block] of blocks.entries()) {
      if (block.language === 'graphql') await this.operate(block, blocks[index + 1]);
      if (block.language === 'json' && block.tag === 'message') await this.hear(block);
      if (block.language === 'console') await this.command(block);
      if (block.language === 'js') await this.program(block, blocks[index + 1]);
    }
    this.unsubscribe();
  }

  private async operate({ text, place }: Block, answer: Block | undefined): Promise<void> {
    const query = this.placeholders.replace(text);
    const [definition] = parse(query).definitions;
    const type = definition?.kind === Kind.OPERATION_DEFINITION ? definition.operation : undefined;
    if (type === OperationTypeNode.SUBSCRIPTION) {
      await this.subscribe(query);
      return;
    }
    if (answer?.language !== 'json') throw new Error(`${place}: an operation is followed by its answer.`);
    const expected: unknown = JSON.parse(answer.text);
    if (type === OperationTypeNode.MUTATION) {
      this.compare(expected, await post({ query }), answer);
      return;
    }
    // What follows an event takes its moment; a reader does, too.
    await until(async () => {
      this.compare(expected, await post({ query }), answer);
      return true;
    });
  }

  /** A reader needs a moment to open a tab: until then the order before it has its stock. */
  private async subscribe(query: string): Promise<void> {
    const [id] = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(query) ?? [];
    await until(async () => {
      const answer = (await post({ query: `{ order(id: "${id}") { status } }` })) as {
        data: { order: { status: string } | null } | null;
      };
      return answer.data?.order?.status !== 'PENDING';
    });
    this.unsubscribe();
    const messages: unknown[] = [];
    this.messages = messages;
    this.unsubscribe = sockets.subscribe(
      { query },
      { next: (message) => messages.push(message), error: (error) => messages.push(error), complete: () => undefined },
    );
  }

  private async hear(block: Block): Promise<void> {
    await until(() => this.messages.length > 0, { message: `the message at ${block.place}` });
    this.compare(JSON.parse(block.text), this.messages.shift(), block);
  }

  private async command({ text, place }: Block): Promise<void> {
    const [line = '', ...output] = this.placeholders.replace(text).split('\n');
    const [, streamed, body] = /^\$ curl -N (\S+) .*-d '(.*)'$/.exec(line) ?? [];
    if (streamed !== undefined && body !== undefined) await this.stream(streamed, body, output.join('\n'), place);
    const [, url] = /^\$ curl (\S+)$/.exec(line) ?? [];
    if (url === undefined) return;
    await until(async () => {
      const answer = await (await fetch(here(url))).text();
      expect({ place, answer }).toEqual({ place, answer: expect.stringMatching(textPattern(output.join('\n'))) });
      return true;
    });
  }

  /** Server-sent events, until those that are printed have come. */
  private async stream(url: string, body: string, expected: string, place: string): Promise<void> {
    const headers = { accept: 'text/event-stream', 'content-type': 'application/json' };
    const { body: events } = await fetch(here(url), { method: 'POST', headers, body });
    let heard = '';
    for await (const chunk of events?.pipeThrough(new TextDecoderStream()) ?? []) {
      // Comments keep the line open.
      heard = (heard + chunk).replace(/^:.*\n+/gm, '');
      if (heard.endsWith('\n\n') && heard.split('\n').length > expected.split('\n').length) break;
    }
    expect({ place, heard: heard.trim() }).toEqual({ place, heard: expect.stringMatching(textPattern(expected)) });
  }

  /** Run beside the bundle, where the packages are found, until it has printed what it should. */
  private async program({ text, place }: Block, output: Block | undefined): Promise<void> {
    const file = resolve(dirname(app.main), 'example.mjs');
    writeFileSync(file, here(this.placeholders.replace(text)));
    const example = startProcess(process.execPath, [file], {}, { cwd: dataDir });
    const [, ...expected] = output?.text.split('\n') ?? [];
    try {
      await until(() => {
        expect({ place, output: example.output().trim() }).toEqual({ place, output: expected.join('\n') });
        return true;
      });
    } finally {
      await example.end('SIGKILL');
    }
  }

  private compare(expected: unknown, actual: unknown, { place }: Block): void {
    expect({ place, answer: actual }).toEqual({ place, answer: this.placeholders.fill(expected, actual) });
  }
}

test('npm start prints the summary that the README shows', () => {
  const block = blocksOf('README.md').find(({ text }) => text.startsWith('$ npm start\n'));
  const shown = block?.text.split('\n').slice(1) ?? [];
  // Ready time, data folder and the padding that follows from them are this run's own.
  const plain = (lines: readonly string[]): string[] =>
    lines
      .filter((line) => /^[┌│└]/.test(line))
      .map((line) =>
        line
          .replace(/\(\d+\.\d s\)/, '(… s)')
          .replace(/^│ Data .*/, '│ Data')
          .replace(/[ ─]+/g, ' ')
          .trimEnd(),
      );
  expect(plain(there(running.output()).split('\n'))).toEqual(plain(shown));
});

describe('every operation and command gives the printed answer', () => {
  // In this order: the README's is for a system nobody has used yet.
  test.each(['README.md', 'docs/consistency.md', 'docs/subscriptions.md', 'docs/api.md', 'docs/operations.md'])(
    'in %s',
    async (file) => {
      await new Reader().read(blocksOf(file));
    },
  );
});

test('every query and REST call of api.http is answered without an error', async () => {
  const { requests, variables } = readRequests();
  const { data } = (await post({ query: '{ orders(first: 1) { nodes { id } } }' })) as {
    data: { orders: { nodes: { id: string }[] } };
  };
  const values = { ...variables, orderId: data.orders.nodes[0]?.id ?? '' };
  const failed: unknown[] = [];
  for (const { name, method, url, body } of requests) {
    const address = here(substitute(url, values));
    if (method === 'GET') {
      const response = await fetch(address);
      if (!response.ok) failed.push({ name, status: response.status });
    } else if (method === 'POST') {
      const operation = JSON.parse(substitute(body, values)) as { query: string };
      if (!operation.query.startsWith('query')) continue;
      const answer = (await post(operation)) as { errors?: unknown };
      if (answer.errors !== undefined) failed.push({ name, errors: answer.errors });
    }
  }
  expect(failed).toEqual([]);
});
