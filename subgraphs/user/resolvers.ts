import DataLoader from 'dataloader';
import type { Database } from '../../shared/database/port.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { perRequest } from '../../shared/graphql/per-request.js';
import { mayAccess } from '../../shared/identity/identity.js';
import { parseId } from '../../shared/ids/ids.js';
import type { UserCommands } from './commands.js';
import type { LoginCommands } from './logins.js';
import type { Resolvers } from './generated/schema-types.js';
import type { UserStore } from './store.js';
import type { UserState } from './user.js';
import type { VerificationCommands } from './verifications.js';

export function userResolvers({
  database,
  store,
  commands,
}: {
  readonly database: Database;
  readonly store: UserStore;
  readonly commands: UserCommands & LoginCommands & VerificationCommands;
}): Resolvers {
  const users = perRequest(
    (_: RequestContext) =>
      new DataLoader<string, UserState | null>(async (ids) => {
        const found = await store.find(database, ids);
        return ids.map((id) => found.get(id) ?? null);
      }),
  );
  const load = async (id: string, context: RequestContext): Promise<UserState | null> => {
    const user = await users(context).load(id);
    return user === null || user.deleted ? null : user;
  };

  return {
    Query: {
      me: (_, __, context) => (context.identity.userId === null ? null : load(context.identity.userId, context)),
    },
    User: {
      async __resolveReference({ id }, context) {
        const userId = parseId(id);
        return mayAccess(context.identity, userId) ? load(userId, context) : null;
      },
    },
    Mutation: {
      register: (_, { input }, context) => commands.register(context, input),
      login: (_, { input }, context) => commands.login(context, input),
      verifyEmail: async (_, { input }, context) => ({ user: await commands.verifyEmail(context, input) }),
      resendVerification: (_, { input }, context) => commands.resendVerification(context, input),
      changePassword: async (_, { input }, context) => ({ user: await commands.changePassword(context, input) }),
      createUser: async (_, { input }, context) => ({ user: await commands.create(context, input) }),
      updateUser: async (_, { input }, context) => ({ user: await commands.update(context, input) }),
      deleteUser: async (_, { input }, context) => ({ id: (await commands.remove(context, input)).id }),
    },
  };
}
