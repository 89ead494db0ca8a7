/** What the gateway lets its clients do: docs/limits.md has the reasons. */
export interface LimitSettings {
  /** Whether clients may ask about the schema, and are told what they may have meant. */
  readonly introspection: boolean;
  /** Origins of web pages that may call, besides the gateway's own and Apollo Sandbox: `https://shop.example`. */
  readonly allowedOrigins: readonly string[];
  /** Proxies of ours in front, whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: number;
  readonly requestTimeoutMs: number;
  /** What one operation may cost: see gateway/cost.ts. */
  readonly maxCost: number;
  /** Undefined: nobody is counted. */
  readonly rates: RateSettings | undefined;
  /** WebSockets and SSE streams of one address at a time. */
  readonly socketsPerAddress: number;
  /** Operations of one WebSocket at a time. */
  readonly operationsPerSocket: number;
  /** Connections of one address at a time, whatever they carry. */
  readonly connectionsPerAddress: number;
}

export interface RateSettings {
  /** Where is counted: in each process, or in the MongoDB of MONGO_URL. */
  readonly store: 'memory' | 'mongodb';
  /** Points of one client in a minute. */
  readonly perClient: number;
  /** Calls of one subgraph on behalf of one client in a minute. */
  readonly perSubgraph: number;
}

/** The settings as they stand in the environment; what is undefined depends on who the clients are. */
export interface LimitVariables {
  readonly INTROSPECTION?: 'on' | 'off' | undefined;
  readonly ALLOWED_ORIGINS: string;
  readonly TRUSTED_PROXIES: number;
  readonly REQUEST_TIMEOUT_MS: number;
  readonly MAX_COST: number;
  readonly RATE_LIMIT: 'on' | 'off';
  readonly RATE_LIMIT_STORE: RateSettings['store'];
  readonly RATE_LIMIT_CLIENT?: number | undefined;
  readonly RATE_LIMIT_SUBGRAPH?: number | undefined;
  readonly SOCKETS_PER_ADDRESS?: number | undefined;
  readonly OPERATIONS_PER_SOCKET: number;
  readonly CONNECTIONS_PER_ADDRESS?: number | undefined;
}

/** In demo mode everybody is one client, the administrator on this machine, and may play. */
const DEFAULTS = {
  required: { introspection: 'off', perClient: 6_000, perSubgraph: 30_000, sockets: 200, connections: 500 },
  demo: { introspection: 'on', perClient: 1_000_000, perSubgraph: 5_000_000, sockets: 10_000, connections: 20_000 },
} as const;

export function limitsOf(e: LimitVariables, mode: keyof typeof DEFAULTS): LimitSettings {
  const byDefault = DEFAULTS[mode];
  return {
    introspection: (e.INTROSPECTION ?? byDefault.introspection) === 'on',
    allowedOrigins: originsIn(e.ALLOWED_ORIGINS),
    trustedProxies: e.TRUSTED_PROXIES,
    requestTimeoutMs: e.REQUEST_TIMEOUT_MS,
    maxCost: e.MAX_COST,
    rates:
      e.RATE_LIMIT === 'off'
        ? undefined
        : {
            store: e.RATE_LIMIT_STORE,
            perClient: e.RATE_LIMIT_CLIENT ?? byDefault.perClient,
            perSubgraph: e.RATE_LIMIT_SUBGRAPH ?? byDefault.perSubgraph,
          },
    socketsPerAddress: e.SOCKETS_PER_ADDRESS ?? byDefault.sockets,
    operationsPerSocket: e.OPERATIONS_PER_SOCKET,
    connectionsPerAddress: e.CONNECTIONS_PER_ADDRESS ?? byDefault.connections,
  };
}

const originsIn = (value: string): string[] =>
  value
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => origin !== '');

/** What is wrong with ALLOWED_ORIGINS; undefined when nothing is. */
export function wrongOrigins(value: string): string | undefined {
  const isOrigin = (text: string): boolean =>
    /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text;
  if (originsIn(value).every(isOrigin)) return undefined;
  return 'must be origins of web pages as browsers send them, several with commas between, for example https://shop.example';
}
