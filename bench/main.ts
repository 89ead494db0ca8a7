/** `npm run bench`: measures the embedded system on this machine and writes docs/benchmarks.md. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { gatewayRatio } from './gateways.js';
import { orderBurst, orderLatency } from './orders.js';
import { inTemporaryFolder, startSystemProcess } from './process.js';
import { projectorRate } from './projector.js';

interface Row {
  readonly what: string;
  readonly result: string;
  readonly goal: string;
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`;

/** How long the system rests before its memory is read. */
const REST_MS = 3_000;

execFileSync(process.execPath, ['ops/build.mjs'], { stdio: 'inherit' });
const rows: Row[] = [];
const report = (what: string, result: string, goal = '') => {
  rows.push({ what, result, goal });
  console.log(`${what}: ${result}${goal === '' ? '' : ` (goal: ${goal})`}`);
};

await inTemporaryFolder(async (folder) => {
  await (await startSystemProcess(folder)).stop();
  const starts: number[] = [];
  for (let run = 0; run < 4; run += 1) {
    const system = await startSystemProcess(folder);
    starts.push(system.readyMs);
    await system.stop();
  }
  report('second start to ready, median of 4', ms(starts.sort((a, b) => a - b)[2] ?? NaN), '3,000 ms');

  const system = await startSystemProcess(folder);
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  report('resident memory at rest', `${Math.round(system.rss())} MB`);
  const { ours, stock } = await gatewayRatio(system);
  report('gateway, two-hop query, 32 connections: ours', perSecond(ours));
  report('the same with the stock RemoteGraphQLDataSource', perSecond(stock));
  report('ratio', (ours / stock).toFixed(1));
  const { created, awaitingPayment } = await orderLatency(system);
  report('createOrder sent → CHANGE (PENDING) at 50 orders/s, p50', ms(created.p50), '25 ms');
  report('the same, p99', ms(created.p99));
  report('createOrder sent → CHANGE (AWAITING_PAYMENT), p50', ms(awaitingPayment.p50), '60 ms');
  report('the same, p99', ms(awaitingPayment.p99));
  const { accepted, processed } = await orderBurst(system);
  report('burst of 2,000 orders: accepted', perSecond(accepted));
  report('burst of 2,000 orders: created, reserved and projected', perSecond(processed));
  await system.stop();
});
report('projector: events into views and timeline', perSecond(await projectorRate()));

const machine = `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}, ${process.platform}`;
const table = [
  '| what | result | goal |',
  '|---|---:|---:|',
  ...rows.map((row) => `| ${row.what} | ${row.result} | ${row.goal} |`),
];
writeFileSync(
  'docs/benchmarks.md',
  `# Benchmarks

\`npm run bench\` prints this table and writes it here: everything in one run, on embedded engines, load generator and
system on the same machine.

Machine: ${machine}. ${new Date().toISOString().slice(0, 10)}.

${table.join('\n')}

The system is one process; the load comes from another. Every answer to a mutation, every record of the log and every
document is on disk (fsync) before the next step is told of it. The two gateways are processes of their own on the same
subgraphs, measured in turns; the figure is the median of three rounds.
`,
);
