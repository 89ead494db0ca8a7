import { Connection } from 'mongodb/lib/cmap/connection.js';

/**
 * A mend of the driver (as of 7.8): a call whose connection is lost while the socket does not take what it writes is never
 * settled, by no timeout of the driver's, and its place in the pool is never free again. It waits for the socket's `drain`
 * or `error`, and a socket that is destroyed emits neither: one that the driver gives up with a large write under way, or
 * one that the server has just closed, in the moment before the driver hears of it. Where there is an `error`, the call is
 * rejected with that itself, which neither the driver nor we know as a lost connection.
 *
 * With a `drain` at its end, the call looks at the connection again, and is rejected with the reason for that end.
 * @throws Error if the driver has changed there; package.json names the one version that is known to be mended.
 */
export function mendConnections(): void {
  if (mended) return;
  const { cleanup } = Connection.prototype;
  if (cleanup === undefined)
    throw new Error('This version of the MongoDB driver ends connections in another way: see mongodb-connection.ts.');
  mended = true;
  Connection.prototype.cleanup = function (error) {
    cleanup.call(this, error);
    this.socket.emit('drain');
  };
}

let mended = false;
