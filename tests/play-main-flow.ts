import { playMainFlow } from './main-flow.js';
import { until } from './until.js';

/** `node ops/run.mjs tests/play-main-flow.ts http://127.0.0.1:4000 http://127.0.0.1:3003`: against a system that runs or starts. */
const [gateway, rest] = process.argv.slice(2);
if (gateway === undefined || rest === undefined) throw new Error('Where are gateway and REST?');
await until(async () => (await fetch(`${gateway}/readyz`)).ok, { timeoutMs: 120_000, message: 'the gateway' });
await playMainFlow({ gateway, rest });
console.log('The main flow works.');
process.exit(0);
