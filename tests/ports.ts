import { createServer } from 'node:net';

/** Below the ports that Linux (32768) and everybody else (49152) hand out by themselves, above the well-known ones. */
const [LOWEST, HIGHEST] = [15_000, 32_000];

/** Test files that run beside each other take every sixteenth port each: what one has found free is not another's next. */
const LANES = 16;
const LANE = Number(process.env['JEST_WORKER_ID'] ?? 0) % LANES;

/**
 * Ports nobody listens on at the moment. No outgoing connection gets one of them by chance, so a process that is
 * restarted finds its ports free again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = LOWEST + LANE + LANES * Math.floor((Math.random() * (HIGHEST - LOWEST - LANES)) / LANES);
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
