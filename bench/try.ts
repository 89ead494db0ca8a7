import { inTemporaryFolder, startSystemProcess } from './process.js';
import { orderBurst, orderLatency } from './orders.js';
await inTemporaryFolder(async (folder) => {
  const first = await startSystemProcess(folder);
  console.log('first start', first.readyMs);
  await first.stop();
  const r = await startSystemProcess(folder);
  console.log('second start', r.readyMs, 'rss', r.rss());
  let c = r.cpu();
  console.log(await orderBurst(r), 'cpu', r.cpu() - c);
  c = r.cpu();
  console.log(await orderLatency(r), 'cpu', r.cpu() - c);
  console.log('rss', r.rss());
  await r.stop();
});
