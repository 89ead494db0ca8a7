import { Connection } from 'mongodb/lib/cmap/connection.js';

/**
 * A mend of the driver (as of 7.9): a call whose connection is lost while the socket does not take what it writes is never
 * settled, by no timeout of the driver's, and its place in the pool is never free again. It waits for the socket's `drain`
 * or `error`, and a socket that is destroyed emits neither: one that the driver gives up with a large write under way, or
 * one that the server has just closed, in the moment before the driver hears of it. Where there is an `error`, the call is
 * rejected with that itself, which neither the driver nor we know as a lost connection.
 *
 * With a `drain` at its end, the call looks at the connection again, and is rejected with the reason for that end.
 */
export function mendConnections(): void {
  if (mended) return;
  mended = true;
  const { cleanup } = Connection.prototype;
  Connection.prototype.cleanup = function (error) {
    cleanup.call(this, error);
    this.socket.emit('drain');
  };
}

let mended = false;
