import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { OPERATIONS } from './operations/operations.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** Everything the page needs is in it; the browser is told to load nothing from anywhere else. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob: ws: wss:; object-src 'none'; base-uri 'none'; form-action 'none'";

/**
 * Serves GraphiQL at `/graphiql`, ready operations in its tabs, without any network but the gateway's own address. The
 * page is made when it is first asked for: its package is 9 MB.
 */
export function registerGraphiql(app: FastifyInstance, endpoint: string): void {
  let page: Promise<Buffer> | undefined;
  app.get('/graphiql', async (request, reply) => {
    page ??= makePage(endpoint);
    void reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', CONTENT_SECURITY_POLICY)
      .header('cache-control', 'no-cache')
      .header('vary', 'accept-encoding');
    if (request.headers['accept-encoding']?.includes('gzip') === true) {
      return reply.header('content-encoding', 'gzip').send(await page);
    }
    return reply.send(await decompress(await page));
  });
}

async function makePage(endpoint: string): Promise<Buffer> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const html = renderGraphiQL({
    title: 'Tributary',
    endpoint,
    subscriptionsProtocol: 'WS',
    defaultTabs: OPERATIONS.map(({ query, variables }) => ({
      query,
      ...(variables !== undefined && { variables: JSON.stringify(variables, null, 2) }),
    })),
  });
  return compress(html);
}
