import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { GraphQLFormattedError } from 'graphql';
import { AppError } from '../../shared/errors/errors.js';
import type { AdmittedOperation } from '../admission.js';
import type { Caller } from '../context.js';
import { Session, type OperationRunner } from './run.js';
import type { OperationResult, OperationResults } from './transport-ws.js';

/** A comment goes out that often, so that proxies see a connection that lives. */
const KEEP_ALIVE_MS = 12_000; // 12 seconds

/** Timers take no more. */
const LONGEST_TIMER_MS = 2_147_483_647;

const GOING_DOWN = new AppError('UNAVAILABLE', 'The gateway is shutting down; connect again.');

/** Longer ones are none of ours. */
const MAX_CURSOR = 1_000;

export interface EventStreamDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly runner: OperationRunner;
}

/** A request for a stream that may come in: its operation is admitted and its place is counted. */
export interface EventStreamRequest {
  readonly request: IncomingMessage;
  /** Nothing has been written to it. */
  readonly response: ServerResponse;
  /** To send with the answer, those for browsers among them. */
  readonly headers: OutgoingHttpHeaders;
  readonly operation: AdmittedOperation;
  readonly caller: Caller;
  readonly address: string;
}

/** Whether a request asks for an answer as server-sent events. */
export const wantsEventStream = ({ headers }: Pick<IncomingMessage, 'headers'>): boolean =>
  /(^|[\s,])text\/event-stream\b/i.test(headers.accept ?? '');

/**
 * GraphQL over server-sent events, as graphql-sse has it in its distinct connections mode: a request carries one operation,
 * its results come as `next` events and `complete` follows. What is wrong with
 * an operation comes as a `next` with errors. The id of an event is its cursor: an EventSource that connects again goes on behind it by itself.
 */
export class EventStreams {
  private readonly deps: EventStreamDeps;
  private readonly open = new Set<EventStream>();
  private stopping = false;

  constructor(deps: EventStreamDeps) {
    this.deps = deps;
  }

  /** How many are open. */
  get size(): number {
    return this.open.size;
  }

  /** Answers the request; resolves when it is over. Does not reject. */
  async serve(wanted: EventStreamRequest): Promise<void> {
    const { request, operation, caller, address } = wanted;
    const { runner } = this.deps;
    const stream = new EventStream(wanted, this.deps);
    this.open.add(stream);
    try {
      const answer = this.stopping
        ? { errors: runner.errors(GOING_DOWN, request.headers) }
        : runner.start(operation, new Session(caller, address), cursorIn(request));
      if ('errors' in answer) stream.fail(answer.errors);
      else await stream.send(answer);
    } finally {
      this.open.delete(stream);
      stream.end();
    }
  }

  /** Ends all streams without `complete`, so that their clients connect again elsewhere. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all([...this.open].map((stream) => stream.abandon()));
  }
}

function cursorIn({ headers }: IncomingMessage): string | undefined {
  const given = headers['last-event-id'];
  return typeof given === 'string' && given !== '' && given.length <= MAX_CURSOR ? given : undefined;
}

class EventStream {
  private readonly response: ServerResponse;
  private readonly keepAlive: NodeJS.Timeout;
  private expiry: NodeJS.Timeout | undefined;
  private results: OperationResults | undefined;
  private over = false;
  private readonly ended: Promise<void>;

  constructor(
    private readonly wanted: EventStreamRequest,
    private readonly deps: EventStreamDeps,
  ) {
    const { response, headers } = wanted;
    this.response = response;
    response.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    // Something has to be written for the head to go out.
    response.write(':\n\n');
    this.keepAlive = setInterval(() => {
      if (!response.writableNeedDrain) response.write(':\n\n');
    }, KEEP_ALIVE_MS);
    this.ended = new Promise((resolve) => {
      response.once('close', () => {
        this.close();
        resolve();
      });
    });
    // A client that resets its connection is gone like any other.
    response.on('error', () => this.close());
    this.endWhenExpired();
  }

  /** Sends everything, at the pace of the client. */
  async send(results: OperationResults): Promise<void> {
    this.results = results;
    if (this.over) {
      await results.return();
      return;
    }
    try {
      for (;;) {
        const { done, value } = await results.next();
        if (this.over) return;
        if (done === true) {
          this.complete();
          return;
        }
        if (!this.isValid()) {
          this.expire();
          return;
        }
        if (!this.response.write(eventOf(value))) await this.drained();
      }
    } catch (error) {
      this.fail(this.deps.runner.errors(error, this.wanted.request.headers));
    }
  }

  fail(errors: readonly GraphQLFormattedError[]): void {
    if (this.over) return;
    this.response.write(eventOf({ json: JSON.stringify({ errors }) }));
    this.complete();
  }

  /** Ends it, with whatever was written before; more than once does no harm. */
  end(): void {
    this.close();
    if (!this.response.writableEnded) this.response.end();
  }

  /** Resolves when the connection is closed. */
  async abandon(): Promise<void> {
    this.end();
    // A client that does not read would be waited for.
    if (this.response.writableNeedDrain) this.response.destroy();
    await this.ended;
  }

  private complete(): void {
    if (this.over) return;
    this.response.write('event: complete\ndata:\n\n');
    this.end();
  }

  private expire(): void {
    this.fail([{ message: 'Token expired', extensions: { code: 'UNAUTHENTICATED' } }]);
  }

  private isValid(): boolean {
    const { expiresAt } = this.wanted.caller;
    return expiresAt === undefined || this.deps.now() < expiresAt;
  }

  private endWhenExpired(): void {
    const { expiresAt } = this.wanted.caller;
    if (expiresAt === undefined) return;
    const wait = Math.max(0, Math.min(LONGEST_TIMER_MS, expiresAt - this.deps.now()));
    this.expiry = setTimeout(() => {
      if (this.isValid()) this.endWhenExpired();
      else this.expire();
    }, wait);
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      const goOn = (): void => {
        this.response.off('drain', goOn);
        this.response.off('close', goOn);
        resolve();
      };
      this.response.once('drain', goOn);
      this.response.once('close', goOn);
    });
  }

  private close(): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.keepAlive);
    clearTimeout(this.expiry);
    void this.results?.return();
  }
}

/** A cursor that would break the format is left out; nobody can resume with it this way. */
const eventOf = ({ json, cursor }: OperationResult): string =>
  cursor === undefined || /[\r\n\0]/.test(cursor)
    ? `event: next\ndata: ${json}\n\n`
    : `event: next\nid: ${cursor}\ndata: ${json}\n\n`;
