import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can be cut: for those who connect here, the server is away. */
export interface Cuttable {
  /** Where it listens on 127.0.0.1, also after it was mended. */
  readonly port: number;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

/** Begins cut: nobody listens on the port until `mend`. */
export function cuttable(port: number, target: { readonly host: string; readonly port: number }): Cuttable {
  const sockets = new Set<Socket>();
  let server: Server | undefined;

  const join = (client: Socket): void => {
    const there = connect(target);
    for (const [one, other] of [
      [client, there],
      [there, client],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      // A connection that breaks closes both ends.
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  };
  return {
    port,
    async cut() {
      const closing = server;
      server = undefined;
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => (closing === undefined ? resolve() : closing.close(() => resolve())));
    },
    async mend() {
      const opening = createServer(join);
      server = opening;
      await new Promise<void>((resolve, reject) => {
        opening.once('error', reject);
        opening.listen(port, '127.0.0.1', resolve);
      });
    },
  };
}
