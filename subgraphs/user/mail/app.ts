import type { FastifyInstance } from 'fastify';
import type { Database } from '../../../shared/database/port.js';
import type { Outbox } from '../../../shared/outbox/outbox.js';
import type { Reaction } from '../../../shared/reactions/reaction.js';
import type { SubgraphDeps } from '../../../shared/service/service.js';
import type { WorkerPart } from '../../../shared/service/worker.js';
import type { UserStore } from '../store.js';
import type { VerificationTokens } from '../verification-tokens.js';
import { Composer } from './compose.js';
import { devInbox, serveInbox } from './inbox.js';
import { Mails } from './mails.js';
import { requestMails } from './reaction.js';
import { smtpTransport } from './smtp.js';
import type { MailTransport } from './transport.js';
import { createMailWorker } from './worker.js';

export interface MailDeps extends Pick<SubgraphDeps, 'config' | 'identitySecret' | 'log' | 'metrics' | 'now'> {
  readonly database: Database;
  readonly store: UserStore;
  readonly outbox: Outbox;
  readonly tokens: VerificationTokens;
}

/** Mail to the people: what asks for it, what sends it, and in demo mode the inbox, a route of the API. */
export interface MailParts {
  readonly reaction: Reaction;
  readonly worker: WorkerPart;
  readonly serve: (app: FastifyInstance) => void;
}

export function buildMail(deps: MailDeps): MailParts {
  const { config, database, now } = deps;
  const mails = new Mails(database);
  const composer = new Composer({ settings: config.mail, tokens: deps.tokens });
  const demo = config.auth.mode === 'demo';
  return {
    reaction: requestMails(mails, now),
    worker: createMailWorker({ ...deps, mails, composer, transport: transportOf(config.mail.smtpUrl, demo) }),
    serve: (app) => {
      if (demo) serveInbox(app, { ...deps, mails, composer });
    },
  };
}

function transportOf(smtpUrl: string | undefined, demo: boolean): MailTransport | null {
  if (smtpUrl !== undefined) return smtpTransport(smtpUrl);
  return demo ? devInbox : null;
}
