/**
 * What set off a message of a subscription. The resolver of the root field notes it, and the transport sends it along in
 * `extensions.tributary`, so that the gateway goes on in the trace of the event. Between the two is graphql-js, which
 * hands nothing through but the context; one subscription has one message in hand at a time.
 */
import { isTraceparent, tracer, type Span } from '../observability/tracing.js';

/** As it is sent. */
export interface Cause {
  /** Of the span of the message; where nothing is traced, of the event. */
  readonly traceparent: string;
  /** When the event was appended to the log, milliseconds since the epoch. */
  readonly appendedAt: number;
}

interface Noted {
  readonly cause: Cause;
  readonly span: Span | undefined;
}

const noted = new WeakMap<object, Noted>();

/**
 * Begins the message's span; without a trace context there is nothing to note.
 * @param context of the subscription
 * @param field its root field
 */
export function noteCause(
  context: object,
  field: string,
  { traceparent, appendedAt }: { readonly traceparent: string | null; readonly appendedAt: number },
): void {
  if (traceparent === null) return;
  const span = tracer?.start(`query-api message ${field}`, 'consumer', traceparent, {
    'graphql.operation.type': 'subscription',
    'tributary.field': field,
  });
  noted.set(context, { cause: { traceparent: span?.traceparent ?? traceparent, appendedAt }, span });
}

/** Takes what was noted for the message that is about to be sent, and ends its span. */
export function takeCause(context: object, failure: string | undefined): Cause | undefined {
  const found = noted.get(context);
  if (found === undefined) return undefined;
  noted.delete(context);
  found.span?.end(failure);
  return found.cause;
}

/** What a subgraph sent along with a message, if it is one of ours. */
export function causeIn(extensions: unknown): Cause | undefined {
  const { tributary } = (extensions ?? {}) as { readonly tributary?: Partial<Cause> | null };
  const { traceparent, appendedAt } = tributary ?? {};
  return isTraceparent(traceparent) && typeof appendedAt === 'number' ? { traceparent, appendedAt } : undefined;
}
