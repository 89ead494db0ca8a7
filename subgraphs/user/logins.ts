import type { CommandContext, Commands } from '../../shared/commands/commands.js';
import type { Database, Transaction } from '../../shared/database/port.js';
import { AppError, notFound, validationError } from '../../shared/errors/errors.js';
import { requireUser } from '../../shared/identity/identity.js';
import { newId } from '../../shared/ids/ids.js';
import { emailKey, parseEmail, parseText } from '../../shared/validation/text.js';
import type { LoginThrottle } from './login-throttle.js';
import { parsePassword, type Passwords } from './passwords.js';
import type { SigningKeys } from './signing-keys.js';
import type { UserStore } from './store.js';
import { decide, decideAll, type Locale, type UserState } from './user.js';
import { newVerification } from './verifications.js';

export interface Register {
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly locale?: Locale | null | undefined;
}

export interface Login {
  readonly email: string;
  readonly password: string;
}

export interface ChangePassword {
  readonly currentPassword: string;
  readonly newPassword: string;
}

export interface Session {
  readonly accessToken: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly user: UserState;
}

/** What became of somebody who was to be an administrator. */
export type AdminOutcome = 'created' | 'promoted' | 'unchanged' | 'exists';

export interface LoginCommands {
  /** A new user with a password, logged in at once. @throws AppError VALIDATION, RATE_LIMITED, CONFLICT on a taken address */
  register(context: CommandContext, input: Register): Promise<Session>;
  /** @throws AppError UNAUTHENTICATED, without telling what is wrong, RATE_LIMITED with `retryAfter` */
  login(context: CommandContext, input: Login): Promise<Session>;
  /** @throws AppError UNAUTHENTICATED, VALIDATION, RATE_LIMITED */
  changePassword(context: CommandContext, input: ChangePassword): Promise<UserState>;
  /**
   * Makes an administrator who can log in, for callers inside the system. Somebody who exists is changed only if
   * `replace` is set, else the answer is `exists`; one who is an administrator with that password already is `unchanged`.
   */
  createAdmin(context: CommandContext, input: Register & { readonly replace: boolean }): Promise<AdminOutcome>;
  /** Gives the users a password that everybody knows, where they have none. It is good in demo mode only. */
  giveDemoPasswords(passwords: ReadonlyMap<string, string>): Promise<void>;
}

interface CredentialsRow {
  readonly user_id: string;
  readonly password_hash: string;
  readonly demo: number;
  /** Of the password; a hash that is made anew at a login leaves it alone. */
  readonly changed_at: number;
}

export interface LoginDeps {
  readonly database: Database;
  readonly store: UserStore;
  readonly commands: Commands;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly keys: SigningKeys;
  /** Whether passwords from the documentation are good. */
  readonly demo: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const WRONG = 'E-mail or password is wrong.';
const wrongCurrent = (): AppError => validationError('currentPassword', 'That is not the current password.');

/** How people come in. Passwords and their hashes are in the table of credentials and nowhere else. */
export function loginCommands(deps: LoginDeps): LoginCommands {
  const { database, store, commands, passwords, throttle, keys, demo, now } = deps;

  const session = async (user: UserState): Promise<Session> => {
    const { token, expiresAt } = await keys.sign(user);
    return { accessToken: token, expiresAt, user };
  };
  const save = (tx: Transaction, userId: string, hash: string, isDemo = false): Promise<void> =>
    tx.upsert('credentials', ['user_id'], [{ user_id: userId, password_hash: hash, demo: isDemo, changed_at: now() }]);
  const credentialsOf = async (userId: string): Promise<CredentialsRow | undefined> => {
    const [row] = await database.read<CredentialsRow>('SELECT * FROM credentials WHERE user_id = ?', [userId]);
    return row === undefined || (row.demo === 1 && !demo) ? undefined : row;
  };
  /** Whether the password is still the one that was compared: that took its time. The user has to be locked. */
  const isCurrent = async (tx: Transaction, { user_id: id, changed_at: at }: CredentialsRow): Promise<boolean> =>
    (await tx.query('SELECT user_id FROM credentials WHERE user_id = ? AND changed_at = ?', [id, at])).length > 0;

  /** The password is right. Everything else that has to be done takes one transaction, which answers the user as it is. */
  const confirm = async (stored: CredentialsRow, { email, password }: Login, address: string | undefined) => {
    const { user_id: id, password_hash: hash } = stored;
    const renewed = passwords.isOutdated(hash) ? await passwords.hash(password.normalize('NFKC')) : undefined;
    return database.transaction(async (tx) => {
      const current = await store.lock(tx, id);
      if (current === null || current.deleted || !(await isCurrent(tx, stored))) return undefined;
      await throttle.succeeded(tx, { email, address });
      if (renewed !== undefined) {
        // Not if another login was faster.
        const matching = 'WHERE user_id = ? AND password_hash = ?';
        await tx.execute(`UPDATE credentials SET password_hash = ? ${matching}`, [renewed, id, hash]);
      }
      return current;
    });
  };

  return {
    async register(context, input) {
      const name = parseText(input.name, { field: 'name', max: 200 });
      const email = parseEmail(input.email, 'email');
      const password = parsePassword(input.password, 'password');
      const locale = input.locale ?? 'EN';
      await throttle.beginRegistration(context.identity.address);
      const hash = await passwords.hash(password);
      const id = newId();
      const user = await commands.run(context, {
        mutation: 'register',
        input: {},
        work: async (tx) => {
          const at = now();
          const verification = newVerification(at);
          const decided = decide(null, { type: 'create', id, name, email, role: 'USER', locale, at, verification });
          const created = await store.save(tx, null, decided, context.traceparent);
          await throttle.beginAddress(tx, email);
          await save(tx, id, hash);
          return created;
        },
      });
      return session(user);
    },

    async login(context, input) {
      const email = parseEmail(input.email, 'email');
      const { address } = context.identity;
      await throttle.begin({ email, address });
      const user = await store.findByEmail(database, email);
      const stored = user === undefined ? undefined : await credentialsOf(user.id);
      const right = await passwords.matches(input.password, stored?.password_hash);
      if (stored === undefined || !right) throw new AppError('UNAUTHENTICATED', WRONG);
      const current = await confirm(stored, { email, password: input.password }, address);
      if (current === undefined) throw new AppError('UNAUTHENTICATED', WRONG);
      return session(current);
    },

    async changePassword(context, { currentPassword, newPassword }) {
      const { userId } = requireUser(context.identity);
      const wanted = parsePassword(newPassword, 'newPassword');
      const user = (await store.find(database, [userId])).get(userId);
      if (user === undefined || user.deleted) throw notFound('user', userId);
      const { address } = context.identity;
      await throttle.begin({ email: user.email, address });
      const stored = await credentialsOf(userId);
      if (stored === undefined || !(await passwords.matches(currentPassword, stored.password_hash))) {
        throw wrongCurrent();
      }
      const hash = await passwords.hash(wanted);
      return commands.run(context, {
        mutation: 'changePassword',
        input: {},
        work: async (tx) => {
          const current = await store.lock(tx, userId);
          if (current === null || current.deleted) throw notFound('user', userId);
          if (!(await isCurrent(tx, stored))) throw wrongCurrent();
          await throttle.succeeded(tx, { email: current.email, address });
          await save(tx, userId, hash);
          return current;
        },
      });
    },

    async createAdmin(context, input) {
      const name = parseText(input.name, { field: 'name', max: 200 });
      const email = parseEmail(input.email, 'email');
      const password = parsePassword(input.password, 'password');
      const known = await store.findByEmail(database, email);
      if (known !== undefined) {
        const stored = await credentialsOf(known.id);
        const same =
          stored !== undefined && stored.demo === 0 && (await passwords.matches(password, stored.password_hash));
        if (same && known.role === 'ADMIN') return 'unchanged';
        if (!input.replace) return 'exists';
      }
      const hash = await passwords.hash(password);
      const id = known?.id ?? newId();
      return commands.run<AdminOutcome>(context, {
        mutation: 'createAdmin',
        input: {},
        work: async (tx) => {
          const before = known === undefined ? null : await store.lock(tx, id);
          // Whoever gave the address away meanwhile is not who was meant.
          if (before !== null && (before.deleted || emailKey(before.email) !== emailKey(email))) {
            throw new AppError('CONFLICT', 'That user has changed meanwhile; try again.', { field: 'email' });
          }
          const at = now();
          // Whoever may do this vouches for the address.
          const decided = decideAll(before, [
            before === null
              ? { type: 'create', id, name, email, role: 'ADMIN', locale: 'EN', at }
              : { type: 'update', role: 'ADMIN', at, verification: newVerification(at) },
            { type: 'verify', at },
          ]);
          await store.save(tx, before, decided, context.traceparent);
          await save(tx, id, hash);
          return before === null ? 'created' : 'promoted';
        },
      });
    },

    async giveDemoPasswords(given) {
      for (const [userId, password] of given) {
        const [there] = await database.read('SELECT user_id FROM credentials WHERE user_id = ?', [userId]);
        if (there !== undefined) continue;
        const hash = await passwords.hash(parsePassword(password, 'password'));
        await database.transaction(async (tx) => {
          const user = await store.lock(tx, userId);
          if (user === null || user.deleted) return;
          const row = { user_id: userId, password_hash: hash, demo: true, changed_at: now() };
          await tx.insertNew('credentials', ['user_id'], [row]);
        });
      }
    },
  };
}
