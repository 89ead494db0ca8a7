import type { Service } from './service.js';

export type WorkerPart = Omit<Service, 'name'>;

/** Several parts as one service: started in order, stopped in reverse. */
export function createWorker(name: string, parts: readonly WorkerPart[]): Service {
  return {
    name,
    async start() {
      for (const part of parts) await part.start();
    },
    checks: async () => (await Promise.all(parts.map((part) => part.checks()))).flat(),
    stop: () => inTurn([...parts].reverse().map((part) => () => part.stop())),
  };
}

/** A part that does nothing and tells how the engines are. */
export const dependingOn = (checks: WorkerPart['checks']): WorkerPart => ({
  start: () => Promise.resolve(),
  checks,
  stop: () => Promise.resolve(),
});

/** Takes every step, whatever became of those before, and rejects with the first failure at the end: for stopping. */
export async function inTurn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
