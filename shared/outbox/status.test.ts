import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import { Bench, userEvent } from './messaging-tools.js';
import type { Relay } from './relay.js';
import { isPrepared, outboxStatus, retrySetAside } from './status.js';

let bench: Bench;
let relays: Relay[];

beforeEach(async () => {
  bench = await Bench.open();
  relays = [];
});

afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.stop()));
  await bench.close();
});

async function relay(): Promise<Relay> {
  const one = bench.relay();
  relays.push(one);
  await one.start();
  return one;
}

const status = (later = 0) => outboxStatus({ name: 'test', database: bench.database, now: Date.now() + later });

const gauge = async (): Promise<number | undefined> =>
  (await bench.metrics.outboxSetAside.get()).values.find(({ labels }) => labels.database === 'test')?.value;

test('what waits is counted with the age of the oldest, and whether somebody leads where that can be seen', async () => {
  expect(await isPrepared(bench.database)).toBe(true);
  const seen = bench.database.dialect === 'mysql';
  expect(await status()).toEqual({ waiting: 0, oldestMs: null, setAside: [], led: seen ? false : null, unpurged: 0 });
  await bench.commit(userEvent('a', 1), userEvent('a', 2));
  const waiting = await status(10_000);
  expect(waiting).toMatchObject({ waiting: 2, setAside: [] });
  expect(waiting.oldestMs).toBeGreaterThanOrEqual(10_000);

  const running = await relay();
  await running.drain();
  expect(await status()).toMatchObject({ waiting: 0, oldestMs: null, led: seen ? true : null, unpurged: 0 });
  expect(await status(7_200_000)).toMatchObject({ unpurged: 2 });
});

test('what the log refused is told by aggregate, and goes out in order when it is sent again', async () => {
  bench.log.refuses = ({ key, headers }) => key === 'bad' && headers['ce_sequence'] === '2';
  const running = await relay();
  await bench.commit(...[1, 2, 3].map((version) => userEvent('bad', version)), userEvent('good', 1));
  await running.drain();
  await bench.commit(userEvent('bad', 4), userEvent('good', 2));
  await running.drain();
  expect((await status()).setAside).toEqual([
    { topic: 'users', aggregateId: 'bad', rows: 3, refused: 'Not this one.' },
  ]);
  await until(async () => (await gauge()) === 3);

  // Refused again: set aside again, in order.
  expect(await retrySetAside(bench.database, 'users', 'bad')).toBe(3);
  await until(async () => (await status()).setAside[0]?.rows === 3);
  bench.log.refuses = () => false;
  expect(await retrySetAside(bench.database, 'orders')).toBe(0);
  expect(await retrySetAside(bench.database, 'users', 'good')).toBe(0);
  expect(await retrySetAside(bench.database)).toBe(3);
  await until(() => bench.versions()['bad']?.length === 4);
  expect(bench.versions()).toEqual({ bad: [1, 2, 3, 4], good: [1, 2] });
  await running.drain();
  expect((await status()).setAside).toEqual([]);
  await until(async () => (await gauge()) === 0);
});

test('sent again and again while the aggregate goes on, nothing is lost and its order stays', async () => {
  let refuse = true;
  bench.log.refuses = ({ key }) => refuse && key === 'bad';
  const running = await relay();
  for (let version = 1; version <= 40; version++) {
    await bench.commit(userEvent('bad', version));
    if (version % 5 === 0) await retrySetAside(bench.database, 'users', 'bad');
    if (version === 20) refuse = false;
  }
  await until(async () => {
    await retrySetAside(bench.database);
    await running.drain();
    const { waiting, setAside } = await status();
    return waiting === 0 && setAside.length === 0;
  });
  await until(() => bench.versions()['bad']?.length === 40);
  expect(bench.versions()['bad']).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
});
