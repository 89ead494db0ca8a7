/** A lock between processes that the operating system takes back however its holder ends. */
import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';

/** Linux keeps names that begin with NUL apart from files; whoever listens on one has the lock. */
const address = (name) => `\0tributary-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;

/** Answers a function that gives the lock back, or undefined when somebody has it. */
function take(path) {
  return new Promise((resolve, reject) => {
    const waiting = new Set();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => waiting.delete(socket));
    });
    server.on('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen({ path }, () => {
      resolve(() => {
        server.close();
        for (const socket of waiting) socket.destroy();
      });
    });
  });
}

/** Until whoever has the lock gives it back, or ends. */
function untilFree(path, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const socket = connect({ path });
    const leave = () => socket.destroy();
    signal?.addEventListener('abort', leave, { once: true });
    socket.on('error', () => undefined);
    socket.resume();
    socket.on('close', () => {
      signal?.removeEventListener('abort', leave);
      resolve();
    });
  });
}

/** Does `work` alone among all that use the same name on this machine; `busy` is called once if it has to wait. */
export async function withLock(name, { busy, signal }, work) {
  const path = address(name);
  let told = false;
  for (;;) {
    signal?.throwIfAborted();
    const release = await take(path);
    if (release !== undefined) {
      try {
        return await work();
      } finally {
        release();
      }
    }
    if (!told) busy?.();
    told = true;
    await untilFree(path, signal);
  }
}
