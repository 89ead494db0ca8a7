export interface ProcessIdentity {
  readonly pid: number;
  /** In the kernel's own units since its start. */
  readonly started: string;
  readonly boot: string;
}
export function parseStat(text: string): { state: string; parent: number; started: string };
export function identify(pid: number): ProcessIdentity | undefined;
export function isAlive(identity: ProcessIdentity | undefined): boolean;
export function isPaused(identity: ProcessIdentity | undefined): boolean;
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): void;
export function end(identity: ProcessIdentity, name?: NodeJS.Signals, patienceMs?: number): Promise<void>;
export function kill(identity: ProcessIdentity): Promise<void>;
export function launch(command: readonly string[], log: string, cwd: string): ProcessIdentity;
export function usersOf(folder: string): string[];
