import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { until } from '../../tests/until.js';
import { Progress } from './progress.js';
import { openTestbed, watched, type Testbed } from './testbed.js';
import { VIEWS_GROUP, watermark, type ProgressDoc } from './views.js';

let bed: Testbed;
let writes: number;
let away: boolean;
let progress: Progress;

beforeEach(async () => {
  bed = await openTestbed();
  [writes, away] = [0, false];
  progress = new Progress(
    watched(bed.documents, () => {
      writes += 1;
      if (away) throw new EngineUnavailable('document store');
    }),
  );
});

afterEach(() => bed.close());

const at = (partition: number, next: number): ProgressDoc => ({
  log: bed.eventLog.logId,
  consumer: VIEWS_GROUP,
  topic: 'orders',
  partition,
  next,
});

const reached = async () => [...(await watermark(bed.documents, bed.eventLog.logId, VIEWS_GROUP, 'orders'))].sort();

test('what moved since the last write is stored in one, each partition as far as it came', async () => {
  for (const next of [1, 2, 3]) for (const partition of [0, 1, 2]) progress.note(at(partition, next));
  await progress.flush();
  const stored = [
    [0, 3],
    [1, 3],
    [2, 3],
  ];
  expect(await reached()).toEqual(stored);
  await progress.flush();
  // What came again after an interruption.
  progress.note(at(1, 2));
  await progress.flush();
  expect(await reached()).toEqual(stored);
});

test('nothing is written where nothing moved', async () => {
  await progress.flush();
  expect(writes).toBe(0);
  progress.note(at(0, 1));
  await Promise.all([progress.flush(), progress.flush()]);
  expect(writes).toBe(1);
});

test('what is noted is stored soon, whether somebody commits or not', async () => {
  progress.note(at(4, 7));
  await until(async () => (await reached()).length > 0);
  expect(await reached()).toEqual([[4, 7]]);
});

test('a store that is away refuses the commit, and nothing noted is lost', async () => {
  away = true;
  progress.note(at(0, 5));
  await expect(progress.flush()).rejects.toBeInstanceOf(EngineUnavailable);
  progress.note(at(1, 6));
  await expect(progress.flush()).rejects.toBeInstanceOf(EngineUnavailable);
  expect(await reached()).toEqual([]);
  away = false;
  await progress.flush();
  expect(await reached()).toEqual([
    [0, 5],
    [1, 6],
  ]);
});

test('what is noted while a write is on its way is stored by the next', async () => {
  progress.note(at(0, 1));
  const first = progress.flush();
  progress.note(at(0, 2));
  await first;
  await progress.flush();
  expect(await reached()).toEqual([[0, 2]]);
});
