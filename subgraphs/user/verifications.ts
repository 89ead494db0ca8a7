import { setTimeout as delay } from 'node:timers/promises';
import type { CommandContext, Commands } from '../../shared/commands/commands.js';
import type { Database, Transaction } from '../../shared/database/port.js';
import { AppError, validationError } from '../../shared/errors/errors.js';
import { newId } from '../../shared/ids/ids.js';
import { purgeBefore } from '../../shared/outbox/purge.js';
import { emailKey, parseEmail } from '../../shared/validation/text.js';
import type { LoginThrottle } from './login-throttle.js';
import type { UserStore } from './store.js';
import { decide, type UserState, type Verification } from './user.js';
import type { VerificationTokens } from './verification-tokens.js';

/** How long the link in a mail is good. */
const VERIFICATION_TTL_MS = 600_000; // 10 minutes

/** So long after that somebody who follows it is told what became of it. */
const KEEP_MS = 86_400_000; // 1 day

const PURGE_MS = 3_600_000; // 1 hour

/** Every `resendVerification` takes at least this long: with less, how long it takes would tell who is here. */
const RESEND_MS = 200;

/** The next verification of a user; its mail is composed when it is sent. */
export const newVerification = (now: number): Verification => ({ id: newId(), expiresAt: now + VERIFICATION_TTL_MS });

/** Why a link of ours confirms nothing (any more), in `extensions.reason`. */
export type LinkProblem = 'USED' | 'EXPIRED' | 'CHANGED';

const MESSAGES: Readonly<Record<LinkProblem, string>> = {
  USED: 'This link was used already.',
  EXPIRED: 'This link is good no more; ask for another one.',
  CHANGED: 'The e-mail address was changed since this link was sent; use the newest one.',
};

const unusable = (reason: LinkProblem): AppError =>
  new AppError('INVALID_STATE', MESSAGES[reason], { field: 'token', details: { reason } });

export interface VerificationCommands {
  /**
   * Confirms the address that the token was sent to. Of several links that are good, the first that is used counts; the
   * others are used with it. Whoever has the token may.
   * @throws AppError VALIDATION for what is no token of ours, INVALID_STATE with a `reason` (LinkProblem), field `token`
   */
  verifyEmail(context: CommandContext, input: { readonly token: string }): Promise<UserState>;
  /**
   * Asks for another mail to whoever has this address and has not confirmed it. The answer is the same whether there is
   * such a user or not. @throws AppError VALIDATION, RATE_LIMITED with `retryAfter`
   */
  resendVerification(context: CommandContext, input: { readonly email: string }): Promise<{ readonly accepted: true }>;
  /** Counts the addresses of those people as confirmed, as long as they have them; for callers inside the system. */
  vouchFor(context: CommandContext, people: readonly { readonly id: string; readonly email: string }[]): Promise<void>;
  /** Deletes what nobody can use any more and answers how many. Runs by itself once an hour while links are used. */
  purgeVerifications(): Promise<number>;
}

interface VerificationRow {
  readonly id: string;
  readonly user_id: string;
  readonly email: string;
  readonly expires_at: number;
  readonly used_at: number | null;
}

export interface VerificationDeps {
  readonly database: Database;
  readonly store: UserStore;
  readonly commands: Commands;
  readonly tokens: VerificationTokens;
  readonly throttle: LoginThrottle;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** How people confirm that they read mail at their address. */
export function verificationCommands(deps: VerificationDeps): VerificationCommands {
  const { database, store, commands, tokens, throttle, now } = deps;
  let purged = -Infinity;

  const find = async (id: string): Promise<VerificationRow | undefined> =>
    (await database.read<VerificationRow>('SELECT * FROM verifications WHERE id = ?', [id]))[0];

  const purgeVerifications = (): Promise<number> =>
    purgeBefore(database, 'verifications', 'expires_at', now() - KEEP_MS);
  const purgeSometimes = (context: CommandContext): void => {
    if (performance.now() - purged < PURGE_MS) return;
    purged = performance.now();
    purgeVerifications().catch((error: unknown) =>
      context.log.debug({ err: error }, 'old verifications not deleted; the next hour will'),
    );
  };

  const problemWith = (row: VerificationRow | undefined, user: UserState | null): LinkProblem | undefined => {
    if (row === undefined) return 'EXPIRED';
    if (row.used_at !== null) return 'USED';
    if (user === null || user.deleted || emailKey(user.email) !== emailKey(row.email)) return 'CHANGED';
    return row.expires_at <= now() ? 'EXPIRED' : undefined;
  };

  const request = async (context: CommandContext, userId: string, email: string): Promise<void> => {
    await commands.run(context, {
      mutation: 'resendVerification',
      input: {},
      work: async (tx) => {
        const user = await store.lock(tx, userId);
        if (user === null || user.deleted || emailKey(user.email) !== emailKey(email)) return null;
        const at = now();
        const events = decide(user, { type: 'requestVerification', verification: newVerification(at), at });
        return store.save(tx, user, events, context.traceparent);
      },
    });
  };

  return {
    async verifyEmail(context, { token }) {
      const id = tokens.idIn(token);
      if (id === null) throw validationError('token', 'That is no link of ours, or not all of it.');
      purgeSometimes(context);
      const userId = (await find(id))?.user_id;
      if (userId === undefined) throw unusable('EXPIRED');
      return commands.run(context, {
        mutation: 'verifyEmail',
        input: {},
        work: async (tx) => {
          // Whoever uses a link of this user holds the user: of many at once one finds it unused.
          const user = await store.lock(tx, userId);
          const [row] = await tx.lock<VerificationRow>('verifications', 'id', [id]);
          const problem = problemWith(row, user);
          if (problem !== undefined) throw unusable(problem);
          const at = now();
          await useAll(tx, userId, at);
          return store.save(tx, user, decide(user, { type: 'verify', at }), context.traceparent);
        },
      });
    },

    async resendVerification(context, input) {
      const email = parseEmail(input.email, 'email');
      const { address } = context.identity;
      await throttle.beginResend({ email, address });
      purgeSometimes(context);
      const work = async (): Promise<void> => {
        const user = await store.findByEmail(database, email);
        if (user !== undefined && !user.verified) await request(context, user.id, email);
      };
      await Promise.all([work(), delay(RESEND_MS)]);
      return { accepted: true };
    },

    async vouchFor(context, people) {
      const known = await store.find(
        database,
        people.map(({ id }) => id),
      );
      for (const { id, email } of people) {
        if (known.get(id)?.verified !== false) continue;
        await commands.run(context, {
          mutation: 'vouchFor',
          input: {},
          work: async (tx) => {
            const user = await store.lock(tx, id);
            if (user === null || user.deleted || emailKey(user.email) !== emailKey(email)) return user;
            return store.save(tx, user, decide(user, { type: 'verify', at: now() }), context.traceparent);
          },
        });
      }
    },

    purgeVerifications,
  };
}

const useAll = (tx: Transaction, userId: string, at: number): Promise<number> =>
  tx.execute('UPDATE verifications SET used_at = ? WHERE user_id = ? AND used_at IS NULL', [at, userId]);
