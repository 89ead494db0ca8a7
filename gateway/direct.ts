import { getVariableValues, type ExecutionResult, type FormattedExecutionResult } from 'graphql';
import { toClientError } from '../shared/graphql/errors.js';
import type { AdmittedOperation } from './admission.js';
import type { SchemaVersion } from './federation.js';
import type { Answer } from './run.js';

/**
 * The short way for what is sent again and again: an operation that is valid and asks nothing about the schema goes to
 * the executor at once. Everything else, all that needs an explanation included, is Apollo Server's.
 */
export class DirectRuns {
  private readonly current: () => SchemaVersion;

  constructor(current: () => SchemaVersion) {
    this.current = current;
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
    const result = await version.run(plan, version.sources, operation, variables, context);
    return { status: result.data === undefined ? 400 : 200, result: formatted(result, context) };
  }
}

function formatted({ data, errors }: ExecutionResult, context: AdmittedOperation['context']): FormattedExecutionResult {
  return {
    ...(errors !== undefined && { errors: errors.map((error) => toClientError(error, context)) }),
    ...(data !== undefined && { data }),
  };
}
