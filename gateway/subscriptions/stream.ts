import { setTimeout } from 'node:timers/promises';
import type { GraphQLFormattedError } from 'graphql';
import { AppError } from '../../shared/errors/errors.js';
import type { GatewayContext } from '../context.js';
import type { Meter, MissReason, ResumeReason } from './meter.js';
import type { Resumption, SubscriptionPlan } from './plan.js';
import type { FeedEvent, SharedFeeds, SubscriptionResult } from './sharing.js';
import type { UpstreamLink } from './upstream.js';

/** A stream has ended on errors that are meant for the client. */
export class StreamFailed extends Error {
  override readonly name = 'StreamFailed';
  constructor(readonly errors: readonly GraphQLFormattedError[]) {
    super(errors[0]?.message ?? 'The subscription failed.');
  }
}

export interface StreamOptions {
  readonly plan: SubscriptionPlan;
  readonly upstream: UpstreamLink;
  readonly feeds: SharedFeeds;
  readonly meter: Meter;
  /** As the client sent them. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly context: GatewayContext;
  /** The cursor the client resumes with. */
  readonly after: string | undefined;
  /** Events that may wait for the client. */
  readonly maxWaiting: number;
  /** How long the upstream may be away before the client is told. */
  readonly resumeWithinMs: number;
  /** Makes of an event what the client gets. Does not reject. */
  readonly complete: (event: FeedEvent, context: GatewayContext) => SubscriptionResult | Promise<SubscriptionResult>;
}

/** A subscription whose subgraph was not there in the first place gets that long to find it. */
const FIRST_OPEN_WITHIN_MS = 2_000;

/** Pause before asking a subgraph again that is there but cannot serve yet. */
const REFUSED_PAUSE_MS = 250;

type Ending = { readonly kind: 'complete' } | { readonly kind: 'failed'; readonly error: Error };

/**
 * The results of one subscription, pulled one by one by whoever sends them to the client.
 *
 * When more events wait than `maxWaiting`, the stream leaves its feed; when the client has taken what waited, it goes on
 * behind the last event received. The same happens when the upstream is lost. So with a cursor a client misses nothing
 * and gets nothing twice, at most `maxWaiting` events are held for it, nobody waits for it, and whatever GAP there has to
 * be is declared by the subgraph, which alone knows. A latest-value stream keeps the newest event instead for a slow
 * client. Where neither will do, as without a cursor yet, the stream fails with UNAVAILABLE: no event is lost silently.
 */
export class ClientStream {
  private readonly options: StreamOptions;
  private context: GatewayContext;
  private waiting: FeedEvent[] = [];
  /** Of the last event received, and of the last one that a result was given for. */
  private cursor: string | undefined;
  private delivered: string | undefined;
  private leaveFeed: (() => void) | undefined;
  private opening = false;
  private ending: Ending | undefined;
  private closed = false;
  /** Raised when the identity changes: what was made for the one before is not given out. */
  private generation = 0;
  /** Whether the subgraph ever had the operation; from then on events may be missed while it is away. */
  private everOpen = false;
  private openedAt = 0;
  private lostAt: number | undefined;
  private pauseMs = 0;
  private resuming: ResumeReason | undefined;
  private wake: (() => void) | undefined;

  constructor(options: StreamOptions) {
    this.options = options;
    this.context = options.context;
    this.cursor = options.after;
    this.delivered = options.after;
  }

  /**
   * The next result; undefined when the stream is over. Not called again before it has answered.
   * @throws StreamFailed or AppError when it ended on an error
   */
  async next(): Promise<SubscriptionResult | undefined> {
    for (;;) {
      if (this.closed) return undefined;
      const event = this.waiting.shift();
      if (event !== undefined) {
        const { generation } = this;
        const result = await this.options.complete(event, this.context);
        if (this.closed) return undefined;
        if (generation !== this.generation) continue;
        this.delivered = event.cursor ?? this.delivered;
        return result;
      }
      if (this.ending?.kind === 'complete') return undefined;
      if (this.ending?.kind === 'failed') throw this.ending.error;
      if (this.leaveFeed === undefined && !this.opening) void this.open();
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Gives up everything at once, also while `next` is waiting. */
  close(): void {
    this.closed = true;
    this.waiting = [];
    this.detach();
    this.notify();
  }

  /**
   * Goes on as somebody else, behind the last result that was given out; nothing fetched for the identity before is
   * given out any more. Without a cursor there is no going on, and the stream fails with UNAVAILABLE.
   */
  resumeAs(context: GatewayContext): void {
    this.context = context;
    if (this.closed || this.ending?.kind === 'failed') return;
    this.generation++;
    this.waiting = [];
    this.detach();
    this.ending = undefined;
    this.cursor = this.delivered;
    if (this.resumption() === 'cursor') this.resumes('identity_changed');
    else this.miss('identity_changed', 'You have other rights now. Subscribe again.');
    this.notify();
  }

  private async open(): Promise<void> {
    const { plan, upstream, feeds, variables } = this.options;
    this.opening = true;
    await upstream.retryTime();
    if (this.pauseMs > 0) await setTimeout(this.pauseMs, undefined, { ref: false });
    this.opening = false;
    if (this.closed || this.ending !== undefined) return;
    this.pauseMs = 0;
    this.openedAt = performance.now();
    if (this.resuming !== undefined) this.options.meter.resumed(plan.field, this.resuming);
    this.resuming = undefined;
    this.leaveFeed = feeds.follow(
      { plan, upstream, variables, after: this.cursor, context: this.context },
      {
        next: (event) => this.take(event),
        failed: (errors) => this.failed(errors),
        lost: (cause, wasOpen, mayReturn) => this.lost(cause, wasOpen, mayReturn),
        complete: () => this.end({ kind: 'complete' }),
      },
    );
  }

  private take(event: FeedEvent): void {
    // A subgraph that cannot begin a subscription says so in one event and completes.
    if (this.everOpen && event.data == null && isStarting(event.errors)) {
      this.detach();
      this.tryLater(event.errors);
      return;
    }
    this.lostAt = undefined;
    this.everOpen = true;
    this.cursor = event.cursor ?? this.cursor;
    if (this.waiting.length < this.options.maxWaiting) this.waiting.push(event);
    else this.overflow(event);
    this.notify();
  }

  private overflow(event: FeedEvent): void {
    const { meter, plan } = this.options;
    meter.overflowed(plan.field);
    switch (this.resumption()) {
      case 'latest':
        meter.missed(plan.field, 'skipped_states');
        this.waiting = [event];
        return;
      case 'cursor':
        this.waiting.push(event);
        this.detach();
        this.resumes('slow_client');
        return;
      case 'none':
        this.detach();
        this.miss(
          'slow_client',
          'The client reads too slowly; events after this point were not kept. Subscribe again.',
        );
    }
  }

  private resumption(): Resumption {
    const { resumption } = this.options.plan;
    return resumption === 'cursor' && this.cursor === undefined ? 'none' : resumption;
  }

  private lost(cause: Error, wasOpen: boolean, mayReturn: boolean): void {
    const { plan, resumeWithinMs } = this.options;
    const now = performance.now();
    this.leaveFeed = undefined;
    // A subgraph that falls over each time the operation reaches it must not be tried for ever.
    if (now - this.openedAt > resumeWithinMs) this.lostAt = undefined;
    this.lostAt ??= now;
    this.everOpen ||= wasOpen;
    const within = this.everOpen ? resumeWithinMs : FIRST_OPEN_WITHIN_MS;
    if (mayReturn && now - this.lostAt < within && (!this.everOpen || this.resumption() === 'cursor')) {
      if (this.everOpen) this.resumes('upstream_lost');
      this.notify();
      return;
    }
    const message = mayReturn
      ? `The connection to the ${plan.subgraph} service was lost. Subscribe again, with your last cursor.`
      : `The ${plan.subgraph} service does not take subscriptions.`;
    this.miss('upstream_lost', message, cause);
  }

  private failed(errors: readonly GraphQLFormattedError[]): void {
    if (this.everOpen && isStarting(errors)) this.tryLater(errors);
    else this.end({ kind: 'failed', error: new StreamFailed(errors) });
  }

  private tryLater(errors: readonly GraphQLFormattedError[]): void {
    this.pauseMs = REFUSED_PAUSE_MS;
    this.lost(new Error(errors[0]?.message), true, true);
  }

  /** Counted when it is opened again: it may be closed before. */
  private resumes(reason: ResumeReason): void {
    this.resuming ??= reason;
  }

  private miss(reason: MissReason, message: string, cause?: Error): void {
    this.options.meter.missed(this.options.plan.field, reason);
    this.end({ kind: 'failed', error: new AppError('UNAVAILABLE', message, { cause }) });
  }

  private end(ending: Ending): void {
    this.leaveFeed = undefined;
    this.ending ??= ending;
    this.notify();
  }

  private detach(): void {
    this.leaveFeed?.();
    this.leaveFeed = undefined;
  }

  private notify(): void {
    this.wake?.();
    this.wake = undefined;
  }
}

/** Whether all a subgraph says is that it is not ready. */
const isStarting = (errors: readonly GraphQLFormattedError[] | undefined): errors is readonly GraphQLFormattedError[] =>
  errors !== undefined && errors.length > 0 && errors.every(({ extensions }) => extensions?.['code'] === 'UNAVAILABLE');
