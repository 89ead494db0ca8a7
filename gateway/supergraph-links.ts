import { OperationTypeNode } from 'graphql';
import { newId } from '../shared/ids/ids.js';
import { ANONYMOUS } from '../shared/identity/identity.js';
import type { Logger } from '../shared/observability/logger.js';
import { within } from '../shared/time/within.js';
import { createGatewayContext } from './context.js';
import { SubgraphDataSource, type DataSourceOptions } from './data-source.js';
import type { GraphQLDataSource, SubgraphLink, SubgraphPlace } from './federation.js';
import type { IdentityTokens } from './identity-tokens.js';
import { Upstream } from './subscriptions/upstream.js';
import { upstreamCredentials } from './upstream-credentials.js';

/** Where a subgraph is. */
export interface SubgraphAddress {
  /** `http://127.0.0.1:4003/graphql` */
  readonly url: string;
  /** Its graphql-ws endpoint; the same address under ws: when absent. */
  readonly wsUrl?: string;
}

/** A subgraph that answers later than this is not ready. */
const PING_TIMEOUT_MS = 1_000;

/**
 * Makes the ways to subgraphs.
 * @param addresses of our own subgraphs; they win over those in the supergraph, where those of others stand
 */
export function linkTo(
  addresses: Readonly<Record<string, SubgraphAddress>>,
  tokens: IdentityTokens,
  log: Logger,
  calls: Pick<DataSourceOptions, 'metrics' | 'admit'>,
): (place: SubgraphPlace) => SubgraphLink {
  return ({ name, url: declared, websocketUrl }) => {
    const ours = Object.hasOwn(addresses, name) ? addresses[name] : undefined;
    const { url, wsUrl }: SubgraphAddress =
      ours ?? (websocketUrl === undefined ? { url: declared } : { url: declared, wsUrl: websocketUrl });
    if (!/^https?:/.test(url) || !URL.canParse(url)) {
      throw new Error(`The supergraph does not say where the subgraph ${name} is, by an http: or https: address.`);
    }
    const source = new SubgraphDataSource({ name, url, tokens, ...calls });
    const upstream = new Upstream(name, wsUrl ?? url.replace(/^http/, 'ws'), upstreamCredentials(name, tokens), log);
    return {
      source,
      upstream,
      ping: () => (ours === undefined ? askTypename(source, log) : source.ping()),
      close: async () => {
        await upstream.close();
        await source.close();
      },
    };
  };
}

/** A subgraph that is not ours has no health check but GraphQL's smallest query. */
async function askTypename(source: GraphQLDataSource, log: Logger): Promise<void> {
  const client = { identity: ANONYMOUS, address: 'health-check', timeoutMs: PING_TIMEOUT_MS };
  const context = createGatewayContext(client, { 'x-request-id': newId() }, log);
  const query = '{ __typename }';
  const body = JSON.stringify({ query });
  const request = { kind: OperationTypeNode.QUERY, query, operationName: undefined, variables: {}, body };
  const { data } = await within(PING_TIMEOUT_MS, source.process({ request, context }), (): never => {
    throw new Error(`no answer within ${PING_TIMEOUT_MS} ms`);
  });
  if (data == null) throw new Error('it answers without data');
}
