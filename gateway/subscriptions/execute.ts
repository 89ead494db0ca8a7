import {
  getVariableValues,
  GraphQLError,
  GraphQLString,
  valueFromAST,
  type DocumentNode,
  type FormattedExecutionResult,
} from 'graphql';
import { toClientError } from '../../shared/graphql/errors.js';
import type { Metrics } from '../../shared/observability/metrics.js';
import { withoutGaps } from '../apollo.js';
import type { GatewayContext } from '../context.js';
import type { Federation, GraphQLDataSource } from '../federation.js';
import { PRIMARY, type SubscriptionPlan, type SubscriptionPlanner } from './plan.js';
import { UpstreamStream, type StreamOptions } from './stream.js';
import type { UpstreamEvent } from './upstream.js';

/** The context of one event: the executor hands it to every data source. */
type EventContext = GatewayContext & { readonly event: UpstreamEvent };

/**
 * Of query and variables. Subgraphs take messages of 256 KiB and close the socket for larger ones, which would cut off
 * everybody else on it; a character has three bytes at most.
 */
const MAX_UPSTREAM_CHARACTERS = 65_536;

/** A subscription that is in order. */
export type PreparedSubscription = Pick<StreamOptions, 'plan' | 'variables' | 'after'>;

/** Answers the first fetch of a plan with the event that set it off. */
const primary: GraphQLDataSource = {
  process: ({ context }) => {
    const { data, errors } = (context as EventContext).event;
    return Promise.resolve({ ...(data !== undefined && { data }), ...(errors !== undefined && { errors }) });
  },
};

/** Opens planned subscriptions: the root field at its subgraph, the rest of every event through the gateway. */
export class SubscriptionExecutor {
  private readonly federation: Federation;
  private readonly planner: SubscriptionPlanner;
  private readonly metrics: Metrics;
  private readonly sources: Readonly<Record<string, GraphQLDataSource>>;

  /** @param federation loaded: its data sources are known */
  constructor(federation: Federation, planner: SubscriptionPlanner, metrics: Metrics) {
    this.federation = federation;
    this.planner = planner;
    this.metrics = metrics;
    this.sources = { ...federation.sources, [PRIMARY]: primary };
  }

  /** Everything that can be wrong with a subscription is found here, before anything is opened. */
  prepare(
    document: DocumentNode,
    operationName: string | null | undefined,
    variables: Readonly<Record<string, unknown>>,
  ): PreparedSubscription | readonly GraphQLError[] {
    const plan = this.planner.plan(document, operationName);
    if (isErrors(plan)) return plan;
    const { schema, operation } = plan.operation;
    const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], { ...variables });
    if (errors !== undefined) return errors;
    if (plan.upstream.query.length + JSON.stringify(variables).length > MAX_UPSTREAM_CHARACTERS) {
      return [new GraphQLError('The subscription is too large.', { extensions: { code: 'VALIDATION' } })];
    }
    const after = plan.after === undefined ? undefined : valueFromAST(plan.after, GraphQLString, coerced);
    return { plan, variables, after: typeof after === 'string' ? after : undefined };
  }

  /** The results to send to the client. Nothing is opened before the first is asked for; `return` closes everything. */
  open(options: StreamOptions): AsyncGenerator<FormattedExecutionResult, void> {
    const { plan, variables, context } = options;
    return this.results(new UpstreamStream(options), plan, variables, context);
  }

  private results(
    stream: UpstreamStream,
    plan: SubscriptionPlan,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): AsyncGenerator<FormattedExecutionResult, void> {
    const labels = { service: 'gateway', field: plan.field };
    this.metrics.subscribers.inc(labels);
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      stream.close();
      this.metrics.subscribers.dec(labels);
    };
    const done = { done: true, value: undefined } as const;
    // By hand, because `return` of an async generator function waits for the `next` in hand: for ever, on a quiet stream.
    const results: AsyncGenerator<FormattedExecutionResult, void> = {
      next: async () => {
        try {
          const event = await stream.next();
          if (event !== undefined) return { done: false, value: await this.complete(event, plan, variables, context) };
        } catch (error) {
          close();
          throw error;
        }
        close();
        return done;
      },
      return: () => {
        close();
        return Promise.resolve(done);
      },
      throw: (error) => {
        close();
        return Promise.reject(error instanceof Error ? error : new Error(String(error)));
      },
      [Symbol.asyncIterator]: () => results,
      [Symbol.asyncDispose]: () => {
        close();
        return Promise.resolve();
      },
    };
    return results;
  }

  /** The event with everything the client asked for of other subgraphs, and nothing else. */
  private async complete(
    event: UpstreamEvent,
    plan: SubscriptionPlan,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<FormattedExecutionResult> {
    try {
      const eventContext = { ...callerOf(context), event };
      const { data, errors, extensions } = await this.federation.run(
        plan.perEvent,
        this.sources,
        plan.operation,
        variables,
        eventContext,
      );
      const result: FormattedExecutionResult = {
        ...(errors !== undefined && { errors: errors.map((error) => toClientError(error, context)) }),
        ...(data !== undefined && { data }),
        ...(extensions !== undefined && { extensions }),
      };
      return withoutGaps(result, context);
    } catch (error) {
      return { data: null, errors: [toClientError(error, context)] };
    }
  }
}

/** Member by member: the logger of a context is a getter. */
const callerOf = ({ identity, requestId, traceparent, log }: GatewayContext): GatewayContext => ({
  identity,
  requestId,
  traceparent,
  log,
});

const isErrors = (plan: SubscriptionPlan | readonly GraphQLError[]): plan is readonly GraphQLError[] =>
  Array.isArray(plan);
