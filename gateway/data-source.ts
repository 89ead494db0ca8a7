import { setTimeout as delay } from 'node:timers/promises';
import { OperationTypeNode } from 'graphql';
import { Pool, type Dispatcher } from 'undici';
import { AppError } from '../shared/errors/errors.js';
import { DEADLINE_HEADER, DEBUG_HEADER, REQUEST_ID_HEADER, TRACEPARENT_HEADER } from '../shared/graphql/request.js';
import { IDENTITY_HEADER } from '../shared/identity/identity.js';
import type { Metrics } from '../shared/observability/metrics.js';
import { tracer, type Span } from '../shared/observability/tracing.js';
import { Breaker, BREAKER_DEFAULTS, BREAKER_STATES, type BreakerSettings, type Permit } from './breaker.js';
import type { ClientKey, GatewayContext } from './context.js';
import { Deadlines } from './deadlines.js';
import { noteStaleness, type Debug } from './debug.js';
import type { GraphQLDataSource, SubgraphAnswer, SubgraphRequest } from './executor.js';
import type { Gone } from './gone.js';
import type { IdentityTokens } from './identity-tokens.js';

/** Sockets to one subgraph; more requests than that wait for a free one. */
const CONNECTIONS = 128;

/** Larger answers are not read to their end. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024; // 64 MiB

/** A subgraph that answers its health check later than this is not ready. */
const PING_TIMEOUT_MS = 1_000;

/** Waits before a query is sent again, the second one to a process that may be starting; each is up to twice as long. */
const RETRY_AFTER_MS = [0, 30] as const;

export interface DataSourceOptions {
  readonly name: string;
  /** `http://127.0.0.1:4003/graphql` */
  readonly url: string;
  readonly tokens: IdentityTokens;
  readonly metrics: Pick<Metrics, 'subgraphSeconds' | 'subgraphRequests' | 'subgraphRetries' | 'subgraphBreaker'>;
  /** Counts the call; what it rejects with goes to the client. */
  readonly admit?: (client: ClientKey, subgraph: string) => Promise<void>;
  readonly breaker?: Partial<BreakerSettings>;
  readonly maxAnswerBytes?: number;
}

/** How a call ended, as metrics have it. */
type Outcome = 'ok' | 'unreachable' | 'timeout' | 'broken' | 'aborted' | 'spared';

/** A call that brought no answer. */
class Failure extends Error {
  constructor(
    readonly outcome: Exclude<Outcome, 'ok'>,
    /** Whether the subgraph may have seen the request. */
    readonly sent: boolean,
    cause: unknown,
  ) {
    super(`subgraph call: ${outcome}`, { cause });
  }
}

/**
 * Calls one subgraph over kept-alive connections, as the identity in the operation's context.
 * - A call ends at the deadline in its context. A query ends too when its client is gone; a mutation never does.
 * - A query whose connection failed is sent again, twice at most; a mutation never is.
 * - After too many failures calls are refused at once: see breaker.ts. Errors in GraphQL's sense are answers.
 *
 * HTTP/1.1 without pipelining: a slow answer would hold up those behind it on its connection.
 */
export class SubgraphDataSource implements GraphQLDataSource {
  private readonly options: DataSourceOptions;
  private readonly breaker: Breaker;
  private readonly deadlines = new Deadlines();
  private readonly pool: Pool;
  private readonly path: string;
  private readonly host: string;

  constructor(options: DataSourceOptions) {
    const { origin, hostname, pathname, search } = new URL(options.url);
    const { name, metrics, breaker, maxAnswerBytes = MAX_ANSWER_BYTES } = options;
    this.options = options;
    this.path = pathname + search;
    this.host = hostname;
    this.breaker = new Breaker(
      { ...BREAKER_DEFAULTS, ...breaker },
      () => performance.now(),
      (state) => metrics.subgraphBreaker.set({ subgraph: name }, BREAKER_STATES[state]),
    );
    // Deadlines are kept per call, so the pool has no timeouts of its own.
    this.pool = new Pool(origin, {
      connections: CONNECTIONS,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: maxAnswerBytes,
    });
  }

  /** @throws AppError UNAVAILABLE when there is no answer, or one that is not GraphQL. */
  async process(call: {
    readonly request: SubgraphRequest;
    readonly context: GatewayContext;
  }): Promise<SubgraphAnswer> {
    const { name, metrics, admit } = this.options;
    const { request, context } = call;
    if (admit !== undefined) await admit(context.client, name);
    const begun = performance.now();
    const span = this.span(request, context);
    const traceparent = span?.traceparent ?? context.traceparent;
    let outcome: Outcome = 'ok';
    let permit: Permit | undefined;
    try {
      // Before the breaker is asked: what is never sent says nothing of the subgraph, and must not be the probe.
      if (context.deadline <= begun) throw new Failure('timeout', false, 'the time was over before the call');
      permit = this.breaker.ask();
      if (permit === undefined) throw new Failure('spared', false, 'the breaker is open');
      for (let attempt = 0; ; attempt++) {
        try {
          return this.read(await this.send(request, context, traceparent), context.debug, permit);
        } catch (error) {
          await this.beforeNext(attempt, request, error);
        }
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      ({ outcome } = error);
      if (permit !== undefined && outcome !== 'aborted') this.breaker.fail(permit);
      throw this.unavailable(request, error);
    } finally {
      span?.end(outcome === 'ok' ? undefined : outcome);
      metrics.subgraphRequests.inc({ subgraph: name, outcome });
      metrics.subgraphSeconds.observe({ subgraph: name }, (performance.now() - begun) / 1_000);
    }
  }

  /** @throws Error naming what is wrong when the subgraph does not say that it is alive. */
  async ping(): Promise<void> {
    const { statusCode, body } = await this.pool.request({
      path: '/livez',
      method: 'GET',
      signal: AbortSignal.timeout(PING_TIMEOUT_MS),
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`/livez answered ${statusCode}`);
    this.breaker.probeNow();
  }

  /** Lets calls in hand finish, for five seconds at most. */
  async close(): Promise<void> {
    const timer = setTimeout(() => void this.pool.destroy(), 5_000);
    await this.pool.close().catch(() => undefined);
    clearTimeout(timer);
  }

  private span({ kind, operationName }: SubgraphRequest, { traceparent }: GatewayContext): Span | undefined {
    const { name } = this.options;
    return tracer?.start(`call ${name}`, 'client', traceparent, {
      'http.request.method': 'POST',
      'url.path': this.path,
      'server.address': this.host,
      'tributary.subgraph': name,
      'graphql.operation.type': kind,
      ...(operationName !== undefined && { 'graphql.operation.name': operationName }),
    });
  }

  /** Waits for the time of the next attempt. @throws what the last one failed with, when there is to be none */
  private async beforeNext(attempt: number, { kind }: SubgraphRequest, error: unknown): Promise<void> {
    const wait = kind === OperationTypeNode.QUERY ? RETRY_AFTER_MS[attempt] : undefined;
    if (wait === undefined || !(error instanceof Failure) || error.outcome !== 'unreachable') throw error;
    this.options.metrics.subgraphRetries.inc({ subgraph: this.options.name });
    // A connection that was closed while it was idle fails on its next use, so the first time is at once.
    if (wait > 0) await delay(wait * (1 + Math.random()));
  }

  private read({ status, text }: Answered, debug: Debug | undefined, permit: Permit): SubgraphAnswer {
    const answer = parseAnswer(text, debug, this.options.name);
    if (answer === undefined) throw new Failure('broken', true, `${status}: ${text.slice(0, 500)}`);
    if (status >= 500) this.breaker.fail(permit);
    else this.breaker.succeed(permit);
    return answer;
  }

  private send(request: SubgraphRequest, context: GatewayContext, traceparent: string | null): Promise<Answered> {
    const { identity, requestId, deadline, gone, debug } = context;
    const left = Math.ceil(deadline - performance.now());
    if (left <= 0) return Promise.reject(new Failure('timeout', false, 'the time was over before the call'));
    const headers = [
      'content-type',
      'application/json',
      'accept',
      'application/json',
      IDENTITY_HEADER,
      this.options.tokens.tokenFor(identity, this.options.name),
      REQUEST_ID_HEADER,
      requestId,
      DEADLINE_HEADER,
      String(left),
    ];
    if (traceparent !== null) headers.push(TRACEPARENT_HEADER, traceparent);
    if (debug !== undefined) headers.push(DEBUG_HEADER, '1');
    const options: Dispatcher.DispatchOptions = { path: this.path, method: 'POST', headers, body: request.body };
    const waiting = request.kind === OperationTypeNode.QUERY ? gone : undefined;
    return new Exchange(deadline, this.deadlines, waiting).over(this.pool, options);
  }

  private unavailable({ kind }: SubgraphRequest, { sent, cause }: Failure): AppError {
    const { name } = this.options;
    const message =
      kind === OperationTypeNode.MUTATION && sent
        ? `The ${name} service did not answer, so it is unknown whether the change was made. Send it again with the same idempotencyKey.`
        : `The ${name} service cannot be reached at the moment; try again shortly.`;
    return new AppError('UNAVAILABLE', message, { cause: new Error(`${name}: ${String(cause)}`, { cause }) });
  }
}

interface Answered {
  readonly status: number;
  readonly text: string;
}

/** One request and its answer, by undici's handler: it costs a fraction of `request` with its streams. */
class Exchange implements Dispatcher.DispatchHandler {
  private readonly chunks: Buffer[] = [];
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;
  private failed: Failure | undefined;
  private resolve: (answer: Answered) => void = () => undefined;
  private reject: (failure: Failure) => void = () => undefined;

  constructor(
    readonly deadline: number,
    private readonly deadlines: Deadlines,
    private readonly gone: Gone | undefined,
  ) {}

  over(pool: Pool, options: Dispatcher.DispatchOptions): Promise<Answered> {
    return new Promise<Answered>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      if (this.gone?.isGone === true) return this.abandon();
      this.deadlines.add(this);
      this.gone?.add(this);
      pool.dispatch(options, this);
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.failed !== undefined) controller.abort(this.failed);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.release();
    const [only] = this.chunks;
    const bytes = this.chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.chunks);
    this.resolve({ status: this.status, text: bytes.toString('utf8') });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.end(failureOf(error));
  }

  /** The deadline is over. */
  expire(): void {
    this.end(new Failure('timeout', true, 'no answer in time'));
  }

  /** The client is gone. */
  abandon(): void {
    this.end(new Failure('aborted', true, 'the client is gone'));
  }

  /** Also when undici has not begun with it: it may wait for a connection for longer than we do. */
  private end(failure: Failure): void {
    if (this.failed !== undefined) return;
    this.failed = failure;
    this.release();
    this.controller?.abort(failure);
    this.reject(failure);
  }

  private release(): void {
    this.deadlines.delete(this);
    this.gone?.delete(this);
  }
}

const codeOf = (error: Error): unknown => ('code' in error ? error.code : undefined);

/** The connection was never made, so the subgraph has seen nothing. */
const REFUSED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const CUT: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

function failureOf(error: Error): Failure {
  if (error instanceof Failure) return error;
  const code = codeOf(error);
  if (REFUSED.has(code)) return new Failure('unreachable', false, error);
  return new Failure(CUT.has(code) ? 'unreachable' : 'broken', true, error);
}

/** Data and errors of a GraphQL answer; whatever else a subgraph sends stays here, or goes to `debug`. */
function parseAnswer(text: string, debug: Debug | undefined, subgraph: string): SubgraphAnswer | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { data, errors, extensions } = answer as SubgraphAnswer & { readonly extensions?: unknown };
  if (typeof data !== 'object' && !Array.isArray(errors)) return undefined;
  if (debug !== undefined) noteStaleness(debug, subgraph, extensions);
  return {
    ...(data !== undefined && { data }),
    ...(Array.isArray(errors) && { errors: errors as SubgraphAnswer['errors'] & {} }),
  };
}
