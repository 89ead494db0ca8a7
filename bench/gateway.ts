/**
 * `npm run bench:gateway`: ours, stock @apollo/gateway and Hive Gateway on the same subgraphs, each a process of its own,
 * measured in turns. Writes its section of docs/benchmarks.md.
 */
import { isDeepStrictEqual } from 'node:util';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Pool, type Dispatcher } from 'undici';
import { TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE } from '../shared/identity/tokens.js';
import { freePorts } from '../tests/ports.js';
import { startProcess, type AppProcess } from '../tests/process.js';
import { SCENARIOS, supergraphOf } from './gateway-graph.js';
import { binaryIn, hiveFolder, HIVE_VERSION } from './hive.js';
import { median, perSecond, ratio, Report } from './report.js';

if (process.argv.includes('--subscribers')) {
  await import('./subscribers-main.js');
  process.exit(0);
}

const CONNECTIONS = 32;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 3);
const ROUNDS = 3;
/** Requests before anything is measured: the compiler of Node is still at work before. */
const WARM_UP = 10_000;
const READY_MS = 60_000;

type Kind = 'ours' | 'guarded' | 'stock' | 'hive';

const NAMES: Readonly<Record<Kind, string>> = {
  ours: 'ours',
  guarded: 'ours, authentication and limits on',
  stock: 'stock @apollo/gateway',
  hive: `Hive Gateway ${HIVE_VERSION}`,
};

interface Gateway {
  readonly kind: Kind;
  readonly port: number;
  readonly pid: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly process: AppProcess;
}

interface Measured {
  /** Requests a second. */
  readonly rate: number;
  /** Milliseconds of processor time the gateway took for a request. */
  readonly cpuMs: number;
}

const [catalogue = 0, stock = 0] = await freePorts(2);
const started: AppProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-'));
try {
  const { token, keys } = await makeToken();
  await startTypeScript('bench/gateway-subgraphs.ts', [String(catalogue), String(stock), keys]);
  const gateways = [
    await startGateway('ours'),
    await startGateway('guarded', { authorization: `Bearer ${token}` }),
    await startGateway('stock'),
    ...(await startHive()),
  ];
  await checkAnswers(gateways);
  report(await measureAll(gateways));
} finally {
  await Promise.all(started.map((one) => one.end('SIGTERM')));
  rmSync(folder, { recursive: true, force: true });
}

async function makeToken(): Promise<{ readonly token: string; readonly keys: string }> {
  const { publicKey, privateKey } = await generateKeyPair(TOKEN_ALGORITHM);
  const token = await new SignJWT({ role: 'USER' })
    .setProtectedHeader({ alg: TOKEN_ALGORITHM, typ: TOKEN_TYPE, kid: 'bench' })
    .setIssuer(TOKEN_ISSUER)
    .setAudience(TOKEN_AUDIENCE)
    .setSubject('somebody')
    .setExpirationTime('1h')
    .sign(privateKey);
  const key = { ...(await exportJWK(publicKey)), kid: 'bench', alg: TOKEN_ALGORITHM };
  return { token, keys: JSON.stringify({ keys: [key] }) };
}

async function startTypeScript(file: string, args: readonly string[]): Promise<AppProcess> {
  const one = startProcess(process.execPath, ['ops/run.mjs', file, ...args], { NODE_ENV: 'production' });
  started.push(one);
  await one.ready;
  return one;
}

async function startGateway(kind: Kind, headers: Gateway['headers'] = {}): Promise<Gateway> {
  const [port = 0] = await freePorts(1);
  const args = [kind, String(port), String(catalogue), String(stock)];
  const one = await startTypeScript('bench/gateway-measured.ts', args);
  return { kind, port, pid: measuredIn(one), headers, process: one };
}

/** None when it cannot be installed or does not start, with the reason on the console. */
async function startHive(): Promise<Gateway[]> {
  try {
    const binary = binaryIn(hiveFolder());
    const [port = 0] = await freePorts(1);
    const places = { catalogue: addressOf(catalogue), stock: addressOf(stock) };
    writeFileSync(join(folder, 'supergraph.graphql'), supergraphOf(places));
    const args = ['supergraph', join(folder, 'supergraph.graphql'), '--host=127.0.0.1', `--port=${port}`, '--fork=1'];
    const settings = { NODE_ENV: 'production', LOG_LEVEL: 'error' };
    const one = startProcess(process.execPath, [binary, ...args], settings, { cwd: folder });
    started.push(one);
    const gateway: Gateway = { kind: 'hive', port, pid: one.pid, headers: {}, process: one };
    await answering(gateway);
    return [gateway];
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return [];
  }
}

async function answering(gateway: Gateway): Promise<void> {
  const end = performance.now() + READY_MS;
  for (;;) {
    const alive = await ask(gateway, '{ __typename }').then(
      () => true,
      () => false,
    );
    if (alive) return;
    if (performance.now() > end || gateway.process.child.exitCode !== null) {
      throw new Error(`${NAMES[gateway.kind]} does not start, so it is left out:\n${gateway.process.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function addressOf(port: number): string {
  return `http://127.0.0.1:${port}/graphql`;
}

async function ask({ port, headers }: Gateway, query: string): Promise<unknown> {
  const response = await fetch(addressOf(port), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
  return response.json();
}

/** All give the same answers, and not errors. */
async function checkAnswers(gateways: readonly Gateway[]): Promise<void> {
  for (const { name, query } of SCENARIOS) {
    const [first, ...others] = await Promise.all(gateways.map((gateway) => ask(gateway, query)));
    const text = JSON.stringify(first);
    if (text.includes('"errors"')) throw new Error(`${name}: ${text}`);
    for (const [index, other] of others.entries()) {
      if (isDeepStrictEqual(first, other)) continue;
      throw new Error(`${name}: ${NAMES[gateways[index + 1]?.kind ?? 'ours']} answers ${JSON.stringify(other)}`);
    }
  }
}

type Results = Map<string, Map<Kind, Measured>>;

async function measureAll(gateways: readonly Gateway[]): Promise<Results> {
  const results: Results = new Map();
  for (const { name, query } of SCENARIOS) {
    const rounds = new Map<Kind, Measured[]>(gateways.map(({ kind }) => [kind, []]));
    for (const gateway of gateways) await measure(gateway, query, { requests: WARM_UP });
    for (let round = 0; round < ROUNDS; round++) {
      for (const gateway of gateways)
        rounds.get(gateway.kind)?.push(await measure(gateway, query, { seconds: SECONDS }));
    }
    const medians = [...rounds].map(([kind, all]): [Kind, Measured] => [
      kind,
      { rate: median(all.map(({ rate }) => rate)), cpuMs: median(all.map(({ cpuMs }) => cpuMs)) },
    ]);
    results.set(name, new Map(medians));
  }
  return results;
}

interface Span {
  readonly seconds?: number;
  readonly requests?: number;
}

async function measure(
  gateway: Gateway,
  query: string,
  { seconds = Infinity, requests = Infinity }: Span,
): Promise<Measured> {
  const pool = new Pool(`http://127.0.0.1:${gateway.port}`, { connections: CONNECTIONS });
  const request: Dispatcher.DispatchOptions = {
    path: '/graphql',
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...gateway.headers },
    body: JSON.stringify({ query }),
  };
  let length: number | undefined;
  let count = 0;
  const cpuBefore = cpuMsOf(gateway.pid);
  const begun = performance.now();
  const end = begun + seconds * 1_000;
  const worker = async (): Promise<void> => {
    while (performance.now() < end && count < requests) {
      const received = await exchange(pool, request);
      length ??= received;
      if (received !== length) throw new Error(`${NAMES[gateway.kind]}: an answer of ${received} bytes, not ${length}`);
      count++;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const rate = (count * 1_000) / (performance.now() - begun);
  const cpuMs = (cpuMsOf(gateway.pid) - cpuBefore) / count;
  await pool.close();
  return { rate, cpuMs };
}

/** Bytes of the answer's body; undici's handler, since the load shares the processor with what is measured. */
function exchange(pool: Pool, request: Dispatcher.DispatchOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    pool.dispatch(request, {
      onRequestStart: () => undefined,
      onResponseStart: (_controller, status) => {
        if (status !== 200) reject(new Error(`status ${status}`));
      },
      onResponseData: (_controller, chunk) => {
        bytes += chunk.length;
      },
      onResponseEnd: () => resolve(bytes),
      onResponseError: (_controller, error) => reject(error),
    });
  });
}

/** ops/run.mjs, which is what we started, has a compiler beside the gateway; which of them is which, the gateway says. */
function measuredIn(one: AppProcess): number {
  const [, pid] = /^process (\d+)$/m.exec(one.output()) ?? [];
  if (pid === undefined) throw new Error(`The gateway does not say which process it is:\n${one.output()}`);
  return Number(pid);
}

/** Processor time so far, from ticks of ten milliseconds. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function report(results: Results): void {
  const out = new Report();
  for (const [scenario, measured] of results) {
    const ours = measured.get('ours');
    if (ours === undefined) continue;
    for (const [kind, { rate, cpuMs }] of measured) {
      out.add(`${scenario}: ${NAMES[kind]}`, `${perSecond(rate)}, ${cpuMs.toFixed(2)} ms of processor`);
    }
    for (const [kind, goal] of [
      ['stock', 3.5],
      ['hive', 2.8],
    ] as const) {
      const other = measured.get(kind);
      if (other === undefined) continue;
      const asked = scenario === 'two hops' ? ratio(goal) : 'above 1';
      const byCpu = `${ratio(other.cpuMs / ours.cpuMs)} by processor time`;
      out.add(`${scenario}: ours to ${NAMES[kind]}`, `${ratio(ours.rate / other.rate)}, ${byCpu}`, asked);
    }
  }
  out.write(
    'Gateways',
    `
${CONNECTIONS} connections, ${ROUNDS} rounds in turns, medians. Two subgraphs in one process of their own serve all; what
they answered once they keep by the bytes of the request, so that the gateway is what is measured, and every answer is
checked. Gateways, subgraphs and load share the machine, so a fast gateway waits for them: processor time tells what a
gateway itself costs. Stock is Apollo Server with \`@apollo/gateway\` and its RemoteGraphQLDataSource, Hive its command line
with one process. "Authentication and limits on" verifies an access token and counts every request and subgraph call.
`,
  );
}
