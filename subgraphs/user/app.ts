import type { FastifyInstance } from 'fastify';
import { JWKS_MAX_AGE_MS, JWKS_PATH } from '../../shared/identity/tokens.js';
import type { SubgraphDeps } from '../../shared/service/service.js';
import { openWriteSide, type WriteSubgraph } from '../../shared/service/write-side.js';
import { userCommands, type UserCommands } from './commands.js';
import { LoginThrottle } from './login-throttle.js';
import { loginCommands, type LoginCommands } from './logins.js';
import { buildMail } from './mail/app.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import { Logins1700000000002 } from './migrations/2-logins.js';
import { Verifications1700000000003 } from './migrations/3-verifications.js';
import { Mails1700000000004 } from './migrations/4-mails.js';
import { Passwords } from './passwords.js';
import { accountsWithMoney, openOrders } from './reactions.js';
import { userResolvers } from './resolvers.js';
import typeDefs from './schema.graphql';
import { SigningKeys } from './signing-keys.js';
import { UserStore } from './store.js';
import { VerificationTokens } from './verification-tokens.js';
import { verificationCommands, type VerificationCommands } from './verifications.js';

export type UserSubgraph = WriteSubgraph<UserCommands & LoginCommands & VerificationCommands>;

/** The people and how they log in: API, and a worker that keeps track of what ties them to us. */
export async function buildUser(deps: SubgraphDeps, passwords = new Passwords()): Promise<UserSubgraph> {
  const { config, identitySecret, now, log } = deps;
  const { auth } = config;
  const side = await openWriteSide(
    'user',
    [Initial1700000000000, Logins1700000000002, Verifications1700000000003, Mails1700000000004],
    deps,
  );
  const { database } = side;
  const store = new UserStore(side.outbox);
  const secret = auth.secret ?? identitySecret;
  const keys = new SigningKeys({ ...auth, secret, database, now, log });
  const tokens = new VerificationTokens(secret);
  const throttle = new LoginThrottle(database, now);
  const shared = { database, store, commands: side.commands, throttle, now };
  const demo = auth.mode === 'demo';
  const commands = {
    ...userCommands(shared),
    ...loginCommands({ ...shared, passwords, keys, demo }),
    ...verificationCommands({ ...shared, tokens }),
  };
  const mail = buildMail({ ...deps, database, store, outbox: side.outbox, tokens });
  return {
    commands,
    api: side.api(typeDefs, userResolvers({ database, store, commands }), (app) => {
      publishKeys(app, keys);
      mail.serve(app);
    }),
    worker: side.worker([openOrders(store), accountsWithMoney(store), mail.reaction], [mail.worker]),
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
