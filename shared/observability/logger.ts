import { destination, pino, type Logger as PinoLogger } from 'pino';
import type { Config } from '../config/config.js';

export type Logger = PinoLogger;

/** JSON lines in production; readable ones on a terminal. Secrets are cut out wherever they stand. */
export async function createLogger({ logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>): Promise<Logger> {
  const pretty = logFormat === 'pretty' || (logFormat === 'auto' && process.stdout.isTTY);
  const stream = pretty
    ? (await import('pino-pretty')).default({ sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' })
    : destination({ sync: false });
  return pino(
    {
      level: logLevel,
      base: null,
      redact: ['password', '*.password', 'token', '*.token', 'authorization', '*.authorization'],
    },
    stream,
  );
}

/** Says nothing: for tests. */
export const silentLogger = (): Logger => pino({ level: 'silent' });
