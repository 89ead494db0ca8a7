/** On MySQL, where several processes share the table. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DatabaseEngine } from '../../../shared/database/contract.js';
import { mysqlDatabases } from '../../../shared/database/testing.js';
import { until } from '../../../tests/until.js';
import { MailServer, openProcess, orderEvent, orderOf, person, save } from './testing.js';

const MAILS = 120;

let databases: DatabaseEngine;
let server: MailServer;
beforeAll(async () => {
  databases = mysqlDatabases();
  server = await new MailServer().start();
});
afterAll(async () => {
  await server.stop();
  await databases.dispose();
});

test('two workers never send the same mail, however many there are at once', async () => {
  const [one, two] = [await openProcess(databases, server.url), await openProcess(databases, server.url)];
  const user = await save(one, person());
  const events = Array.from({ length: MAILS }, () => orderEvent('paid', orderOf(user.id)));
  await Promise.all([one.worker.start(), two.worker.start()]);
  await Promise.all(events.map((event, index) => (index % 2 === 0 ? one : two).hear(event)));
  await until(async () => (await one.rows()).every(({ status }) => status === 'SENT'));
  expect(server.received.map(({ messageId }) => messageId).sort()).toEqual(
    events.map(({ id }) => `<${id}@shop.example>`).sort(),
  );
  expect((await one.rows()).map(({ attempts }) => attempts)).toEqual(events.map(() => 1));
  for (const { worker, database } of [one, two]) {
    await worker.stop();
    await database.close();
  }
});

test('a mail that is refused for good is dead once, whoever else looks for work', async () => {
  server.onMail = () => Promise.resolve(Object.assign(new Error('no'), { responseCode: 550 }));
  const [one, two] = [await openProcess(databases, server.url), await openProcess(databases, server.url)];
  const user = await save(one, person());
  const events = Array.from({ length: 20 }, () => orderEvent('paid', orderOf(user.id)));
  await one.hear(...events);
  await Promise.all([one.worker.start(), two.worker.start()]);
  const dead = () => one.database.read<{ event_id: string }>(`SELECT event_id FROM parked WHERE state = 'DEAD'`);
  await until(async () => (await dead()).length === events.length);
  expect((await dead()).map(({ event_id }) => event_id).sort()).toEqual(events.map(({ id }) => id).sort());
  const left = await one.database.read(`SELECT 1 AS found FROM processed_events WHERE consumer = 'user.mail'`);
  expect(left).toHaveLength(MAILS);
  for (const { worker, database } of [one, two]) {
    await worker.stop();
    await database.close();
  }
});

test('a claim passes over a mail that a transaction holds, and waits for nobody', async () => {
  const one = await openProcess(databases, null);
  const user = await save(one, person());
  const events = Array.from({ length: 3 }, () => orderEvent('paid', orderOf(user.id)));
  await one.hear(...events);
  const [held, ...others] = events.map(({ id }) => id);
  const claimed = await one.database.transaction(async (tx) => {
    await tx.lock('mails', 'event_id', [held ?? '']);
    return one.mails.claim(Date.now(), 60_000, 10);
  });
  expect(claimed.map(({ event_id }) => event_id).sort()).toEqual(others.sort());
  const stored = new Map((await one.rows()).map((row) => [row.event_id, row]));
  expect(claimed.map(({ event_id }) => stored.get(event_id))).toEqual(claimed);
  await one.database.close();
});
