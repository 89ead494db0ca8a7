import { createHash } from 'node:crypto';
import type { Database, Transaction } from '../../shared/database/port.js';
import { AppError } from '../../shared/errors/errors.js';
import { purgeBefore } from '../../shared/outbox/purge.js';
import { emailKey } from '../../shared/validation/text.js';

/** How many attempts fail freely, and how long the wait between further ones is at first and grows at most. */
interface Limit {
  readonly free: number;
  /** `FIRST_WAIT_MS` when absent. */
  readonly firstMs?: number;
  readonly longestMs: number;
}

const MINUTE = 60_000;
const DAY = 86_400_000;

/**
 * Three counters for every attempt to log in:
 * - one account from one address: people who mistype, and whoever guesses one person's password;
 * - one account from wherever nobody has logged in to it lately: guessing spread over many addresses. The wait stays short,
 *   and places from which the account was used are not subject to it, so that nobody can lock an owner out;
 * - one address, whatever the account: trying a few passwords on many people. An office behind one address has room.
 *
 * And one for registering, by address: each costs a hash, and tells whether somebody has that e-mail address.
 *
 * Three for mail that somebody has sent to an address, whoever reads it: each address once a minute, for the asking and
 * for becoming somebody's address, and a few from one place.
 */
const LIMITS = {
  pair: { free: 5, longestMs: 15 * MINUTE },
  account: { free: 20, longestMs: MINUTE },
  address: { free: 50, longestMs: 15 * MINUTE },
  registration: { free: 50, longestMs: 15 * MINUTE },
  resend: { free: 1, firstMs: MINUTE, longestMs: MINUTE },
  change: { free: 1, firstMs: MINUTE, longestMs: MINUTE },
  mail: { free: 20, longestMs: 15 * MINUTE },
} as const satisfies Record<string, Limit>;

type Counted = keyof typeof LIMITS;
type Login = 'pair' | 'account' | 'address';
type Counters = Readonly<Partial<Record<Counted, string>>>;

/** The first wait, unless the limit has its own; it doubles with every further failure. */
const FIRST_WAIT_MS = 1_000; // 1 second

/** Failures are forgotten when there was none for that long. */
const FORGET_MS = DAY;

/** A place from which somebody logged in is trusted that long. */
const TRUST_MS = 90 * DAY;

const PURGE_MS = 60 * MINUTE;

interface CounterRow {
  readonly counter: string;
  readonly failures: number;
  readonly failed_at: number;
  readonly trusted_until: number;
  readonly expires_at: number;
}

/** Who tries to log in, and from where. */
export interface Attempt {
  readonly email: string;
  /** As the gateway counts it, an IPv6 network as one; undefined where it is not known. */
  readonly address: string | undefined;
}

/**
 * Slows down guessing. Counts are rows, so they hold over any number of processes and their restarts, and what is counted
 * is the e-mail address as it was given: whether somebody has it makes no difference.
 */
export class LoginThrottle {
  private purged = -Infinity;

  constructor(
    private readonly database: Database,
    private readonly now: () => number,
  ) {}

  /**
   * Counts the attempt as failed, before it is made: any number at once count one by one. A refused one does not count,
   * makes no wait longer and leaves no row.
   * @throws AppError RATE_LIMITED, with `retryAfter` in seconds
   */
  begin(attempt: Attempt): Promise<void> {
    return this.count(countersOf(attempt));
  }

  /** Counts somebody who registers, whatever becomes of it. @throws AppError RATE_LIMITED as above */
  beginRegistration(address: Attempt['address']): Promise<void> {
    return this.count({ registration: idOf('registration', placeOf(address)) });
  }

  /** Counts a verification mail that is asked for, whether or not there is somebody to get it. @throws as above */
  beginResend({ email, address }: Attempt): Promise<void> {
    return this.count({ resend: idOf('resend', emailKey(email)), mail: idOf('mail', placeOf(address)) });
  }

  /** Counts an address that somebody changes theirs to, and is written to. @throws AppError RATE_LIMITED as above */
  beginChange({ email, address }: Attempt): Promise<void> {
    return this.count({ change: idOf('change', emailKey(email)), mail: idOf('mail', placeOf(address)) });
  }

  /**
   * Counts an address as `beginChange` does, of somebody who registers with it, in the transaction that makes them: where the
   * address is taken nobody is written to, and nothing is counted. @throws AppError RATE_LIMITED as above
   */
  beginAddress(tx: Transaction, email: string): Promise<void> {
    return this.countIn(tx, { change: idOf('change', emailKey(email)) }, this.now());
  }

  private async count(counters: Counters): Promise<void> {
    const now = this.now();
    this.purgeSometimes(now);
    await this.database.transaction((tx) => this.countIn(tx, counters, now));
  }

  private async countIn(tx: Transaction, counters: Counters, now: number): Promise<void> {
    const rows = await lockAll(tx, Object.values(counters), now);
    const trusted = (rows.get(counters.pair ?? '')?.trusted_until ?? 0) > now;
    const counted = Object.entries(counters).filter(([kind]) => !(kind === 'account' && trusted));
    const wait = Math.max(...counted.map(([kind, id]) => waitOf(rows.get(id), LIMITS[kind as Counted], now)));
    // Rolled back: else whoever is refused could fill the table with invented addresses.
    if (wait > 0) throw tooMany(wait);
    for (const [, id] of counted) {
      const row = rows.get(id);
      const failures = (row === undefined || now - row.failed_at > FORGET_MS ? 0 : row.failures) + 1;
      await tx.execute('UPDATE login_failures SET failures = ?, failed_at = ?, expires_at = ? WHERE counter = ?', [
        failures,
        now,
        Math.max(now + FORGET_MS, row?.trusted_until ?? 0),
        id,
      ]);
    }
  }

  /** It was no failure after all: the account starts anew, and the place is trusted. */
  async succeeded(tx: Transaction, attempt: Attempt): Promise<void> {
    const now = this.now();
    const { pair, account, address } = countersOf(attempt);
    const rows = await lockAll(tx, [pair, account, address], now);
    const trusted = now + TRUST_MS;
    const columns = 'failures = 0, trusted_until = ?, expires_at = ?';
    await tx.execute(`UPDATE login_failures SET ${columns} WHERE counter = ?`, [trusted, trusted, pair]);
    await tx.execute('UPDATE login_failures SET failures = 0 WHERE counter = ?', [account]);
    // Only this one attempt: else whoever has an account of their own could guess at others without end.
    const failures = Math.max(0, (rows.get(address)?.failures ?? 0) - 1);
    await tx.execute('UPDATE login_failures SET failures = ? WHERE counter = ?', [failures, address]);
  }

  private purgeSometimes(now: number): void {
    if (now - this.purged < PURGE_MS) return;
    this.purged = now;
    // What is left over waits for the next hour.
    purgeBefore(this.database, 'login_failures', 'expires_at', now).catch(() => undefined);
  }
}

/** The rows, made where they are missing and locked in the order of their ids. */
async function lockAll(tx: Transaction, ids: readonly string[], now: number): Promise<Map<string, CounterRow>> {
  const sorted = [...ids].sort();
  const empty = { failures: 0, failed_at: 0, trusted_until: 0, expires_at: now + FORGET_MS };
  await tx.insertNew(
    'login_failures',
    ['counter'],
    sorted.map((counter) => ({ counter, ...empty })),
  );
  const rows = await tx.lock<CounterRow>('login_failures', 'counter', sorted);
  return new Map(rows.map((row) => [row.counter, row]));
}

function waitOf(row: CounterRow | undefined, { free, firstMs = FIRST_WAIT_MS, longestMs }: Limit, now: number): number {
  if (row === undefined || row.failures < free || now - row.failed_at > FORGET_MS) return 0;
  const wait = Math.min(longestMs, firstMs * 2 ** Math.min(30, row.failures - free));
  return Math.max(0, row.failed_at + wait - now);
}

function tooMany(waitMs: number): AppError {
  const retryAfter = Math.ceil(waitMs / 1_000);
  return new AppError('RATE_LIMITED', `Too many attempts; try again in ${retryAfter} s.`, { details: { retryAfter } });
}

const placeOf = (address: Attempt['address']): string => address ?? 'unknown';

/** What an attempt is counted under. */
function countersOf({ email, address }: Attempt): Record<Login, string> {
  const account = emailKey(email);
  const place = placeOf(address);
  return {
    pair: idOf('pair', account, place),
    account: idOf('account', account),
    address: idOf('address', place),
  };
}

const idOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
