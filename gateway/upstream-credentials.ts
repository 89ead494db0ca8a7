import { REQUEST_ID_HEADER, TRACEPARENT_HEADER } from '../shared/graphql/request.js';
import { ANONYMOUS, IDENTITY_EXTENSION, IDENTITY_HEADER } from '../shared/identity/identity.js';
import type { IdentityTokens } from './identity-tokens.js';
import type { UpstreamCredentials } from './subscriptions/upstream.js';

/** What admits the gateway to a subgraph's WebSocket, and says for whom each of its operations there is. */
export const upstreamCredentials = (subgraph: string, tokens: IdentityTokens): UpstreamCredentials => ({
  connectionParams: () => ({ [IDENTITY_HEADER]: tokens.tokenFor(ANONYMOUS, subgraph) }),
  extensions: ({ identity, requestId, traceparent }) => ({
    [IDENTITY_EXTENSION]: tokens.tokenFor(identity, subgraph),
    [REQUEST_ID_HEADER]: requestId,
    ...(traceparent !== null && { [TRACEPARENT_HEADER]: traceparent }),
  }),
});
