/** What follows from an attempt to send a mail. Pure. */
import { assertNever } from '../../../shared/errors/errors.js';
import type { MailRow } from './mails.js';
import type { Delivery } from './transport.js';

const LONGEST_REFUSED_MS = 3_600_000; // an hour

/** With pauses from half a minute to an hour the last of them comes three hours after the first. */
const MOST_REFUSALS = 10;

/** Copies that somebody may get in the worst case: what may or may not have arrived is sent once more. */
const MOST_COPIES = 2;

export type Outcome =
  | Delivery
  /** Of no use any more. */
  | { readonly type: 'dropped'; readonly reason: string }
  /** Not even tried: our own database did not answer, or too late. */
  | { readonly type: 'unread'; readonly error: string };

/** What is recorded of an outcome. */
export type Verdict =
  | { readonly type: 'end'; readonly status: 'SENT' | 'DROPPED' | 'DEAD'; readonly reason: string | null }
  | { readonly type: 'again'; readonly inMs: number; readonly refused: boolean; readonly reason: string };

type Tries = Pick<MailRow, 'attempts' | 'answers' | 'refusals'>;

/** What is said of a mail that has been taken up as often as it may without anybody hearing of it. */
export const UNHEARD: Outcome = {
  type: 'unknown',
  error: 'It was taken up twice, and nobody heard what became of it.',
};

/** Whether a mail that was just taken up may go out: not after two attempts of which nobody knows what became of them. */
export const maySend = ({ attempts, answers }: Tries): boolean => attempts - 1 - answers < MOST_COPIES;

/** `awayMs`: how long nothing is sent at all; `refusedMs`: the first pause of a mail that is not wanted now. */
export function judge(
  { attempts, answers, refusals }: Tries,
  outcome: Outcome,
  { awayMs, refusedMs }: { readonly awayMs: number; readonly refusedMs: number },
): Verdict {
  switch (outcome.type) {
    case 'sent':
      return { type: 'end', status: 'SENT', reason: null };
    case 'dropped':
      return { type: 'end', status: 'DROPPED', reason: outcome.reason };
    case 'refused':
      return { type: 'end', status: 'DEAD', reason: inShort(outcome.error) };
    case 'unread':
    case 'away':
      return { type: 'again', inMs: awayMs, refused: false, reason: inShort(outcome.error) };
    case 'postponed':
      return refusals + 1 >= MOST_REFUSALS
        ? { type: 'end', status: 'DEAD', reason: inShort(outcome.error) }
        : {
            type: 'again',
            inMs: Math.min(refusedMs * 2 ** refusals, LONGEST_REFUSED_MS),
            refused: true,
            reason: inShort(outcome.error),
          };
    case 'unknown':
      return attempts - answers >= MOST_COPIES
        ? { type: 'end', status: 'DEAD', reason: inShort(outcome.error) }
        : { type: 'again', inMs: refusedMs, refused: false, reason: inShort(outcome.error) };
    default:
      return assertNever(outcome);
  }
}

/** As long as the table takes. */
const inShort = (text: string): string => [...text].slice(0, 500).join('');
