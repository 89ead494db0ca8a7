import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DatabaseEngine } from '../../../shared/database/contract.js';
import { testDatabases } from '../../../shared/database/testing.js';
import { RowLetters } from '../../../shared/dead-letters/rows.js';
import { EngineUnavailable } from '../../../shared/errors/errors.js';
import type { UserState } from '../../../shared/events/states.js';
import { silentLogger } from '../../../shared/observability/logger.js';
import { createMetrics } from '../../../shared/observability/metrics.js';
import { Outbox } from '../../../shared/outbox/outbox.js';
import { Consumer } from '../../../shared/reactions/consumer.js';
import { Parked, type ParkedRow } from '../../../shared/reactions/parked.js';
import { Report } from '../../../shared/reactions/report.js';
import { until } from '../../../tests/until.js';
import type { MailKind } from './kinds.js';
import { requestMails } from './reaction.js';
import { smtpTransport } from './smtp.js';
import type { MailTransport } from './transport.js';
import { MailServer, openProcess, orderEvent, orderOf, person, save, saying, verificationOf } from './testing.js';
import type { MailProcess } from './testing.js';
import type { MailWorkerOptions } from './worker.js';

let databases: DatabaseEngine;
let server: MailServer;
const processes: MailProcess[] = [];

beforeEach(async () => {
  databases = await testDatabases();
  server = await new MailServer().start();
});
afterEach(async () => {
  for (const { worker, database } of processes.splice(0)) {
    await worker.stop();
    await database.close();
  }
  await server.stop();
  await databases.dispose();
});

async function newProcess(options: Partial<MailWorkerOptions> = {}, smtpUrl: string | null = server.url) {
  const one = await openProcess(databases, smtpUrl, options);
  processes.push(one);
  return one;
}

/** A process that runs, with a user whose order was paid. */
async function withReceipt(options: Partial<MailWorkerOptions> = {}) {
  const one = await newProcess(options);
  const user = await save(one, person());
  const event = orderEvent('paid', orderOf(user.id));
  await one.hear(event);
  return { ...one, user, event };
}

const statusOf = async ({ rows }: Pick<MailProcess, 'rows'>): Promise<string[]> =>
  (await rows()).map(({ status }) => status);
const becomes = (one: Pick<MailProcess, 'rows'>, ...expected: readonly string[]) =>
  until(async () => {
    expect((await statusOf(one)).sort()).toEqual([...expected].sort());
    return true;
  });

describe('a mail', () => {
  test('is sent as soon as it is asked for, to the address that the user has then, once', async () => {
    const one = await newProcess();
    await one.worker.start();
    const user = await save(one, person());
    const event = orderEvent('awaiting', orderOf(user.id));
    await one.hear(event);
    await becomes(one, 'SENT');
    expect(server.received).toMatchObject([{ to: [user.email], messageId: `<${event.id}@shop.example>` }]);
    expect((await one.metrics.mails.get()).values).toMatchObject([
      { value: 1, labels: { kind: 'ORDER_CONFIRMATION', outcome: 'sent' } },
    ]);
  });

  test('goes to the new address of somebody who changed it, and to nobody who is gone', async () => {
    const one = await newProcess();
    const [moved, gone] = [await save(one, person()), await save(one, person())];
    await one.hear(orderEvent('paid', orderOf(moved.id)), orderEvent('paid', orderOf(gone.id)));
    await save(one, { ...moved, email: 'new@example.com' });
    await save(one, { ...gone, name: '', email: '', deleted: true });
    await one.worker.start();
    await becomes(one, 'SENT', 'DROPPED');
    expect(server.received.map(({ to }) => to)).toEqual([['new@example.com']]);
  });

  test('leaves no address, name or token in its row, nor does an error of the server', async () => {
    const one = await newProcess();
    const user = await save(one, person({ name: 'Zuleika Quirino' }));
    server.onRecipient = (address) => Promise.resolve(saying(450, `4.2.1 <${address}>: ${address} is busy`));
    await one.hear(await verificationOf(one, user), orderEvent('paid', orderOf(user.id)));
    await one.worker.start();
    await until(async () => (await one.rows()).every(({ reason }) => reason?.includes('is busy') === true));
    const stored = JSON.stringify(await one.rows());
    expect(stored).not.toContain(user.email);
    expect(stored).not.toContain('Zuleika');
    const token = one.composer.compose((await one.rows())[0]!, user).text;
    expect(stored).not.toContain(/token=(\S+)/.exec(token)?.[1]?.split('.')[1] ?? 'token');
  });

  test('about something from before mails were sent is never asked for', async () => {
    const one = await newProcess();
    const user = await save(one, person());
    await one.hear(orderEvent('paid', orderOf(user.id), null, Date.now() - 3_600_000));
    expect(await one.rows()).toEqual([]);
  });

  test('that is a month old is forgotten; one that waits is not', async () => {
    const { mails, rows, event, hear, user } = await withReceipt();
    await hear(orderEvent('awaiting', orderOf(user.id)));
    await processes[0]!.database.transaction(async (tx) =>
      mails.end(tx, [{ eventId: event.id, status: 'SENT', reason: null }], 5),
    );
    expect(await mails.purge(6)).toBe(1);
    expect((await rows()).map(({ kind }) => kind)).toEqual(['ORDER_CONFIRMATION']);
  });
});

describe('what is of no use any more is dropped', () => {
  test('a link that has expired, was used, or belongs to another address', async () => {
    let now = Date.now();
    const one = await newProcess({ now: () => now });
    const users: UserState[] = [];
    for (let index = 0; index < 4; index++) users.push(await save(one, person()));
    const [late, used, moved, fresh] = users as [UserState, UserState, UserState, UserState];
    const respelled = { ...fresh, email: fresh.email.replace(/^[^@]+/, (local) => local.toUpperCase()) };
    for (const user of users)
      await one.hear(await verificationOf(one, user, { at: now, ttl: user === late ? 1_000 : 600_000 }));
    await save(one, { ...used, verified: true });
    await save(one, { ...moved, email: 'elsewhere@example.com' });
    // The same address: no other mail goes out for it.
    await save(one, respelled);
    now += 1_000;
    await one.worker.start();
    await becomes(one, 'DROPPED', 'DROPPED', 'DROPPED', 'SENT');
    expect(server.received.map(({ to }) => to)).toEqual([[respelled.email]]);
    const reasons = new Map((await one.rows()).map(({ user_id, reason }) => [user_id, reason]));
    expect(users.map(({ id }) => reasons.get(id))).toEqual([
      'The link has expired.',
      'The address is confirmed.',
      'The user has another address.',
      null,
    ]);
  });

  test('a reminder of an order that is paid, canceled or past its end', async () => {
    const now = Date.now();
    const one = await newProcess({ now: () => now });
    const { id } = await save(one, person());
    const [paid, canceled, expired, open] = [orderOf(id), orderOf(id), orderOf(id), orderOf(id)];
    await one.hear(
      orderEvent('reminder', paid, now + 1),
      orderEvent('paid', paid),
      orderEvent('reminder', canceled, null),
      orderEvent('canceled', canceled),
      orderEvent('reminder', expired, now),
      orderEvent('reminder', open, now + 1),
    );
    await one.worker.start();
    await becomes(one, 'DROPPED', 'SENT', 'DROPPED', 'SENT', 'DROPPED', 'SENT');
    const sent = (await one.rows()).filter(({ kind, status }) => kind === 'REMINDER' && status === 'SENT');
    expect(sent.map(({ order_id }) => order_id)).toEqual([open.id]);
  });
});

describe('a mail server that is away', () => {
  test('stops mails, for as long as it lasts, counts against none of them, and is said on /readyz without failing it', async () => {
    await server.stop();
    const one = await withReceipt();
    await one.worker.start();
    await until(async () => ((await one.rows())[0]?.attempts ?? 0) > 4);
    expect(await one.rows()).toMatchObject([{ status: 'REQUESTED', refusals: 0 }]);
    expect(await one.worker.checks()).toEqual([
      { name: 'mail', ok: true, detail: expect.stringContaining('The mail server does not take mails at the moment') },
    ]);
    await server.start();
    await becomes(one, 'SENT');
    await until(async () => (await one.worker.checks())[0]?.detail === undefined);
    expect(server.received).toHaveLength(1);
  });

  test.each([
    ['refuses connections', (away: boolean) => (server.onConnect = () => (away ? saying(554, 'Go away') : null))],
    ['is closing down', (away: boolean) => (server.onRecipient = async () => (away ? saying(421, 'Closing') : null))],
    ['does not let us in', (away: boolean) => (server.onLogin = () => !away)],
  ])('as one that %s', async (_, make) => {
    make(true);
    const one = await newProcess({
      transport: smtpTransport(server.url.replace('://', '://me:secret@'), { connectMs: 500, silenceMs: 500 }),
    });
    const user = await save(one, person());
    await one.hear(orderEvent('paid', orderOf(user.id)));
    await one.worker.start();
    await until(async () => ((await one.rows())[0]?.attempts ?? 0) > 4);
    expect(await statusOf(one)).toEqual(['REQUESTED']);
    expect(JSON.stringify(await one.rows())).not.toContain('secret');
    make(false);
    await becomes(one, 'SENT');
  });

  test('is asked by one mail at a time, and gets all of them when it is back', async () => {
    server.onConnect = () => saying(554, 'Go away');
    const one = await newProcess();
    const user = await save(one, person());
    for (let index = 0; index < 30; index++) await one.hear(orderEvent('paid', orderOf(user.id)));
    await one.worker.start();
    await until(() => server.connections > 8);
    const attempts = (await one.rows()).reduce((sum, row) => sum + row.attempts, 0);
    // Those of the first moment came together.
    expect(attempts - server.connections).toBeLessThanOrEqual(6);
    server.onConnect = () => null;
    await becomes(one, ...Array.from({ length: 30 }, () => 'SENT'));
    expect(new Set(server.received.map(({ messageId }) => messageId)).size).toBe(30);
    expect(server.received).toHaveLength(30);
  });

  test('is asked by one mail at a time where it hangs as well', async () => {
    server.onConnect = () => saying(554, 'Go away');
    let [open, most] = [0, 0];
    const smtp = smtpTransport(server.url, { connectMs: 500, silenceMs: 200 });
    const transport: MailTransport = {
      ...smtp,
      async send(mail, signal) {
        most = Math.max(most, ++open);
        return smtp.send(mail, signal).finally(() => open--);
      },
    };
    const one = await newProcess({ transport });
    const user = await save(one, person());
    for (let index = 0; index < 10; index++) await one.hear(orderEvent('paid', orderOf(user.id)));
    await one.worker.start();
    // Those of the first moment came together.
    await until(() => server.connections > 6);
    let hung = 0;
    server.onConnect = () => null;
    server.onRecipient = () => {
      hung += 1;
      return new Promise(() => undefined);
    };
    [most] = [open];
    await until(() => hung > 3);
    expect(most).toBe(1);
    server.onRecipient = () => Promise.resolve(null);
    await becomes(one, ...Array.from({ length: 10 }, () => 'SENT'));
  });

  test('that hangs when the worker stops is broken off, and the attempt counts as answered', async () => {
    let asked = 0;
    server.onRecipient = () => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const one = await withReceipt({ transport: smtpTransport(server.url, { connectMs: 60_000, silenceMs: 60_000 }) });
    await one.worker.start();
    await until(() => asked > 0);
    await one.worker.stop();
    expect(await one.rows()).toMatchObject([{ status: 'REQUESTED', attempts: 1, answers: 1, claimed_by: null }]);
  });

  test('that hangs before it has the mail is away; nothing was handed over', async () => {
    let hang = true;
    server.onRecipient = () => (hang ? new Promise(() => undefined) : Promise.resolve(null));
    const one = await withReceipt({ transport: smtpTransport(server.url, { connectMs: 500, silenceMs: 300 }) });
    await one.worker.start();
    await until(async () => ((await one.rows())[0]?.answers ?? 0) >= 2);
    hang = false;
    await becomes(one, 'SENT');
    expect(server.received).toHaveLength(1);
  });
});

describe('a mail that is refused', () => {
  test('for now is tried again, and arrives', async () => {
    let times = 3;
    server.onMail = () => Promise.resolve(times-- > 0 ? saying(452, '4.3.1 Mailbox full') : null);
    const one = await withReceipt();
    await one.worker.start();
    await becomes(one, 'SENT');
    expect(server.received).toHaveLength(1);
    expect((await one.rows())[0]).toMatchObject({ refusals: 3, attempts: 4 });
  });

  test('for now, again and again, is dead in the end; others go on', async () => {
    const one = await withReceipt();
    server.onRecipient = async (address) => (address === one.user.email ? saying(450, 'Try later') : null);
    const other = await save(one, person());
    await one.hear(orderEvent('paid', orderOf(other.id)));
    await one.worker.start();
    await becomes(one, 'DEAD', 'SENT');
    expect(server.received.map(({ to }) => to)).toEqual([[other.email]]);
  });

  test('for good is a dead letter at once, with its copy; sent back it is handled anew, dropped it is gone', async () => {
    const one = await newProcess();
    const user = await save(one, person());
    const [event, hopeless] = [await verificationOf(one, user), orderEvent('paid', orderOf(user.id))];
    let refuse = true;
    server.onMail = () => Promise.resolve(refuse ? saying(550, `5.7.1 <${user.email}> wants no mail`) : null);
    await one.hear(event, hopeless);
    await one.worker.start();
    await becomes(one, 'DEAD', 'DEAD');

    const letters = new RowLetters({ name: 'user', open: () => Promise.resolve(one.database), now: Date.now });
    const found = [];
    for await (const letter of letters.letters('dead')) found.push(letter);
    expect(found).toHaveLength(2);
    const letter = found.find(({ eventId }) => eventId === event.id);
    expect(letter).toMatchObject({ consumer: 'user.mail', attempts: 1, topic: 'users', partition: 3, key: user.id });
    expect(letter?.error).toContain('wants no mail');
    expect(letter?.error).not.toContain(user.email);
    const copies = await one.database.read<{ topic: string; headers: string }>('SELECT topic, headers FROM outbox');
    expect(copies.map(({ topic }) => topic).sort()).toEqual(['orders.dlq', 'users.dlq']);
    expect(copies.every(({ headers }) => headers.includes('"x-consumer":"user.mail"'))).toBe(true);

    refuse = false;
    await letters.drop(found.filter(({ eventId }) => eventId !== event.id).map(({ id }) => id));
    await letters.redrive([letter!.id]);
    await retry(one);
    await becomes(one, 'SENT', 'DEAD');
    expect(server.received).toMatchObject([{ to: [user.email], messageId: `<${event.id}@shop.example>` }]);
    expect(await one.database.read('SELECT * FROM parked')).toEqual([]);
  });

  /** Tries what was sent back, as a running worker does. */
  async function retry({ database, mails }: MailProcess): Promise<void> {
    const parked = new Parked({ outbox: new Outbox('tributary/user', Date.now), now: Date.now, retryDelaysMs: [] });
    const reaction = requestMails(mails, Date.now);
    const report = new Report(reaction.consumer, silentLogger(), createMetrics());
    const consumer = new Consumer({ reaction, database, parked, report, now: Date.now, onParked: () => undefined });
    const rows = await database.read<ParkedRow>(`SELECT * FROM parked WHERE state = 'WAITING'`);
    for (const row of rows) expect(await consumer.retry(row)).toBe('handled');
  }
});

describe('where nobody hears what became of a mail', () => {
  test('the connection breaking after the last byte, it goes out once more under the same Message-ID', async () => {
    let breaks = 1;
    server.onMail = () => Promise.resolve(breaks-- > 0 ? 'break' : null);
    const one = await withReceipt();
    await one.worker.start();
    await becomes(one, 'SENT');
    expect(server.received.map(({ messageId }) => messageId)).toEqual(
      Array.from({ length: 2 }, () => `<${one.event.id}@shop.example>`),
    );
    // Byte for byte the same, so that it is the same mail to whoever compares.
    expect(server.received[0]?.raw.replace(/^Received:.*$/gm, '')).toBe(server.received[1]?.raw);
  });

  test('it goes out a third time for nobody: then it is a dead letter', async () => {
    server.onMail = () => Promise.resolve('break');
    const one = await withReceipt();
    await one.worker.start();
    await becomes(one, 'DEAD');
    expect(server.received).toHaveLength(2);
  });

  test('a server that hangs after the last byte is no other', async () => {
    const heard: string[] = [];
    server.onMail = ({ messageId }) => {
      heard.push(messageId);
      return new Promise(() => undefined);
    };
    const one = await withReceipt({ transport: smtpTransport(server.url, { connectMs: 500, silenceMs: 300 }) });
    await one.worker.start();
    await becomes(one, 'DEAD');
    expect(heard).toHaveLength(2);
  });

  test('the worker dying between sending and recording, it goes out twice at most, and is in the table once', async () => {
    const dying = await withReceipt();
    server.onMail = async () => {
      server.onMail = () => Promise.resolve(null);
      await dying.database.close();
      return null;
    };
    await dying.worker.start();
    await until(() => server.received.length === 1);
    // When the lease is over.
    const other = await newProcess({ now: () => Date.now() + 60_000 });
    await other.worker.start();
    await becomes(other, 'SENT');
    expect(server.received.map(({ messageId }) => messageId)).toEqual(
      Array.from({ length: 2 }, () => `<${dying.event.id}@shop.example>`),
    );
  });

  test('the database going away before it is recorded, it is recorded when that is back, and not sent again', async () => {
    const { rows, worker, ...one } = await withReceipt();
    const { transaction } = one.database;
    let away = 0;
    server.onMail = () => {
      one.database.transaction = () => {
        away += 1;
        return Promise.reject(new EngineUnavailable('database', new Error('gone')));
      };
      return Promise.resolve(null);
    };
    await worker.start();
    await until(() => away >= 2);
    one.database.transaction = transaction;
    await becomes({ rows }, 'SENT');
    expect(server.received).toHaveLength(1);
    expect(await rows()).toMatchObject([{ attempts: 1 }]);
  });

  test('workers that die of it again and again send it no third time', async () => {
    const { mails, event, rows, database, ...one } = await withReceipt();
    for (let claims = 0; claims < 2; claims++) await until(async () => (await mails.claim(Date.now(), 0, 1)).length);
    await one.worker.start();
    await becomes({ rows }, 'DEAD');
    expect(server.received).toEqual([]);
    const [letter] = await database.read<ParkedRow>('SELECT * FROM parked');
    expect(letter).toMatchObject({ event_id: event.id, state: 'DEAD', error: expect.stringContaining('twice') });
    // Nobody has asked the server, so nothing is said of it.
    expect((await one.worker.checks())[0]).toEqual({ name: 'mail', ok: true });
  });
});

describe('without a mail server', () => {
  test('mails wait, and /readyz says so in plain words', async () => {
    const one = await newProcess({}, null);
    const user = await save(one, person());
    await one.hear(orderEvent('paid', orderOf(user.id)));
    await one.worker.start();
    await until(async () => {
      expect(await one.worker.checks()).toEqual([
        { name: 'mail', ok: true, detail: 'SMTP_URL is not set, so no mail is sent; 1 mail waits.' },
      ]);
      return true;
    });
    expect(await one.rows()).toMatchObject([{ status: 'REQUESTED', attempts: 0 }]);
    expect((await one.metrics.mailsWaiting.get()).values).toMatchObject([{ value: 1 }]);
  });
});

test('every event leads to its kind of mail', async () => {
  const one = await newProcess();
  const { id, ...rest } = await save(one, person());
  const canceled = orderOf(id, { cancelReason: 'customer changed their mind' });
  const payment = { paymentId: 'p', method: 'PIX', accountId: null, status: 'COMPLETED', reference: null } as const;
  await one.hear(
    await verificationOf(one, { id, ...rest }),
    orderEvent('awaiting', orderOf(id)),
    orderEvent('paid', orderOf(id)),
    orderEvent('reminder', orderOf(id)),
    orderEvent('canceled', canceled),
    orderEvent('canceled', orderOf(id, { cancelReason: 'PAYMENT_EXPIRED' })),
    // Somebody's own words; they have paid.
    orderEvent('canceled', orderOf(id, { cancelReason: 'PAYMENT_EXPIRED', payment })),
  );
  const kinds: MailKind[] = (await one.rows()).map(({ kind }) => kind);
  expect(kinds.sort()).toEqual([
    'CANCELLATION',
    'CANCELLATION',
    'EXPIRY',
    'ORDER_CONFIRMATION',
    'PAYMENT_RECEIPT',
    'REMINDER',
    'VERIFICATION',
  ]);
});
