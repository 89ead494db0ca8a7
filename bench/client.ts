import { createClient, type Client } from 'graphql-ws';
import { Pool } from 'undici';
import WebSocket from 'ws';

export type GraphQL = <T>(query: string, variables?: Readonly<Record<string, unknown>>) => Promise<T>;

/** A client over keep-alive connections; a GraphQL error is thrown. */
export function httpClient(
  port: number,
  connections: number,
  moreHeaders: () => Readonly<Record<string, string>> = () => ({}),
): { graphql: GraphQL; close: () => Promise<void> } {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections });
  return {
    async graphql<T>(query: string, variables: Readonly<Record<string, unknown>> = {}) {
      const { body } = await pool.request({
        path: '/graphql',
        method: 'POST',
        headers: { 'content-type': 'application/json', ...moreHeaders() },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors } = (await body.json()) as { data: T; errors?: unknown };
      if (errors !== undefined) throw new Error(JSON.stringify(errors));
      return data;
    },
    close: () => pool.close(),
  };
}

export const socketClient = (port: number): Client =>
  createClient({ url: `ws://127.0.0.1:${port}/graphql`, webSocketImpl: WebSocket, lazy: false });

/** The value below which the given part of all values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** Runs `work` for items 0..count-1 with so many at a time. */
export async function concurrently(
  count: number,
  atATime: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}
