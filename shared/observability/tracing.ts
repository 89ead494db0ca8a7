/**
 * Spans of traces. Where they belong travels as W3C `traceparent`: in requests, outbox rows, records of the log and
 * messages of subscriptions, so a parent is always named by one, and nothing hangs on what runs asynchronously where.
 *
 * Without a tracer nothing of OpenTelemetry is loaded, and a call site costs one look at `tracer`: in
 * `tracer?.start(…)` the arguments are not even evaluated.
 */
import { AppError } from '../errors/errors.js';

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** Names are OpenTelemetry's semantic conventions where there is one. Never what a client sent, or anything secret. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** What the span causes takes this for its parent. */
  readonly traceparent: string;
  set(attribute: string, value: string | number | boolean): void;
  /** Once. `failure` is a code or the name of an error, never its message: that may hold anything. */
  end(failure?: string): void;
}

export interface Tracer {
  /**
   * Begins a span.
   * @param parent traceparent; null, or what is none, begins a new trace
   * @param links traceparents of others that it has to do with
   */
  start(
    name: string,
    kind: SpanKind,
    parent: string | null | undefined,
    attributes: Attributes,
    links?: readonly string[],
  ): Span;
}

/** Undefined while tracing is off. */
export let tracer: Tracer | undefined;

/** From now on spans go there; undefined turns tracing off. One per process, as its exporter is. */
export function setTracer(next: Tracer | undefined): void {
  tracer = next;
}

/** The work's outcome is the span's. Answers, or throws, what the work does. */
export async function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    span.end();
    return result;
  } catch (error) {
    span.end(failureOf(error));
    throw error;
  }
}

/** What a span says of an error. */
export const failureOf = (error: unknown): string => {
  if (error instanceof AppError) return error.code;
  return error instanceof Error ? error.name : 'Error';
};

const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export const isTraceparent = (value: unknown): value is string => typeof value === 'string' && TRACEPARENT.test(value);

/** Spans of transactions, by the transaction: what is published in one was caused by it. */
const transactions = new WeakMap<object, string>();

/** Whatever is published in this transaction without a trace context of its own belongs to the span. */
export function traceTransaction(tx: object, { traceparent }: Span): void {
  transactions.set(tx, traceparent);
}

/** The trace context for what is published in a transaction. */
export const traceparentWithin = (tx: object, otherwise: string | null): string | null =>
  tracer === undefined ? otherwise : (transactions.get(tx) ?? otherwise);
