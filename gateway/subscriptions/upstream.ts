import { createClient, type Client } from 'graphql-ws';
import type { GraphQLFormattedError } from 'graphql';
import { WebSocket } from 'ws';
import type { Logger } from '../../shared/observability/logger.js';
import type { GatewayContext } from '../context.js';

/** Kept open that long after its last operation; graphql-ws's timer for it also delays the end of the process. */
const IDLE_CLOSE_MS = 500;

/** A subgraph that is silent is pinged that often, and given up when it does not answer. */
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;

const ACKNOWLEDGED_WITHIN_MS = 5_000;

/** Pause before the next attempt to connect, doubled with every failure; a random part of it, half at least. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** One message of an upstream operation. */
export interface UpstreamEvent {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLFormattedError[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface UpstreamOperation {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly context: GatewayContext;
}

/** What becomes of an operation. After `failed`, `lost` or `complete` nothing more comes. */
export interface UpstreamSink {
  next(event: UpstreamEvent): void;
  /** The subgraph refused it or gave up on it. */
  failed(errors: readonly GraphQLFormattedError[]): void;
  /**
   * The socket is gone, or could not be opened.
   * @param wasOpen whether the operation had reached the subgraph
   * @param mayReturn false when trying again is of no use
   */
  lost(cause: Error, wasOpen: boolean, mayReturn: boolean): void;
  complete(): void;
}

/** What a subgraph is shown. */
export interface UpstreamCredentials {
  /** With connection_init: admits the gateway as such. */
  connectionParams(): Readonly<Record<string, unknown>>;
  /** With each operation: for whom it is. */
  extensions(context: GatewayContext): Readonly<Record<string, unknown>>;
}

/** A way to the subscriptions of one subgraph. */
export interface UpstreamLink {
  /** Opens an operation; the answer ends it. Nothing reaches the sink before this has returned, or after the end. */
  open(operation: UpstreamOperation, sink: UpstreamSink): () => void;
  /** Resolves when another attempt makes sense: all operations that were lost together wait for the same moment. */
  retryTime(): Promise<void>;
}

/** One WebSocket to one subgraph, opened when first needed and shared by all operations there. */
export class Upstream implements UpstreamLink {
  private readonly credentials: UpstreamCredentials;
  private readonly client: Client;
  private connected = false;
  /** How often it was connected, so that an operation can tell whether it was while it ran. */
  private connections = 0;
  private failures = 0;
  private pause: Promise<void> | undefined;
  private endPause: (() => void) | undefined;
  private pongTimer: NodeJS.Timeout | undefined;

  constructor(name: string, url: string, credentials: UpstreamCredentials, log: Logger) {
    this.credentials = credentials;
    this.client = createClient({
      url,
      webSocketImpl: WebSocket,
      connectionParams: () => ({ ...credentials.connectionParams() }),
      lazyCloseTimeout: IDLE_CLOSE_MS,
      connectionAckWaitTimeout: ACKNOWLEDGED_WITHIN_MS,
      retryAttempts: 0,
      keepAlive: PING_EVERY_MS,
      on: {
        connected: () => {
          this.connected = true;
          this.connections++;
          this.failures = 0;
        },
        closed: (event) => {
          this.connected = false;
          clearTimeout(this.pongTimer);
          const { code, reason } = event as { code: number; reason: string };
          if (code !== 1000) log.warn({ subgraph: name, code, reason }, 'the WebSocket to a subgraph closed');
        },
        ping: (received) => {
          if (!received) this.pongTimer = setTimeout(() => this.client.terminate(), PONG_WITHIN_MS);
        },
        pong: (received) => {
          if (received) clearTimeout(this.pongTimer);
        },
      },
    });
  }

  open({ query, operationName, variables, context }: UpstreamOperation, sink: UpstreamSink): () => void {
    const connectionsBefore = this.connected ? this.connections - 1 : this.connections;
    let over = false;
    const once = (report: () => void): void => {
      if (over) return;
      over = true;
      report();
    };
    const end = this.client.subscribe(
      {
        query,
        ...(operationName !== undefined && { operationName }),
        variables: { ...variables },
        extensions: { ...this.credentials.extensions(context) },
      },
      {
        next: (event) => {
          if (!over) sink.next(event as UpstreamEvent);
        },
        error: (error) =>
          once(() => {
            if (Array.isArray(error)) return sink.failed(error as readonly GraphQLFormattedError[]);
            this.noteLoss();
            return sink.lost(causeOf(error), this.connections > connectionsBefore, mayReturn(error));
          }),
        complete: () => once(() => sink.complete()),
      },
    );
    return () => {
      over = true;
      end();
    };
  }

  retryTime(): Promise<void> {
    return this.pause ?? Promise.resolve();
  }

  async close(): Promise<void> {
    clearTimeout(this.pongTimer);
    this.endPause?.();
    await this.client.dispose();
  }

  private noteLoss(): void {
    // Every operation on the socket reports the same loss; the first one counts it.
    if (this.pause !== undefined) return;
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures);
    // Gateways that lost the same subgraph do not come back to it at the same moment.
    const pause = longest * (0.5 + Math.random() / 2);
    this.failures++;
    this.pause = new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      this.endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    void this.pause.then(() => {
      this.pause = undefined;
      this.endPause = undefined;
    });
  }
}

function causeOf(error: unknown): Error {
  if (error instanceof Error) return error;
  const { code, reason, message } = error as { code?: number; reason?: string; message?: string };
  return new Error(code === undefined ? (message ?? 'connection failed') : `closed with ${code} ${reason ?? ''}`);
}

/** Close codes by which a graphql-ws server says that the same again will not do. */
const FINAL_CODES: ReadonlySet<unknown> = new Set([4400, 4401, 4403, 4406, 4409, 4429]);

/** Answers to a handshake, in place of a WebSocket, that another time may be others: it is too much, or not up yet. */
const PASSING_STATUSES: ReadonlySet<string> = new Set(['408', '429', '502', '503', '504']);

function mayReturn(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return true;
  if ('code' in error && FINAL_CODES.has(error.code)) return false;
  const [, status] = /^Unexpected server response: (\d+)$/.exec('message' in error ? String(error.message) : '') ?? [];
  return status === undefined || PASSING_STATUSES.has(status);
}
