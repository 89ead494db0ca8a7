import type { Logger } from '../observability/logger.js';
import { registerHealth, type HealthOptions } from './health.js';
import { close, createHttpApp, listen } from './http.js';

export interface HealthServerOptions extends HealthOptions {
  readonly host: string;
  readonly port: number;
  /** The setting that changes the port. */
  readonly variable: string;
  readonly log: Logger;
}

export interface HealthServer {
  /** @throws PortInUse */
  start(): Promise<string>;
  stop(): Promise<void>;
}

/** The health paths and nothing else, for workers: they serve nobody, yet whoever runs them asks how they are. */
export function createHealthServer(options: HealthServerOptions): HealthServer {
  const { host, port, variable, log } = options;
  const app = createHttpApp({ log, errorBody: (code, message) => ({ code, message }) });
  registerHealth(app, options);
  return {
    start: () => listen(app, { host, port, variable }),
    stop: () => close(app),
  };
}
