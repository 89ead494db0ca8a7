import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { until } from '../../tests/until.js';
import { caughtUp, deferred, inbox, recs } from './contract-tools.js';
import { eventLogContract } from './contract.js';
import { partitionOf } from './murmur2.js';
import { RecordRefused } from './port.js';
import { openSqliteEventLog, type SqliteEventLog } from './sqlite.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-event-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

const topicSpec = (name: string, partitions: number): { name: string; partitions: number; retentionMs: number } => ({
  name,
  partitions,
  retentionMs: 3_600_000,
});

eventLogContract(
  'SQLite',
  async () => {
    let file = join(folder, 'contract', 'log.sqlite');
    let crashes = 0;
    const open = async (): Promise<SqliteEventLog> => openSqliteEventLog({ file, rebalanceTimeoutMs: 200 });
    return {
      open,
      // What lies on the disk at this moment is what a process started after a SIGKILL would find.
      crash: async () => {
        const copy = join(folder, 'contract', `crashed-${++crashes}.sqlite`);
        for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
        file = copy;
        return open();
      },
      dispose: async () => undefined,
    };
  },
  { crash: true, fencing: true, retention: true },
);

describe('the embedded event log', () => {
  test("puts any key into the partition that kafkajs' default partitioner chooses", () => {
    const partition = Partitioners.DefaultPartitioner();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 50 }), (key, count) => {
        const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
          partitionErrorCode: 0,
          partitionId,
          leader: 0,
          replicas: [],
          isr: [],
        }));
        expect(partitionOf(key, count)).toBe(partition({ topic: 't', partitionMetadata, message: { key, value: '' } }));
      }),
      { numRuns: 500 },
    );
  });

  test('a rebalance repeats nothing while handlers finish in time', async () => {
    const log = openSqliteEventLog({ file: join(folder, 'rebalance.sqlite') });
    await log.ensureTopics([topicSpec('t', 12)]);
    const box = inbox();
    const onBatches: typeof box.onBatches = async (batches) => {
      await box.onBatches(batches);
      await new Promise(setImmediate);
    };
    const members = [await log.subscribe({ group: 'g', topics: ['t'], maxBatch: 3, onBatches })];
    for (let round = 0; round < 30; round++) {
      await log.append(recs('t', 40, (i) => ({ value: `${round} ${i}` })));
      if (round % 3 === 0) members.push(await log.subscribe({ group: 'g', topics: ['t'], maxBatch: 3, onBatches }));
      else if (round % 5 === 0) await members.shift()?.stop();
    }
    await box.until(30 * 40);
    await log.close();
    expect(box.records).toHaveLength(30 * 40);
  });

  test('a key or value with a NUL, which SQLite would cut, is refused', async () => {
    const log = openSqliteEventLog({ file: join(folder, 'nul.sqlite') });
    await log.ensureTopics([topicSpec('t', 1)]);
    for (const fields of [{ key: 'a\0b' }, { value: 'a\0b' }]) {
      await expect(log.append(recs('t', 1, () => fields))).rejects.toBeInstanceOf(RecordRefused);
    }
    await log.close();
  });

  test('close writes what is pending, commits the batch in hand, and refuses what comes later', async () => {
    const file = join(folder, 'close.sqlite');
    const log = openSqliteEventLog({ file });
    await log.ensureTopics([topicSpec('t', 1)]);
    const gate = deferred();
    const box = inbox();
    await log.subscribe({
      group: 'g',
      topics: ['t'],
      onBatches: async (batches) => {
        await box.onBatches(batches);
        await gate.promise;
      },
    });
    await log.append(recs('t', 3));
    await box.until(3);
    const pending = log.append(recs('t', 2));
    const closing = log.close();
    await expect(log.subscribe({ group: 'g', topics: ['t'], onBatches: box.onBatches })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    gate.resolve();
    await Promise.all([pending, closing]);
    await expect(log.append(recs('t', 1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const again = openSqliteEventLog({ file });
    const rest = inbox();
    const member = await again.subscribe({ group: 'g', topics: ['t'], onBatches: rest.onBatches });
    await rest.until(2);
    await caughtUp(member);
    expect(rest.records.map((record) => record.offset)).toEqual([3, 4]);
    await again.close();
  });
});

describe('SIGKILL', () => {
  const bundle = join(folder, 'child.mjs');
  beforeAll(async () => {
    // The bundle looks for the native driver beside itself.
    symlinkSync(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
    // Appends rounds of numbered records, one line on stdout per acknowledged round, until it is killed.
    const contents = `
      import { openSqliteEventLog } from './sqlite.js';
      const log = openSqliteEventLog({ file: process.argv[2] });
      await log.ensureTopics([{ name: 't', partitions: 4, retentionMs: 3600000 }]);
      for (let round = 0; ; round++) {
        const value = process.argv[3] + ' ' + round;
        const call = (id) => log.append([0, 1, 2].map((i) => ({ topic: 't', key: 'k' + i, value: value + ' ' + id + i, headers: {} })));
        await Promise.all([call(0), call(1)]);
        process.stdout.write(value + '\\n');
      }`;
    await build({
      stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['libsql'],
      logLevel: 'error',
    });
  });

  test('every acknowledged record is there after a process is killed between appends, again and again', async () => {
    const file = join(folder, 'killed.sqlite');
    const acknowledged: string[] = [];
    for (let life = 0; life < 5; life++) {
      const child = spawn(process.execPath, [bundle, file, String(life)], { stdio: ['ignore', 'pipe', 'inherit'] });
      let lines = 0;
      const output = createInterface({ input: child.stdout });
      output.on('line', (line) => {
        acknowledged.push(line);
        lines++;
      });
      await until(() => lines > 20 + life * 7, { message: 'appends of the child' });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const drained = new Promise((resolve) => output.once('close', resolve));
      child.kill('SIGKILL');
      await Promise.all([ended, drained]);
    }
    const log = openSqliteEventLog({ file });
    const box = inbox();
    const tail = await log.tail({ topics: ['t'], from: 'start', onBatch: box.onBatch });
    const ranges = await log.ranges('t');
    await box.until(ranges.reduce((sum, { first, next }) => sum + next - first, 0));
    await tail.stop();
    await log.close();
    const values = new Set(box.values());
    expect(acknowledged.length).toBeGreaterThan(5 * 20);
    const sent = acknowledged.flatMap((round) => ['00', '01', '02', '10', '11', '12'].map((id) => `${round} ${id}`));
    expect(sent.filter((value) => !values.has(value))).toEqual([]);
  }, 120_000);
});
