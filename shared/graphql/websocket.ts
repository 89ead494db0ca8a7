import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { handleProtocols, makeServer, type Server as GraphqlWsServer, type ServerOptions } from 'graphql-ws';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Logger } from '../observability/logger.js';

const DEFAULT_MAX_PAYLOAD = 256 * 1024; // 256 KiB
/** Between the pings of a socket. */
export const KEEP_ALIVE_MS = 12_000; // 12 seconds
const CLOSE_GRACE_MS = 500; // half a second for clients to answer a close frame

/** What a graphql-ws hook finds in `ctx.extra`. */
export interface SocketExtra {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
}

export type ConnectionParams = Record<string, unknown>;

export interface WebSocketOptions {
  /** Upgrades to other paths get 404. */
  readonly path: string;
  readonly log: Logger;
  /** graphql-ws's hooks, or what speaks the protocol in its place. They must not throw: a throw closes with 4500. */
  readonly server: ServerOptions<ConnectionParams, SocketExtra> | GraphqlWsServer<SocketExtra>;
  /** Largest message from a client in bytes; a larger one closes its socket with 1009. 256 KiB when absent. */
  readonly maxPayload?: number;
  /**
   * Whether to take this handshake, by its Origin for one, or what to answer instead; false is 403. What has to be undone
   * when the socket is gone hangs on `request.socket`.
   */
  readonly accept?: (request: IncomingMessage) => boolean | Refusal;
  /** A client that does not answer a ping until the next is gone; milliseconds between them, KEEP_ALIVE_MS when absent. */
  readonly keepAliveMs?: number;
}

/** The answer to a handshake that is not taken. */
export interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface WebSocketEndpoint {
  readonly connections: () => number;
  /** Closes every socket with 1001, cuts those that do not answer, and waits until their subscriptions have ended. */
  close(): Promise<void>;
}

/** Serves graphql-ws (`graphql-transport-ws`) on an HTTP server. */
export function serveWebSocket(http: Server, options: WebSocketOptions): WebSocketEndpoint {
  const { path, log, accept = () => true } = options;
  const graphql =
    'opened' in options.server ? options.server : makeServer<ConnectionParams, SocketExtra>(options.server);
  const maxPayload = options.maxPayload ?? DEFAULT_MAX_PAYLOAD;
  const sockets = new WebSocketServer({ noServer: true, maxPayload, handleProtocols });
  const ending = new Set<Promise<void>>();
  let closing = false;

  http.on('upgrade', (request, stream, head) => {
    stream.on('error', (error) => log.debug({ err: error }, 'handshake failed'));
    if (closing) return refuse(stream, { status: 503 });
    if (request.url?.split('?')[0] !== path) return refuse(stream, { status: 404 });
    const accepted = accept(request);
    if (accepted === false) return refuse(stream, { status: 403 });
    if (accepted !== true) return refuse(stream, accepted);
    sockets.handleUpgrade(request, stream, head, (socket) => serve(socket, request));
  });

  function serve(socket: WebSocket, request: IncomingMessage): void {
    const stopPings = keepAlive(socket, options.keepAliveMs ?? KEEP_ALIVE_MS);
    const closed = graphql.opened(
      {
        protocol: socket.protocol,
        send: (data) =>
          new Promise((resolve, reject) => {
            if (socket.readyState !== socket.OPEN) return resolve();
            socket.send(data, (error) => (error ? reject(error) : resolve()));
          }),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) =>
          socket.on('message', (data: Buffer) => {
            handle(data.toString()).catch((error: unknown) => {
              log.error({ err: error }, 'a WebSocket message could not be handled');
              socket.close(4500, 'Internal server error');
            });
          }),
      },
      { socket, request },
    );
    // Too large or malformed frames; ws closes the socket itself.
    socket.on('error', (error) => log.debug({ err: error }, 'WebSocket error'));
    socket.once('close', (code, reason) => {
      stopPings();
      const end = Promise.resolve(closed(code, reason.toString()))
        .catch((error: unknown) => log.error({ err: error }, 'a WebSocket could not be cleaned up'))
        .finally(() => ending.delete(end));
      ending.add(end);
    });
  }

  return {
    connections: () => sockets.clients.size,
    async close() {
      closing = true;
      const gone = [...sockets.clients].map((socket) => {
        const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
        socket.close(1001, 'Going away');
        return closed;
      });
      const cut = setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), CLOSE_GRACE_MS);
      await Promise.all(gone);
      clearTimeout(cut);
      await Promise.all(ending);
    },
  };
}

function refuse(stream: Duplex, { status, headers = {}, body }: Refusal): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  const head = {
    connection: 'close',
    ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  stream.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`);
}

/** Pings until the answered function is called; cuts the socket when a ping goes unanswered. */
function keepAlive(socket: WebSocket, everyMs: number): () => void {
  let answered = true;
  socket.on('pong', () => (answered = true));
  const timer = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, everyMs);
  return () => clearInterval(timer);
}
