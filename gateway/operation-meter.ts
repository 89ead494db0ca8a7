import type { FormattedExecutionResult } from 'graphql';
import type { Metrics } from '../shared/observability/metrics.js';
import type { ParsedOperation } from './documents.js';

/** Names of operations that get a series of their own in the metrics; clients choose them, so they are bounded. */
const MAX_NAMES = 200;
const OTHERS = 'other';

/** Counts and times the queries and mutations of the gateway, however they were run. */
export class OperationMeter {
  private readonly names = new Set<string>();

  constructor(private readonly metrics: Pick<Metrics, 'requests' | 'requestSeconds' | 'operationSeconds'>) {}

  answered({ operation: { operation, name } }: ParsedOperation, result: FormattedExecutionResult, ms: number): void {
    const { requests, requestSeconds, operationSeconds } = this.metrics;
    const service = 'gateway';
    const outcome = result.errors === undefined ? 'ok' : String(result.errors[0]?.extensions?.['code']);
    requests.inc({ service, operation, outcome });
    requestSeconds.observe({ service, operation }, ms / 1_000);
    operationSeconds.observe({ operation: this.nameOf(name?.value ?? 'unnamed') }, ms / 1_000);
  }

  private nameOf(name: string): string {
    if (this.names.has(name)) return name;
    if (this.names.size >= MAX_NAMES) return OTHERS;
    this.names.add(name);
    return name;
  }
}
