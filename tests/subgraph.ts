import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedEngines, type Engines } from '../app/engines.js';
import { readConfig, type SubgraphName } from '../shared/config/config.js';
import { fromRecord, toRecord, type AnyEvent, type AnyNewEvent } from '../shared/events/event.js';
import { TOPICS } from '../shared/events/catalogue.js';
import type { Database } from '../shared/database/port.js';
import { testDatabases } from '../shared/database/testing.js';
import type { GraphqlService } from '../shared/graphql/server.js';
import { IDENTITY_HEADER, signIdentity, type Identity } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import type { Subgraph, SubgraphDeps } from '../shared/service/service.js';

export const ADMIN: Identity = { role: 'ADMIN', userId: '0190a000-0000-7000-8000-000000000001' };
export const userIdentity = (userId: string): Identity => ({ role: 'USER', userId });

const SECRET = 'a secret of tests, longer than thirty-two';

export interface SubgraphAnswer<T> {
  readonly data?: T | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions: { readonly code: string; readonly field?: string } & Readonly<Record<string, unknown>>;
  }[];
}

export interface TestSubgraph<S> {
  readonly subgraph: S;
  readonly engines: Engines;
  /** The subgraph's own database, to look into. */
  readonly database: Database;
  /** Every event in the log, ours and those published here, in the order in which it came. */
  readonly heard: readonly AnyEvent[];
  /** Sends an operation to the API as the given person, the administrator when absent. */
  graphql<T = Record<string, unknown>>(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
    identity?: Identity,
  ): Promise<SubgraphAnswer<T>>;
  /** The same, for operations that must succeed. */
  ok<T = Record<string, unknown>>(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
    identity?: Identity,
  ): Promise<T>;
  /** Code and field of the first error; undefined where there is none. */
  refusal(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
    identity?: Identity,
  ): Promise<{ readonly code: string; readonly field: string | undefined } | undefined>;
  /** Puts events of other subgraphs into the log; the same `id` again is a repeat. */
  publish(...events: readonly (AnyNewEvent & { readonly id?: string })[]): Promise<void>;
  /** Stops everything and removes the data folder. */
  dispose(): Promise<void>;
}

/** One write subgraph alone, API on a free port and worker, on a log and a database of its own, and by a clock of its own if need be. */
export async function startSubgraph<S extends Subgraph & { readonly api: GraphqlService }>(
  name: SubgraphName,
  build: (deps: SubgraphDeps) => Promise<S>,
  now: () => number = Date.now,
): Promise<TestSubgraph<S>> {
  const dataDir = mkdtempSync(join(tmpdir(), `tributary-${name}-`));
  const engines = await openEmbeddedEngines(dataDir);
  const databases = await testDatabases();
  let database: Database | undefined;
  const subgraph = await build({
    config: readConfig({ DATA_DIR: dataDir, [`${name.toUpperCase()}_PORT`]: '0' }),
    identitySecret: SECRET,
    log: silentLogger(),
    metrics: createMetrics(),
    now,
    eventLog: engines.eventLog,
    openDatabase: async (options) => (database = await databases.open(options)),
  });
  if (database === undefined) throw new Error(`${name} opened no database`);
  const heard: AnyEvent[] = [];
  const tail = await engines.eventLog.tail({
    topics: Object.keys(TOPICS),
    from: 'start',
    onBatch: ({ records }) => void heard.push(...records.map(fromRecord)),
  });
  await subgraph.api.start();
  await subgraph.worker.start();

  const graphql = async <T>(
    query: string,
    variables: Readonly<Record<string, unknown>> = {},
    identity: Identity = ADMIN,
  ) => {
    const response = await fetch(`${subgraph.api.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        [IDENTITY_HEADER]: signIdentity(identity, name, SECRET, now()),
      },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()) as SubgraphAnswer<T>;
  };

  return {
    subgraph,
    engines,
    database,
    heard,
    graphql,
    async ok<T>(query: string, variables?: Readonly<Record<string, unknown>>, identity?: Identity) {
      const { data, errors } = await graphql<T>(query, variables, identity);
      if (errors !== undefined || data === null || data === undefined) throw new Error(JSON.stringify(errors));
      return data;
    },
    async refusal(query, variables, identity) {
      const { errors } = await graphql(query, variables, identity);
      const extensions = errors?.[0]?.extensions;
      return extensions === undefined ? undefined : { code: extensions.code, field: extensions.field };
    },
    publish: (...events) =>
      engines.eventLog.append(
        events.map((event) =>
          toRecord({
            traceparent: null,
            id: newId(),
            source: 'tributary/test',
            time: Date.now(),
            ...event,
          }),
        ),
      ),
    async dispose() {
      await subgraph.worker.stop();
      await subgraph.api.stop();
      await tail.stop();
      await subgraph.close();
      await engines.close();
      await databases.dispose();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
