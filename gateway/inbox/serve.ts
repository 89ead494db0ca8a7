import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { errorBody } from '../../shared/graphql/errors.js';
import { IDENTITY_HEADER, type Identity } from '../../shared/identity/identity.js';
import type { Logger } from '../../shared/observability/logger.js';
import { pageHeaders, pagePolicy } from '../pages.js';
import style from './page/inbox.css';
import page from './page/index.html';
import main from './page/main.page.js';

/** The mails belong to nobody who could be asked, so the gateway asks by itself. */
const READER: Identity = { role: 'ADMIN', userId: '00000000-0000-0000-0000-000000000000' };

const ANSWER_MS = 5_000; // 5 seconds

/** A mail is in a frame of its own. */
const PAGE_POLICY = pagePolicy({ 'frame-src': "'self'" });

/** A mail is markup with styles and links, and nothing else: no scripts, no pictures, no forms, nobody's origin. */
const MAIL_POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  'sandbox allow-popups allow-popups-to-escape-sandbox',
].join('; ');

const HTML = 'text/html; charset=utf-8';

const FILES: Readonly<Record<string, readonly [type: string, text: string]>> = {
  '/inbox': [HTML, page],
  '/inbox/inbox.css': ['text/css; charset=utf-8', style],
  '/inbox/main.page.js': ['text/javascript; charset=utf-8', main],
};

const messagesOf = z.array(z.looseObject({ id: z.string(), html: z.string() }));

export interface InboxOptions {
  /** Where the user subgraph listens: `http://127.0.0.1:4001/graphql`. */
  readonly userUrl: string;
  readonly tokens: { tokenFor(identity: Identity, subgraph: string): string };
  readonly log: Logger;
}

/** There is no telling what the user subgraph has. */
class NoInbox extends Error {}

/**
 * The inbox of a demo: the page at `/inbox`, the mails as JSON at `/inbox/messages`, the newest first, `?to=<address>` those
 * of one person, and each as it looks at `/inbox/messages/<id>`, with the same `?to=`. Whoever reaches it reads every mail: for demo mode only.
 */
export function registerInbox(app: FastifyInstance, { userUrl, tokens, log }: InboxOptions): void {
  const read = async (to: unknown): Promise<string> => {
    const url = new URL('/inbox', userUrl);
    if (typeof to === 'string') url.searchParams.set('to', to);
    try {
      const headers = { [IDENTITY_HEADER]: tokens.tokenFor(READER, 'user') };
      const answer = await fetch(url, { headers, signal: AbortSignal.timeout(ANSWER_MS) });
      if (!answer.ok) throw new Error(`the user service answered ${answer.status}`);
      return await answer.text();
    } catch (error) {
      log.warn({ err: error }, 'the inbox cannot be read');
      throw new NoInbox('The inbox cannot be read at the moment; try again shortly.', { cause: error });
    }
  };
  const orSayWhy = async (reply: FastifyReply, answer: () => Promise<FastifyReply>): Promise<FastifyReply> => {
    try {
      return await answer();
    } catch (error) {
      if (!(error instanceof NoInbox)) throw error;
      return reply.code(503).send(errorBody('UNAVAILABLE', error.message));
    }
  };

  for (const [path, [type, text]] of Object.entries(FILES)) {
    app.get(path, (_request, reply) => reply.headers(pageHeaders(type, PAGE_POLICY, 'no-cache')).send(text));
  }

  app.get<{ Querystring: { to?: unknown } }>('/inbox/messages', (request, reply) =>
    orSayWhy(reply, async () => {
      const messages = await read(request.query.to);
      // The page asks again and again, and hardly ever is there anything new.
      const tag = `"${createHash('sha256').update(messages).digest('base64url')}"`;
      void reply.headers({ etag: tag, 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
      if (request.headers['if-none-match'] === tag) return reply.code(304).send();
      return reply.type('application/json; charset=utf-8').send(messages);
    }),
  );

  app.get<{ Params: { id: string }; Querystring: { to?: unknown } }>('/inbox/messages/:id', (request, reply) =>
    orSayWhy(reply, async () => {
      const messages = messagesOf.parse(JSON.parse(await read(request.query.to)));
      const found = messages.find(({ id }) => id === request.params.id);
      if (found === undefined) return reply.code(404).send(errorBody('NOT_FOUND', 'There is no such mail.'));
      // Our own page may show it in a frame.
      void reply.headers({ ...pageHeaders(HTML, MAIL_POLICY, 'no-store'), 'x-frame-options': 'SAMEORIGIN' });
      return reply.send(found.html);
    }),
  );
}
