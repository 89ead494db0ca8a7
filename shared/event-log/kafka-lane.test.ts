import { expect, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import { deferred } from './contract-tools.js';
import { Delivery } from './delivery.js';
import { Lane } from './kafka-lane.js';
import type { StoredRecord } from './port.js';

const record = (offset: number, characters: number): StoredRecord => ({
  topic: 'large',
  partition: 0,
  offset,
  timestamp: 0,
  key: null,
  value: 'x'.repeat(characters),
  headers: {},
});

test('behind a slow handler a partition holds a megabyte, however few records that is, and asks for more after it, and when it has none', async () => {
  const gates = [deferred(), deferred()];
  let taken = 0;
  const lane = new Lane({
    topic: 'large',
    wireTopic: 'large',
    partition: 0,
    from: 0,
    delivery: new Delivery({ maxBatch: 1, onBatches: () => gates[taken++]?.promise }),
  });
  let asked = 0;
  lane.onRoom = () => asked++;
  lane.accept([record(0, 600_000)], 1, 2);
  expect(lane.wants()).toBe(true);
  lane.accept([record(1, 600_000)], 2, 2);
  expect(lane.wants()).toBe(false);
  gates[0]?.resolve();
  await until(() => taken === 2);
  expect([lane.wants(), asked]).toEqual([true, 1]);
  gates[1]?.resolve();
  await lane.leave();
  expect([lane.pending, asked]).toEqual([false, 2]);
});
