import { join } from 'node:path';
import { gatewayRatio } from './gateways.js';
import { benchOrders } from './orders.js';
import { inTemporaryFolder, startSystemProcess } from './process.js';
import { embeddedProjectorRate } from './projector.js';
import { median, ms, perSecond, ratio, Report } from './report.js';
import { benchTimers } from './timers.js';

/** How long the system rests before its memory is read. */
const REST_MS = 3_000;

/** The whole system in one process on embedded engines, as `npm start` runs it. */
export async function benchEmbedded(): Promise<void> {
  const report = new Report();
  await inTemporaryFolder(async (folder) => {
    await (await startSystemProcess(folder)).stop();
    const starts: number[] = [];
    for (let run = 0; run < 4; run += 1) {
      const system = await startSystemProcess(folder);
      starts.push(system.readyMs);
      await system.stop();
    }
    report.add('second start to ready, median of 4', ms(median(starts)), '3,000 ms');

    const system = await startSystemProcess(folder);
    const gateway = Number(system.ports.GATEWAY_PORT);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    report.add('resident memory at rest', `${Math.round(system.rss())} MB`);
    const { ours, stock } = await gatewayRatio(system);
    report.add('gateway, two-hop query, 32 connections: ours', perSecond(ours));
    report.add('the same with the stock RemoteGraphQLDataSource', perSecond(stock));
    report.add('ratio', ratio(ours / stock));
    await benchOrders(report, gateway);
    await system.stop();
  });
  report.add('projector: events into views and timeline', perSecond(await embeddedProjectorRate()));
  await inTemporaryFolder((folder) => benchTimers(report, (name) => ({ DATA_DIR: join(folder, name) })));

  report.write(
    'Embedded engines',
    `
The system is one process; the load comes from another. Every answer to a mutation, every record of the log and every
document is on disk (fsync) before the next step is told of it. The two gateways are processes of their own on the same
subgraphs, measured in turns; the figure is the median of three rounds.
`,
  );
}
