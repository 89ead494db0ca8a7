import { getVariableValues, GraphQLError, GraphQLString, valueFromAST, type FormattedExecutionResult } from 'graphql';
import { toClientError } from '../../shared/graphql/errors.js';
import { tracer } from '../../shared/observability/tracing.js';
import { contextOfEvent, type GatewayContext } from '../context.js';
import { explained } from '../debug.js';
import type { GraphQLDataSource, SchemaVersion } from '../federation.js';
import type { Meter } from './meter.js';
import { PRIMARY, resultKey, type SubscriptionPlan, type SubscriptionPlanner } from './plan.js';
import { SharedFeeds, type FeedEvent, type SubscriptionResult } from './sharing.js';
import { ClientStream } from './stream.js';
import type { AdmittedOperation } from '../admission.js';

/** The context of one event: the executor hands it to every data source. */
type EventContext = GatewayContext & { readonly event: FeedEvent };

/**
 * Of query and variables. Subgraphs take messages of 256 KiB and close the socket for larger ones, which would cut off
 * everybody else on it; a character has three bytes at most.
 */
const MAX_UPSTREAM_CHARACTERS = 65_536;

export interface ExecutorOptions {
  /** What new subscriptions run on. */
  readonly current: () => SchemaVersion;
  readonly planner: SubscriptionPlanner;
  /** The same for callers to whom subgraphs answer the same; undefined for one who is to share nothing. */
  readonly identityKey: (context: GatewayContext) => string | undefined;
  readonly meter: Meter;
  /** Events that may wait for a client that reads slowly. */
  readonly maxWaiting: number;
  /** How long a subgraph may be away before its subscribers are told, in milliseconds. */
  readonly resumeWithinMs: number;
}

/** What there is to know of an operation, besides its source. */
export type Subscribed = Pick<AdmittedOperation, 'document' | 'operationName' | 'variables' | 'context'>;

/** A subscription that is in order. */
export interface PreparedSubscription {
  readonly plan: SubscriptionPlan;
  /** As the client sent them. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly context: GatewayContext;
  /** The cursor the client resumes with. */
  readonly after: string | undefined;
}

/** The results of a subscription, one by one. `return` closes everything at once, also while `next` is waiting. */
export interface SubscriptionResults extends AsyncGenerator<SubscriptionResult, void> {
  /** Goes on for this caller from now on: see ClientStream. For the same identity nothing changes. */
  resumeAs(context: GatewayContext): void;
}

/** Answers the first fetch of a plan with the event that set it off. */
const primary: GraphQLDataSource = {
  process: ({ context }) => {
    const { data, errors } = (context as EventContext).event;
    // Others get the same event, and the executor writes into what it is given.
    return Promise.resolve({
      ...(data !== undefined && { data: structuredClone(data) }),
      ...(errors !== undefined && { errors }),
    });
  },
};

/** Opens planned subscriptions: the root field at its subgraph, the rest of every event through the gateway. */
export class SubscriptionExecutor {
  private readonly options: ExecutorOptions;
  private readonly feeds: SharedFeeds;

  constructor(options: ExecutorOptions) {
    this.options = options;
    this.feeds = new SharedFeeds(options.identityKey, options.meter);
  }

  /**
   * Everything that can be wrong with a subscription is found here, before anything is opened.
   * @param resumeAfter a cursor that the transport brought, as SSE does; goes before the `after` of the operation
   */
  prepare(
    { document, operationName, variables, context }: Subscribed,
    resumeAfter?: string,
  ): PreparedSubscription | readonly GraphQLError[] {
    const plan = this.options.planner.plan(this.options.current(), document, operationName);
    if (isErrors(plan)) return plan;
    const { schema, operation } = plan.operation;
    const { coerced, errors } = getVariableValues(
      schema,
      operation.variableDefinitions ?? [],
      { ...variables },
      { hideSuggestions: !this.options.planner.suggestions },
    );
    if (errors !== undefined) return errors;
    if (plan.upstream.query.length + JSON.stringify(variables).length > MAX_UPSTREAM_CHARACTERS) {
      return [new GraphQLError('The subscription is too large.', { extensions: { code: 'VALIDATION' } })];
    }
    const own = plan.after === undefined ? undefined : valueFromAST(plan.after, GraphQLString, coerced);
    const after = resumeAfter ?? (typeof own === 'string' ? own : undefined);
    return { plan, variables, context, after: plan.resumption === 'cursor' ? after : undefined };
  }

  /**
   * The results to send to the client. Nothing is opened before the first is asked for.
   * @param closed called once, however it ends
   */
  open({ plan, variables, context, after }: PreparedSubscription, closed: () => void): SubscriptionResults {
    const { meter, identityKey, maxWaiting, resumeWithinMs } = this.options;
    const upstream = plan.version.subgraphs.get(plan.subgraph)?.upstream;
    if (upstream === undefined) throw new Error(`The supergraph has no subgraph ${plan.subgraph}.`);
    const key = resultKey(plan, variables);
    const stream = new ClientStream({
      ...{ plan, upstream, feeds: this.feeds, meter, variables, context, after, maxWaiting, resumeWithinMs },
      complete: (event, caller) =>
        // What is said of how it came about is about one client.
        event.result(caller.debug === undefined ? key : `${caller.requestId} ${key}`, () =>
          complete(event, plan, variables, caller),
        ),
    });
    meter.open(plan.field, 1);
    const release = plan.version.hold();
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      stream.close();
      release();
      meter.open(plan.field, -1);
      closed();
    };
    let identity = identityKey(context);
    const resumeAs = (caller: GatewayContext): void => {
      const next = identityKey(caller);
      if (next === undefined || next !== identity) stream.resumeAs(caller);
      identity = next;
    };
    return resultsOf(stream, close, resumeAs);
  }
}

/** By hand, because `return` of an async generator function waits for the `next` in hand: for ever, on a quiet stream. */
function resultsOf(
  stream: ClientStream,
  close: () => void,
  resumeAs: (context: GatewayContext) => void,
): SubscriptionResults {
  const done = { done: true, value: undefined } as const;
  const results: SubscriptionResults = {
    next: async () => {
      try {
        const value = await stream.next();
        if (value !== undefined) return { done: false, value };
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
    resumeAs,
    [Symbol.asyncIterator]: () => results,
    [Symbol.asyncDispose]: () => {
      close();
      return Promise.resolve();
    },
  };
  return results;
}

/** The event with everything the client asked for of other subgraphs, and nothing else. */
async function complete(
  event: FeedEvent,
  plan: SubscriptionPlan,
  variables: Readonly<Record<string, unknown>>,
  context: GatewayContext,
): Promise<SubscriptionResult> {
  const { cause, cursor } = event;
  const span =
    cause &&
    tracer?.start(`gateway message ${plan.field}`, 'consumer', cause.traceparent, {
      'graphql.operation.type': 'subscription',
      'tributary.field': plan.field,
    });
  const eventContext = contextOfEvent(context, span?.traceparent ?? cause?.traceparent);
  const result = await resultOf(event, plan, variables, eventContext);
  span?.end(result.errors && String(result.errors[0]?.extensions?.['code']));
  const more = cause && { delayMs: Math.max(0, Date.now() - cause.appendedAt) };
  return { json: JSON.stringify(explained(result, eventContext, more)), cursor };
}

async function resultOf(
  event: FeedEvent,
  { version, perEvent, operation }: SubscriptionPlan,
  variables: Readonly<Record<string, unknown>>,
  context: GatewayContext,
): Promise<FormattedExecutionResult> {
  try {
    const eventContext: EventContext = { ...context, event };
    const sources = { ...version.sources, [PRIMARY]: primary };
    const { data, errors } = await version.run(perEvent, sources, operation, variables, eventContext);
    return {
      ...(errors !== undefined && { errors: errors.map((error) => toClientError(error, context)) }),
      ...(data !== undefined && { data }),
    };
  } catch (error) {
    return { data: null, errors: [toClientError(error, context)] };
  }
}

const isErrors = (plan: SubscriptionPlan | readonly GraphQLError[]): plan is readonly GraphQLError[] =>
  Array.isArray(plan);
