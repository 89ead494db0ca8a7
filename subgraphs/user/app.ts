import type { FastifyInstance } from 'fastify';
import { JWKS_MAX_AGE_MS, JWKS_PATH } from '../../shared/identity/tokens.js';
import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
import { userCommands, type UserCommands } from './commands.js';
import { LoginThrottle } from './login-throttle.js';
import { loginCommands, type LoginCommands } from './logins.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { Logins1700000000002 } from './migrations/2-logins.js';
import { Passwords } from './passwords.js';
import { accountsWithMoney, openOrders } from './reactions.js';
import { userResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { SigningKeys } from './signing-keys.js';
import { UserStore } from './store.js';

export type UserSubgraph = WriteSubgraph<UserCommands & LoginCommands>;

/** The people and how they log in: API, and a worker that keeps track of what ties them to us. */
export async function buildUser(deps: SubgraphDeps, passwords = new Passwords()): Promise<UserSubgraph> {
  const { config, identitySecret, now, log } = deps;
  const { auth } = config;
  const side = await openWriteSide('user', [Initial1700000000000, Logins1700000000002], deps);
  const { database } = side;
  const store = new UserStore(side.outbox);
  const keys = new SigningKeys({ ...auth, secret: auth.secret ?? identitySecret, database, now, log });
  const shared = { store, commands: side.commands, now };
  const throttle = new LoginThrottle(database, now);
  const demo = auth.mode === 'demo';
  const commands = {
    ...userCommands(shared),
    ...loginCommands({ ...shared, database, passwords, throttle, keys, demo }),
  };
  return {
    commands,
    api: side.api(typeDefs, userResolvers({ database, store, commands }), (app) => publishKeys(app, keys)),
    worker: side.worker([openOrders(store), accountsWithMoney(store)]),
    close: () => side.close(),
  };
}

/** Public, as public keys are: the one address of a subgraph besides health that asks for no identity. */
function publishKeys(app: FastifyInstance, keys: SigningKeys): void {
  app.get(JWKS_PATH, async (_request, reply) =>
    reply
      .type('application/jwk-set+json')
      .header('cache-control', `public, max-age=${JWKS_MAX_AGE_MS / 1_000}`)
      .send({ keys: await keys.published() }),
  );
}
