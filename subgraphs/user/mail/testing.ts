/** What tests of mail share: a real mail server that does as it is told, users, and events. */
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { DatabaseEngine } from '../../../shared/database/contract.js';
import type { Database } from '../../../shared/database/port.js';
import type { StoredRecord } from '../../../shared/event-log/port.js';
import { toRecord, type AnyEvent } from '../../../shared/events/event.js';
import type { OrderState, UserState } from '../../../shared/events/states.js';
import { newId } from '../../../shared/ids/ids.js';
import { silentLogger } from '../../../shared/observability/logger.js';
import { createMetrics } from '../../../shared/observability/metrics.js';
import { Outbox } from '../../../shared/outbox/outbox.js';
import type { WorkerPart } from '../../../shared/service/worker.js';
import { Initial1700000000000 } from '../migrations/1-initial.js';
import { Logins1700000000002 } from '../migrations/2-logins.js';
import { Verifications1700000000003 } from '../migrations/3-verifications.js';
import { Mails1700000000004 } from '../migrations/4-mails.js';
import { UserStore } from '../store.js';
import { VerificationTokens } from '../verification-tokens.js';
import { Composer } from './compose.js';
import { Mails, type MailRow } from './mails.js';
import { requestMails } from './reaction.js';
import { smtpTransport } from './smtp.js';
import { createMailWorker, type MailWorkerOptions } from './worker.js';

export interface Received {
  readonly to: readonly string[];
  readonly raw: string;
  readonly messageId: string;
}

/** An error that the server answers with. */
export const saying = (responseCode: number, words: string): Error => Object.assign(new Error(words), { responseCode });

/** A mail server on a free port. Every step of a mail can be made to fail, hang (never resolve) or break off. */
export class MailServer {
  readonly received: Received[] = [];
  /** How often somebody came. */
  connections = 0;
  onConnect: () => Error | null = () => null;
  onLogin: (user: string, password: string) => boolean = () => true;
  onRecipient: (address: string) => Promise<Error | null> = () => Promise.resolve(null);
  /** After the last byte: an error, or null to accept it, or a break of the connection without an answer. */
  onMail: (mail: Received) => Promise<Error | null | 'break'> = () => Promise.resolve(null);
  private server: SMTPServer | undefined;
  private port = 0;

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    const server = new SMTPServer({
      authOptional: true,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
      closeTimeout: 1,
      onConnect: (_session, done) => {
        this.connections += 1;
        done(this.onConnect());
      },
      onAuth: ({ username, password }, _session, done) => {
        const user = username ?? '';
        if (this.onLogin(user, password ?? '')) done(null, { user });
        else done(saying(535, 'Wrong password'));
      },
      onRcptTo: ({ address }, _session, done) => void this.onRecipient(address).then((error) => done(error)),
      onData: (stream, session, done) => void this.take(stream, session, done),
    });
    server.on('error', () => undefined);
    this.server = server;
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.server.address() as AddressInfo).port;
    return this;
  }

  /** Cuts off everybody; `start` listens on the same port again. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  private async take(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    done: (error?: Error | null) => void,
  ): Promise<void> {
    const raw = await text(stream);
    const messageId = /^Message-ID: (.*)\r$/im.exec(raw)?.[1] ?? '';
    const mail = { to: session.envelope.rcptTo.map(({ address }) => address), raw, messageId };
    const answer = await this.onMail(mail);
    if (answer === 'break') {
      this.received.push(mail);
      const broken = [...(this.server?.connections ?? [])] as unknown as {
        session: unknown;
        _socket: { destroy(): void };
      }[];
      for (const connection of broken) if (connection.session === session) connection._socket.destroy();
      return;
    }
    if (answer === null) this.received.push(mail);
    done(answer);
  }
}

/** What one process has: its own handle of the database, and a worker that is not started yet. */
export interface MailProcess {
  readonly database: Database;
  readonly store: UserStore;
  readonly mails: Mails;
  readonly composer: Composer;
  readonly worker: WorkerPart;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Handles events as the reaction does, inbox rows included. */
  readonly hear: (...events: readonly AnyEvent[]) => Promise<void>;
  readonly rows: () => Promise<MailRow[]>;
}

export const TOKENS = new VerificationTokens('a secret of thirty-two characters');
export const SENDER = { name: 'Tributary', address: 'no-reply@shop.example' };

export async function openProcess(
  databases: DatabaseEngine,
  smtpUrl: string | null,
  options: Partial<MailWorkerOptions> = {},
): Promise<MailProcess> {
  const migrations = [Initial1700000000000, Logins1700000000002, Verifications1700000000003, Mails1700000000004];
  const database = await databases.open({ name: 'tributary_user', migrations });
  await database.migrate();
  const now = options.now ?? Date.now;
  const outbox = new Outbox('tributary/user', now);
  const store = new UserStore(outbox);
  const mails = new Mails(database);
  const composer = new Composer({ settings: { from: SENDER, publicUrl: 'https://shop.example' }, tokens: TOKENS });
  const metrics = createMetrics();
  const worker = createMailWorker({
    database,
    store,
    outbox,
    mails,
    composer,
    transport: smtpUrl === null ? null : smtpTransport(smtpUrl, { connectMs: 500, silenceMs: 500 }),
    log: silentLogger(),
    metrics,
    now,
    awayMs: 5,
    refusedMs: 1,
    paceMs: 5,
    ...options,
  });
  const reaction = requestMails(mails, now);
  const hear = (...events: readonly AnyEvent[]): Promise<void> =>
    database.transaction(async (tx) => {
      await tx.insertNew(
        'processed_events',
        ['consumer', 'event_id'],
        events.map(({ id }) => ({ consumer: reaction.consumer, event_id: id, processed_at: now() })),
      );
      await reaction.handle(tx, events, events.map(recordOf));
    });
  const rows = (): Promise<MailRow[]> => database.read<MailRow>('SELECT * FROM mails ORDER BY requested_at, event_id');
  return { database, store, mails, composer, worker, metrics, hear, rows };
}

const recordOf = (event: AnyEvent, offset: number): StoredRecord => ({
  ...toRecord(event),
  partition: 3,
  offset,
  timestamp: event.time,
});

export const person = (change: Partial<UserState> = {}): UserState => ({
  id: newId(),
  version: 1,
  name: 'Ana Souza',
  email: `${newId()}@example.com`,
  role: 'USER',
  locale: 'EN',
  verified: false,
  deleted: false,
  createdAt: 1,
  updatedAt: 1,
  ...change,
});

/** Makes the user be there, or be as it is now. */
export async function save({ database }: Pick<MailProcess, 'database'>, user: UserState): Promise<UserState> {
  const { createdAt, updatedAt, ...rest } = user;
  const email_key = user.deleted ? null : user.email.toLowerCase();
  await database.transaction((tx) =>
    tx.upsert('users', ['id'], [{ ...rest, email_key, created_at: createdAt, updated_at: updatedAt }]),
  );
  return user;
}

/** Asks for a verification, as the store does: the row, and the event. */
export async function verificationOf(
  { database }: Pick<MailProcess, 'database'>,
  user: UserState,
  { at = Date.now(), ttl = 600_000 }: { readonly at?: number; readonly ttl?: number } = {},
): Promise<AnyEvent> {
  const verification = { id: newId(), expiresAt: at + ttl };
  const row = { id: verification.id, user_id: user.id, email: user.email, used_at: null };
  await database.transaction((tx) =>
    tx.insert('verifications', [{ ...row, requested_at: at, expires_at: verification.expiresAt }]),
  );
  return event('user.verification_requested', user.id, { user, verification }, at);
}

export const orderOf = (userId: string, change: Partial<OrderState> = {}): OrderState => ({
  id: newId(),
  version: 2,
  userId,
  status: 'AWAITING_PAYMENT',
  items: [
    { productId: newId(), name: 'iPhone 15', quantity: 1, unitPrice: 599_999 },
    { productId: newId(), name: 'Tea <b>& milk</b>', quantity: 3, unitPrice: 350 },
  ],
  total: 601_049,
  payment: null,
  cancelReason: null,
  history: [{ version: 1, status: 'PENDING', at: 1, reason: null }],
  deleted: false,
  createdAt: 1,
  updatedAt: 1,
  ...change,
});

const ORDER_EVENTS = {
  awaiting: 'order.awaiting_payment',
  paid: 'order.paid',
  canceled: 'order.canceled',
  reminder: 'order.payment_reminder',
} as const;

export const orderEvent = (
  type: keyof typeof ORDER_EVENTS,
  order: OrderState,
  expiresAt: number | null = null,
  at = Date.now(),
): AnyEvent =>
  event(
    ORDER_EVENTS[type],
    order.id,
    type === 'reminder' ? { order, reminder: { number: 1, expiresAt } } : { order },
    at,
  );

const event = (type: AnyEvent['type'], subject: string, data: object, time: number): AnyEvent =>
  ({ id: newId(), type, source: 'tributary/test', subject, sequence: 2, time, traceparent: null, data }) as AnyEvent;
