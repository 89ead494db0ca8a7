import type { CommandContext, Commands } from '../../shared/commands/commands.js';
import { expectVersion } from '../../shared/commands/version.js';
import type { Database } from '../../shared/database/port.js';
import { AppError, notFound } from '../../shared/errors/errors.js';
import { requireAccess, requireAdmin } from '../../shared/identity/identity.js';
import { newId, parseId } from '../../shared/ids/ids.js';
import { emailKey, parseEmail, parseText } from '../../shared/validation/text.js';
import type { LoginThrottle } from './login-throttle.js';
import type { UserStore } from './store.js';
import { decide, type Locale, type Role, type UserState } from './user.js';
import { newVerification } from './verifications.js';

type Maybe<T> = T | null | undefined;

interface Keyed {
  readonly idempotencyKey?: Maybe<string>;
}

export interface CreateUser extends Keyed {
  readonly name: string;
  readonly email: string;
  readonly role?: Maybe<Role>;
  readonly locale?: Maybe<Locale>;
}

interface ChangeUser extends Keyed {
  readonly id: string;
  readonly expectedVersion?: Maybe<number>;
}

export interface UpdateUser extends ChangeUser {
  readonly name?: Maybe<string>;
  readonly email?: Maybe<string>;
  readonly role?: Maybe<Role>;
  readonly locale?: Maybe<Locale>;
}

export interface UserCommands {
  /** `id` is for callers inside the system, demo data for one. */
  create(context: CommandContext, input: CreateUser, id?: string): Promise<UserState>;
  update(context: CommandContext, input: UpdateUser): Promise<UserState>;
  remove(context: CommandContext, input: ChangeUser): Promise<UserState>;
}

const parseName = (name: string): string => parseText(name, { field: 'name', max: 200 });

/** What people may do with their own record, and administrators with any. */
export function userCommands({
  database,
  store,
  commands,
  throttle,
  now,
}: {
  readonly database: Database;
  readonly store: UserStore;
  readonly commands: Commands;
  readonly throttle: LoginThrottle;
  readonly now: () => number;
}): UserCommands {
  /** A new address is written to, whoever reads mail there. Administrators may have as many written to as they like. */
  const countChange = async (
    { identity }: CommandContext,
    { id, email, expectedVersion }: Pick<UpdateUser, 'id' | 'email' | 'expectedVersion'>,
  ): Promise<void> => {
    if (typeof email !== 'string' || identity.role === 'ADMIN') return;
    const before = (await store.find(database, [id])).get(id);
    if (before === undefined || emailKey(before.email) === emailKey(email)) return;
    // Refused whatever happens meanwhile, so nobody will be written to. A version to come may be the right one by then.
    if (before.deleted || (expectedVersion ?? before.version) < before.version) return;
    await throttle.beginChange({ email, address: identity.address });
  };

  return {
    async create(context, input, id = newId()) {
      requireAdmin(context.identity);
      const name = parseName(input.name);
      const email = parseEmail(input.email, 'email');
      const role = input.role ?? 'USER';
      const locale = input.locale ?? 'EN';
      return commands.run(context, {
        mutation: 'createUser',
        input,
        work: (tx) => {
          const events = decide(null, { type: 'create', id, name, email, role, locale, at: now() });
          return store.save(tx, null, events, context.traceparent);
        },
      });
    },

    async update(context, input) {
      const id = parseId(input.id);
      requireAccess(context.identity, id);
      const name = typeof input.name === 'string' ? parseName(input.name) : undefined;
      const email = typeof input.email === 'string' ? parseEmail(input.email, 'email') : undefined;
      const role = input.role ?? undefined;
      const locale = input.locale ?? undefined;
      await countChange(context, { id, email, expectedVersion: input.expectedVersion });
      return commands.run(context, {
        mutation: 'updateUser',
        input,
        work: async (tx) => {
          const before = await store.lock(tx, id);
          if (before === null || before.deleted) throw notFound('user', id);
          expectVersion(before, input.expectedVersion);
          if (role !== undefined && role !== before.role && context.identity.role !== 'ADMIN') {
            throw new AppError('FORBIDDEN', 'Only administrators may change roles.', { field: 'role' });
          }
          const at = now();
          const verification = newVerification(at);
          const events = decide(before, { type: 'update', name, email, role, locale, at, verification });
          return store.save(tx, before, events, context.traceparent);
        },
      });
    },

    async remove(context, input) {
      const id = parseId(input.id);
      requireAccess(context.identity, id);
      return commands.run(context, {
        mutation: 'deleteUser',
        input,
        work: async (tx) => {
          const before = await store.lock(tx, id);
          if (before === null || before.deleted) throw notFound('user', id);
          expectVersion(before, input.expectedVersion);
          const events = decide(before, { type: 'delete', obligations: await store.obligations(tx, id), at: now() });
          await tx.execute('DELETE FROM credentials WHERE user_id = ?', [id]);
          await tx.execute('DELETE FROM verifications WHERE user_id = ?', [id]);
          return store.save(tx, before, events, context.traceparent);
        },
      });
    },
  };
}
