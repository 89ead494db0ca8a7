import { randomFillSync, randomUUID } from 'node:crypto';
import type { Identity } from '../identity/identity.js';
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
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** The W3C trace context that came along if it is well formed, else the start of a new trace. */
function traceparentOf(carrier: Carrier): string {
  const given = carrier[TRACEPARENT_HEADER];
  if (isTraceparent(given)) return given;
  const ids = randomHex();
  return `00-${ids.slice(0, 32)}-${ids.slice(32)}-01`;
}

/** Bytes of the ids of a trace and a span. */
const IDS_BYTES = 24;
/** Filled for many at once: asking for random bytes costs far more than they do. */
const random = Buffer.allocUnsafe(IDS_BYTES * 128);
let used = random.length;

function randomHex(): string {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  return random.toString('hex', used, (used += IDS_BYTES));
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
