import { createServer } from 'node:net';

/** Below the ports that Linux (32768) and everybody else (49152) hand out by themselves, above the well-known ones. */
const [LOWEST, HIGHEST] = [15_000, 32_000];

/**
 * Ports nobody listens on at the moment. No outgoing connection gets one of them by chance, so a process that is
 * restarted finds its ports free again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
