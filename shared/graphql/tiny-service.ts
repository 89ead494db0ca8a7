/** A subgraph of a few lines, for the tests of what all subgraphs share. */
import { readConfig } from '../config/config.js';
import { AppError, EngineUnavailable } from '../errors/errors.js';
import { ANONYMOUS, IDENTITY_EXTENSION, IDENTITY_HEADER, signIdentity, type Identity } from '../identity/identity.js';
import { silentLogger, type Logger } from '../observability/logger.js';
import { createMetrics } from '../observability/metrics.js';
import type { RequestContext } from './context.js';
import { createGraphqlService, type GraphqlServiceOptions } from './server.js';

export const SECRET = 'a secret of at least thirty-two characters';
export const ADMIN: Identity = { role: 'ADMIN', userId: '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3e' };

const TYPE_DEFS = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  scalar Decimal
  scalar DateTime
  scalar JSON
  enum Size { SMALL LARGE }
  input ThingInput { price: Decimal!, size: Size, at: DateTime, items: [ItemInput!]! }
  input ItemInput { quantity: Int!, price: Decimal }
  type Thing @key(fields: "id") { id: ID!, price: Decimal!, at: DateTime, json: JSON, count: Int }
  type Query { who: String, fail(how: String!): String, thing(id: ID!, first: Int): Thing, slow: String }
  type Mutation { make(input: ThingInput!): Thing! }
  type Subscription { ticks(upTo: Int!): String!, forever: Int!, refused: Int! }
`;

export interface TinyService {
  readonly log?: Logger;
  readonly now?: () => number;
  /** What the `slow` field waits for. */
  readonly slow?: () => Promise<string>;
  /** Called when the `forever` subscription ends. */
  readonly onEnd?: () => void;
  readonly port?: number;
  readonly checks?: NonNullable<GraphqlServiceOptions<RequestContext>['checks']>;
}

export function tinyService({ log = silentLogger(), now = Date.now, slow, onEnd, port = 0, checks }: TinyService = {}) {
  const failures: Record<string, () => Error> = {
    conflict: () => new AppError('CONFLICT', 'Somebody was faster.', { field: 'version', details: { version: 7 } }),
    away: () => new EngineUnavailable('database'),
    bug: () => new TypeError('secret internals'),
  };
  const metrics = createMetrics();
  const resolvers = {
    Query: {
      who: (_: unknown, __: unknown, { identity }: RequestContext) => `${identity.role} ${identity.userId ?? ''}`,
      fail: (_: unknown, { how }: { how: string }) => {
        throw failures[how]?.() ?? new AppError('NOT_FOUND', how);
      },
      thing: (_: unknown, { id }: { id: string }) => ({ id, price: 599_999, at: 0, json: { a: [1] }, count: 1.5 }),
      slow: () => slow?.(),
    },
    Mutation: { make: (_: unknown, { input }: { input: object }) => ({ id: 'made', at: null, ...input, json: input }) },
    Subscription: {
      ticks: {
        subscribe: async function* (_: unknown, { upTo }: { upTo: number }, { identity }: RequestContext) {
          for (let i = 1; i <= upTo; i++) yield { ticks: `${await Promise.resolve(i)} ${identity.role}` };
        },
      },
      forever: {
        subscribe: async function* () {
          try {
            for (let i = 0; ; i++) {
              yield { forever: i };
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          } finally {
            onEnd?.();
          }
        },
      },
      refused: {
        subscribe: () => {
          throw new AppError('FORBIDDEN', 'Not yours.');
        },
      },
    },
    Thing: { __resolveReference: ({ id }: { id: string }) => ({ id, price: 1 }) },
  };
  const service = createGraphqlService({
    name: 'tiny-api',
    subgraph: 'order',
    port,
    typeDefs: TYPE_DEFS,
    resolvers,
    websocket: true,
    ...(checks !== undefined && { checks }),
    deps: { config: readConfig({}), identitySecret: SECRET, log, metrics, now },
  });
  return { service, metrics };
}

export const token = (identity: Identity = ADMIN, audience = 'order', now = Date.now()): string =>
  signIdentity(identity, audience, SECRET, now);

export interface Answer {
  readonly status: number;
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly unknown[];
    readonly extensions: Readonly<Record<string, unknown>>;
  }[];
}

/** One operation over HTTP. */
export async function ask(
  url: string,
  query: string,
  variables?: unknown,
  headers?: Record<string, string>,
): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(headers ?? { [IDENTITY_HEADER]: token() }) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as Omit<Answer, 'status'>) };
}

export const connectionParams = () => ({ [IDENTITY_HEADER]: token(ANONYMOUS) });
export const operationExtensions = (identity: Identity = ADMIN) => ({ [IDENTITY_EXTENSION]: token(identity) });
