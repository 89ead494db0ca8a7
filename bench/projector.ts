import { setTimeout as pause } from 'node:timers/promises';
import { openEmbeddedEngines, type Engines } from '../app/engines.js';
import { toRecord, type AnyEvent } from '../shared/events/event.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { createProjector } from '../subgraphs/query/projector.js';
import { inTemporaryFolder } from './process.js';

const EVENTS = 20_000;
const CHUNK = 500;

/** Events per second from a backlog in the log into views and timeline, both consumer groups at once. */
export async function projectorRate({ eventLog, documents }: Pick<Engines, 'eventLog' | 'documents'>): Promise<number> {
  for (let index = 0; index < EVENTS; index += CHUNK) {
    await eventLog.append(Array.from({ length: CHUNK }, () => toRecord(orderCreated())));
  }
  const metrics = createMetrics();
  const projector = createProjector({ eventLog, documents, log: silentLogger(), metrics, now: Date.now });
  // By its own count of what it has written: to ask the store all the time would take from what is measured.
  const written = async (): Promise<number> =>
    (await metrics.eventsHandled.get()).values.reduce((sum, { value }) => sum + value, 0);
  const begun = performance.now();
  await projector.start();
  while ((await written()) < 2 * EVENTS) await pause(5);
  const seconds = (performance.now() - begun) / 1_000;
  await projector.stop();
  const [views, entries] = await Promise.all([documents.count('orders'), documents.count('timeline')]);
  if (views !== EVENTS || entries !== EVENTS) {
    throw new Error(`Of ${EVENTS} events ${views} are in the views and ${entries} in the timeline.`);
  }
  return EVENTS / seconds;
}

export const embeddedProjectorRate = (): Promise<number> =>
  inTemporaryFolder(async (folder) => {
    const engines = await openEmbeddedEngines(folder);
    try {
      return await projectorRate(engines);
    } finally {
      await engines.close();
    }
  });

/** Such an event as createOrder makes. */
export function orderCreated(): AnyEvent {
  const [id, at] = [newId(), Date.now()];
  return {
    id: newId(),
    type: 'order.created',
    source: 'tributary/order',
    subject: id,
    sequence: 1,
    time: at,
    traceparent: null,
    data: {
      order: {
        id,
        version: 1,
        userId: newId(),
        status: 'PENDING',
        items: [{ productId: newId(), name: 'Bench', quantity: 1, unitPrice: 1_000 }],
        total: 1_000,
        payment: null,
        cancelReason: null,
        history: [{ version: 1, status: 'PENDING', at, reason: null }],
        deleted: false,
        createdAt: at,
        updatedAt: at,
      },
    },
  };
}
