import { createGraphqlService } from '../../shared/graphql/server.js';
import type { QueryDeps, Subgraph } from '../../shared/service/service.js';
import { createWorker, type WorkerPart } from '../../shared/service/worker.js';
import type { Resolvers } from './generated/schema-types.js';
import { createProjector } from './projector.js';
import { createReadsOf } from './reads.js';
import { queryResolvers } from './resolvers.js';
import { createRest } from './rest.js';
import typeDefs from './schema.graphql';
import { createSubscriptions, type Subscriptions } from './subscriptions.js';
import { checkDocuments, COLLECTIONS } from './views.js';
import { Waiter } from './waiter.js';

export interface QuerySubgraph extends Subgraph {
  /** Base address of the GraphQL API, once started. */
  readonly url: string;
}

/** The read side: an API over the views, and the worker that keeps them. The log's topics must exist. */
export async function buildQuery(deps: QueryDeps): Promise<QuerySubgraph> {
  const { config, documents, eventLog, log, metrics, now } = deps;
  await documents.ensureCollections(COLLECTIONS);

  const waiter = new Waiter(documents);
  const readsOf = createReadsOf({ documents, waiter, now, projectionWaitMs: config.projectionWaitMs });
  const subscriptions = createSubscriptions({
    eventLog,
    documents,
    log,
    metrics,
    readsOf,
    projectionWaitMs: config.projectionWaitMs,
  });
  const resolvers: Resolvers = { ...queryResolvers({ documents, readsOf }), ...subscriptions.resolvers };
  const graphql = createGraphqlService({
    name: 'query-api',
    subgraph: 'query',
    port: config.ports.query,
    typeDefs,
    resolvers,
    deps,
    websocket: true,
    checks: async () => [await checkDocuments(documents)],
  });

  return {
    // Stopped from the last to the first: requests that wait for a version must not hold up those who stop the API.
    api: createWorker('query-api', [
      recent(subscriptions),
      graphql,
      createRest({ config, documents, log, metrics }),
      endOf(waiter),
    ]),
    worker: createProjector({ eventLog, documents, log, metrics, now }),
    get url() {
      return graphql.url;
    },
    close: () => waiter.close(),
  };
}

/** The newest changes are at hand before anybody can subscribe. */
const recent = ({ start, stop }: Subscriptions): WorkerPart => ({ start, stop, checks: async () => [] });

const endOf = (waiter: Waiter): WorkerPart => ({
  start: () => Promise.resolve(),
  checks: () => Promise.resolve([]),
  stop: () => waiter.close(),
});
