/** A WebSocket that says what it is told to: for tests of the protocol. */
import { WebSocket } from 'ws';
import type { Result } from './tiny-graph.js';

export interface RawMessage {
  readonly id?: string;
  readonly type: string;
  readonly payload?: Result;
}

export class RawSocket {
  readonly messages: RawMessage[] = [];
  /** Code and reason, once it is closed. */
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly socket: WebSocket;

  private constructor(url: string, protocol: string) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, protocol);
    this.socket.on('message', (data: Buffer) => this.messages.push(JSON.parse(data.toString()) as RawMessage));
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.socket.on('error', () => undefined);
  }

  /** Resolves when it is open. */
  static async open(url: string, protocol = 'graphql-transport-ws'): Promise<RawSocket> {
    const raw = new RawSocket(url, protocol);
    await new Promise((resolve) => {
      raw.socket.once('open', resolve);
      raw.socket.once('close', resolve);
    });
    return raw;
  }

  /** Objects as JSON, texts as they are. */
  send(...messages: (object | string)[]): this {
    for (const message of messages) this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    return this;
  }

  init(payload?: object): this {
    return this.send({ type: 'connection_init', payload });
  }

  subscribe(id: string, query: string, variables?: object): this {
    return this.send({ id, type: 'subscribe', payload: { query, variables } });
  }

  ofType(type: string): readonly RawMessage[] {
    return this.messages.filter((message) => message.type === type);
  }

  /** Results of one operation. */
  results(id: string): readonly (Result | undefined)[] {
    return this.ofType('next')
      .filter((message) => message.id === id)
      .map(({ payload }) => payload);
  }
}
