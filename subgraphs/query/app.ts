import { createGraphqlService } from '../../shared/graphql/server.js';
import { JWKS_PATH, makeVerifier, type TokenVerifier } from '../../shared/identity/tokens.js';
import { checkEventLog } from '../../shared/service/checks.js';
import type { QueryDeps, Subgraph } from '../../shared/service/service.js';
import { createWorker, type WorkerPart } from '../../shared/service/worker.js';
import type { Resolvers } from './generated/schema-types.js';
import { withGenerations } from './generations.js';
import { createProjector } from './projector.js';
import { createReadsOf } from './reads.js';
import { queryResolvers } from './resolvers.js';
import { createRest } from './rest.js';
import typeDefs from './schema.graphql';
import { stalenessOf } from './staleness.js';
import { createSubscriptions, type Subscriptions } from './subscriptions.js';
import { checkDocuments, COLLECTIONS } from './views.js';
import { Waiter } from './waiter.js';
import { withForeignAccounts } from './wallet-core-accounts.js';

export interface QuerySubgraph extends Subgraph {
  /** Base address of the GraphQL API, once started. */
  readonly url: string;
}

/** The read side: an API over the views, and the worker that keeps them. The log's topics must exist. */
export async function buildQuery(deps: QueryDeps): Promise<QuerySubgraph> {
  const { config, eventLog, log, metrics, now } = deps;
  const views = withGenerations(deps.documents);
  await views.ensureCollections(COLLECTIONS);
  const documents = withForeignAccounts(views, config.walletCore);

  const waiter = new Waiter(documents);
  const readsOf = createReadsOf({ documents, waiter, now, projectionWaitMs: config.projectionWaitMs });
  const subscriptions = createSubscriptions({
    eventLog,
    documents,
    log,
    metrics,
    readsOf,
    projectionWaitMs: config.projectionWaitMs,
    walletCore: config.walletCore,
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
    staleness: () => stalenessOf({ documents, eventLog, appendedAt: subscriptions.appendedAt, now }),
    checks: () => Promise.all([checkDocuments(documents), checkEventLog(eventLog, log)]),
  });

  return {
    // Stopped from the last to the first: requests that wait for a version must not hold up those who stop the API.
    api: createWorker('query-api', [
      recent(subscriptions),
      graphql,
      createRest({ config, documents, log, metrics, verifier: restVerifier(deps) }),
      endOf(waiter),
    ]),
    worker: createProjector({ eventLog, documents: deps.documents, log, metrics, now, walletCore: config.walletCore }),
    get url() {
      return graphql.url;
    },
    close: () => waiter.close(),
  };
}

/** The same tokens as at the gateway, checked in the same way. */
function restVerifier({ config, now, jwksUrl }: QueryDeps): TokenVerifier | undefined {
  if (!config.auth.rest) return undefined;
  const ownKeys = () => new URL(JWKS_PATH, config.subgraphUrls.user);
  return makeVerifier({ jwksUrl: jwksUrl ?? ownKeys, oidc: config.auth.oidc, now });
}

/** The newest changes are at hand before anybody can subscribe. */
const recent = ({ start, stop }: Subscriptions): WorkerPart => ({ start, stop, checks: async () => [] });

const endOf = (waiter: Waiter): WorkerPart => ({
  start: () => Promise.resolve(),
  checks: () => Promise.resolve([]),
  stop: () => waiter.close(),
});
