/** A gateway alone, over the subgraphs of a running system: `ours`, or `stock` with Apollo's own data source. */
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify';
import { fastify } from 'fastify';
import { DEMO_ADMIN_ID } from '../app/demo.js';
import { buildGateway } from '../gateway/app.js';
import { readConfig, SUBGRAPHS } from '../shared/config/config.js';
import { IDENTITY_HEADER, signIdentity, type Identity } from '../shared/identity/identity.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import supergraphSdl from '../supergraph.graphql';
import { IDENTITY_SECRET } from './process.js';

process.env['APOLLO_TELEMETRY_DISABLED'] = '1';
const config = readConfig(process.env);
const admin: Identity = { role: 'ADMIN', userId: DEMO_ADMIN_ID };
const urlOf = (name: (typeof SUBGRAPHS)[number]) => `http://${config.host}:${config.ports[name]}/graphql`;

if (process.argv[2] === 'ours') {
  const gateway = buildGateway({
    config,
    identitySecret: IDENTITY_SECRET,
    log: silentLogger(),
    metrics: createMetrics(),
    now: Date.now,
    supergraphSdl,
    subgraphs: Object.fromEntries(SUBGRAPHS.map((name) => [name, { url: urlOf(name) }])),
    authenticate: () => Promise.resolve({ identity: admin }),
  });
  await gateway.start();
} else {
  const app = fastify();
  const server = new ApolloServer({
    gateway: new ApolloGateway({
      supergraphSdl,
      buildService: ({ name }) =>
        new RemoteGraphQLDataSource({
          url: urlOf(name as (typeof SUBGRAPHS)[number]),
          willSendRequest({ request }) {
            request.http?.headers.set(IDENTITY_HEADER, signIdentity(admin, name, IDENTITY_SECRET, Date.now()));
          },
        }),
    }),
    plugins: [fastifyApolloDrainPlugin(app)],
  });
  await server.start();
  await app.register(fastifyApollo(server));
  await app.listen({ host: config.host, port: config.ports.gateway });
}
// What whoever started it waits for.
console.log('Tributary is ready');
