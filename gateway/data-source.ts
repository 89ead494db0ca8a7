import type { GraphQLDataSource } from '@apollo/gateway';
import { Pool, type Dispatcher } from 'undici';
import { AppError } from '../shared/errors/errors.js';
import { REQUEST_ID_HEADER, TRACEPARENT_HEADER } from '../shared/graphql/request.js';
import { IDENTITY_HEADER } from '../shared/identity/identity.js';
import type { GatewayContext } from './context.js';
import type { IdentityTokens } from './identity-tokens.js';

type ProcessOptions = Parameters<GraphQLDataSource['process']>[0];
type SubgraphResponse = Awaited<ReturnType<GraphQLDataSource['process']>>;

/** Longest wait for a subgraph's answer; its own waits (projections, 2 s) are far below. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Sockets to one subgraph; more requests than that wait for a free one. */
const CONNECTIONS = 128;

/** A subgraph that answers its health check later than this is not ready. */
const PING_TIMEOUT_MS = 1_000;

/**
 * Calls one subgraph over kept-alive connections, as the identity in the operation's context.
 * Throws AppError UNAVAILABLE when the subgraph cannot be reached or answers something else than GraphQL.
 */
export class SubgraphDataSource implements GraphQLDataSource {
  private readonly name: string;
  private readonly tokens: IdentityTokens;
  private readonly pool: Pool;
  private readonly path: string;

  constructor(name: string, url: string, tokens: IdentityTokens) {
    const { origin, pathname, search } = new URL(url);
    this.name = name;
    this.tokens = tokens;
    this.path = pathname + search;
    this.pool = new Pool(origin, {
      connections: CONNECTIONS,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    });
  }

  async process({ request, context }: ProcessOptions): Promise<SubgraphResponse> {
    const { identity, requestId, traceparent } = context as GatewayContext;
    const options = {
      path: this.path,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        [IDENTITY_HEADER]: this.tokens.tokenFor(identity, this.name),
        [REQUEST_ID_HEADER]: requestId,
        ...(traceparent !== null && { [TRACEPARENT_HEADER]: traceparent }),
      },
      body: JSON.stringify({
        query: request.query,
        operationName: request.operationName,
        variables: request.variables,
      }),
    } satisfies Dispatcher.RequestOptions;
    const mutation = request.query?.startsWith('mutation') === true;
    const { status, text } = await this.send(options, mutation);
    const answer = parseAnswer(text);
    if (answer === undefined) {
      const cause = new Error(`${this.name} answered ${status}: ${text.slice(0, 500)}`);
      throw this.unavailable(mutation, cause);
    }
    return answer;
  }

  /** @throws Error naming what is wrong when the subgraph does not say that it is alive. */
  async ping(): Promise<void> {
    const { statusCode, body } = await this.pool.request({
      path: '/livez',
      method: 'GET',
      headersTimeout: PING_TIMEOUT_MS,
      signal: AbortSignal.timeout(PING_TIMEOUT_MS),
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`/livez answered ${statusCode}`);
  }

  /** Lets calls in hand finish, for five seconds at most. */
  async close(): Promise<void> {
    const timer = setTimeout(() => void this.pool.destroy(), 5_000);
    await this.pool.close().catch(() => undefined);
    clearTimeout(timer);
  }

  private async send(options: Dispatcher.RequestOptions, mutation: boolean, again = !mutation): Promise<Answered> {
    try {
      const { statusCode, body } = await this.pool.request(options);
      return { status: statusCode, text: await body.text() };
    } catch (error) {
      // A connection that the subgraph closed while it was idle fails on its next use. Reading twice harms nobody.
      if (again && isBrokenConnection(error)) return this.send(options, mutation, false);
      throw this.unavailable(mutation, error);
    }
  }

  private unavailable(mutation: boolean, cause: unknown): AppError {
    const reached = !isRefused(cause);
    const message =
      mutation && reached
        ? `The ${this.name} service did not answer, so it is unknown whether the change was made. Send it again with the same idempotencyKey.`
        : `The ${this.name} service cannot be reached at the moment; try again shortly.`;
    return new AppError('UNAVAILABLE', message, { cause });
  }
}

interface Answered {
  readonly status: number;
  readonly text: string;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

const BROKEN: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const isBrokenConnection = (error: unknown): boolean => BROKEN.has(codeOf(error));

const REFUSED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const isRefused = (error: unknown): boolean => REFUSED.has(codeOf(error));

/** Data and errors of a GraphQL answer; whatever else a subgraph sends stays here. */
function parseAnswer(text: string): SubgraphResponse | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { data, errors } = answer as SubgraphResponse;
  if (data === undefined && !Array.isArray(errors)) return undefined;
  return { ...(data !== undefined && { data }), ...(Array.isArray(errors) && { errors }) };
}
