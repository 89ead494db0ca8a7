import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Latency buckets in seconds, from a millisecond to ten seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export type Metrics = ReturnType<typeof createMetrics>;

/** Every metric of a process, in one registry. */
export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    requests: new Counter({
      name: 'tributary_graphql_requests_total',
      help: 'GraphQL operations answered, by service, operation type and outcome (ok or an error code).',
      labelNames: ['service', 'operation', 'outcome'] as const,
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'tributary_graphql_request_seconds',
      help: 'Time to answer a GraphQL operation.',
      labelNames: ['service', 'operation'] as const,
      buckets: SECONDS,
      registers,
    }),
    operationSeconds: new Histogram({
      name: 'tributary_gateway_operation_seconds',
      help: 'Time the gateway took for an operation, by the name its document gives it; the first 200 names, then "other".',
      labelNames: ['operation'] as const,
      buckets: SECONDS,
      registers,
    }),
    subgraphSeconds: new Histogram({
      name: 'tributary_subgraph_seconds',
      help: 'Time of a call of a subgraph by the gateway, repeats included.',
      labelNames: ['subgraph'] as const,
      buckets: SECONDS,
      registers,
    }),
    subgraphRequests: new Counter({
      name: 'tributary_subgraph_requests_total',
      help: 'Calls of subgraphs by the gateway, by outcome: ok, unreachable, timeout, broken, aborted or spared.',
      labelNames: ['subgraph', 'outcome'] as const,
      registers,
    }),
    subgraphRetries: new Counter({
      name: 'tributary_subgraph_retries_total',
      help: 'Queries sent to a subgraph again because their connection failed.',
      labelNames: ['subgraph'] as const,
      registers,
    }),
    subgraphBreaker: new Gauge({
      name: 'tributary_subgraph_breaker',
      help: 'Whether calls of a subgraph are made: 0 yes, 1 one to try, 2 none for now.',
      labelNames: ['subgraph'] as const,
      registers,
    }),
    eventsPublished: new Counter({
      name: 'tributary_outbox_published_total',
      help: 'Outbox rows the relay appended to the event log.',
      labelNames: ['database'] as const,
      registers,
    }),
    outboxDepth: new Gauge({
      name: 'tributary_outbox_unpublished',
      help: 'Outbox rows not yet published, those set aside included.',
      labelNames: ['database'] as const,
      registers,
    }),
    outboxSetAside: new Gauge({
      name: 'tributary_outbox_set_aside',
      help: 'Outbox rows kept back because the event log refused them or an earlier one of their aggregate.',
      labelNames: ['database'] as const,
      registers,
    }),
    outboxOldestSeconds: new Gauge({
      name: 'tributary_outbox_oldest_seconds',
      help: 'Age of the oldest outbox row not yet published.',
      labelNames: ['database'] as const,
      registers,
    }),
    eventsHandled: new Counter({
      name: 'tributary_consumer_events_total',
      help: 'Events a consumer dealt with, by outcome: handled, repeated, parked or dead.',
      labelNames: ['consumer', 'outcome'] as const,
      registers,
    }),
    consumerLag: new Gauge({
      name: 'tributary_consumer_lag',
      help: 'Records a consumer has not yet dealt with.',
      labelNames: ['consumer', 'topic'] as const,
      registers,
    }),
    deadLetters: new Gauge({
      name: 'tributary_dead_letters',
      help: 'Messages that failed for good and wait for somebody to decide.',
      labelNames: ['consumer'] as const,
      registers,
    }),
    parked: new Gauge({
      name: 'tributary_parked_messages',
      help: 'Messages waiting for their next attempt.',
      labelNames: ['consumer'] as const,
      registers,
    }),
    mails: new Counter({
      name: 'tributary_mails_total',
      help: 'Attempts to send a mail, by kind and outcome: sent, failed, dropped or dead.',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    mailsWaiting: new Gauge({
      name: 'tributary_mails_waiting',
      help: 'Mails not yet sent.',
      registers,
    }),
    mailsOldestSeconds: new Gauge({
      name: 'tributary_mails_oldest_seconds',
      help: 'Age of the oldest mail not yet sent.',
      registers,
    }),
    timersPending: new Gauge({
      name: 'tributary_timers_pending',
      help: 'Orders that the clock will do something to, each by its next timer.',
      registers,
    }),
    timersLateSeconds: new Gauge({
      name: 'tributary_timers_late_seconds',
      help: 'How long the oldest timer of an order has been due; 0 when none is.',
      registers,
    }),
    timersFired: new Counter({
      name: 'tributary_timers_fired_total',
      help: 'Timers of orders that were due, by kind and outcome: acted, passed (nothing was to be done by then) or failed.',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    subscribers: new Gauge({
      name: 'tributary_subscribers',
      help: 'Open GraphQL subscriptions.',
      labelNames: ['service', 'field'] as const,
      registers,
    }),
    supergraph: new Gauge({
      name: 'tributary_supergraph_info',
      help: 'Always 1; the label names the supergraph that the gateway serves.',
      labelNames: ['hash'] as const,
      registers,
    }),
    supergraphReloads: new Counter({
      name: 'tributary_supergraph_reloads_total',
      help: 'New supergraphs that the gateway was given, by outcome: served or refused.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    gaps: new Counter({
      name: 'tributary_subscription_gaps_total',
      help: 'Subscribers told that they missed events, by a GAP event or by the end of their subscription, by reason.',
      labelNames: ['field', 'reason'] as const,
      registers,
    }),
    subscriptionUpstreams: new Gauge({
      name: 'tributary_subscription_upstreams',
      help: 'Operations the gateway has open at subgraphs for its subscribers.',
      labelNames: ['field'] as const,
      registers,
    }),
    subscriptionsShared: new Gauge({
      name: 'tributary_subscriptions_shared',
      help: 'Subscribers of the gateway that need no operation of their own at a subgraph.',
      labelNames: ['field'] as const,
      registers,
    }),
    subscriptionMerges: new Counter({
      name: 'tributary_subscription_merges_total',
      help: 'Operations at subgraphs ended because another one had come to the same cursor.',
      labelNames: ['field'] as const,
      registers,
    }),
    subscriptionResumes: new Counter({
      name: 'tributary_subscription_resumes_total',
      help: 'Subscriptions resumed by the gateway behind their last cursor, by reason.',
      labelNames: ['field', 'reason'] as const,
      registers,
    }),
    subscriptionOverflows: new Counter({
      name: 'tributary_subscription_overflows_total',
      help: 'Times that more events waited for a client than may.',
      labelNames: ['field'] as const,
      registers,
    }),
  };
}
