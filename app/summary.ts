import type { Config } from '../shared/config/config.js';

/** What the start prints: every address, where the data is, something to try, how to stop. */
export function summary(config: Config, readyInMs: number): string {
  const { host, ports } = config;
  const gateway = `${host}:${ports.gateway}`;
  return box([
    `Tributary is ready (${(readyInMs / 1000).toFixed(1)} s)`,
    '',
    `GraphQL       http://${gateway}/graphql   (in a browser: Apollo Sandbox)`,
    `GraphiQL      http://${gateway}/graphiql  (works offline)`,
    `WebSocket     ws://${gateway}/graphql     (graphql-transport-ws)`,
    `REST          http://${host}:${ports.rest}/balances/{account_id}`,
    `Health        http://${gateway}/readyz    (also /livez, /metrics)`,
    `Data          ${config.dataDir}`,
    '',
    'Try           { products(filter: { search: "iphone" }) { nodes { id name price available } } }',
    '',
    'AUTH_MODE=demo: whoever has no token acts as the demo administrator.',
    `Everything listens on ${host} only.`,
    'Stop with Ctrl-C; the data stays.',
  ]);
}

function box(lines: readonly string[]): string {
  const width = Math.max(...lines.map((line) => line.length));
  const edge = '─'.repeat(width + 2);
  return [`┌${edge}┐`, ...lines.map((line) => `│ ${line.padEnd(width)} │`), `└${edge}┘`].join('\n');
}
