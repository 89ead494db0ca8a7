/**
 * The supergraph as the gateway serves it, and its change while the gateway runs. Apollo's planner is used through what
 * its packages export, not through the ApolloGateway class: that one swaps its schema under the requests in hand, never
 * closes a data source, and refuses to run subscriptions. The versions of the Apollo packages are pinned.
 */
import { createHash } from 'node:crypto';
import type { ApolloServerOptionsWithGateway } from '@apollo/server';
import { operationFromDocument, Supergraph, type Schema } from '@apollo/federation-internals';
import { QueryPlanner, type QueryPlan } from '@apollo/query-planner';
import {
  getVariableValues,
  isScalarType,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLScalarType,
  type GraphQLSchema,
} from 'graphql';
import type { Logger } from '../shared/observability/logger.js';
import type { GatewayContext } from './context.js';
import { Executor, type GraphQLDataSource, type OperationContext } from './executor.js';
import { PlanCache, type PreparedOperation } from './plan-cache.js';
import type { Upstream } from './subscriptions/upstream.js';

export type { GraphQLDataSource, OperationContext, QueryPlan };

/** What Apollo Server asks of a gateway. */
type ApolloGatewayInterface = ApolloServerOptionsWithGateway<GatewayContext>['gateway'];

/** Where a supergraph says that a subgraph is. */
export interface SubgraphPlace {
  readonly name: string;
  /** Empty when the supergraph does not say. */
  readonly url: string;
  /** Its graphql-ws endpoint, where the supergraph names one: `@websocket(url:)`, which `npm run compose` writes. */
  readonly websocketUrl?: string;
}

/** The ways to one subgraph: requests and subscriptions. */
export interface SubgraphLink {
  readonly source: GraphQLDataSource;
  readonly upstream: Upstream;
  /** Rejects when the subgraph does not say that it is alive. */
  ping(): Promise<void>;
  /** Lets what is in hand finish. */
  close(): Promise<void>;
}

/** One loaded supergraph. A request or a subscription that began on one ends on it. */
export interface SchemaVersion {
  /** Tells versions apart: the start of the SHA-256 of the supergraph, in hexadecimal. */
  readonly hash: string;
  /** What clients see. */
  readonly schema: GraphQLSchema;
  readonly supergraphSchema: GraphQLSchema;
  /** The subgraphs of this version by name. */
  readonly subgraphs: ReadonlyMap<string, SubgraphLink>;
  /** Their data sources. */
  readonly sources: Readonly<Record<string, GraphQLDataSource>>;
  /** @throws GraphQLError when the operation is not valid. Nothing is remembered: plans are kept by those who use them. */
  plan(document: DocumentNode, operationName: string | null | undefined): QueryPlan;
  /**
   * A query or a mutation made ready to run, remembered with its document. Undefined when the document is not valid.
   * @throws GraphQLError when it cannot be planned
   */
  prepare(document: DocumentNode, operationName: string | null | undefined): PreparedOperation | undefined;
  /** Runs a plan against the given data sources. */
  run(
    plan: QueryPlan,
    sources: Readonly<Record<string, GraphQLDataSource>>,
    operation: OperationContext,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<ExecutionResult>;
  /**
   * Keeps the connections to the subgraphs open, also when a newer version is served, until the answer is called.
   * For what goes on for longer than a request: a subscription.
   */
  hold(): () => void;
}

export interface Federation {
  /** For Apollo Server. */
  readonly gateway: ApolloGatewayInterface;
  /** What new operations run on. */
  current(): SchemaVersion;
  /**
   * Builds another version beside the current one, without connections to subgraphs.
   * @throws Error when it is no supergraph, or one that is not valid
   */
  build(supergraphSdl: string): Candidate;
  /** Serves it from now on. The version before is let go when nobody uses it any more. */
  serve(candidate: Candidate): void;
  /** Versions not yet let go, the current one included. */
  readonly versions: number;
  /** Closes all connections to subgraphs. */
  close(): Promise<void>;
}

/** A supergraph that could be served. */
export interface Candidate {
  readonly hash: string;
  readonly schema: GraphQLSchema;
  plan(document: DocumentNode, operationName?: string): QueryPlan;
}

/**
 * A version that is no longer current stays for that long at least: a request may have begun on it and not have reached
 * its first call of a subgraph. Longer than a request may wait for its own body.
 */
const LINGER_MS = 30_000; // 30 seconds

/**
 * @param supergraphSdl the first version
 * @param scalars how custom scalars are read: what one of them refuses is refused before anything is executed
 * @param connect makes the ways to a subgraph; called once for each name and address, however many versions have it
 * @param options.validate whether to check the first version; later ones always are
 * @param options.lingerMs how long a version that is no longer current stays at least
 * @throws Error when the supergraph is none
 */
export function makeFederation(
  supergraphSdl: string,
  scalars: Readonly<Record<string, GraphQLScalarType>>,
  log: Logger,
  connect: (place: SubgraphPlace) => SubgraphLink,
  { validate = false, lingerMs = LINGER_MS }: { readonly validate?: boolean; readonly lingerMs?: number } = {},
): Federation {
  const links = new Links(connect);
  const versions = new Set<Version>();
  const bySchema = new WeakMap<GraphQLSchema, Version>();
  const listeners = new Set<Parameters<ApolloGatewayInterface['onSchemaLoadOrUpdate']>[0]>();
  const serve = (loaded: Loaded): Version => {
    const version = new Version(loaded, links, log, () => versions.delete(version));
    versions.add(version);
    bySchema.set(version.schema, version);
    return version;
  };
  let current = serve(new Loaded(supergraphSdl, scalars, validate));
  const announce = () => {
    for (const listener of listeners) listener({ apiSchema: current.schema, coreSupergraphSdl: current.sdl });
  };
  return {
    gateway: {
      onSchemaLoadOrUpdate: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      load: () => {
        announce();
        return Promise.resolve({
          executor: ({ schema, document, request, context }) => {
            const version = bySchema.get(schema);
            if (version === undefined) throw new Error('Apollo Server works on a schema that it was not given.');
            const { operationName, variables = {} } = request;
            return version.execute(document, operationName, variables, context as GatewayContext);
          },
        });
      },
      stop: () => Promise.resolve(),
    },
    get versions() {
      return versions.size;
    },
    current: () => current,
    build: (sdl) => new Loaded(sdl, scalars, true),
    serve: (candidate) => {
      if (!(candidate instanceof Loaded)) throw new Error('Only what was built here can be served.');
      const before = current;
      // Links of both are shared, so the new one takes its own before the old one gives them back.
      current = serve(candidate);
      announce();
      before.retire(lingerMs);
    },
    close: async () => {
      for (const version of versions) version.forget();
      await links.close();
    },
  };
}

/** A supergraph read, with its planner. */
class Loaded implements Candidate {
  readonly hash: string;
  readonly schema: GraphQLSchema;
  readonly supergraphSchema: GraphQLSchema;
  readonly apiSchema: Schema;
  readonly places: readonly SubgraphPlace[];
  private readonly planner: QueryPlanner;

  constructor(
    readonly sdl: string,
    scalars: Readonly<Record<string, GraphQLScalarType>>,
    validateSupergraph: boolean,
  ) {
    this.hash = hashOf(sdl);
    const supergraph = Supergraph.build(sdl, { validateSupergraph });
    this.apiSchema = supergraph.apiSchema();
    this.schema = this.apiSchema.toGraphQLJSSchema();
    readScalars(this.schema, scalars);
    this.supergraphSchema = supergraph.schema.toGraphQLJSSchema();
    this.planner = new QueryPlanner(supergraph);
    this.places = placesIn(supergraph);
  }

  plan(document: DocumentNode, operationName?: string | null): QueryPlan {
    const operation = operationFromDocument(this.apiSchema, document, operationName == null ? {} : { operationName });
    return this.planner.buildQueryPlan(operation);
  }
}

class Version implements SchemaVersion {
  readonly hash: string;
  readonly schema: GraphQLSchema;
  readonly supergraphSchema: GraphQLSchema;
  readonly sdl: string;
  readonly subgraphs: ReadonlyMap<string, SubgraphLink>;
  readonly sources: Readonly<Record<string, GraphQLDataSource>>;
  private readonly executor: Executor;
  private readonly cache: PlanCache;
  private users = 1;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly loaded: Loaded,
    private readonly links: Links,
    private readonly log: Logger,
    private readonly gone: () => void,
  ) {
    this.hash = loaded.hash;
    this.schema = loaded.schema;
    this.supergraphSchema = loaded.supergraphSchema;
    this.executor = new Executor(loaded.supergraphSchema);
    this.cache = new PlanCache(loaded.schema, (document, operationName) => loaded.plan(document, operationName));
    this.sdl = loaded.sdl;
    this.subgraphs = links.acquireAll(loaded.places);
    this.sources = Object.fromEntries([...this.subgraphs].map(([name, { source }]) => [name, source]));
  }

  plan(document: DocumentNode, operationName: string | null | undefined): QueryPlan {
    return this.loaded.plan(document, operationName);
  }

  prepare(document: DocumentNode, operationName: string | null | undefined): PreparedOperation | undefined {
    return this.cache.prepare(document, operationName);
  }

  async run(
    plan: QueryPlan,
    sources: Readonly<Record<string, GraphQLDataSource>>,
    operation: OperationContext,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<ExecutionResult> {
    const release = this.hold();
    try {
      return await this.executor.run(plan, sources, operation, variables, context);
    } finally {
      release();
    }
  }

  /** Runs a query or a mutation that is valid. */
  async execute(
    document: DocumentNode,
    operationName: string | undefined,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<ExecutionResult> {
    const prepared = this.prepare(document, operationName);
    if (prepared === undefined) throw new Error('Apollo Server let an operation pass that is not valid.');
    const { plan, operation } = prepared;
    const { errors } = getVariableValues(this.schema, operation.operation.variableDefinitions ?? [], variables);
    if (errors !== undefined) return { errors };
    return this.run(plan, this.sources, operation, variables, context);
  }

  hold(): () => void {
    this.users++;
    let held = true;
    return () => {
      if (held) this.release();
      held = false;
    };
  }

  /** The one that serves it is the first to hold a version. */
  retire(afterMs: number): void {
    this.timer = setTimeout(() => this.release(), afterMs).unref();
  }

  /** Ends the timer; connections are closed by whoever closes them all. */
  forget(): void {
    clearTimeout(this.timer);
  }

  private release(): void {
    this.users--;
    if (this.users > 0) return;
    this.gone();
    for (const place of this.loaded.places) {
      this.links.release(place).catch((error: unknown) => {
        this.log.warn({ err: error, subgraph: place.name }, 'a subgraph that is served no more did not close');
      });
    }
  }
}

/** One link for each name and address, shared by the versions that have it and closed with the last of them. */
class Links {
  private readonly open = new Map<string, { readonly link: SubgraphLink; users: number }>();
  private readonly connect: (place: SubgraphPlace) => SubgraphLink;

  constructor(connect: (place: SubgraphPlace) => SubgraphLink) {
    this.connect = connect;
  }

  /** All or none. */
  acquireAll(places: readonly SubgraphPlace[]): ReadonlyMap<string, SubgraphLink> {
    const acquired = new Map<string, SubgraphLink>();
    try {
      for (const place of places) acquired.set(place.name, this.acquire(place));
    } catch (error) {
      for (const place of places) if (acquired.has(place.name)) void this.release(place).catch(() => undefined);
      throw error;
    }
    return acquired;
  }

  private acquire(place: SubgraphPlace): SubgraphLink {
    const known = this.open.get(keyOf(place)) ?? { link: this.connect(place), users: 0 };
    known.users++;
    this.open.set(keyOf(place), known);
    return known.link;
  }

  async release(place: SubgraphPlace): Promise<void> {
    const known = this.open.get(keyOf(place));
    if (known === undefined) return;
    known.users--;
    if (known.users > 0) return;
    this.open.delete(keyOf(place));
    await known.link.close();
  }

  async close(): Promise<void> {
    const all = [...this.open.values()];
    this.open.clear();
    await Promise.all(all.map(({ link }) => link.close()));
  }
}

const keyOf = ({ name, url, websocketUrl }: SubgraphPlace): string => `${name} ${url} ${websocketUrl ?? ''}`;

/** The feature under which a supergraph says where WebSockets are; others do not know it and pass over it. */
const WEBSOCKET_FEATURE = 'https://tributary.example/websocket';

function placesIn(supergraph: Supergraph): SubgraphPlace[] {
  const websockets = new Map<unknown, unknown>();
  const feature = supergraph.schema.coreFeatures?.getByIdentity(WEBSOCKET_FEATURE);
  const graphs = supergraph.schema.type('join__Graph');
  if (feature !== undefined && graphs?.kind === 'EnumType') {
    for (const value of graphs.values) {
      const [graph] = value.appliedDirectivesOf('join__graph');
      const [websocket] = value.appliedDirectivesOf(feature.nameInSchema);
      if (websocket !== undefined) websockets.set(graph?.arguments()['name'], websocket.arguments()['url']);
    }
  }
  return supergraph.subgraphsMetadata().map(({ name, url }) => {
    const websocketUrl = websockets.get(name);
    return { name, url, ...(typeof websocketUrl === 'string' && { websocketUrl }) };
  });
}

/** Tells supergraphs apart: the start of the SHA-256, in hexadecimal. */
export const hashOf = (sdl: string): string => createHash('sha256').update(sdl).digest('hex').slice(0, 16);

/** Input only: answers are not serialized here, they pass as the subgraphs wrote them. */
function readScalars(schema: GraphQLSchema, scalars: Readonly<Record<string, GraphQLScalarType>>): void {
  for (const [name, { parseValue, parseLiteral }] of Object.entries(scalars)) {
    const type = schema.getType(name);
    if (isScalarType(type)) Object.assign(type, { parseValue, parseLiteral });
  }
}
