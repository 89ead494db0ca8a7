/**
 * One of the gateways that are measured, over the light subgraphs: `ours`, `guarded` (ours with authentication and limits)
 * or `stock` (@apollo/gateway with its own data source). Arguments: which, its port and the subgraphs' ports.
 */
import { ApolloGateway } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify';
import { fastify } from 'fastify';
import { buildGateway } from '../gateway/app.js';
import { authenticateByToken } from '../gateway/auth.js';
import { readConfig } from '../shared/config/config.js';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { JWKS_PATH, makeVerifier } from '../shared/identity/tokens.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { supergraphOf } from './gateway-graph.js';

const [kind, port = '', catalogue = '', stock = ''] = process.argv.slice(2);
process.env['APOLLO_TELEMETRY_DISABLED'] = '1';
const addressOf = (subgraphPort: string) => `http://127.0.0.1:${subgraphPort}`;
const supergraphSdl = supergraphOf({
  catalogue: `${addressOf(catalogue)}/graphql`,
  stock: `${addressOf(stock)}/graphql`,
});

if (kind === 'stock') {
  const app = fastify();
  const server = new ApolloServer({
    gateway: new ApolloGateway({ supergraphSdl }),
    plugins: [fastifyApolloDrainPlugin(app)],
  });
  await server.start();
  await app.register(fastifyApollo(server));
  await app.listen({ host: '127.0.0.1', port: Number(port) });
} else {
  const guarded = kind === 'guarded';
  const verifier = makeVerifier({ jwksUrl: () => new URL(JWKS_PATH, addressOf(catalogue)), now: Date.now });
  const gateway = buildGateway({
    config: readConfig({
      GATEWAY_PORT: port,
      RATE_LIMIT: guarded ? 'on' : 'off',
      // High enough that nothing is refused: counting is what costs.
      RATE_LIMIT_CLIENT: '100000000',
      RATE_LIMIT_SUBGRAPH: '100000000',
    }),
    identitySecret: 'only for benchmarks: signs who asks',
    log: silentLogger(),
    metrics: createMetrics(),
    now: Date.now,
    supergraphSdl,
    subgraphs: {},
    authenticate: guarded
      ? authenticateByToken({ verifier, withoutToken: ANONYMOUS })
      : () => Promise.resolve({ identity: ANONYMOUS }),
  });
  await gateway.start();
}
console.log(`process ${process.pid}`);
// What whoever started it waits for.
console.log('Tributary is ready');
