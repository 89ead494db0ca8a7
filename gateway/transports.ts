/** One operation over each of the gateway's transports, for tests: what comes back, in one shape. */
import { WebSocket } from 'ws';
import type { Result } from './tiny-graph.js';

export interface Asking {
  readonly query?: unknown;
  readonly variables?: unknown;
  readonly operationName?: unknown;
  readonly extensions?: unknown;
}

export interface Answered extends Result {
  /** Of HTTP, the handshake's included; undefined where a socket is open. */
  readonly status: number | undefined;
  readonly retryAfter: string | null;
  readonly requestId: string | null;
  /** The code a socket was closed with. */
  readonly closed: number | undefined;
  /** All that came, as text. */
  readonly text: string;
}

export type Ask = (url: string, asking: Asking | string, headers?: Record<string, string>) => Promise<Answered>;

const bodyOf = (asking: Asking | string): string => (typeof asking === 'string' ? asking : JSON.stringify(asking));

const overHttp: Ask = async (url, asking, headers = {}) => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: bodyOf(asking),
  });
  const text = await response.text();
  return { ...parsed(text), ...headOf(response), closed: undefined, text };
};

/** Takes the first result, then hangs up. */
const overSse: Ask = async (url, asking, headers = {}) => {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
    body: bodyOf(asking),
  });
  const head = { ...headOf(response), closed: undefined };
  if (response.status !== 200) {
    const text = await response.text();
    return { ...parsed(text), ...head, text };
  }
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const [, data] = /^event: next\n(?:id: .*\n)?data: (.*)\n\n/m.exec(text) ?? [];
    if (data === undefined) continue;
    // Leaving the loop hangs up.
    return { ...parsed(data), ...head, text };
  }
  return { ...head, text };
};

/** On a socket of its own; takes the first result. */
const overSocket: Ask = (url, asking, headers = {}) =>
  new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { headers });
    let text = '';
    const end = (answered: Partial<Answered>): void => {
      resolve({ status: undefined, retryAfter: null, requestId: null, closed: undefined, text, ...answered });
      socket.terminate();
    };
    socket.on('error', () => undefined);
    socket.on('unexpected-response', (_request, response) => {
      response.on('data', (data: Buffer) => (text += data.toString()));
      response.on('end', () =>
        end({
          ...parsed(text),
          status: response.statusCode,
          retryAfter: response.headers['retry-after'] ?? null,
          text,
        }),
      );
    });
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    socket.on('message', (data: Buffer) => {
      text += data.toString();
      const { type, payload } = JSON.parse(data.toString()) as { type: string; payload?: unknown };
      if (type === 'connection_ack') socket.send(`{"type":"subscribe","id":"1","payload":${bodyOf(asking)}}`);
      if (type === 'next') end({ ...(payload as Result) });
      if (type === 'error') end({ errors: payload as NonNullable<Result['errors']> });
    });
    socket.on('close', (closed, reason) => {
      text += reason.toString();
      end({ closed });
    });
  });

const headOf = ({ status, headers }: Response) => ({
  status,
  retryAfter: headers.get('retry-after'),
  requestId: headers.get('x-request-id'),
});

function parsed(text: string): Result {
  try {
    return JSON.parse(text) as Result;
  } catch {
    return {};
  }
}

export const TRANSPORTS: readonly (readonly [string, Ask])[] = [
  ['HTTP', overHttp],
  ['WebSocket', overSocket],
  ['SSE', overSse],
];
