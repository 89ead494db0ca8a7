import type { GraphQLFormattedError } from 'graphql';
import { DEBUG_HEADER, type Carrier } from '../shared/graphql/request.js';
import type { Identity } from '../shared/identity/identity.js';
import type { Span } from '../shared/observability/tracing.js';
import type { ParsedOperation } from './documents.js';

/** Who gets `extensions.tributary`, besides those who may not have it. */
export interface DebugSettings {
  /** With every answer, not only where it is asked for. */
  readonly always: boolean;
  /** Also to others than administrators. */
  readonly everybody: boolean;
}

/** What the subgraphs said of one operation while it ran. */
export interface Debug {
  /** How far behind they were, by subgraph: whatever they call it. */
  readonly staleness: Record<string, unknown>;
}

/** For an operation whose answer says what led to it; undefined for all others, and for clients who may not know. */
export function debugFor(
  { always, everybody }: DebugSettings,
  { role }: Identity,
  carrier: Carrier,
): Debug | undefined {
  if (!always && carrier[DEBUG_HEADER] !== '1') return undefined;
  return everybody || role === 'ADMIN' ? { staleness: {} } : undefined;
}

/** Keeps what a subgraph says of itself along with an answer. */
export function noteStaleness({ staleness }: Debug, subgraph: string, extensions: unknown): void {
  const { tributary } = (extensions ?? {}) as { readonly tributary?: { readonly staleness?: unknown } | null };
  // Of several calls the first counts: the others may be newer.
  if (tributary?.staleness !== undefined) staleness[subgraph] ??= tributary.staleness;
}

/** What a span says of an operation: its type and its name, nothing of its text or its variables. */
export function describeOperation(span: Span, { operation }: ParsedOperation): void {
  span.set('graphql.operation.type', operation.operation);
  if (operation.name !== undefined) span.set('graphql.operation.name', operation.name.value);
}

interface Result {
  readonly errors?: readonly GraphQLFormattedError[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** A result that says what led to it. `more` is what there is to say besides. */
export function explained<R extends Result>(
  result: R,
  {
    debug,
    requestId,
    traceparent,
  }: { readonly debug?: Debug; readonly requestId: string; readonly traceparent: string | null },
  more: object = {},
): R {
  if (debug === undefined) return result;
  const tributary = { requestId, traceparent, staleness: debug.staleness, ...more };
  return { ...result, extensions: { ...result.extensions, tributary } };
}
