import type { MigrationInterface } from 'typeorm';
import { createCommands, type Commands } from '../commands/commands.js';
import type { SubgraphName } from '../config/config.js';
import type { Database } from '../database/port.js';
import type { RequestContext } from '../graphql/context.js';
import { createGraphqlService, type GraphqlService, type GraphqlServiceOptions } from '../graphql/server.js';
import { Outbox } from '../outbox/outbox.js';
import { createRelay } from '../outbox/relay.js';
import type { Reaction } from '../reactions/reaction.js';
import { createReactionRunner } from '../reactions/runner.js';
import { checkDatabase, checkEventLog } from './checks.js';
import type { Service, Subgraph, SubgraphDeps } from './service.js';
import { createWorker, dependingOn, type WorkerPart } from './worker.js';

/** What every write subgraph stands on: its database, its outbox, its commands, and how it becomes an API and a worker. */
export interface WriteSide {
  readonly database: Database;
  /** One for API and worker: a commit in the one wakes the relay in the other. */
  readonly outbox: Outbox;
  readonly commands: Commands;
  api(
    typeDefs: string,
    resolvers: object,
    extraRoutes?: GraphqlServiceOptions<RequestContext>['extraRoutes'],
  ): GraphqlService;
  /** The relay, further parts, then the reactions. */
  worker(reactions: readonly Reaction[], parts?: readonly WorkerPart[]): Service;
  close(): Promise<void>;
}

/** A write subgraph whose API tells its address. */
export interface WriteSubgraph<C> extends Subgraph {
  readonly api: GraphqlService;
  /** The mutations without GraphQL, for callers inside the system. */
  readonly commands: C;
}

/** Opens the subgraph's own database and brings its tables up to date. */
export async function openWriteSide(
  subgraph: SubgraphName,
  migrations: readonly (new () => MigrationInterface)[],
  deps: SubgraphDeps,
): Promise<WriteSide> {
  const { config, eventLog, log, metrics, now } = deps;
  const name = `tributary_${subgraph}`;
  const database = await deps.openDatabase({ name, migrations });
  await database.migrate();
  const outbox = new Outbox(`tributary/${subgraph}`, now);
  const shared = { database, outbox, eventLog, log, metrics, now };
  return {
    database,
    outbox,
    commands: createCommands({ database, now, log }),
    api: (typeDefs, resolvers, extraRoutes) =>
      createGraphqlService({
        name: `${subgraph}-api`,
        subgraph,
        port: config.ports[subgraph],
        typeDefs,
        resolvers,
        deps,
        checks: async () => [await checkDatabase(database, log)],
        ...(extraRoutes !== undefined && { extraRoutes }),
      }),
    worker: (reactions, parts = []) =>
      createWorker(`${subgraph}-worker`, [
        dependingOn(() => Promise.all([checkDatabase(database, log), checkEventLog(eventLog, log)])),
        createRelay({ ...shared, name }),
        ...parts,
        createReactionRunner({ ...shared, reactions }),
      ]),
    close: () => database.close(),
  };
}
