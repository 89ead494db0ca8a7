import { GraphQLError, type FormattedExecutionResult, type GraphQLFormattedError } from 'graphql';
import { toClientError } from '../../shared/graphql/errors.js';
import { requestIdOf, TRACEPARENT_HEADER, type Carrier } from '../../shared/graphql/request.js';
import type { Logger } from '../../shared/observability/logger.js';
import { tracer, within, type Span } from '../../shared/observability/tracing.js';
import { isSubscription, type AdmittedOperation, type Asked, type Asking } from '../admission.js';
import { clientKeyOf, type Caller, type GatewayContext } from '../context.js';
import { describeOperation } from '../debug.js';
import { Gone } from '../gone.js';
import type { PreparedSubscription, SubscriptionExecutor, SubscriptionResults } from './execute.js';
import { StreamFailed } from './stream.js';
import type { OperationResults, Refusal } from './transport-ws.js';

export interface RunnerDeps {
  readonly log: Logger;
  /** Parses, measures and counts what clients ask for. Rejects with what is wrong with it. */
  readonly admit: (asked: Asked, asking: Asking, carrier: Carrier) => Promise<AdmittedOperation>;
  /** Runs a query or a mutation. */
  readonly execute: (operation: AdmittedOperation) => Promise<FormattedExecutionResult>;
  readonly subscriptions: SubscriptionExecutor;
}

/** Who a client is at the moment, and what it has running that depends on it. */
export class Session {
  private readonly subscriptions = new Map<SubscriptionResults, GatewayContext>();

  /** @param address where it asks from; see addresses.ts */
  constructor(
    public caller: Caller,
    readonly address: string,
  ) {}

  /** Whether what it was admitted with counts at that time (milliseconds since the epoch). */
  isValid(now: number): boolean {
    return this.caller.expiresAt === undefined || now < this.caller.expiresAt;
  }

  /** Goes on as that caller; subscriptions of another identity open their upstreams again, by cursor. */
  become(caller: Caller): void {
    this.caller = caller;
    for (const [results, context] of this.subscriptions) results.resumeAs(this.asCaller(context));
  }

  /** The context as of the caller it is now. */
  asCaller(context: GatewayContext): GatewayContext {
    const { identity } = this.caller;
    const { requestId, traceparent, log, deadline, timeoutMs, debug } = context;
    const client = clientKeyOf(identity, this.address);
    // Who has another role now may not know any more what the one before might.
    const knows = debug !== undefined && identity.role === context.identity.role;
    return { identity, client, requestId, traceparent, log, deadline, timeoutMs, ...(knows && { debug }) };
  }

  /** Opens a subscription, which follows the caller as long as it is open. */
  open(executor: SubscriptionExecutor, prepared: PreparedSubscription): SubscriptionResults {
    const results = executor.open(prepared, () => this.subscriptions.delete(results));
    this.subscriptions.set(results, prepared.context);
    return results;
  }
}

/** Runs operations of whatever kind for transports that send several results. */
export class OperationRunner {
  private readonly deps: RunnerDeps;
  private readonly inHand = new Set<Promise<unknown>>();

  constructor(deps: RunnerDeps) {
    this.deps = deps;
  }

  /** Admits an operation and starts it. Answers its results, or what is wrong with it; does not reject. */
  async run(asked: Asked, session: Session, carrier: Carrier): Promise<OperationResults | Refusal> {
    const span = tracer?.start('gateway WebSocket', 'server', carrier[TRACEPARENT_HEADER] as string | undefined, {
      'network.protocol.name': 'graphql-transport-ws',
    });
    const under = span === undefined ? carrier : { ...carrier, [TRACEPARENT_HEADER]: span.traceparent };
    try {
      const { identity } = session.caller;
      const operation = await this.deps.admit(asked, { identity, address: session.address }, under);
      return this.start(operation, session, undefined, span);
    } catch (error) {
      const errors = this.errors(error, under);
      span?.end(String(errors[0]?.extensions?.['code']));
      return { errors };
    }
  }

  /**
   * Starts an operation that was admitted. Answers its results, or what is wrong with it; does not throw.
   * @param resumeAfter a cursor that came outside the operation
   * @param span ended with the answer, or when a subscription is open: its messages belong to the traces of their events
   */
  start(operation: AdmittedOperation, session: Session, resumeAfter?: string, span?: Span): OperationResults | Refusal {
    const { subscriptions, execute } = this.deps;
    // The client may have authenticated anew since this was admitted.
    const context = session.asCaller(operation.context);
    if (span !== undefined) describeOperation(span, operation);
    const refuse = (errors: readonly GraphQLFormattedError[]): Refusal => {
      span?.end(String(errors[0]?.extensions?.['code']));
      return { errors };
    };
    try {
      if (!isSubscription(operation)) {
        const gone = new Gone();
        const running = this.finish(execute({ ...operation, context: { ...context, gone } }));
        return single(span === undefined ? running : within(span, () => running), gone);
      }
      const prepared = subscriptions.prepare({ ...operation, context }, resumeAfter);
      if (isErrors(prepared)) return refuse(prepared.map((error) => toClientError(error, context)));
      const results = session.open(subscriptions, prepared);
      span?.end();
      return results;
    } catch (error) {
      return refuse(causesOf(error).map((cause) => toClientError(cause, context)));
    }
  }

  /** What a client is told of an error. */
  errors(error: unknown, carrier: Carrier): readonly GraphQLFormattedError[] {
    const context = { requestId: requestIdOf(carrier), log: this.deps.log };
    return causesOf(error).map((cause) => toClientError(cause, context));
  }

  /** Resolves when queries and mutations in hand have been answered, or the time is over. */
  async settled(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, withinMs)));
    await Promise.race([Promise.allSettled(this.inHand), late]);
    clearTimeout(timer);
  }

  private async finish<T>(running: Promise<T>): Promise<T> {
    this.inHand.add(running);
    try {
      return await running;
    } finally {
      this.inHand.delete(running);
    }
  }
}

/** The one result of a query or a mutation. */
function single(running: Promise<FormattedExecutionResult>, gone: Gone): OperationResults {
  let pending: Promise<FormattedExecutionResult> | undefined = running;
  // Nobody may be there any more to take it.
  running.catch(() => undefined);
  return {
    next: async () => {
      const result = await pending;
      pending = undefined;
      return result === undefined
        ? { done: true, value: undefined }
        : { done: false, value: { json: JSON.stringify(result) } };
    },
    return: () => {
      gone.leave();
      return Promise.resolve();
    },
  };
}

const isErrors = (value: unknown): value is readonly GraphQLError[] => Array.isArray(value);

/** The errors a stream ended on, as the subgraph sent them, or the error itself. */
const causesOf = (error: unknown): readonly unknown[] =>
  error instanceof StreamFailed
    ? error.errors.map(
        ({ message, path, extensions }) =>
          new GraphQLError(message, { path: path ?? null, extensions: extensions ?? null }),
      )
    : [error];
