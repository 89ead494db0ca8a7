import type { Metrics } from '../../shared/observability/metrics.js';

/** Why a stream opened its upstream operation again behind a cursor. */
export type ResumeReason = 'upstream_lost' | 'slow_client' | 'identity_changed';

/** What a client could not be given; the subscription ended on it, or skipped states of a latest-value field. */
export type MissReason = 'upstream_lost' | 'slow_client' | 'identity_changed' | 'skipped_states';

/** Counts, by root field. */
export interface Meter {
  open(field: string, change: 1 | -1): void;
  upstreams(field: string, change: 1 | -1): void;
  /** Of those who follow an upstream operation, all but one. */
  shared(field: string, change: number): void;
  merged(field: string): void;
  resumed(field: string, reason: ResumeReason): void;
  missed(field: string, reason: MissReason): void;
  /** More waited for a client than may. */
  overflowed(field: string): void;
}

export const meterOf = (metrics: Metrics): Meter => ({
  open: (field, change) => metrics.subscribers.inc({ service: 'gateway', field }, change),
  upstreams: (field, change) => metrics.subscriptionUpstreams.inc({ field }, change),
  shared: (field, change) => metrics.subscriptionsShared.inc({ field }, change),
  merged: (field) => metrics.subscriptionMerges.inc({ field }),
  resumed: (field, reason) => metrics.subscriptionResumes.inc({ field, reason }),
  missed: (field, reason) => metrics.gaps.inc({ field, reason }),
  overflowed: (field) => metrics.subscriptionOverflows.inc({ field }),
});
