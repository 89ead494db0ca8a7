import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Database } from '../../../shared/database/port.js';
import { AppError } from '../../../shared/errors/errors.js';
import { errorBody } from '../../../shared/graphql/errors.js';
import { IDENTITY_HEADER, requireAdmin, verifyIdentity } from '../../../shared/identity/identity.js';
import { emailKey } from '../../../shared/validation/text.js';
import type { UserStore } from '../store.js';
import type { Composer } from './compose.js';
import type { Mails } from './mails.js';
import { UnusableAddress } from './mime.js';
import { isAddress } from './names.js';
import type { MailTransport } from './transport.js';

/** Most mails that the inbox shows. */
const SHOWN = 100;

/** A mail of the inbox, as JSON. */
export interface InboxMessage {
  readonly id: string;
  readonly kind: string;
  readonly to: { readonly name: string; readonly address: string };
  /** `Tributary <no-reply@tributary.example>`. */
  readonly from: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** ISO 8601. */
  readonly sentAt: string;
  readonly messageId: string;
  readonly orderId: string | null;
  readonly userId: string;
}

/**
 * Where mails go in a demo without a mail server: a mail has arrived when its row says so, and whoever looks into the inbox
 * has it made once more. So no address and no token is ever stored.
 */
export const devInbox: MailTransport = {
  name: 'the inbox of the demo, /inbox',
  // Nothing leaves the house: a worker that dies leaves none of which anybody would have to ask what became of it.
  atOnce: 100,
  // An address that no server would be given is refused here too, and its mail becomes a dead letter.
  send: ({ to }) =>
    Promise.resolve(
      isAddress(to.address) ? { type: 'sent' } : { type: 'refused', error: new UnusableAddress().message },
    ),
  close: () => Promise.resolve(),
};

export interface InboxDeps {
  readonly database: Database;
  readonly store: UserStore;
  readonly mails: Mails;
  readonly composer: Composer;
  readonly identitySecret: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * `GET /inbox`, for the gateway: the newest mails that were sent, `?to=<address>` those of one person, to administrators
 * only. Written to people as they are now: somebody who is gone has no mails.
 */
export function serveInbox(app: FastifyInstance, deps: InboxDeps): void {
  app.get<{ Querystring: { to?: unknown } }>('/inbox', async (request, reply) => {
    try {
      requireAdmin(verifyIdentity(request.headers[IDENTITY_HEADER], 'user', deps.identitySecret, deps.now()));
    } catch (error) {
      return refuse(reply, error);
    }
    const { to } = request.query;
    return reply
      .header('cache-control', 'no-store')
      .send(await messages(deps, typeof to === 'string' ? to : undefined));
  });
}

async function messages({ database, store, mails, composer }: InboxDeps, to?: string): Promise<InboxMessage[]> {
  let only: string | undefined;
  if (to !== undefined) {
    const [user] = await database.read<{ id: string }>('SELECT id FROM users WHERE email_key = ?', [emailKey(to)]);
    if (user === undefined) return [];
    only = user.id;
  }
  const rows = await mails.sent(SHOWN, only);
  if (rows.length === 0) return [];
  const users = await store.find(database, [...new Set(rows.map(({ user_id }) => user_id))]);
  return rows.flatMap((row) => {
    const user = users.get(row.user_id);
    if (user === undefined || user.deleted) return [];
    const { from, to: recipient, subject, text, html, messageId } = composer.compose(row, user);
    return [
      {
        id: row.event_id,
        kind: row.kind,
        to: recipient,
        from: from.name === '' ? from.address : `${from.name} <${from.address}>`,
        subject,
        text,
        html,
        sentAt: new Date(row.done_at ?? row.requested_at).toISOString(),
        messageId,
        orderId: row.order_id,
        userId: row.user_id,
      },
    ];
  });
}

function refuse(reply: FastifyReply, error: unknown): FastifyReply {
  if (!(error instanceof AppError)) throw error;
  return reply.code(error.code === 'FORBIDDEN' ? 403 : 401).send(errorBody(error.code, error.message));
}
