/**
 * Federated subscriptions: the part of a GraphQL gateway that plans subscriptions over a Federation 2 supergraph, opens
 * them at the subgraphs over graphql-transport-ws, completes every event with what other subgraphs have of it, and serves
 * them over WebSocket and server-sent events. It knows no schema: which fields there are, who is asking and what that
 * person may do comes in from outside.
 *
 * What a client can count on:
 * - Order: results come in the order in which the subgraph sent the events, each complete before the next.
 * - Nothing is lost silently: either every event arrives, or the subscription ends with an error that says so. With a
 *   field that can be resumed (`after: String` as argument and `cursor: String!` in its type) the gateway resumes by itself
 *   when a subgraph was away or a client was slow: nothing is lost and nothing comes twice. Where even that cannot be
 *   kept, the subgraph alone knows, and says so in its own stream.
 * - Bounded: at most `maxWaiting` events wait for a client. Nobody waits for somebody else's client.
 * - Sharing changes nothing of what a client gets; see SharedFeeds for when it is done and why it is right.
 * - Identity: an event is given only to whom it was fetched for, as long as that person's token is valid.
 * - A subscription ends on the version of the schema that it began on, whatever is served meanwhile.
 * - What is over leaves nothing behind: no operation at a subgraph, no listener, no timer.
 *
 * What a subgraph has to keep for that: a cursor tells exactly what was sent and what is still to follow, so that what comes
 * behind it is the same for everybody with the same identity; every event has its own.
 */
import type { Server as HttpServer } from 'node:http';
import type { FormattedExecutionResult } from 'graphql';
import type { Logger } from '../../shared/observability/logger.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import type { AdmittedOperation } from '../admission.js';
import type { GatewayContext } from '../context.js';
import type { SchemaVersion } from '../federation.js';
import { SubscriptionExecutor } from './execute.js';
import { meterOf } from './meter.js';
import { SubscriptionPlanner } from './plan.js';
import { OperationRunner, type RunnerDeps } from './run.js';
import { ClientSockets, SOCKET_DEFAULTS, type ClientSocketDeps, type SocketOptions } from './server.js';
import { EventStreams } from './sse.js';

export { wantsEventStream, type EventStreams, type EventStreamRequest } from './sse.js';
export { SOCKET_DEFAULTS, type ClientSockets, type SocketOptions } from './server.js';
export type { PreparedSubscription, Subscribed, SubscriptionExecutor, SubscriptionResults } from './execute.js';
export type { SubscriptionResult } from './sharing.js';
export { Upstream, type UpstreamCredentials, type UpstreamLink } from './upstream.js';

export interface SubscriptionsOptions {
  /** The schema that new subscriptions run on, with the ways to its subgraphs. */
  readonly current: () => SchemaVersion;
  /**
   * The same for callers to whom every subgraph answers the same: they share upstream operations. Undefined for one who is
   * to have their own.
   */
  readonly identityKey: (context: GatewayContext) => string | undefined;
  /** Root fields that send nothing when subscribed to, and of which only the newest event counts. */
  readonly latestValueFields: readonly string[];
  /** Whether errors may name what clients may have meant, and so parts of the schema; true when absent. */
  readonly suggestions?: boolean;
  /** Parses, measures and counts what clients ask for. Rejects with what is wrong with it. */
  readonly admit: RunnerDeps['admit'];
  /** Runs a query or a mutation, which both transports carry too. Does not reject. */
  readonly execute: (operation: AdmittedOperation) => Promise<FormattedExecutionResult>;
  readonly options?: Partial<SocketOptions>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface Subscriptions {
  /** Plans and opens single subscriptions: for other transports than the two below. */
  readonly executor: SubscriptionExecutor;
  /** Serves graphql-transport-ws on a server. Once. */
  serveSockets(server: HttpServer, deps: Omit<ClientSocketDeps, 'runner' | 'options' | 'log' | 'now'>): void;
  /** Serves server-sent events, a request at a time. */
  readonly eventStreams: EventStreams;
  /** Open WebSockets of clients. */
  readonly clientSockets: number;
  /** Lets queries and mutations in hand finish, then ends everything; clients know that they may connect again. */
  stop(): Promise<void>;
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { current, identityKey, metrics, log, now, admit, execute } = options;
  const settings = { ...SOCKET_DEFAULTS, ...options.options };
  const executor = new SubscriptionExecutor({
    current,
    identityKey,
    planner: new SubscriptionPlanner(new Set(options.latestValueFields), options.suggestions),
    meter: meterOf(metrics),
    maxWaiting: settings.maxWaiting,
    resumeWithinMs: settings.resumeWithinMs,
  });
  const runner = new OperationRunner({ log, admit, execute, subscriptions: executor });
  const eventStreams = new EventStreams({ now, runner });
  let sockets: ClientSockets | undefined;
  return {
    executor,
    eventStreams,
    get clientSockets() {
      return sockets?.size ?? 0;
    },
    serveSockets: (server, deps) => {
      sockets = new ClientSockets(server, { ...deps, log, now, runner, options: settings });
    },
    stop: async () => {
      await sockets?.stop();
      await eventStreams.stop();
    },
  };
}
