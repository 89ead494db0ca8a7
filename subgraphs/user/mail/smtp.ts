import type { Readable } from 'node:stream';
import type { Transporter } from 'nodemailer';
import type { Mail } from './compose.js';
import { encode } from './mime.js';
import { withoutAddresses } from './names.js';
import type { Delivery, MailTransport } from './transport.js';

export interface SmtpTimes {
  /** To be connected, and to be greeted: milliseconds each. */
  readonly connectMs: number;
  /** Between two signs of life of the server. */
  readonly silenceMs: number;
}

const TIMES: SmtpTimes = { connectMs: 10_000, silenceMs: 20_000 };

/** Connections at a time, kept for the next mails. */
const SMTP_CONNECTIONS = 5;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

/** Whether a server must be spoken to over TLS: a password crosses no network in the clear, whatever it offers. */
export const needsTls = ({ username, hostname }: URL): boolean => username !== '' && !LOOPBACK.test(hostname);

/** Says that who we are is the matter, whatever command it answers. */
const NOT_LET_IN: ReadonlySet<number> = new Set([530, 534, 535, 538, 454]);

/** A mail server over SMTP; nodemailer is loaded with the first mail. */
export function smtpTransport(smtpUrl: string, times: SmtpTimes = TIMES): MailTransport {
  let transporter: Promise<Transporter> | undefined;
  const streams = new WeakMap<Buffer, Readable>();
  const url = new URL(smtpUrl);
  const open = async (): Promise<Transporter> => {
    const { createTransport } = await import('nodemailer');
    const mailer = createTransport({
      pool: true,
      maxConnections: SMTP_CONNECTIONS,
      // A mail that may have arrived is ours to repeat, not the pool's.
      maxRequeues: 0,
      connectionTimeout: times.connectMs,
      greetingTimeout: times.connectMs,
      socketTimeout: times.silenceMs,
      dnsTimeout: times.connectMs,
      requireTLS: needsTls(url),
      url: smtpUrl,
    });
    // Only the stream itself tells whether the server had a byte of the mail.
    mailer.use('stream', ({ message, data }, done) => {
      const create = message.createReadStream.bind(message);
      message.createReadStream = (...how) => {
        const stream = create(...how);
        if (Buffer.isBuffer(data.raw)) streams.set(data.raw, stream);
        return stream;
      };
      done();
    });
    return mailer;
  };
  return {
    name: `the mail server ${url.host}`,
    atOnce: SMTP_CONNECTIONS,
    async send(mail, signal) {
      let raw: Buffer;
      try {
        raw = await encode(mail);
      } catch (error) {
        return { type: 'refused', error: wordsOf(error) };
      }
      try {
        const mailer = await (transporter ??= open());
        await mailer.sendMail({ envelope: envelopeOf(mail), raw, signal });
        return { type: 'sent' };
      } catch (error) {
        return failureOf(error, streams.get(raw)?.readableDidRead === true);
      }
    },
    async close() {
      (await transporter)?.transporter.close?.({ force: true });
    },
  };
}

const envelopeOf = ({ from, to }: Mail) => ({ from: from.address, to: [to.address] });

/** What an error of nodemailer means for the mail. */
function failureOf(error: unknown, handedOver: boolean): Delivery {
  const { responseCode: code, command = '' } = error as { readonly responseCode?: number; readonly command?: string };
  const failed = { error: wordsOf(error) };
  if (code === undefined) return { type: handedOver ? 'unknown' : 'away', ...failed };
  // What is said to a connection, a login or a sender is said to all mails alike.
  const aboutThis = /^(RCPT TO|DATA)/.test(command) && code !== 421 && !NOT_LET_IN.has(code);
  if (!aboutThis) return { type: 'away', ...failed };
  return { type: code < 500 ? 'postponed' : 'refused', ...failed };
}

const wordsOf = (error: unknown): string => withoutAddresses(error instanceof Error ? error.message : String(error));
