import { hostInUrl, type Config } from '../shared/config/config.js';
import { serverAddresses } from '../shared/config/engines.js';

/** What the start prints: every address, where the data is, something to try, how to stop. */
export function summary(config: Config, readyInMs: number): string {
  const { host, ports } = config;
  const here = hostInUrl(host);
  const gateway = `${here}:${ports.gateway}`;
  return box([
    `Tributary is ready (${(readyInMs / 1000).toFixed(1)} s)`,
    '',
    `GraphQL       http://${gateway}/graphql   (in a browser: Apollo Sandbox)`,
    `GraphiQL      http://${gateway}/graphiql  (works offline)`,
    `Live          http://${gateway}/live      (one order, as it happens)`,
    ...(config.auth.mode === 'demo' ? [`Inbox         http://${gateway}/inbox     (mail of the demo)`] : []),
    `WebSocket     ws://${gateway}/graphql     (graphql-transport-ws)`,
    `REST          http://${here}:${ports.rest}/balances/{account_id}`,
    `Health        http://${gateway}/readyz    (also /livez, /metrics)`,
    ...dataLines(config),
    '',
    `Try           ${somethingToTry(config)}`,
    '',
    config.auth.mode === 'demo'
      ? 'AUTH_MODE=demo: whoever has no token acts as the demo administrator.'
      : 'AUTH_MODE=required: whoever has no token is anonymous, and sees products only.',
    config.demoExposed
      ? `DEMO_EXPOSED=on: it listens on ${host}, and whoever reaches it is that administrator.`
      : `Everything listens on ${host} only.`,
    'Stop with Ctrl-C; the data stays.',
  ]);
}

/** A folder, or three servers, never with a password. */
function dataLines({ engines }: Config): string[] {
  if (engines.kind === 'embedded') return [`Data          ${engines.dataDir}`];
  const { mysql, kafka, mongo } = serverAddresses(engines);
  return [
    `Databases     ${mysql}`,
    `Event log     kafka://${kafka}`,
    `Documents     ${mongo}`,
    ...(engines.namespace === '' ? [] : [`Namespace     ${engines.namespace}`]),
  ];
}

const somethingToTry = ({ demoData }: Config): string =>
  demoData
    ? '{ products(filter: { search: "iphone" }) { nodes { id name price available } } }'
    : 'mutation { createProduct(input: { name: "Tea", price: 3.50, stock: 100 }) { product { id } } }';

/** Straight edges wherever a line is as wide as it has characters, which is so for all but a few data folders. */
function box(lines: readonly string[]): string {
  const width = Math.max(...lines.map((line) => line.length));
  const edge = '─'.repeat(width + 2);
  return [`┌${edge}┐`, ...lines.map((line) => `│ ${line.padEnd(width)} │`), `└${edge}┘`].join('\n');
}
