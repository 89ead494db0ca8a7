import { expect, test } from '@jest/globals';
import { startForeign, startForeignGraph } from './tiny-subgraphs.js';

test('every query and mutation is timed under its name, whichever way it was run', async () => {
  const subgraph = await startForeign({ name: 'one', sdl: 'type Query { a: Int }', resolvers: {} });
  const { ask, metrics, stop } = await startForeignGraph([subgraph]);
  for (const query of ['query Short { a }', 'query Schema { __typename __schema { queryType { name } } }']) {
    expect((await ask(query)).errors).toBeUndefined();
  }
  expect((await ask('query Wrong { b }')).errors).toHaveLength(1);
  const text = await metrics.registry.metrics();
  await stop();
  await subgraph.stop();
  for (const name of ['Short', 'Schema', 'Wrong']) {
    expect(text).toContain(`tributary_gateway_operation_seconds_count{operation="${name}"} 1`);
  }
});
