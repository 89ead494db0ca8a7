/** Many mails at once, and workers that take up many at a time. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DatabaseEngine } from '../../../shared/database/contract.js';
import type { Row, SqlValue } from '../../../shared/database/port.js';
import { testDatabases } from '../../../shared/database/testing.js';
import { EngineUnavailable } from '../../../shared/errors/errors.js';
import type { ParkedRow } from '../../../shared/reactions/parked.js';
import { until } from '../../../tests/until.js';
import { devInbox } from './inbox.js';
import { openProcess, orderEvent, orderOf, person, save, type MailProcess } from './testing.js';
import type { Delivery, MailTransport } from './transport.js';
import type { MailWorkerOptions } from './worker.js';

const HOUR = 3_600_000;

let databases: DatabaseEngine;
const processes: MailProcess[] = [];

beforeEach(async () => {
  databases = await testDatabases();
});
afterEach(async () => {
  for (const { worker, database } of processes.splice(0)) {
    await worker.stop();
    await database.close();
  }
  await databases.dispose();
});

async function newProcess(options: Partial<MailWorkerOptions> = {}): Promise<MailProcess> {
  const one = await openProcess(databases, null, { transport: devInbox, ...options });
  processes.push(one);
  return one;
}

/** Asks for so many mails to some users; answers the ids of the events. */
async function ask(one: MailProcess, count: number, users = 7): Promise<string[]> {
  const people = await Promise.all(Array.from({ length: users }, () => save(one, person())));
  const events = Array.from({ length: count }, (_, index) => orderEvent('paid', orderOf(people[index % users]!.id)));
  await one.hear(...events);
  return events.map(({ id }) => id).sort();
}

/** Resolves when all mails have come to this end. */
const allBecome = (one: MailProcess, status: string): Promise<unknown> =>
  until(async () => (await one.rows()).every((row) => row.status === status));

/** A server that answers every mail as it is told, and knows which it was given. */
class Accepting implements MailTransport {
  readonly name = 'a server of tests';
  readonly atOnce = 100;
  readonly given: string[] = [];
  private readonly hanging: ((delivery: Delivery) => void)[] = [];

  constructor(private readonly answers: (count: number) => boolean) {}

  send({ eventId }: { readonly eventId: string }): Promise<Delivery> {
    if (this.answers(this.given.push(eventId))) return Promise.resolve({ type: 'sent' });
    return new Promise((resolve) => this.hanging.push(resolve));
  }

  close(): Promise<void> {
    for (const answer of this.hanging.splice(0)) answer({ type: 'unknown', error: 'closed' });
    return Promise.resolve();
  }
}

describe('many mails', () => {
  test('take one claim, one look for their users and one record', async () => {
    let time = Date.now();
    const one = await newProcess({ now: () => ++time, paceMs: HOUR });
    await ask(one, 60);
    const { read } = one.database;
    const lookups: unknown[] = [];
    one.database.read = <R = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]> => {
      if (/FROM users/.test(sql)) lookups.push(params);
      return read.call(one.database, sql, params) as Promise<R[]>;
    };
    await one.worker.start();
    await allBecome(one, 'SENT');
    expect(lookups).toHaveLength(1);
    expect(lookups[0]).toHaveLength(7);
    const rows = await one.rows();
    expect(new Set(rows.map(({ claimed_by }) => claimed_by)).size).toBe(1);
    expect(new Set(rows.map(({ done_at }) => done_at)).size).toBe(1);
    expect((await one.metrics.mails.get()).values).toMatchObject([{ value: 60, labels: { outcome: 'sent' } }]);
  });

  test('end each in its own way, though they are recorded together', async () => {
    const one = await newProcess();
    const [known, gone, odd] = [
      await save(one, person()),
      await save(one, person({ deleted: true })),
      await save(one, person({ email: 'a,b@example.com' })),
    ];
    await one.hear(...[known, gone, odd, known, gone].map(({ id }) => orderEvent('paid', orderOf(id))));
    await one.worker.start();
    await until(async () => (await one.rows()).every(({ status }) => status !== 'REQUESTED'));
    const ends = (await one.rows()).map(({ user_id, status, reason }) => [user_id, status, reason]);
    expect(ends.sort()).toEqual(
      [
        [known.id, 'SENT', null],
        [known.id, 'SENT', null],
        [gone.id, 'DROPPED', 'The user is gone.'],
        [gone.id, 'DROPPED', 'The user is gone.'],
        // The inbox of the demo takes no address that no server would be given.
        [odd.id, 'DEAD', 'The address of the user cannot be written to.'],
      ].sort(),
    );
  });

  test('more than are taken at a time all go out, once each, without a pause', async () => {
    const server = new Accepting(() => true);
    const one = await newProcess({ transport: server, paceMs: HOUR });
    const ids = await ask(one, 250);
    await one.worker.start();
    await allBecome(one, 'SENT');
    expect(server.given.sort()).toEqual(ids);
  });
});

test('a mail that comes alone is sent at once, however far apart claims are', async () => {
  const one = await newProcess({ paceMs: HOUR });
  await one.worker.start();
  await ask(one, 1, 1);
  await allBecome(one, 'SENT');
});

describe('a worker that dies with a hundred mails under way', () => {
  test('loses none, and each goes out once more', async () => {
    const first = new Accepting((count) => count <= 40);
    const dying = await newProcess({ transport: first });
    const ids = await ask(dying, 100);
    const { transaction } = dying.database;
    // The claim is the only thing that it gets to write.
    let transactions = 0;
    dying.database.transaction = (work) => {
      if (++transactions > 1) return Promise.reject(new EngineUnavailable('database', new Error('gone')));
      return transaction.call(dying.database, work) as ReturnType<typeof work>;
    };
    await dying.worker.start();
    await until(() => first.given.length === 100);

    const second = new Accepting(() => true);
    const heir = await newProcess({ transport: second, now: () => Date.now() + 60_000 });
    await heir.worker.start();
    await allBecome(heir, 'SENT');
    expect(second.given.sort()).toEqual(ids);
    expect((await heir.rows()).every(({ attempts }) => attempts === 2)).toBe(true);
  });

  test('twice leaves dead letters for people, and no third copy', async () => {
    const one = await newProcess();
    const ids = await ask(one, 100);
    for (let deaths = 0; deaths < 2; deaths++) expect(await one.mails.claim(Date.now() + 1, 0, 100)).toHaveLength(100);
    const server = new Accepting(() => true);
    const heir = await newProcess({ transport: server, now: () => Date.now() + 1 });
    await heir.worker.start();
    await allBecome(heir, 'DEAD');
    expect(server.given).toEqual([]);
    const letters = await heir.database.read<ParkedRow>(`SELECT event_id FROM parked WHERE state = 'DEAD'`);
    expect(letters.map(({ event_id }) => event_id).sort()).toEqual(ids);
  });
});
