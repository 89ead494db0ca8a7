import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { openEmbeddedEngines } from '../app/engines.js';
import { deadLetterTopic, TOPICS } from '../shared/events/catalogue.js';
import { audit, type AuditInput } from './crash-audit.js';
import { newTraffic, seeded } from './crash-load.js';
import {
  countOf,
  DEPOSIT_CENTS,
  isBusiness,
  prepareWorld,
  reckon,
  startLoad,
  stockOf,
  subscribe,
  type Subscribers,
} from './crash-world.js';
import { buildApp, portSettings, startApp, type AppProcess } from './process.js';
import { until } from './until.js';

/** CRASH_SEED=… repeats a run's decisions, though not its timing; CRASH_KILLS=… makes it longer. */
const SEED = Number(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 1e9));
const KILLS = Number(process.env['CRASH_KILLS'] ?? 20);

const CLIENTS = 12;

/** So long a process lives, at most, once it is ready. */
const MOST_LIFE_MS = 1_200;

const app = buildApp();
const dataDir = mkdtempSync(join(tmpdir(), 'tributary-crash-'));
const identitySecret = 'a secret of crash tests, longer than thirty-two';
let running: AppProcess | undefined;
let subscribers: Subscribers | undefined;

afterAll(async () => {
  await subscribers?.stop();
  await running?.end('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
  app.remove();
});

test(`after ${KILLS} kills under load nothing accepted is lost and nothing has happened twice`, async () => {
  const ports = await portSettings();
  const settings = {
    ...ports,
    DATA_DIR: dataDir,
    DEMO_DATA: 'off',
    LOG_LEVEL: 'warn',
    IDENTITY_SECRET: identitySecret,
  };
  const url = `http://127.0.0.1:${ports.GATEWAY_PORT}/graphql`;
  const random = seeded(SEED);
  const traffic = newTraffic();
  const faults: string[] = [];
  let longestRecovery = 0;

  const start = (): AppProcess => (running = startApp(app, settings));
  const kill = async (process: AppProcess): Promise<void> => {
    await process.end('SIGKILL');
    // What it wrote before: at this level, only what went wrong.
    faults.push(
      ...process
        .output()
        .split('\n')
        .filter((line) => /"level":[56]0|Error/.test(line)),
    );
  };
  await start().ready;

  const world = await prepareWorld(url);
  subscribers = await subscribe(url, world, traffic);
  const load = startLoad({ url, world, traffic, seed: SEED, clients: CLIENTS });
  let killsAtStart = 0;
  for (let kills = 0; kills < KILLS; kills += 1) {
    await running?.ready;
    await delay(random() * MOST_LIFE_MS);
    if (running !== undefined) await kill(running);
    const died = performance.now();
    // Every fourth time the next one does not even get to start.
    if (random() < 0.25) {
      const unborn = start();
      await delay(random() * 1_000);
      await kill(unborn);
      killsAtStart += 1;
    }
    await start().ready;
    await until(() => traffic.lastAnswer > died);
    longestRecovery = Math.max(longestRecovery, traffic.lastAnswer - died);
  }
  await load.stop();

  const input: AuditInput = {
    url,
    subgraphUrl: (name) => `http://127.0.0.1:${ports[`${name.toUpperCase() as 'USER'}_PORT`]}/graphql`,
    identitySecret,
    world,
    accepted: traffic.accepted,
    stock: stockOf(world),
    deposit: DEPOSIT_CENTS,
  };
  const result = await reckon(input);
  const { accepted } = traffic;
  process.stdout.write(
    `seed ${SEED}: ${KILLS} kills under load and ${killsAtStart} while starting, ${countOf(accepted)} commands accepted ` +
      `(${accepted.orders.length} orders), ${traffic.repeated} sent again, ${result.lost} lost, ` +
      `${result.duplicated} duplicated, longest recovery ${(longestRecovery / 1_000).toFixed(1)} s\n`,
  );
  expect(result.problems).toEqual([]);
  expect([...traffic.refused.keys()].filter((code) => !isBusiness(code))).toEqual([]);
  expect(traffic.staleReads).toEqual([]);
  expect(faults).toEqual([]);

  await subscribers.haveBeenTold(result.orders);
  await subscribers.stop();
  expect(await running?.end('SIGTERM')).toEqual({ code: 0, signal: null });
  await start().ready;
  expect((await audit(input)).problems).toEqual([]);
  expect(await running?.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(await deadLetters()).toEqual([]);
}, 600_000);

/** What lies in the dead-letter topics, once nobody uses the folder. */
async function deadLetters(): Promise<string[]> {
  const engines = await openEmbeddedEngines(dataDir);
  const found: string[] = [];
  for (const topic of Object.keys(TOPICS) as (keyof typeof TOPICS)[]) {
    for (const { next } of await engines.eventLog.ranges(deadLetterTopic(topic))) {
      if (next > 0) found.push(`${next} in ${deadLetterTopic(topic)}`);
    }
  }
  await engines.close();
  return found;
}
