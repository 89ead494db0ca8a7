/** `npm run bench:gateway -- --subscribers` runs this; writes its section of docs/benchmarks.md. */
import { Report } from './report.js';
import { benchSubscribers } from './subscribers.js';

const report = new Report();
await benchSubscribers(report);
report.write(
  'Subscribers',
  `
WebSocket subscribers of one order, all in one process, which shares the machine with the servers. Events are published ten
at once, five rounds in turns, medians; then one by one, which gives the delays. The bare server is graphql-ws over graphql-js
with the same schema, publishing by itself; the gateway has the same stream from a subgraph of that kind. What a server took
of the processor for a message tells more than its rate, since load and servers wait for each other.
`,
);
