import { getVariableValues, type ExecutionResult, type FormattedExecutionResult } from 'graphql';
import { toClientError } from '../shared/graphql/errors.js';
import type { Metrics } from '../shared/observability/metrics.js';
import type { AdmittedOperation } from './admission.js';
import type { SchemaVersion } from './federation.js';
import type { Answer } from './run.js';

/** Names of operations that get a series of their own in the metrics; clients choose them, so they are bounded. */
const MAX_NAMES = 200;
const OTHERS = 'other';

/**
 * The short way for what is sent again and again: an operation that is valid and asks nothing about the schema goes to
 * the executor at once. Everything else, all that needs an explanation included, is Apollo Server's.
 */
export class DirectRuns {
  private readonly current: () => SchemaVersion;
  private readonly metrics: Metrics;
  private readonly names = new Set<string>();

  constructor(current: () => SchemaVersion, metrics: Metrics) {
    this.current = current;
    this.metrics = metrics;
  }

  /** The answer, or undefined when nothing has been run. */
  async run(admitted: AdmittedOperation): Promise<Answer | undefined> {
    const { document, operationName, introspects, variables, context } = admitted;
    if (introspects) return undefined;
    const version = this.current();
    const prepared = version.prepare(document, operationName);
    if (prepared === undefined) return undefined;
    const { plan, operation } = prepared;
    const definitions = operation.operation.variableDefinitions ?? [];
    if (definitions.length > 0 && getVariableValues(version.schema, definitions, variables).errors !== undefined) {
      return undefined;
    }
    const begun = performance.now();
    const result = await version.run(plan, version.sources, operation, variables, context);
    const answer = formatted(result, context);
    this.count(admitted, answer, (performance.now() - begun) / 1_000);
    return { status: result.data === undefined ? 400 : 200, result: answer };
  }

  private count({ operation }: AdmittedOperation, { errors }: FormattedExecutionResult, seconds: number): void {
    const { requests, requestSeconds, operationSeconds } = this.metrics;
    const service = 'gateway';
    const outcome = errors === undefined ? 'ok' : String(errors[0]?.extensions?.['code']);
    requests.inc({ service, operation: operation.operation, outcome });
    requestSeconds.observe({ service, operation: operation.operation }, seconds);
    operationSeconds.observe({ operation: this.nameOf(operation.name?.value ?? 'unnamed') }, seconds);
  }

  private nameOf(name: string): string {
    if (this.names.has(name)) return name;
    if (this.names.size >= MAX_NAMES) return OTHERS;
    this.names.add(name);
    return name;
  }
}

function formatted({ data, errors }: ExecutionResult, context: AdmittedOperation['context']): FormattedExecutionResult {
  return {
    ...(errors !== undefined && { errors: errors.map((error) => toClientError(error, context)) }),
    ...(data !== undefined && { data }),
  };
}
