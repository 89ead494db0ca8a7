import { afterEach, expect, test } from '@jest/globals';
import { until } from './tiny-graph.js';
import { startForeign, startForeignGraph } from './tiny-subgraphs.js';
import { RawSocket } from './tiny-socket.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const QUERY = 'query Slow { never }';

/** A gateway over a subgraph that takes a query and never answers. */
async function start() {
  const subgraph = await startForeign({
    name: 'slow',
    sdl: 'type Query { never: Int }',
    resolvers: { Query: { never: () => new Promise(() => undefined) } },
  });
  closing.unshift(() => subgraph.stop());
  const { gateway, metrics, stop } = await startForeignGraph([subgraph]);
  closing.unshift(stop);
  const asked = () => until(() => subgraph.calls.length === 1, 'the call of the subgraph');
  const aborted = async () => {
    const text = await metrics.registry.metrics();
    return text.includes('tributary_subgraph_requests_total{subgraph="slow",outcome="aborted"} 1');
  };
  return { url: gateway.url, asked, aborted: () => until(aborted, 'the call to end') };
}

test.each(['application/json', 'text/event-stream'])(
  'when its client goes away a query ends at the subgraph: over HTTP with %s',
  async (accept) => {
    const { url, asked, aborted } = await start();
    const client = new AbortController();
    const request = fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify({ query: QUERY }),
      signal: client.signal,
    }).then((response) => response.text());
    await asked();
    client.abort();
    await expect(request).rejects.toThrow();
    await aborted();
  },
);

test.each([
  ['its operation is completed by the client', (socket: RawSocket) => socket.send({ id: '1', type: 'complete' })],
  ['its socket is closed', (socket: RawSocket) => socket.socket.close()],
  ['its socket is cut', (socket: RawSocket) => socket.socket.terminate()],
])('a query over WebSocket ends at the subgraph when %s', async (_what, leave) => {
  const { url, asked, aborted } = await start();
  const socket = await RawSocket.open(url);
  closing.unshift(async () => socket.socket.terminate());
  socket.init();
  await until(() => socket.ofType('connection_ack').length === 1, 'the acknowledgement');
  socket.subscribe('1', QUERY);
  await asked();
  leave(socket);
  await aborted();
});
