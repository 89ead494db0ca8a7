import type { ApolloServer } from '@apollo/server';
import type { FormattedExecutionResult } from 'graphql';
import { AppError } from '../shared/errors/errors.js';
import { toClientError } from '../shared/graphql/errors.js';
import type { AdmittedOperation } from './admission.js';
import type { GatewayContext } from './context.js';
import { explained } from './debug.js';
import type { DirectRuns } from './direct.js';

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
export const runWith =
  (apollo: ApolloServer<GatewayContext>, direct: DirectRuns, suggestions: boolean): RunOperation =>
  async (operation) => {
    const { source, operationName, variables, context } = operation;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Answer>((resolve) => {
      const left = context.deadline - performance.now() + GRACE_MS;
      timer = setTimeout(() => resolve(tookTooLong(context)), Math.max(0, left));
    });
    try {
      const answer = await Promise.race([run(), late]);
      return context.debug === undefined ? answer : { ...answer, result: explained(answer.result, context) };
    } catch (error) {
      return { status: 500, result: { errors: [toClientError(error, context)] } };
    } finally {
      clearTimeout(timer);
    }

    async function run(): Promise<Answer> {
      const answer = await direct.run(operation);
      if (answer !== undefined) return answer;
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
  };

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
