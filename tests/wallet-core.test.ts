import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestSystem } from './system.js';
import { until } from './until.js';
import { walletCoreSuite, type WalletCore } from './wallet-core-suite.js';

/** Writes and reads the embedded log itself; wallet-core.int.test.ts has a service of its own on a real Kafka. */
const onTheLog = ({ engines: { eventLog } }: TestSystem): Promise<WalletCore> =>
  Promise.resolve({
    send: (topic, ...values) => eventLog.append(values.map((value) => ({ topic, key: null, value, headers: {} }))),
    async heard(topic) {
      const values: string[] = [];
      const tail = await eventLog.tail({
        topics: [topic],
        from: 'start',
        onBatch: ({ records }) => void values.push(...records.map(({ value }) => value)),
      });
      const [range] = await eventLog.ranges(topic);
      await until(() => values.length >= (range?.next ?? 0) - (range?.first ?? 0));
      await tail.stop();
      return values;
    },
    close: () => Promise.resolve(),
  });

walletCoreSuite(() => {
  const dataDir = mkdtempSync(join(tmpdir(), 'tributary-wallet-core-'));
  return Promise.resolve({
    dataDir,
    settings: {},
    walletCore: onTheLog,
    dispose: () => rm(dataDir, { recursive: true, force: true }),
  });
});
