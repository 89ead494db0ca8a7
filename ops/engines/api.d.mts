/** Kafka, MySQL and a MongoDB server as processes of this machine: docs/engines.md. */

export type EngineName = 'kafka' | 'mysql' | 'mongo';

/** The settings that choose the engines, ready for an environment. */
export interface EngineUrls {
  readonly KAFKA_BROKERS: string;
  readonly MYSQL_URL: string;
  readonly MONGO_URL: string;
}

export interface EngineOptions {
  /** Servers with ports and data of their own; `default` when absent, which is what `npm run engines` starts. */
  readonly instance?: string;
  /** Is given lines for people: progress, and whom it waits for. */
  readonly report?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** One engine of an instance that has been started. Port and data stay the same through all of this. */
export interface Engine {
  readonly name: EngineName;
  /** SIGKILL to all its processes; answers when they are gone. */
  kill(): Promise<void>;
  /** Starts it if it does not run, and answers when it serves. @throws Error with the end of its log */
  start(): Promise<void>;
  /** Ends it in good order. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay, nobody answers. @throws Error when it does not run */
  pause(): void;
  /** @throws Error when it does not run */
  resume(): void;
}

export interface RunningEngines {
  readonly instance: string;
  /** Whether this call started any of them; false when all ran already. */
  readonly started: boolean;
  readonly urls: EngineUrls;
  /** What really serves, by name and version. */
  readonly names: Readonly<Record<EngineName, string>>;
  engine(name: EngineName): Engine;
  stop(): Promise<boolean>;
  /** Stops and deletes the data. */
  wipe(): Promise<void>;
}

/** Installs what is missing and starts nothing. @throws Error with a line per thing that is missing */
export function installEngines(options?: Omit<EngineOptions, 'instance'>): Promise<void>;

/**
 * Installs what is missing, starts what does not run, and answers when all three serve. They outlive this process. When one
 * cannot be started, those that this call started are stopped again.
 * @throws Error with a line per thing that is missing, or the end of the log of what failed
 */
export function startEngines(options?: EngineOptions): Promise<RunningEngines>;

/** Ends the instance's servers, none else; answers whether any ran. */
export function stopEngines(options?: EngineOptions): Promise<boolean>;

/** Stops the instance and deletes its data. */
export function wipeEngines(options?: EngineOptions): Promise<void>;

/** One engine of an instance. @throws Error when there is no such engine */
export function engine(name: EngineName, options?: EngineOptions): Engine;
