import { freePorts } from '../tests/ports.js';
import { startProcess } from '../tests/process.js';
import { httpClient } from './client.js';
import type { Running } from './process.js';

/** From the user subgraph into the read side: two hops, the second by `id version`. */
const TWO_HOPS = '{ me { id name orders(first: 1) { nodes { id } } } }';
const CONNECTIONS = 32;
const SECONDS = 4;
const ROUNDS = 3;

export interface Ratio {
  readonly ours: number;
  readonly stock: number;
}

/** Requests per second of a two-hop query through our gateway and the stock one, in turns, on the same subgraphs. */
export async function gatewayRatio(system: Running): Promise<Ratio> {
  const [ours, stock] = [await startGateway('ours', system), await startGateway('stock', system)];
  const rates = { ours: [] as number[], stock: [] as number[] };
  await requestRate(ours.port, 1);
  await requestRate(stock.port, 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.ours.push(await requestRate(ours.port, SECONDS));
    rates.stock.push(await requestRate(stock.port, SECONDS));
  }
  await ours.stop();
  await stock.stop();
  const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
  return { ours: median(rates.ours), stock: median(rates.stock) };
}

async function startGateway(kind: 'ours' | 'stock', { ports }: Running) {
  const [port = 0] = await freePorts(1);
  const settings = { ...ports, GATEWAY_PORT: String(port) };
  const gateway = startProcess(process.execPath, ['ops/run.mjs', 'bench/gateway-process.ts', kind], settings);
  await gateway.ready;
  return { port, stop: () => gateway.end('SIGTERM') };
}

async function requestRate(port: number, seconds: number): Promise<number> {
  const { graphql, close } = httpClient(port, CONNECTIONS);
  const begun = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - begun < seconds * 1_000) {
      await graphql(TWO_HOPS);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const rate = (count * 1_000) / (performance.now() - begun);
  await close();
  return rate;
}
