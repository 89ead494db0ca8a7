import type { GraphQLFormattedError } from 'graphql';
import { causeIn, type Cause } from '../../shared/graphql/cause.js';
import type { GatewayContext } from '../context.js';
import { takeCursor, upstreamVariables, type SubscriptionPlan } from './plan.js';
import type { Meter } from './meter.js';
import type { UpstreamEvent, UpstreamLink, UpstreamSink } from './upstream.js';

/** What a client gets for one event: the result as JSON, and where the stream stands behind it. */
export interface SubscriptionResult {
  /** An ExecutionResult of GraphQL, written once for all clients that get it. */
  readonly json: string;
  readonly cursor: string | undefined;
}

/** One event of an upstream operation, held by all who follow that. */
export class FeedEvent {
  readonly data: UpstreamEvent['data'];
  readonly errors: UpstreamEvent['errors'];
  readonly cursor: string | undefined;
  /** What set it off, if the subgraph says so. */
  readonly cause: Cause | undefined;
  private readonly results = new Map<string, SubscriptionResult | Promise<SubscriptionResult>>();

  constructor({ data, errors, extensions }: UpstreamEvent, cursor: string | undefined) {
    this.data = data;
    this.errors = errors;
    this.cursor = cursor;
    this.cause = extensions === undefined ? undefined : causeIn(extensions);
  }

  /** The result for operations of this key, computed when first asked for. */
  result(key: string, compute: () => Promise<SubscriptionResult>): SubscriptionResult | Promise<SubscriptionResult> {
    const known = this.results.get(key);
    if (known !== undefined) return known;
    const computing = compute().then((result) => {
      this.results.set(key, result);
      return result;
    });
    this.results.set(key, computing);
    return computing;
  }
}

/** What a follower wants to hear. */
export interface FeedRequest {
  readonly plan: SubscriptionPlan;
  readonly upstream: UpstreamLink;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly after: string | undefined;
  readonly context: GatewayContext;
}

/** As UpstreamSink; after `failed`, `lost` or `complete` nothing more comes. */
export interface Follower {
  next(event: FeedEvent): void;
  failed(errors: readonly GraphQLFormattedError[]): void;
  lost(cause: Error, wasOpen: boolean, mayReturn: boolean): void;
  complete(): void;
}

/**
 * Upstream operations, shared by those who would get the same from them: the same version of the schema, subgraph, query
 * and variables, and the same identity.
 *
 * A cursor says everything about what follows it; resuming rests on that, and so does sharing. Therefore
 * - followers that begin at the same place share an operation as long as nothing has come of it;
 * - operations that stand at the same cursor are one from then on: one of them is ended, and its followers, who have
 *   been given everything up to that cursor and nothing behind it, go on with the other.
 * So every follower gets what it would get alone. Of a latest-value field only what is new counts, so everybody joins
 * the operation there is; the subgraph is asked all the same whether this one may subscribe. What has neither is not
 * shared: each operation may have its own sequence.
 */
export class SharedFeeds {
  private readonly kins = new WeakMap<UpstreamLink, Map<string, Kin>>();

  /** @param identityKey the same for callers to whom a subgraph answers the same; undefined shares nothing */
  constructor(
    private readonly identityKey: (context: GatewayContext) => string | undefined,
    private readonly meter: Meter,
  ) {}

  /** Hears of all events behind `after` until the answer is called. */
  follow(request: FeedRequest, follower: Follower): () => void {
    const { plan, upstream, after } = request;
    const key = this.keyOf(request);
    const kin = key === undefined ? new Kin(() => undefined) : this.kinOf(upstream, key);
    const known = key === undefined ? undefined : kin.fresh(after);
    if (known === undefined) return new Feed(request, kin, this.meter).join(follower);
    return plan.resumption === 'latest' ? joinAsking(known, request, follower, this.meter) : known.join(follower);
  }

  private keyOf({ plan, variables, context }: FeedRequest): string | undefined {
    const identity = plan.resumption === 'none' ? undefined : this.identityKey(context);
    if (identity === undefined) return undefined;
    const asked = upstreamVariables(plan, variables, undefined);
    return JSON.stringify([identity, plan.version.hash, plan.upstream.query, asked]);
  }

  private kinOf(upstream: UpstreamLink, key: string): Kin {
    const kins = this.kins.get(upstream) ?? new Map<string, Kin>();
    this.kins.set(upstream, kins);
    const kin = kins.get(key) ?? new Kin(() => kins.delete(key));
    kins.set(key, kin);
    return kin;
  }
}

/** Operations that could become one. */
class Kin {
  private readonly feeds = new Set<Feed>();
  /** Those of which nothing has come yet, by what they began behind; and those of latest-value fields. */
  private readonly freshFeeds = new Map<string, Feed>();
  private readonly byCursor = new Map<string, Feed>();

  constructor(private readonly empty: () => void) {}

  fresh(after: string | undefined): Feed | undefined {
    return this.freshFeeds.get(freshKey(after));
  }

  opened(feed: Feed, after: string | undefined): void {
    this.feeds.add(feed);
    if (!this.freshFeeds.has(freshKey(after))) this.freshFeeds.set(freshKey(after), feed);
  }

  begun(feed: Feed, after: string | undefined): void {
    if (this.freshFeeds.get(freshKey(after)) === feed) this.freshFeeds.delete(freshKey(after));
  }

  /** The feed has come to a cursor. Answers one that stands there already. */
  moved(feed: Feed, from: string | undefined, to: string): Feed | undefined {
    if (from !== undefined && this.byCursor.get(from) === feed) this.byCursor.delete(from);
    const other = this.byCursor.get(to);
    if (other === undefined) this.byCursor.set(to, feed);
    return other === feed ? undefined : other;
  }

  closed(feed: Feed, after: string | undefined, cursor: string | undefined): void {
    this.begun(feed, after);
    if (cursor !== undefined && this.byCursor.get(cursor) === feed) this.byCursor.delete(cursor);
    if (this.feeds.delete(feed) && this.feeds.size === 0) this.empty();
  }
}

/** Of a cursor that is empty as well. */
const freshKey = (after: string | undefined): string => (after === undefined ? '' : `behind ${after}`);

/**
 * Joins a feed, and opens an operation besides, by which the subgraph says whether this follower may subscribe: it refuses,
 * or an event comes of it, which the feed brings too. Then that operation is ended.
 */
function joinAsking(feed: Feed, request: FeedRequest, follower: Follower, meter: Meter): () => void {
  const { plan, upstream, variables, after, context } = request;
  let asking = true;
  const answered = (): void => {
    if (asking) meter.upstreams(plan.field, -1);
    asking = false;
  };
  const withdraw = (): void => {
    if (asking) endOperation();
    answered();
  };
  const leaveFeed = feed.join({
    next: (event) => follower.next(event),
    failed: (errors) => {
      withdraw();
      follower.failed(errors);
    },
    lost: (cause, wasOpen, mayReturn) => {
      withdraw();
      follower.lost(cause, wasOpen, mayReturn);
    },
    complete: () => {
      withdraw();
      follower.complete();
    },
  });
  meter.upstreams(plan.field, 1);
  const endOperation = upstream.open(
    {
      query: plan.upstream.query,
      operationName: plan.upstream.operationName,
      variables: upstreamVariables(plan, variables, after),
      context,
    },
    {
      next: (event) => {
        // Without any data it is a refusal, and the operation completes on its own.
        if (event.data != null) return withdraw();
        leaveFeed();
        follower.next(new FeedEvent(event, undefined));
      },
      failed: (errors) => {
        answered();
        leaveFeed();
        follower.failed(errors);
      },
      // So is the feed's, then, and says so.
      lost: answered,
      complete: () => {
        answered();
        leaveFeed();
        follower.complete();
      },
    },
  );
  return () => {
    withdraw();
    leaveFeed();
  };
}

/** A follower and the feed it is with at the moment. */
interface Seat {
  readonly follower: Follower;
  feed: Feed;
}

/** One upstream operation. */
class Feed implements UpstreamSink {
  private seats = new Set<Seat>();
  private cursor: string | undefined;
  private begun = false;
  private over = false;
  private readonly endOperation: () => void;

  constructor(
    private readonly request: FeedRequest,
    private readonly kin: Kin,
    private readonly meter: Meter,
  ) {
    const { plan, upstream, variables, after, context } = request;
    kin.opened(this, after);
    meter.upstreams(plan.field, 1);
    this.endOperation = upstream.open(
      {
        query: plan.upstream.query,
        operationName: plan.upstream.operationName,
        variables: upstreamVariables(plan, variables, after),
        context,
      },
      this,
    );
  }

  join(follower: Follower): () => void {
    const seat: Seat = { follower, feed: this };
    this.take(seat);
    return () => seat.feed.leave(seat);
  }

  next(event: UpstreamEvent): void {
    const { plan, after } = this.request;
    const cursor = takeCursor(plan, event.data);
    if (!this.begun && plan.resumption === 'cursor') this.kin.begun(this, after);
    this.begun = true;
    const shared = new FeedEvent(event, cursor);
    for (const { follower } of this.seats) follower.next(shared);
    if (cursor === undefined || this.over) return;
    const other = this.kin.moved(this, this.cursor, cursor);
    this.cursor = cursor;
    if (other !== undefined) this.merge(other);
  }

  failed(errors: readonly GraphQLFormattedError[]): void {
    this.end((follower) => follower.failed(errors));
  }

  lost(cause: Error, wasOpen: boolean, mayReturn: boolean): void {
    this.end((follower) => follower.lost(cause, wasOpen, mayReturn));
  }

  complete(): void {
    this.end((follower) => follower.complete());
  }

  /** Goes on as the other, which stands at the same cursor. */
  private merge(other: Feed): void {
    const moving = this.seats;
    this.close();
    this.endOperation();
    for (const seat of moving) other.take(seat);
    this.meter.merged(this.request.plan.field);
  }

  private take(seat: Seat): void {
    seat.feed = this;
    this.seats.add(seat);
    if (this.seats.size > 1) this.meter.shared(this.request.plan.field, 1);
  }

  private leave(seat: Seat): void {
    if (!this.seats.delete(seat) || this.over) return;
    if (this.seats.size > 0) return this.meter.shared(this.request.plan.field, -1);
    this.close();
    this.endOperation();
  }

  private end(report: (follower: Follower) => void): void {
    if (this.over) return;
    const left = this.seats;
    this.close();
    for (const { follower } of left) report(follower);
  }

  private close(): void {
    const { plan, after } = this.request;
    this.over = true;
    this.kin.closed(this, after, this.cursor);
    this.meter.upstreams(plan.field, -1);
    if (this.seats.size > 1) this.meter.shared(plan.field, 1 - this.seats.size);
    this.seats = new Set();
  }
}
