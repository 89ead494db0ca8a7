import type { Mail } from './compose.js';

/** What became of one attempt to hand a mail over. `error` says why, in a line, without the address. */
export type Delivery =
  | { readonly type: 'sent' }
  /** Nothing is wrong with the mail: the server is not there, does not let us in, or takes nothing at the moment. */
  | { readonly type: 'away'; readonly error: string }
  /** The server does not take this mail now, and may later (4xx). */
  | { readonly type: 'postponed'; readonly error: string }
  /** Nor ever (5xx). */
  | { readonly type: 'refused'; readonly error: string }
  /** The mail was handed over, and no answer came: the server may have it, or not. */
  | { readonly type: 'unknown'; readonly error: string };

/** Where mails go. */
export interface MailTransport {
  /** For people: `the mail server mail.example:587`. */
  readonly name: string;
  /** How many mails it takes at a time: a whole number, at least 1. Of so many nobody knows what became when a worker dies. */
  readonly atOnce: number;
  /**
   * Hands one mail over. Never rejects. Whatever but `unknown` it answers is certain: unless it is `sent`, nobody gets this
   * copy. When the signal aborts, the attempt is broken off and answered.
   */
  send(mail: Mail, signal: AbortSignal): Promise<Delivery>;
  /** Breaks off what is under way, which is answered then, and takes nothing more. Safe to call twice. */
  close(): Promise<void>;
}
