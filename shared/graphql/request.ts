import { randomBytes } from 'node:crypto';
import type { Identity } from '../identity/identity.js';
import { newId } from '../ids/ids.js';
import { isTraceparent } from '../observability/tracing.js';
import type { Logger } from '../observability/logger.js';
import type { RequestContext } from './context.js';

export const REQUEST_ID_HEADER = 'x-request-id';
export const TRACEPARENT_HEADER = 'traceparent';
/** How many milliseconds the caller still waits for the answer. */
export const DEADLINE_HEADER = 'x-tributary-deadline-ms';
/** `1` asks for `extensions.tributary`. */
export const DEBUG_HEADER = 'x-debug';

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** Headers of a request, or the `extensions` of a WebSocket operation: both carry request id and trace under the same names. */
export type Carrier = Readonly<Record<string, unknown>>;

/** The request id that came along if it is well formed, else a new one. */
export function requestIdOf(carrier: Carrier): string {
  const given = carrier[REQUEST_ID_HEADER];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : newId();
}

/** The W3C trace context that came along if it is well formed, else the start of a new trace. */
function traceparentOf(carrier: Carrier): string {
  const given = carrier[TRACEPARENT_HEADER];
  if (isTraceparent(given)) return given;
  const ids = randomBytes(24).toString('hex');
  return `00-${ids.slice(0, 32)}-${ids.slice(32)}-01`;
}

/** The milliseconds that the caller still waits, if it says so and nobody's timer is led astray by it. */
export function millisecondsLeft(carrier: Carrier): number | undefined {
  const given = carrier[DEADLINE_HEADER];
  return typeof given === 'string' && /^\d{1,9}$/.test(given) ? Number(given) : undefined;
}

/** The context of one request. Its logger is made when first asked for: most requests log nothing. */
export function createRequestContext(identity: Identity, carrier: Carrier, log: Logger): RequestContext {
  return new LazyContext(identity, requestIdOf(carrier), traceparentOf(carrier), log);
}

/** Ordinary fields only: Apollo Server copies the context, and private ones would not survive it. */
class LazyContext implements RequestContext {
  private child: Logger | undefined = undefined;

  constructor(
    readonly identity: Identity,
    readonly requestId: string,
    readonly traceparent: string,
    private readonly parent: Logger,
  ) {}

  get log(): Logger {
    this.child ??= this.parent.child({ requestId: this.requestId, traceId: this.traceparent.slice(3, 35) });
    return this.child;
  }
}
