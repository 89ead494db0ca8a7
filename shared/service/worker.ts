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
    async stop() {
      for (const part of [...parts].reverse()) await part.stop();
    },
  };
}
