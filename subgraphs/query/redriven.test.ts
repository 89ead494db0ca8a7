import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DeadLetters } from '../../shared/dead-letters/dead-letters.js';
import { DocumentLetters } from '../../shared/dead-letters/documents.js';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { toRecord } from '../../shared/events/event.js';
import type { Service } from '../../shared/service/service.js';
import { until } from '../../tests/until.js';
import { happened, openTestbed, user, watched, type Testbed } from './testbed.js';
import { PARKED, VIEWS_GROUP, type ParkedDoc } from './views.js';

let bed: Testbed;
let running: Service[];
let letters: DeadLetters;
/** Ids of documents that the store will not take, and why. */
let refused: Map<string, string>;

beforeEach(async () => {
  bed = await openTestbed();
  running = [];
  refused = new Map();
  letters = new DeadLetters({ sources: [new DocumentLetters(() => Promise.resolve(bed.documents))], now: Date.now });
});

afterEach(async () => {
  for (const one of running) await one.stop();
  await bed.close();
});

const picky = (): DocumentStore =>
  watched(bed.documents, ({ name, args }) => {
    const [collection, docs] = args as Parameters<DocumentStore['putIfNewer']>;
    if (name !== 'putIfNewer' || !collection.startsWith('users')) return;
    const reason = docs.map(({ id }) => refused.get(id)).find((one) => one !== undefined);
    if (reason !== undefined) throw new Error(reason);
  });

async function start(): Promise<void> {
  const projector = bed.projector(picky());
  running.push(projector);
  await projector.start();
}

const dead = (count: number): Promise<readonly string[]> =>
  until(async () => {
    const { ids } = await letters.survey({ state: 'dead' }, 1);
    return ids.length === count && ids;
  });

const parked = (): Promise<number> => bed.documents.count(PARKED);

const gauges = async (): Promise<(number | undefined)[]> =>
  Promise.all(
    [bed.metrics.deadLetters, bed.metrics.parked].map(
      async (gauge) => (await gauge.get()).values.find(({ labels }) => labels.consumer === VIEWS_GROUP)?.value,
    ),
  );

test('a record that is sent back is projected by a running projector, and an older one overtakes nothing', async () => {
  const [spoilt, renamed] = [user(), user()];
  refused.set(spoilt.id, 'no').set(renamed.id, 'no');
  await bed.publish(happened('user.created', { user: spoilt }), happened('user.created', { user: renamed }));
  await start();
  await start();
  const ids = await dead(2);
  await until(async () => (await gauges())[0] === 2);
  refused.clear();
  await bed.publish(happened('user.updated', { user: { ...renamed, version: 2, name: 'Eva' } }));
  await until(async () => (await bed.documents.get('users', renamed.id))?.version === 2);

  expect(await letters.redrive(ids)).toEqual({ changed: 2, unchanged: 0, away: [] });
  expect(await letters.redrive(ids)).toMatchObject({ changed: 0 });
  await until(async () => (await parked()) === 0);
  expect(await bed.documents.get('users', spoilt.id)).toMatchObject({ version: 1, doc: { name: spoilt.name } });
  expect(await bed.documents.get('users', renamed.id)).toMatchObject({ version: 2, doc: { name: 'Eva' } });
  await until(async () => (await gauges()).join() === '0,0');
});

test('of records that are sent back together those that fail again are dead again, with the new reason', async () => {
  const [spoilt, fine] = [user(), user()];
  refused.set(spoilt.id, 'no').set(fine.id, 'no');
  await bed.publish(happened('user.created', { user: spoilt }), happened('user.created', { user: fine }));
  await start();
  const ids = await dead(2);
  refused.delete(fine.id);
  refused.set(spoilt.id, 'still not');
  await letters.redrive(ids);
  await until(async () => (await parked()) === 1);
  const [left] = await until(async () => {
    const found = await bed.documents.find<ParkedDoc>(PARKED, { sort: { field: 'at', direction: 'asc' }, limit: 2 });
    return found[0]?.doc.state === 'DEAD' && found;
  });
  expect(left).toMatchObject({ version: 3, doc: { error: 'still not', attempts: 1, record: { key: spoilt.id } } });
  expect((await bed.documents.get('users', fine.id))?.version).toBe(1);

  // Nothing is remembered of it that would keep the next attempt from working.
  refused.clear();
  await letters.redrive(ids);
  await until(async () => (await parked()) === 0);
  expect((await bed.documents.get('users', spoilt.id))?.version).toBe(1);
});

test('a record that was sent back while no projector ran is projected by the next one', async () => {
  const spoilt = user();
  refused.set(spoilt.id, 'no');
  await bed.publish(happened('user.created', { user: spoilt }));
  await start();
  const ids = await dead(1);
  await running.pop()?.stop();
  await letters.redrive(ids);
  expect((await letters.survey({ state: 'waiting' }, 5)).newest).toMatchObject([{ id: ids[0], state: 'WAITING' }]);
  refused.clear();
  await start();
  await until(async () => (await parked()) === 0);
  expect((await bed.documents.get('users', spoilt.id))?.version).toBe(1);
});

test('a dropped record is gone, one that waits is not dropped, and letters are found by page', async () => {
  const good = toRecord(happened('user.created', { user: user() }));
  await bed.eventLog.append(Array.from({ length: 120 }, (_, at) => ({ ...good, value: `not JSON ${at}` })));
  await start();
  const ids = await dead(240);
  expect(new Set(ids).size).toBe(240);
  const ofViews = await letters.survey({ state: 'dead', consumer: VIEWS_GROUP, error: 'not json' }, 3);
  expect(ofViews).toMatchObject({ total: 120, groups: [{ consumer: VIEWS_GROUP, count: 120 }] });
  expect(await letters.find(ids[7] ?? '')).toMatchObject({ id: ids[7], state: 'DEAD', topic: 'users' });
  await running.pop()?.stop();
  await letters.redrive(ids.slice(0, 1));
  expect(await letters.drop(ids)).toEqual({ changed: 239, unchanged: 1, away: [] });
  expect(await parked()).toBe(1);
});
