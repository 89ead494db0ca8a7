import { destination, pino, type Logger as PinoLogger } from 'pino';
import type { Config } from '../config/config.js';

export type Logger = PinoLogger;

const WARN = pino.levels.values['warn'] ?? 0;

/**
 * JSON lines in production; readable ones on a terminal. Secrets are cut out wherever they stand. While `hushed` says so,
 * children included, only warnings and worse are written. `to` is a file descriptor, standard output when absent.
 */
export async function createLogger(
  { logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>,
  hushed: () => boolean = () => false,
  to: 1 | 2 = 1,
): Promise<Logger> {
  const pretty = logFormat === 'pretty' || (logFormat === 'auto' && (to === 1 ? process.stdout : process.stderr).isTTY);
  const stream = pretty
    ? (await import('pino-pretty')).default({
        sync: true,
        singleLine: true,
        ignore: 'pid,hostname',
        translateTime: 'HH:MM:ss.l',
        destination: to,
      })
    : destination({ fd: to, sync: false });
  return pino(
    {
      level: logLevel,
      base: null,
      hooks: {
        logMethod(args, method, level) {
          if (level >= WARN || !hushed()) method.apply(this, args);
        },
      },
      redact: ['password', '*.password', 'token', '*.token', 'authorization', '*.authorization'],
    },
    stream,
  );
}

/** Says nothing: for tests. */
export const silentLogger = (): Logger => pino({ level: 'silent' });
