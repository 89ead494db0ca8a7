import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { buildApp, portSettings, startProcess, type AppProcess } from './process.js';
import { freePorts } from './ports.js';
import { until } from './until.js';

const app = buildApp();
const root = mkdtempSync(join(tmpdir(), 'tributary-tracing-'));
const running: AppProcess[] = [];
const servers: Server[] = [];
let count = 0;

afterEach(async () => {
  for (const process of running.splice(0)) await process.end('SIGKILL');
  for (const server of servers.splice(0)) server.close();
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  app.remove();
});

/** What traces need; Apollo's gateway brings other parts of OpenTelemetry, for metrics of its own, which are switched off. */
const OURS = ['exporter-trace-otlp-http', 'sdk-trace'];

/** Writes down the address of every module that is loaded. */
const HOOKS = `
  import { appendFileSync } from 'node:fs';
  export async function load(url, context, next) {
    appendFileSync(process.env.LOADED_FILE, url + '\\n');
    return next(url, context);
  }
`;
const hooks = join(root, 'hooks.mjs');
const register = join(root, 'register.mjs');
writeFileSync(hooks, HOOKS);
writeFileSync(register, `import { register } from 'node:module'; register('./hooks.mjs', import.meta.url);`);

async function start(settings: Readonly<Record<string, string>>) {
  const folder = join(root, String((count += 1)));
  const loadedFile = `${folder}.loaded`;
  const ports = await portSettings();
  const process_ = startProcess(process.execPath, ['--import', register, app.main], {
    ...ports,
    DATA_DIR: folder,
    DEMO_DATA: 'off',
    LOG_FORMAT: 'json',
    LOADED_FILE: loadedFile,
    ...settings,
  });
  running.push(process_);
  await process_.ready;
  const query = async (): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${ports.GATEWAY_PORT}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: 'query Count { products { totalCount } }' }),
    });
    expect(await response.json()).toEqual({ data: { products: { totalCount: 0 } } });
  };
  /** Those of OURS inside of what has been loaded. */
  const loaded = (): string[] => {
    const files = readFileSync(loadedFile, 'utf8')
      .split('\n')
      .filter((url) => url.startsWith('file:'));
    const text = files.map((url) => readFileSync(fileURLToPath(url), 'utf8')).join('');
    return OURS.filter((name) => text.includes(`node_modules/@opentelemetry/${name}/`));
  };
  return { process: process_, query, loaded };
}

interface ExportedSpans {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { stringValue?: string } }[];
    };
    readonly scopeSpans: readonly { readonly spans: readonly { readonly name: string }[] }[];
  }[];
}

test('with tracing off nothing of it is loaded, whatever is asked', async () => {
  const { query, loaded } = await start({});
  await query();
  expect(loaded()).toEqual([]);
});

test('a collector gets the spans, the last ones when the process stops', async () => {
  const names: string[] = [];
  const services = new Set<string | undefined>();
  const collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      for (const { resource, scopeSpans } of (JSON.parse(body) as ExportedSpans).resourceSpans) {
        services.add(resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue);
        names.push(...scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)));
      }
      response.end('{}');
    });
  });
  servers.push(collector);
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  const { process, query, loaded } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  await query();
  expect(await process.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(names).toEqual(expect.arrayContaining(['gateway POST /graphql', 'call query', 'query-api POST /graphql']));
  expect([...services]).toEqual(['tributary']);
  expect(loaded()).toEqual(OURS);
});

test('a collector that is away is told of once, and holds up nothing', async () => {
  const [port = 0] = await freePorts(1);
  const { process, query } = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_TIMEOUT: '200',
  });
  const complaints = (): number => process.output().split('traces are not taken').length - 1;
  await query();
  await until(() => complaints() > 0);
  await query();
  expect(await process.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(complaints()).toBe(1);
});
