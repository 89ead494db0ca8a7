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
    subscribers: new Gauge({
      name: 'tributary_subscribers',
      help: 'Open GraphQL subscriptions.',
      labelNames: ['service', 'field'] as const,
      registers,
    }),
    gaps: new Counter({
      name: 'tributary_subscription_gaps_total',
      help: 'GAP events sent to subscribers, by reason.',
      labelNames: ['field', 'reason'] as const,
      registers,
    }),
  };
}
