import type { ApolloServer } from '@apollo/server';
import type { FormattedExecutionResult } from 'graphql';
import { AppError } from '../shared/errors/errors.js';
import { toClientError } from '../shared/graphql/errors.js';
import type { AdmittedOperation } from './admission.js';
import type { GatewayContext } from './context.js';
import { Deadlines } from './deadlines.js';
import { explained } from './debug.js';
import type { DirectRuns } from './direct.js';
import type { OperationMeter } from './operation-meter.js';

/** The answer to a query or a mutation. */
export interface Answer {
  /** Of HTTP: 200 for what was run, 400 for what cannot be, 504 for what took too long. */
  readonly status: number;
  readonly result: FormattedExecutionResult;
}

/** Runs a query or a mutation. Never rejects; the answer is there at its deadline, or a moment later. */
export type RunOperation = (operation: AdmittedOperation) => Promise<Answer>;

/** Calls of subgraphs end at the deadline themselves, which leaves an answer with what the others had to say. */
const GRACE_MS = 250;

/**
 * Queries and mutations, the short way where that will do, else through Apollo Server.
 * @param suggestions whether errors may say what was perhaps meant, and so tell parts of the schema
 */
export function runWith(
  apollo: ApolloServer<GatewayContext>,
  direct: DirectRuns,
  meter: OperationMeter,
  suggestions: boolean,
): RunOperation {
  const deadlines = new Deadlines();

  async function run(operation: AdmittedOperation): Promise<Answer> {
    try {
      return (await direct.run(operation)) ?? (await byApollo(operation));
    } catch (error) {
      return { status: 500, result: { errors: [toClientError(error, operation.context)] } };
    }
  }

  async function byApollo({ source, operationName, variables, context }: AdmittedOperation): Promise<Answer> {
    const request = {
      query: source,
      variables: { ...variables },
      ...(operationName !== undefined && { operationName }),
    };
    const { body, http } = await apollo.executeOperation(request, { contextValue: context });
    if (body.kind !== 'single') throw new Error('Incremental delivery is not on offer.');
    const status = http.status ?? 200;
    return { status, result: suggestions ? body.singleResult : withoutSuggestions(body.singleResult) };
  }

  return (operation) =>
    new Promise((resolve) => {
      const { context } = operation;
      const begun = performance.now();
      const late = { deadline: context.deadline + GRACE_MS, expire: () => answerWith(tookTooLong(context)) };
      const answerWith = ({ status, result }: Answer): void => {
        if (!deadlines.delete(late)) return;
        meter.answered(operation, result, performance.now() - begun);
        resolve({ status, result: explained(result, context) });
      };
      deadlines.add(late);
      void run(operation).then(answerWith);
    });
}

/** graphql-js ends its messages with what it found to be alike. */
function withoutSuggestions(result: FormattedExecutionResult): FormattedExecutionResult {
  const { errors, ...rest } = result;
  if (errors === undefined) return result;
  return {
    errors: errors.map((error) => ({ ...error, message: error.message.replace(/ ?Did you mean .*\?$/s, '') })),
    ...rest,
  };
}

function tookTooLong(context: GatewayContext): Answer {
  const seconds = Math.round(context.timeoutMs / 100) / 10;
  const message = `The answer took longer than ${seconds} s. A mutation may have been committed: send it again with the same idempotencyKey.`;
  return { status: 504, result: { errors: [toClientError(new AppError('UNAVAILABLE', message), context)] } };
}
