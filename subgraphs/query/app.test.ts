import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readConfig } from '../../shared/config/config.js';
import { openSqliteDocumentStore } from '../../shared/document-store/sqlite.js';
import { openSqliteEventLog } from '../../shared/event-log/sqlite.js';
import { topicSpecs } from '../../shared/events/catalogue.js';
import { toRecord } from '../../shared/events/event.js';
import { IDENTITY_HEADER, signIdentity } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { createMetrics } from '../../shared/observability/metrics.js';
import { buildQuery } from './app.js';
import { ADMIN, happened, product } from './testbed.js';

test('API and worker together answer what was published, and stop at once though somebody waits', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-query-app-'));
  const eventLog = openSqliteEventLog({ file: join(folder, 'log.sqlite') });
  await eventLog.ensureTopics(topicSpecs());
  const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
  const identitySecret = 'a secret of more than thirty-two letters';
  const query = await buildQuery({
    config: readConfig({ DATA_DIR: folder, QUERY_PORT: '0', REST_PORT: '0', PROJECTION_WAIT_MS: '60000' }),
    identitySecret,
    log: silentLogger(),
    metrics: createMetrics(),
    now: Date.now,
    eventLog,
    documents,
  });
  await query.worker.start();
  await query.api.start();

  const ask = async (id: string, minVersion: number): Promise<unknown> => {
    const answer = await fetch(`${query.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [IDENTITY_HEADER]: signIdentity(ADMIN, 'query', identitySecret, Date.now()),
      },
      body: JSON.stringify({
        query: 'query ($id: ID!, $minVersion: Int) { product(id: $id, minVersion: $minVersion) { price } }',
        variables: { id, minVersion },
      }),
    });
    return answer.json();
  };
  const phone = product();
  const answer = ask(phone.id, 1);
  await eventLog.append([toRecord(happened('product.created', { product: phone }))]);
  expect(await answer).toEqual({ data: { product: { price: '5999.99' } } });
  const readiness = [...(await query.api.checks()), ...(await query.worker.checks())];
  expect(readiness.filter(({ ok }) => !ok)).toEqual([]);

  const inVain = ask(newId(), 1);
  await ask(phone.id, 1);
  await query.api.stop();
  expect(await inVain).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });
  await query.worker.stop();
  await query.close();
  await eventLog.close();
  await documents.close();
  await rm(folder, { recursive: true });
});
