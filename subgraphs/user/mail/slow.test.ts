/** Where the database, or the mail server, takes its time. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { DatabaseEngine } from '../../../shared/database/contract.js';
import type { Row, SqlValue } from '../../../shared/database/port.js';
import { testDatabases } from '../../../shared/database/testing.js';
import { until } from '../../../tests/until.js';
import { openProcess, orderEvent, orderOf, person, save, type MailProcess } from './testing.js';
import type { Delivery, MailTransport } from './transport.js';
import type { MailWorkerOptions } from './worker.js';

const HOUR = 3_600_000;

let databases: DatabaseEngine;
let one: MailProcess;

beforeEach(async () => {
  databases = await testDatabases();
});
afterEach(async () => {
  await one.worker.stop();
  await one.database.close();
  await databases.dispose();
});

/** A server that takes every mail, or hangs until it is broken off. */
class Server implements MailTransport {
  readonly name = 'a server of tests';
  readonly atOnce = 1;
  hangs = false;
  given = 0;
  brokenOff = 0;
  private readonly closing = new AbortController();

  send(_mail: unknown, signal: AbortSignal): Promise<Delivery> {
    this.given += 1;
    if (!this.hangs) return Promise.resolve({ type: 'sent' });
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        this.brokenOff += 1;
        resolve({ type: 'away', error: 'broken off' });
      });
      this.closing.signal.addEventListener('abort', () => resolve({ type: 'away', error: 'closed' }));
    });
  }

  close(): Promise<void> {
    this.closing.abort();
    return Promise.resolve();
  }
}

/** A process whose worker is not started, and a mail that is asked for. */
async function withMail(options: Partial<MailWorkerOptions>): Promise<void> {
  one = await openProcess(databases, null, options);
  await one.hear(orderEvent('paid', orderOf((await save(one, person())).id)));
}

test('a mail whose claim has nearly run out before it could be sent is left to another attempt', async () => {
  const server = new Server();
  let late = 0;
  await withMail({ transport: server, now: () => Date.now() + late });
  const { read } = one.database;
  one.database.read = <R = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]> => {
    if (late === 0 && /FROM users/.test(sql)) late = 56_000;
    return read.call(one.database, sql, params) as Promise<R[]>;
  };
  await one.worker.start();
  await until(async () => (await one.rows())[0]?.status === 'SENT');
  expect(await one.rows()).toMatchObject([{ attempts: 2, answers: 1 }]);
  expect(server.given).toBe(1);
});

test('an attempt is broken off before its claim has run out, whatever else it may take', async () => {
  const server = new Server();
  server.hangs = true;
  await withMail({ transport: server, leaseMs: 5_300, timeoutMs: HOUR });
  await one.worker.start();
  await until(() => server.brokenOff > 0);
  server.hangs = false;
  await until(async () => (await one.rows())[0]?.status === 'SENT');
  // Each attempt was known to have handed over nothing, but for the one that did.
  const [row] = await one.rows();
  expect(row?.answers).toBe((row?.attempts ?? 0) - 1);
});

test('the mails that wait are counted while the only one that is tried hangs', async () => {
  const server = new Server();
  server.hangs = true;
  await withMail({ transport: server, countMs: 5 });
  const counted = async (): Promise<number | undefined> => (await one.metrics.mailsWaiting.get()).values[0]?.value;
  await one.worker.start();
  await until(() => server.given === 1);
  const user = await save(one, person());
  await one.hear(orderEvent('paid', orderOf(user.id)), orderEvent('paid', orderOf(user.id)));
  await until(async () => (await counted()) === 3);
  expect(server.given).toBe(1);
});
