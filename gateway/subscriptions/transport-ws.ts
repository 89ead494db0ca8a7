/**
 * The server's side of graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md), with two
 * things that graphql-ws's own server cannot do: a result is written as JSON once for all who get it, and nothing is
 * awaited for a client that keeps up.
 */
import type { IncomingMessage } from 'node:http';
import type { GraphQLFormattedError } from 'graphql';
import {
  CloseCode,
  GRAPHQL_TRANSPORT_WS_PROTOCOL,
  MessageType,
  parseMessage,
  type Message,
  type Server,
  type SubscribePayload,
} from 'graphql-ws';
import type { WebSocket } from 'ws';
import type { SocketExtra } from '../../shared/graphql/websocket.js';

/** A client that has that much unsent is waited for. */
const HIGH_WATER_BYTES = 65_536; // 64 KiB

/** A client that sends and never reads is cut off when that much waits for it. */
const MAX_UNSENT_BYTES = 16_777_216; // 16 MiB

type Payload = Readonly<Record<string, unknown>>;

/** What an operation gives: results as JSON, one by one. `return` ends it at once, also while `next` is waiting. */
export interface OperationResults {
  next(): Promise<IteratorResult<OperationResult, void>>;
  return(): Promise<unknown>;
}

export interface OperationResult {
  readonly json: string;
  /** Where a stream stands behind it. */
  readonly cursor?: string | undefined;
}

/** An operation of a client that is not over. */
export interface RunningOperation {
  results: OperationResults | undefined;
}

/** What runs behind the protocol. Nothing here may reject or throw; `S` is what it knows of a client. */
export interface TransportHandlers<S> {
  /** Who the client is; undefined closes the socket with 4403. */
  connect(connection: Connection<S>, params: Payload): Promise<S | undefined>;
  /** A ping; answers the payload of the pong. */
  ping(connection: Connection<S>, payload: Payload | undefined): Promise<Payload | undefined>;
  /** Starts an operation, or tells what is wrong with it. */
  subscribe(connection: Connection<S>, payload: SubscribePayload): Promise<OperationResults | Refusal>;
  /** Before anything is sent: false when the client is no longer whom it was admitted as; it closes the socket then. */
  mayReceive(connection: Connection<S>): boolean;
  /** What to tell of an error that an operation ended on. */
  errors(error: unknown): readonly GraphQLFormattedError[];
  closed(connection: Connection<S>): void;
}

export interface Refusal {
  readonly errors: readonly GraphQLFormattedError[];
}

/** How long a client may take to introduce itself. */
export const INIT_WITHIN_MS = 3_000; // 3 seconds

/** One client. */
export class Connection<S> {
  /** Known once the client was admitted. */
  session: S | undefined;
  readonly operations = new Map<string, RunningOperation>();

  constructor(
    readonly socket: WebSocket,
    readonly request: IncomingMessage,
  ) {}

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  close(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  /** Sends it; answers when to go on if the client does not keep up. */
  send(text: string): Promise<void> | undefined {
    if (!this.isOpen) return undefined;
    if (this.socket.bufferedAmount < HIGH_WATER_BYTES) {
      this.socket.send(text);
      return undefined;
    }
    return new Promise((resolve) => this.socket.send(text, () => resolve()));
  }

  cutIfDeaf(): void {
    if (this.socket.bufferedAmount > MAX_UNSENT_BYTES) this.socket.terminate();
  }
}

/** Speaks the protocol on sockets that shared/graphql/websocket.ts opens. */
export const transportServer = <S>(handlers: TransportHandlers<S>, initWithinMs: number): Server<SocketExtra> => ({
  opened: (port, { socket, request }) => {
    const connection = new Connection<S>(socket, request);
    if (port.protocol !== GRAPHQL_TRANSPORT_WS_PROTOCOL) {
      connection.close(CloseCode.SubprotocolNotAcceptable, 'Subprotocol not acceptable');
      return () => Promise.resolve();
    }
    const protocol = new Protocol(connection, handlers, initWithinMs);
    port.onMessage((data) => protocol.receive(data));
    return () => protocol.closed();
  },
});

class Protocol<S> {
  private initialised = false;
  private readonly initTimer: NodeJS.Timeout;

  constructor(
    private readonly connection: Connection<S>,
    private readonly handlers: TransportHandlers<S>,
    initWithinMs: number,
  ) {
    this.initTimer = setTimeout(() => {
      if (!this.initialised) {
        connection.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout');
      }
    }, initWithinMs);
  }

  async receive(data: string): Promise<void> {
    const { connection } = this;
    // What had been sent before the closing frame arrived there.
    if (!connection.isOpen) return;
    connection.cutIfDeaf();
    let message: Message;
    try {
      message = parseMessage(data);
    } catch {
      connection.close(CloseCode.BadRequest, 'Invalid message received');
      return;
    }
    switch (message.type) {
      case MessageType.ConnectionInit:
        return this.initialise(message.payload ?? {});
      case MessageType.Ping: {
        const payload = await this.handlers.ping(connection, message.payload);
        void connection.send(JSON.stringify({ type: MessageType.Pong, payload }));
        return;
      }
      case MessageType.Pong:
        return;
      case MessageType.Subscribe:
        return this.subscribe(message.id, message.payload);
      case MessageType.Complete: {
        const operation = connection.operations.get(message.id);
        connection.operations.delete(message.id);
        await operation?.results?.return();
        return;
      }
      case MessageType.ConnectionAck:
      case MessageType.Next:
      case MessageType.Error:
        connection.close(CloseCode.BadRequest, `Unexpected message of type ${message.type} received`);
        return;
    }
  }

  async closed(): Promise<void> {
    clearTimeout(this.initTimer);
    const running = [...this.connection.operations.values()];
    this.connection.operations.clear();
    this.handlers.closed(this.connection);
    await Promise.all(running.map(async (operation) => operation.results?.return()));
  }

  private async initialise(params: Payload): Promise<void> {
    const { connection, handlers } = this;
    if (this.initialised) {
      connection.close(CloseCode.TooManyInitialisationRequests, 'Too many initialisation requests');
      return;
    }
    this.initialised = true;
    clearTimeout(this.initTimer);
    const session = await handlers.connect(connection, params);
    if (!connection.isOpen) return;
    if (session === undefined) {
      connection.close(CloseCode.Forbidden, 'Forbidden');
      return;
    }
    connection.session = session;
    void connection.send(JSON.stringify({ type: MessageType.ConnectionAck }));
  }

  private async subscribe(id: string, payload: SubscribePayload): Promise<void> {
    const { connection, handlers } = this;
    if (connection.session === undefined) {
      connection.close(CloseCode.Unauthorized, 'Unauthorized');
      return;
    }
    if (connection.operations.has(id)) {
      connection.close(CloseCode.SubscriberAlreadyExists, `Subscriber for ${id} already exists`);
      return;
    }
    const operation: RunningOperation = { results: undefined };
    connection.operations.set(id, operation);
    const answer = await handlers.subscribe(connection, payload);
    if ('errors' in answer) {
      this.end(id, operation, MessageType.Error, answer.errors);
      return;
    }
    operation.results = answer;
    // The client, or its socket, may have gone meanwhile.
    if (connection.operations.get(id) !== operation) await answer.return();
    else await this.send(id, operation, answer);
  }

  private async send(id: string, operation: RunningOperation, results: OperationResults): Promise<void> {
    const { connection, handlers } = this;
    const opening = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
    const isWanted = () => connection.operations.get(id) === operation;
    try {
      for (;;) {
        const { done, value } = await results.next();
        if (!isWanted()) return;
        if (done === true) {
          this.end(id, operation, MessageType.Complete);
          return;
        }
        if (!handlers.mayReceive(connection)) return;
        const sent = connection.send(`${opening}${value.json}}`);
        if (sent !== undefined) await sent;
        if (!isWanted()) return;
      }
    } catch (error) {
      this.end(id, operation, MessageType.Error, handlers.errors(error));
    }
  }

  private end(
    id: string,
    operation: RunningOperation,
    type: MessageType.Error | MessageType.Complete,
    payload?: readonly GraphQLFormattedError[],
  ): void {
    if (this.connection.operations.get(id) !== operation) return;
    this.connection.operations.delete(id);
    void this.connection.send(JSON.stringify({ id, type, payload }));
  }
}
