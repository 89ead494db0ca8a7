import { CommanderError } from 'commander';
import { ConfigError } from '../shared/config/config.js';
import { EngineUnavailable } from '../shared/errors/errors.js';
import { DataFolderInUse, DataFolderUnusable } from './engines.js';
import { EngineAway, EngineRefused } from './servers.js';
import { UserError } from './toolbox.js';

/** How a process ends. docs/operations.md explains them; a test keeps the two in step. */
export const EXIT = {
  /** Did what it was asked for, or stopped when it was told to. */
  clean: 0,
  /** A fault of ours, or a drain that took too long. */
  fault: 1,
  /** Something that whoever started it can change. */
  mistake: 2,
  /** An engine that did not answer until START_TIMEOUT_MS was over. */
  engineAway: 3,
  /** The disk did not keep what was written. The next start goes on from what is there. */
  diskFailed: 4,
  /** A tool was interrupted, and has cleaned up as far as it could: as a shell says it of what Ctrl-C has ended. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Ending {
  readonly code: ExitCode;
  /** For people, in a line or a few; undefined where the fault is ours and the stack is what helps. */
  readonly message: string | undefined;
}

const MISTAKES = [ConfigError, UserError, DataFolderInUse, DataFolderUnusable, EngineRefused];

/** What an error means to whoever started the process. */
export function endingOf(error: unknown): Ending {
  // Commander has printed it.
  if (error instanceof CommanderError) {
    return { code: error.exitCode === 0 ? EXIT.clean : EXIT.mistake, message: '' };
  }
  if (!(error instanceof Error)) return { code: EXIT.fault, message: undefined };
  const { name, message } = error;
  // By its name: the file of that class would load a web server.
  if (name === 'PortInUse' || MISTAKES.some((kind) => error instanceof kind)) return { code: EXIT.mistake, message };
  if (error instanceof EngineAway) return { code: EXIT.engineAway, message: error.advice };
  if (error instanceof EngineUnavailable) return { code: EXIT.engineAway, message };
  const { syscall, code } = error as NodeJS.ErrnoException;
  // EADDRINUSE is told as PortInUse; what remains is a host that is not ours, or a port below 1024.
  if (syscall === 'listen') {
    const variable = code === 'EACCES' ? 'the port to one above 1023' : 'HOST to an address of this machine';
    return { code: EXIT.mistake, message: `Nothing can be served there: ${message}. Set ${variable}.` };
  }
  return { code: EXIT.fault, message: undefined };
}
