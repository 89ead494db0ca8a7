import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { receive, until } from './tiny-graph.js';
import { startForeign, startForeignGraph } from './tiny-subgraphs.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const SDL = 'type Query { a: Int } type Subscription { ticked: Int }';

/** A gateway over a subgraph that answers handshakes with these statuses, one after the other, the last for ever. */
async function graphOver(statuses: readonly number[]) {
  let handshakes = 0;
  const server = createServer();
  server.on('upgrade', (_request, socket) => {
    const status = statuses[Math.min(handshakes, statuses.length - 1)];
    handshakes++;
    socket.end(`HTTP/1.1 ${status} Not So\r\ncontent-length: 0\r\n\r\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.unshift(() => new Promise((resolve) => server.close(resolve)));
  const ticker = await startForeign({ name: 'ticker', sdl: SDL, resolvers: {} });
  closing.unshift(() => ticker.stop());
  const { port } = server.address() as AddressInfo;
  const graph = await startForeignGraph([{ ...ticker, websocketUrl: `ws://127.0.0.1:${port}/` }]);
  closing.unshift(() => graph.stop());
  const received = receive(graph.client(), 'subscription { ticked }');
  await until(() => received.ended !== 'no', 'the end');
  return { ended: received.ended, handshakes: () => handshakes };
}

test.each([400, 401, 403, 404, 500])(
  'a subgraph that answers the handshake with %i is not asked again, and the client is told',
  async (status) => {
    const { ended, handshakes } = await graphOver([status]);
    const message = 'The ticker service does not take subscriptions.';
    expect(ended).toMatchObject({ errors: [{ message, extensions: { code: 'UNAVAILABLE' } }] });
    expect(handshakes()).toBe(1);
  },
);

test('a subgraph that cannot serve yet is asked again until it says more', async () => {
  const { ended, handshakes } = await graphOver([503, 502, 404]);
  expect(ended).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });
  expect(handshakes()).toBe(3);
});
