import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type Client as SocketClient } from 'graphql-ws';
import WebSocket from 'ws';
import { openEngines, type Engines } from '../app/engines.js';
import { startSystem, type System } from '../app/system.js';
// Loaded beforehand: jest's loader does not bear several imports at a time, which a start makes.
import '../gateway/app.js';
import '../subgraphs/balance/app.js';
import '../subgraphs/order/app.js';
import '../subgraphs/product/app.js';
import '../subgraphs/query/app.js';
import '../subgraphs/user/app.js';
import { readConfig, type Config } from '../shared/config/config.js';
import type { Database } from '../shared/database/port.js';
import { ANONYMOUS, type Identity } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { heldDocuments } from './held-documents.js';
import { openNamespace, type Namespace } from './namespace.js';
import { freePorts } from './ports.js';

export { freePorts };

/** Tests say who they are in this header or connection parameter: `ADMIN:<id>`, `USER:<id>`; absent is anonymous. */
const WHO = 'x-test-identity';

export const ADMIN: Identity = { role: 'ADMIN', userId: '0190a000-0000-7000-8000-000000000001' };
export const userIdentity = (userId: string): Identity => ({ role: 'USER', userId });

export interface GraphQLAnswer<T> {
  readonly data?: T | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: { readonly code: string; readonly field?: string } & Readonly<Record<string, unknown>>;
  }[];
}

export interface TestSystem {
  readonly system: System;
  readonly engines: Engines;
  readonly config: Config;
  /** The subgraphs' own databases by name, `tributary_user`: to look into. */
  readonly databases: ReadonlyMap<string, Database>;
  /** Stops the read side where it is, until the answered function is called. */
  holdProjections(): () => void;
  /** Sends an operation to the gateway as the given person, the administrator when absent. */
  graphql<T = Record<string, unknown>>(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
    identity?: Identity,
  ): Promise<GraphQLAnswer<T>>;
  /** The same, for operations that must succeed. */
  ok<T = Record<string, unknown>>(
    query: string,
    variables?: Readonly<Record<string, unknown>>,
    identity?: Identity,
  ): Promise<T>;
  /** A graphql-ws client of the gateway; closed with the system. */
  socket(identity?: Identity): SocketClient;
  /** Stops everything; keeps the data folder for `startTestSystem({ dataDir })`. */
  stop(): Promise<void>;
  /** Stops everything and removes the data folder. */
  dispose(): Promise<void>;
}

const spell = ({ role, userId }: Identity): string => `${role}:${userId ?? ''}`;

function read(who: unknown): Identity {
  const [role, userId] = typeof who === 'string' ? who.split(':') : [];
  return (role === 'ADMIN' || role === 'USER') && userId !== undefined ? { role, userId } : ANONYMOUS;
}

export interface TestSystemOptions {
  readonly dataDir?: string;
  readonly projectionWaitMs?: number;
  /** Clients are who their access tokens say, as in earnest; `graphql` and `socket` then speak for nobody. */
  readonly tokens?: boolean;
  /** Further settings by their environment variables: `WALLET_CORE`, or the addresses of servers. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What a data folder stands for on servers, while it is in use. */
const namespaces = new Map<string, Namespace>();

/** With TEST_ENGINES=servers the end-to-end suites run on servers, a data folder being a namespace there. */
function serversOf(dataDir: string): Readonly<Record<string, string>> {
  if (process.env['TEST_ENGINES'] !== 'servers') return {};
  const namespace = namespaces.get(dataDir) ?? openNamespace();
  namespaces.set(dataDir, namespace);
  return namespace.settings;
}

/** Removes whatever a system has left under this data folder, which nobody uses any more. */
export async function removeData(dataDir: string): Promise<void> {
  await namespaces.get(dataDir)?.dispose();
  namespaces.delete(dataDir);
  rmSync(dataDir, { recursive: true, force: true });
}

/**
 * The whole system on free ports of 127.0.0.1, without demo data; on embedded engines unless the settings or TEST_ENGINES
 * name servers.
 */
export async function startTestSystem(options: TestSystemOptions = {}): Promise<TestSystem> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'tributary-test-'));
  const [gateway, user, product, order, balance, query, rest] = (await freePorts(7)).map(String);
  const config = readConfig({
    DATA_DIR: dataDir,
    GATEWAY_PORT: gateway,
    USER_PORT: user,
    PRODUCT_PORT: product,
    ORDER_PORT: order,
    BALANCE_PORT: balance,
    QUERY_PORT: query,
    REST_PORT: rest,
    PROJECTION_WAIT_MS: options.projectionWaitMs === undefined ? undefined : String(options.projectionWaitMs),
    // Where nobody is asked for a token, REST does not either, whatever the engines.
    ...(options.tokens !== true && { AUTH_MODE: 'demo' }),
    ...serversOf(dataDir),
    ...options.settings,
  });
  const engines = await openEngines(config, { clientId: 'test', log: silentLogger() });
  const databases = new Map<string, Database>();
  const { documents, hold } = heldDocuments(engines.documents);
  let release = (): void => undefined;
  const system = await startSystem({
    config,
    engines: {
      ...engines,
      documents,
      openDatabase: async (wanted) => {
        const database = await engines.openDatabase(wanted);
        databases.set(wanted.name, database);
        return database;
      },
    },
    log: silentLogger(),
    metrics: createMetrics(),
    now: Date.now,
    ...(options.tokens !== true && {
      authenticate: ({ headers, connectionParams }) =>
        Promise.resolve({ identity: read(connectionParams?.[WHO] ?? headers[WHO]) }),
    }),
  });
  const url = `http://127.0.0.1:${gateway}/graphql`;
  const sockets: SocketClient[] = [];

  const graphql = async <T>(
    document: string,
    variables: Readonly<Record<string, unknown>> = {},
    identity: Identity = ADMIN,
  ) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [WHO]: spell(identity) },
      body: JSON.stringify({ query: document, variables }),
    });
    return (await response.json()) as GraphQLAnswer<T>;
  };
  const stop = async (): Promise<void> => {
    release();
    for (const socket of sockets.splice(0)) await socket.dispose();
    await system.stop();
  };

  return {
    system,
    engines,
    config,
    databases,
    holdProjections: () => (release = hold()),
    graphql,
    async ok<T>(document: string, variables?: Readonly<Record<string, unknown>>, identity?: Identity) {
      const { data, errors } = await graphql<T>(document, variables, identity);
      if (errors !== undefined || data === null || data === undefined) throw new Error(JSON.stringify(errors));
      return data;
    },
    socket(identity = ADMIN) {
      const client = createClient({
        url: url.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: { [WHO]: spell(identity) },
        retryAttempts: 0,
      });
      sockets.push(client);
      return client;
    },
    stop,
    async dispose() {
      await stop();
      await removeData(dataDir);
    },
  };
}

/** Collects what a subscription delivers. */
export function collect<T>(client: SocketClient, query: string, variables: Readonly<Record<string, unknown>> = {}) {
  const messages: GraphQLAnswer<T>[] = [];
  const state: { error: unknown; completed: boolean } = { error: undefined, completed: false };
  const stop = client.subscribe<T>(
    { query, variables },
    {
      next: (message) => messages.push(message as GraphQLAnswer<T>),
      error: (error) => (state.error = error),
      complete: () => (state.completed = true),
    },
  );
  return { messages, state, stop };
}

export const uniqueEmail = (): string => `${newId()}@example.com`;
