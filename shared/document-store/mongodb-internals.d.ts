/** The inside of the driver that is mended, which its package does not type. */
declare module 'mongodb/lib/cmap/connection.js' {
  import type { Socket } from 'node:net';

  export class Connection {
    readonly socket: Socket;
    /**
     * Ends the connection, once, whatever the reason: `error` is what its calls are told from then on. No part of what the
     * driver promises, so it may not be there in another version.
     */
    cleanup?: (this: Connection, error: Error) => void;
  }
}
