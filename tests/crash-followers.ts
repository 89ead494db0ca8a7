import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

export interface StreamMessage {
  readonly kind: 'SNAPSHOT' | 'CHANGE' | 'GAP';
  readonly cursor: string;
}

export interface Follower<T extends StreamMessage> {
  /** Everything it was told, over all its connections. */
  readonly messages: readonly T[];
  /** Answers with errors in them. */
  readonly errors: readonly unknown[];
  /** How often it had to come back. */
  readonly resumed: () => number;
  stop(): Promise<void>;
}

const PAUSE_MS = 20;

/** Follows a resumable subscription across the deaths of its server: comes back with the cursor of its last message. */
export function follow<T extends StreamMessage>(
  url: string,
  field: string,
  query: string,
  variables: Readonly<Record<string, unknown>>,
): Follower<T> {
  const messages: T[] = [];
  const errors: unknown[] = [];
  let resumed = -1;
  let stopped = false;
  let hangUp: () => void = () => undefined;

  const connect = async (): Promise<void> => {
    const client = createClient({
      url: url.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      // A server that is killed while it shakes hands never says so.
      connectionAckWaitTimeout: 5_000,
    });
    await new Promise<void>((resolve) => {
      const leave = client.subscribe<Record<string, T>>(
        { query, variables: { ...variables, after: messages.at(-1)?.cursor ?? null } },
        {
          next: ({ data, errors: wrong }) => {
            if (wrong !== undefined) errors.push(wrong);
            const message = data?.[field];
            if (message !== undefined && message !== null) messages.push(message);
          },
          error: (error) => {
            // Anything but a lost connection is an answer.
            if (Array.isArray(error)) errors.push(error);
            resolve();
          },
          complete: resolve,
        },
      );
      hangUp = () => {
        leave();
        resolve();
      };
    });
    await client.dispose();
  };

  const run = async (): Promise<void> => {
    while (!stopped) {
      resumed += 1;
      await connect();
      if (!stopped) await delay(PAUSE_MS);
    }
  };
  const done = run();

  return {
    messages,
    errors,
    resumed: () => resumed,
    async stop() {
      stopped = true;
      hangUp();
      await done;
    },
  };
}
