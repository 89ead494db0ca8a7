import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { DocumentStore } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { until } from '../../tests/until.js';
import { collectionOf, readGenerations, withGenerations } from './generations.js';
import { abortRebuild, RebuildInterrupted, rebuildViews, type Progress } from './rebuild.js';
import { RebuildRefused } from './rebuild-claim.js';
import { Killed, Mortal, RebuildBench, TIMING } from './rebuild-tools.js';
import { watched } from './testbed.js';
import { newId } from '../../shared/ids/ids.js';

let bed: RebuildBench;

beforeEach(async () => {
  bed = await RebuildBench.open();
});

afterEach(() => bed.close());

/** Between what a test does all the time: it shares the machine with what it tests. */
const pace = () => delay(5);

const some = (count: number) => Promise.all(Array.from({ length: count }, () => bed.save()));

/** A run in the background, and what it is doing. */
function running(more: Parameters<RebuildBench['deps']>[0] = {}) {
  const state: { step: Progress['step'] | null } = { step: null };
  const done = rebuildViews(bed.deps({ ...more, onProgress: ({ step }) => (state.step = step) }), ['orders']);
  // Whoever is interested awaits it.
  done.catch(() => undefined);
  return { state, done };
}

test('a rebuild brings back what views have lost, though the log has nothing left of it', async () => {
  const orders = await some(250);
  await bed.change(orders[0]!.id);
  await bed.save({ deleted: true });
  await bed.caughtUp();
  await bed.cutLog();
  await bed.documents.remove(
    'orders',
    orders.slice(0, 100).map(({ id }) => id),
  );
  const [rebuilt] = await rebuildViews(bed.deps(), ['orders']);
  expect(rebuilt).toMatchObject({
    view: 'orders',
    generation: 2,
    documents: 251,
    checked: { wanted: 251, leftOut: 0 },
  });
  expect(await bed.seen()).toEqual(bed.versions());
  expect((await bed.versionsIn('orders')).size).toBe(0);
  expect((await readGenerations(bed.documents)).rebuild).toBeNull();
});

test('documents that no database knows are left out, and counted', async () => {
  await some(3);
  await bed.caughtUp();
  await bed.documents.putIfNewer('orders', [{ id: newId(), version: 7, doc: {} }]);
  const [rebuilt] = await rebuildViews(bed.deps(), ['orders']);
  expect(rebuilt).toMatchObject({ documents: 3, checked: { leftOut: 1 } });
});

test('under load every read is right throughout, and nothing is missing afterwards', async () => {
  const orders = await some(300);
  await bed.caughtUp();
  await bed.cutLog();
  const views = withGenerations(bed.documents, TIMING);
  const seen = new Map<string, number>();
  let stop = false;
  let reads = 0;
  const writing = (async () => {
    for (let turn = 0; !stop; turn++) {
      const { id } = orders[turn % orders.length]!;
      await bed.change(id);
      if (turn % 5 === 0) await bed.save();
      await pace();
    }
  })();
  const reading = (async () => {
    for (let turn = 0; !stop; turn++) {
      const { id } = orders[turn % orders.length]!;
      // What was seen once is seen from then on, in that version or a newer one.
      const version = (await views.get('orders', id))?.version ?? 0;
      expect(version).toBeGreaterThanOrEqual(Math.max(1, seen.get(id) ?? 0));
      seen.set(id, version);
      expect(await views.count('orders')).toBeGreaterThanOrEqual(orders.length);
      reads += 1;
      await pace();
    }
  })();
  for (let generation = 2; generation <= 4; generation++) {
    await rebuildViews(bed.deps(), ['orders']);
    expect(await bed.generation()).toBe(generation);
  }
  stop = true;
  await Promise.all([writing, reading]);
  expect(reads).toBeGreaterThan(50);
  await bed.caughtUp();
  expect(await bed.seen()).toEqual(bed.versions());
});

test('a projector that starts in the middle of it misses nothing', async () => {
  const orders = await some(50);
  await bed.caughtUp();
  const { state, done } = running();
  await until(() => state.step === 'publish');
  await bed.startProjector();
  for (const { id } of orders) await bed.change(id);
  await done;
  await bed.caughtUp();
  expect(await bed.seen()).toEqual(bed.versions());
});

test('killed at any moment, it ends right when it is run again', async () => {
  const orders = await some(120);
  await bed.caughtUp();
  await bed.cutLog();
  let survived = false;
  for (let dies = 1; !survived; dies++) {
    const life = new Mortal(dies, dies % 2 === 0 ? 'before' : 'after');
    const { documents, eventLog, sources } = bed.deps();
    const { database } = sources.orders;
    const mortal = bed.deps({
      // The dead have no heartbeat, and it would only make the moments many.
      timing: { ...TIMING, beatMs: 1_000_000 },
      documents: life.of(documents),
      eventLog: life.of(eventLog),
      sources: { ...sources, orders: { ...sources.orders, database: life.of(database) } },
    });
    const outcome = await rebuildViews(mortal, ['orders']).catch((error: unknown) => error);
    survived = !life.dead;
    if (!survived) expect(outcome).toBeInstanceOf(Killed);
    await bed.change(orders[dies % orders.length]!.id);
    await rebuildViews(bed.deps({ timing: { ...TIMING, watchMs: 50 } }), ['orders']);
    await bed.caughtUp();
    expect(await bed.seen()).toEqual(bed.versions());
    const { rebuild, views } = await readGenerations(bed.documents);
    expect({ rebuild, others: views.orders?.others }).toEqual({ rebuild: null, others: [] });
    const before = collectionOf('orders', (views.orders?.current ?? 0) - 1);
    expect([before, (await bed.versionsIn(before)).size]).toEqual([before, 0]);
  }
}, 600_000);

test('a second one refuses while the first runs, whichever views it is for', async () => {
  await some(10);
  const { state, done } = running();
  await until(() => state.step === 'publish');
  await expect(rebuildViews(bed.deps(), ['orders'])).rejects.toThrow(/orders is running/);
  await expect(rebuildViews(bed.deps(), ['users'])).rejects.toThrow(RebuildRefused);
  await done;
  expect(await bed.generation()).toBe(2);
});

test('of several that begin at once, one runs', async () => {
  await some(10);
  const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => rebuildViews(bed.deps(), ['orders'])));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const one of outcomes) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(RebuildRefused);
});

test('interrupted, it goes on where it was, and refuses to be mixed with other views', async () => {
  await some(10);
  const interrupt = new AbortController();
  const { state, done } = running({ signal: interrupt.signal });
  await until(() => state.step === 'publish');
  interrupt.abort();
  await expect(done).rejects.toThrow(RebuildInterrupted);
  expect(await bed.generation()).toBe(1);
  await expect(rebuildViews(bed.deps(), ['users', 'orders'])).rejects.toThrow(/interrupted rebuild of orders/);
  await rebuildViews(bed.deps(), ['orders']);
  expect(await bed.generation()).toBe(2);
});

test('an abort drops what there is of it, and whoever ran it stops', async () => {
  await some(10);
  await bed.caughtUp();
  expect(await abortRebuild(bed.deps())).toBe(false);
  const { state, done } = running();
  await until(() => state.step === 'publish');
  expect(await abortRebuild(bed.deps())).toBe(true);
  await expect(done).rejects.toThrow(/taken over or aborted/);
  expect(await bed.generation()).toBe(1);
  expect(await bed.seen()).toEqual(bed.versions());
  expect((await bed.versionsIn('orders-2')).size).toBe(0);
  await bed.save();
  await bed.caughtUp();
  expect((await bed.versionsIn('orders-2')).size).toBe(0);
  await rebuildViews(bed.deps(), ['orders']);
  expect(await bed.generation()).toBe(3);
});

test('once its generation is read, nothing of a rebuild can be aborted any more', async () => {
  await some(3);
  for (const last of ['retire', 'drop'] as const) {
    const interrupt = new AbortController();
    const onProgress = ({ step }: Progress): void => {
      if (step === last) interrupt.abort();
    };
    const interrupted = rebuildViews(bed.deps({ signal: interrupt.signal, onProgress }), ['orders']);
    await expect(interrupted).rejects.toThrow(RebuildInterrupted);
    await expect(abortRebuild(bed.deps())).rejects.toThrow(/in use already/);
    await rebuildViews(bed.deps(), ['orders']);
    await expect(abortRebuild(bed.deps())).resolves.toBe(false);
  }
  expect(await bed.seen()).toEqual(bed.versions());
});

test('while the document store is away a rebuild waits, at whatever step it is', async () => {
  await some(10);
  const steps = new Set<string>();
  let refusals = 0;
  const documents = watched(bed.documents, () => {
    if (refusals > 0) throw new EngineUnavailable('document store');
  });
  const onProgress = ({ step, detail }: Progress): void => {
    if (!steps.has(step)) refusals = 3;
    else if (detail?.includes('document store') === true) refusals -= 1;
    steps.add(step);
  };
  await rebuildViews(bed.deps({ documents, onProgress }), ['orders']);
  expect([...steps]).toEqual(['publish', 'project', 'check', 'retire', 'drop']);
  await bed.caughtUp();
  expect(await bed.seen()).toEqual(bed.versions());
});

test('a rebuild whose last answer got lost is over all the same', async () => {
  await some(3);
  let step: Progress['step'] | null = null;
  let lost = false;
  const { documents } = bed;
  const deaf: DocumentStore = new Proxy(documents, {
    get: (target, name) =>
      name === 'putIfNewer'
        ? async (...args: Parameters<DocumentStore['putIfNewer']>) => {
            const stored = await target.putIfNewer(...args);
            if (lost || step !== 'drop' || (await readGenerations(target)).rebuild !== null) return stored;
            lost = true;
            throw new EngineUnavailable('document store');
          }
        : (Reflect.get(target, name) as unknown),
  });
  await rebuildViews(bed.deps({ documents: deaf, onProgress: (progress) => (step = progress.step) }), ['orders']);
  expect(lost).toBe(true);
  expect(await bed.generation()).toBe(2);
});

test('what a projector asleep throughout a rebuild still writes to the old generation is missed by nobody', async () => {
  const [slept] = await some(5);
  await bed.caughtUp();
  const newer = await bed.change(slept!.id);
  let wakeUp = (): void => undefined;
  let asleep = false;
  const sleeping: DocumentStore = {
    ...withGenerations(bed.documents),
    get: (collection, id) => bed.documents.get(collection, id),
    async putIfNewer(collection, docs) {
      asleep = true;
      await new Promise<void>((resolve) => (wakeUp = resolve));
      return bed.documents.putIfNewer(collection, docs);
    },
  };
  const put = withGenerations(sleeping, TIMING).putIfNewer('orders', [{ id: newer.id, version: 2, doc: newer }]);
  await until(() => asleep);
  await rebuildViews(bed.deps(), ['orders']);
  wakeUp();
  await put;
  expect([...(await bed.versionsIn('orders'))]).toEqual([[newer.id, 2]]);
  expect(await bed.seen()).toEqual(bed.versions());
  await rebuildViews(bed.deps(), ['orders']);
  expect((await bed.versionsIn('orders')).size).toBe(0);
});

test('however many were aborted, the generation that was read before is dropped', async () => {
  await some(3);
  await bed.caughtUp();
  for (let times = 1; times <= 4; times++) {
    const { state, done } = running();
    await until(() => state.step === 'publish');
    await abortRebuild(bed.deps());
    await expect(done).rejects.toThrow(RebuildRefused);
  }
  await rebuildViews(bed.deps(), ['orders']);
  expect(await bed.generation()).toBe(6);
  for (let generation = 1; generation <= 5; generation++) {
    expect((await bed.versionsIn(collectionOf('orders', generation))).size).toBe(0);
  }
});

test('a generation that lacks something is not used; the next run publishes again', async () => {
  const [lost] = await some(10);
  await bed.caughtUp();
  bed.bench.log.refuses = ({ key, headers }) => key === lost!.id && headers['ce_type'] === 'order.snapshot';
  await expect(rebuildViews(bed.deps(), ['orders'])).rejects.toThrow(
    `lacks 1 of the documents that the database asks for, ${lost!.id}`,
  );
  expect(await bed.generation()).toBe(1);
  bed.bench.log.refuses = () => false;
  await rebuildViews(bed.deps(), ['orders']);
  expect(await bed.seen()).toEqual(bed.versions());
});

test('snapshots are no history: the timeline has none of them', async () => {
  await some(10);
  await bed.caughtUp();
  const entries = await bed.documents.count('timeline');
  await rebuildViews(bed.deps(), ['orders']);
  const snapshots = bed.bench.records('orders').filter(({ headers }) => headers['ce_type'] === 'order.snapshot');
  expect(snapshots).toHaveLength(10);
  await until(async () => (await bed.documents.count('timeline')) === entries);
});
