import { expect } from '@jest/globals';
import { createHash } from 'node:crypto';
import { TOPICS } from '../shared/events/catalogue.js';
import type { TestSystem } from './system.js';
import { until } from './until.js';

const TABLES = {
  sqlite: `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`,
  mysql: `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY name`,
} as const;

/** All rows of all write sides, and the ends of the log. */
async function everything({ databases, engines }: TestSystem): Promise<string> {
  const hash = createHash('sha256');
  for (const database of databases.values()) {
    const tables = await database.read<{ name: string }>(TABLES[database.dialect]);
    for (const { name } of tables) hash.update(JSON.stringify([name, await database.read(`SELECT * FROM ${name}`)]));
  }
  for (const topic of Object.keys(TOPICS)) hash.update(JSON.stringify(await engines.eventLog.ranges(topic)));
  return hash.digest('hex');
}

/** Waits until everything that was begun has come to its end. */
export async function settled(server: TestSystem): Promise<void> {
  let last = '';
  let since = performance.now();
  await until(async () => {
    const now = await everything(server);
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > 500;
  });
}

/** Whatever is in the body is refused, and not a row has changed. */
export async function expectNoEffect(server: TestSystem, attempt: () => Promise<void>): Promise<void> {
  const before = await everything(server);
  await attempt();
  expect(await everything(server)).toBe(before);
}
