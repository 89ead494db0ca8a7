import { setTimeout } from 'node:timers/promises';
import type { GraphQLFormattedError } from 'graphql';
import { AppError } from '../../shared/errors/errors.js';
import type { GatewayContext } from '../context.js';
import { takeCursor, upstreamVariables, type Resumption, type SubscriptionPlan } from './plan.js';
import type { Upstream, UpstreamEvent } from './upstream.js';

/** A stream has ended on errors that are meant for the client. */
export class StreamFailed extends Error {
  override readonly name = 'StreamFailed';
  constructor(readonly errors: readonly GraphQLFormattedError[]) {
    super(errors[0]?.message ?? 'The subscription failed.');
  }
}

export interface StreamOptions {
  readonly plan: SubscriptionPlan;
  readonly upstream: Upstream;
  /** As the client sent them. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly context: GatewayContext;
  /** The cursor the client resumes with. */
  readonly after: string | undefined;
  /** Events that may wait for the client. */
  readonly maxWaiting: number;
  /** How long the upstream may be away before the client is told. */
  readonly resumeWithinMs: number;
}

/** A subscription whose subgraph was not there in the first place gets that long to find it. */
const FIRST_OPEN_WITHIN_MS = 2_000;

/** Pause before asking a subgraph again that is there but cannot serve yet. */
const REFUSED_PAUSE_MS = 250;

type Ending = { readonly kind: 'complete' } | { readonly kind: 'failed'; readonly error: Error };

/**
 * The events of one subscription, pulled one by one by the socket of the client.
 *
 * When more wait than `maxWaiting`, the upstream operation is given up; when the client has taken what waited, it is
 * opened again behind the last event received. The same happens when the upstream is lost. So with a cursor a client
 * misses nothing and gets nothing twice, at most `maxWaiting` events are held for it, and whatever GAP there has to be
 * is declared by the subgraph, which alone knows. A latest-value stream keeps the newest event instead for a slow
 * client. Where neither will do, as without a cursor yet, the stream fails with UNAVAILABLE: no event is lost silently.
 */
export class UpstreamStream {
  private readonly options: StreamOptions;
  private waiting: UpstreamEvent[] = [];
  private cursor: string | undefined;
  private endOperation: (() => void) | undefined;
  private opening = false;
  private ending: Ending | undefined;
  private closed = false;
  /** Whether the subgraph ever had the operation; from then on events may be missed while it is away. */
  private everOpen = false;
  private openedAt = 0;
  private lostAt: number | undefined;
  private pauseMs = 0;
  private wake: (() => void) | undefined;

  constructor(options: StreamOptions) {
    this.options = options;
    this.cursor = options.after;
  }

  /**
   * The next event; undefined when the stream is over.
   * @throws StreamFailed or AppError when it ended on an error
   */
  async next(): Promise<UpstreamEvent | undefined> {
    for (;;) {
      const event = this.waiting.shift();
      if (this.closed) return undefined;
      if (event !== undefined) return event;
      if (this.ending?.kind === 'complete') return undefined;
      if (this.ending?.kind === 'failed') throw this.ending.error;
      if (this.endOperation === undefined && !this.opening) void this.open();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Gives up the upstream operation at once, also while `next` is waiting. */
  close(): void {
    this.closed = true;
    this.waiting = [];
    this.detach();
    this.notify();
  }

  private async open(): Promise<void> {
    const { plan, upstream, variables, context } = this.options;
    this.opening = true;
    await upstream.retryTime();
    if (this.pauseMs > 0) await setTimeout(this.pauseMs, undefined, { ref: false });
    this.opening = false;
    if (this.closed) return;
    this.pauseMs = 0;
    this.openedAt = performance.now();
    this.endOperation = upstream.open(
      {
        query: plan.upstream.query,
        operationName: plan.upstream.operationName,
        variables: upstreamVariables(plan, variables, this.cursor),
        context,
      },
      {
        next: (event) => this.take(event),
        failed: (errors) => this.failed(errors),
        lost: (cause, wasOpen, mayReturn) => this.lost(cause, wasOpen, mayReturn),
        complete: () => this.end({ kind: 'complete' }),
      },
    );
  }

  private take(event: UpstreamEvent): void {
    const { plan, maxWaiting } = this.options;
    // A subgraph that cannot begin a subscription says so in one event and completes.
    if (this.everOpen && event.data == null && isStarting(event.errors)) {
      this.detach();
      this.tryLater(event.errors);
      return;
    }
    this.lostAt = undefined;
    this.everOpen = true;
    this.cursor = takeCursor(plan, event.data) ?? this.cursor;
    if (this.waiting.length < maxWaiting) this.waiting.push(event);
    else this.overflow(event);
    this.notify();
  }

  private overflow(event: UpstreamEvent): void {
    switch (this.resumption()) {
      case 'latest':
        this.waiting = [event];
        return;
      case 'cursor':
        this.waiting.push(event);
        this.detach();
        return;
      case 'none':
        this.detach();
        this.fail('The client reads too slowly; events after this point were not kept. Subscribe again.');
    }
  }

  private resumption(): Resumption {
    const { resumption } = this.options.plan;
    return resumption === 'cursor' && this.cursor === undefined ? 'none' : resumption;
  }

  private lost(cause: Error, wasOpen: boolean, mayReturn: boolean): void {
    const { plan, resumeWithinMs } = this.options;
    const now = performance.now();
    this.endOperation = undefined;
    // A subgraph that falls over each time the operation reaches it must not be tried for ever.
    if (now - this.openedAt > resumeWithinMs) this.lostAt = undefined;
    this.lostAt ??= now;
    this.everOpen ||= wasOpen;
    const within = this.everOpen ? resumeWithinMs : FIRST_OPEN_WITHIN_MS;
    if (mayReturn && now - this.lostAt < within && (!this.everOpen || this.resumption() === 'cursor')) {
      this.notify();
      return;
    }
    this.fail(
      `The connection to the ${plan.subgraph} service was lost. Subscribe again, with your last cursor.`,
      cause,
    );
  }

  private failed(errors: readonly GraphQLFormattedError[]): void {
    if (this.everOpen && isStarting(errors)) this.tryLater(errors);
    else this.end({ kind: 'failed', error: new StreamFailed(errors) });
  }

  private tryLater(errors: readonly GraphQLFormattedError[]): void {
    this.pauseMs = REFUSED_PAUSE_MS;
    this.lost(new Error(errors[0]?.message), true, true);
  }

  private fail(message: string, cause?: Error): void {
    this.end({ kind: 'failed', error: new AppError('UNAVAILABLE', message, { cause }) });
  }

  private end(ending: Ending): void {
    this.endOperation = undefined;
    this.ending ??= ending;
    this.notify();
  }

  private detach(): void {
    this.endOperation?.();
    this.endOperation = undefined;
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }
}

/** Whether all a subgraph says is that it is not ready. */
const isStarting = (errors: readonly GraphQLFormattedError[] | undefined): errors is readonly GraphQLFormattedError[] =>
  errors !== undefined && errors.length > 0 && errors.every(({ extensions }) => extensions?.['code'] === 'UNAVAILABLE');
