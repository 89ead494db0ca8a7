import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { within } from '../../shared/time/within.js';

/** Where a system is reached, without slashes at the end. */
export interface DemoTarget {
  readonly gateway: string;
  readonly rest: string;
}

/** An answer that was an error; `code` is one of the graph's, or OFFLINE where no answer came. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
  constructor(
    message: string,
    readonly code: string,
    /** The field of the operation that failed. */
    readonly at: string,
    /** How soon asking again makes sense, in milliseconds, where the system says so. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}

/** A mutation of a run, and how long its answer took in milliseconds. */
export interface Call {
  readonly mutation: string;
  readonly ms: number;
}

/** A mail as the dev inbox shows it. */
export interface Mail {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly text: string;
  readonly sentAt: string;
  readonly orderId: string | null;
}

/** A message of `orderStatusChanged`. */
export interface Push {
  readonly orderId: string;
  readonly version: number;
  readonly status: string;
  /** When the change happened, by the system's clock, and when we heard of it, by ours. Milliseconds since the epoch. */
  readonly at: number;
  readonly heardAt: number;
}

/** A subscription of ours: what has come so far, and what ended it. */
export interface Pushes {
  readonly all: readonly Push[];
  readonly ended: Error | undefined;
  close(): Promise<void>;
}

interface Answer<T> {
  readonly data?: T | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions?: { readonly code?: string; readonly retryAfter?: number };
  }[];
}

/** Whoever does not answer by then is given up. */
const CALL_MS = 20_000; // 20 seconds

/** Asked again: limits of a minute, and whatever restarts at the moment. */
const ATTEMPTS = 4;
const LONGEST_WAIT_MS = 5_000;

const WATCH = `subscription Watch($userId: ID!) {
  orderStatusChanged(userId: $userId) { kind status at order { id version } }
}`;

interface WatchMessage {
  readonly orderStatusChanged: {
    readonly kind: string;
    readonly status: string | null;
    readonly at: string | null;
    readonly order: { readonly id: string; readonly version: number } | null;
  };
}

/** What every client has: the graph over HTTP and WebSocket, balances over REST, and in demo mode the inbox. */
export class DemoClient {
  constructor(
    readonly target: DemoTarget,
    /** Noted here, in their order. */
    readonly calls: Call[],
    /** An access token; whoever has none is whom the system takes strangers for. */
    private readonly token: string | null = null,
  ) {}

  /** The same system, as somebody else. */
  as(token: string): DemoClient {
    return new DemoClient(this.target, this.calls, token);
  }

  /** A query. @throws GraphError */
  async query<T>(document: string, variables: object = {}): Promise<T> {
    return this.patient(() => this.post<T>(document, variables, 'query'));
  }

  /**
   * The mutation `name(input)`, of whose payload `fields` are asked. Asked again after an answer that may be another one
   * later; those that came to nothing for want of an answer only where `input` has an idempotency key. @throws GraphError
   */
  async mutate<T>(name: string, fields: string, input: object): Promise<T> {
    const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
    const document = `mutation Demo($input: ${type}!) { ${name}(input: $input) { ${fields} } }`;
    const begun = performance.now();
    const data = await this.patient(
      () => this.post<Record<string, T>>(document, { input }, name),
      'idempotencyKey' in input,
    );
    this.calls.push({ mutation: name, ms: Math.round(performance.now() - begun) });
    return data[name] as T;
  }

  /** What is in an account, as `GET /balances/{id}` says; null while it does not know the account. */
  async balance(accountId: string): Promise<number | null> {
    const response = await this.get(`${this.target.rest}/balances/${accountId}`);
    if (response.status === 404) return null;
    if (!response.ok) throw new GraphError(`REST answers ${response.status}.`, 'REST', 'balances');
    return ((await response.json()) as { readonly balance: number }).balance;
  }

  /** Mails to that address, newest first; null where there is no inbox, which is in demo mode only. */
  async inbox(address: string): Promise<readonly Mail[] | null> {
    const response = await this.get(`${this.target.gateway}/inbox/messages?to=${encodeURIComponent(address)}`);
    if (response.status === 404) return null;
    if (!response.ok) throw new GraphError(`The inbox answers ${response.status}.`, 'INBOX', 'inbox');
    return (await response.json()) as readonly Mail[];
  }

  /** Follows a user's orders over WebSocket, from the moment on at which this resolves or a little later. */
  async watch(userId: string): Promise<Pushes> {
    const all: Push[] = [];
    const state: { ended: Error | undefined } = { ended: undefined };
    const client = createClient({
      url: `${this.target.gateway.replace(/^http/, 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: this.headers(),
      retryAttempts: 0,
      lazy: true,
    });
    const connected = new Promise<void>((resolve) => {
      client.on('connected', () => resolve());
      client.on('closed', () => resolve());
    });
    client.subscribe<WatchMessage>(
      { query: WATCH, variables: { userId } },
      {
        next({ data, errors }) {
          const heardAt = wallClock();
          const { order, status, at } = data?.orderStatusChanged ?? {};
          if (order && status && at) {
            all.push({ orderId: order.id, version: order.version, status, at: Date.parse(at), heardAt });
          } else if (errors?.[0] !== undefined) state.ended = new Error(errors[0].message);
        },
        error: (cause) => (state.ended = new Error(reasonOf(cause))),
        complete: () => (state.ended ??= new Error('the system ended it')),
      },
    );
    await within(CALL_MS, connected, () => {
      client.terminate();
      throw offline(this.target.gateway, new DOMException('', 'TimeoutError'));
    });
    return {
      all,
      get ended() {
        return state.ended;
      },
      close: async () => client.dispose(),
    };
  }

  private headers(): Record<string, string> {
    return this.token === null ? {} : { authorization: `Bearer ${this.token}` };
  }

  private async get(url: string): Promise<Response> {
    try {
      return await fetch(url, { headers: this.headers(), signal: AbortSignal.timeout(CALL_MS) });
    } catch (error) {
      throw offline(new URL(url).origin, error);
    }
  }

  private async post<T>(query: string, variables: object, at: string): Promise<T> {
    let answer: Answer<T>;
    try {
      const response = await fetch(`${this.target.gateway}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.headers() },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(CALL_MS),
      });
      answer = (await response.json()) as Answer<T>;
    } catch (error) {
      throw offline(this.target.gateway, error);
    }
    const [error] = answer.errors ?? [];
    if (error !== undefined || answer.data === undefined || answer.data === null) {
      const { code = 'INTERNAL', retryAfter } = error?.extensions ?? {};
      const path = String(error?.path?.[0] ?? at);
      throw new GraphError(
        error?.message ?? 'This is no answer of a GraphQL gateway.',
        code,
        path,
        retryAfter === undefined ? null : retryAfter * 1_000,
      );
    }
    return answer.data;
  }

  /** Asks again what may be answered otherwise in a moment. `repeatable`: even where nobody knows whether it was done. */
  private async patient<T>(ask: () => Promise<T>, repeatable = true): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof GraphError) || attempt === ATTEMPTS) throw error;
        const refused = error.code === 'RATE_LIMITED' || error.code === 'PROJECTION_PENDING';
        if (!refused && !(repeatable && error.code === 'UNAVAILABLE')) throw error;
        const wait = error.retryAfterMs ?? 250 * 2 ** attempt;
        if (wait > LONGEST_WAIT_MS) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }
}

/** Milliseconds since the epoch, finer than Date.now() shows them. */
export const wallClock = (): number => performance.timeOrigin + performance.now();

function offline(where: string, cause: unknown): GraphError {
  return new GraphError(`${where} does not answer: ${reasonOf(cause)}`, 'OFFLINE', 'connection');
}

/** In a line; fetch hides the reason in its cause, sockets in their close event. */
function reasonOf(error: unknown): string {
  const {
    name = '',
    message = '',
    reason = '',
    code = '',
    cause,
  } = error as {
    readonly name?: string;
    readonly message?: string;
    readonly reason?: string;
    readonly code?: unknown;
    readonly cause?: unknown;
  };
  if (cause !== undefined) return reasonOf(cause);
  if (name === 'TimeoutError') return `no answer within ${CALL_MS / 1_000} s`;
  if (Array.isArray(error)) return reasonOf(error[0]);
  return message || reason || String(code) || 'it failed';
}
