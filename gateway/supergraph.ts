import { readFile, stat } from 'node:fs/promises';
import { ConfigError } from '../shared/config/config.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Metrics } from '../shared/observability/metrics.js';
import { hashOf, type Candidate, type Federation } from './federation.js';
import { probe } from './supergraph-probe.js';

/**
 * What became of a look at the file:
 * - `unchanged`: it holds what is served, or what was refused already
 * - `served`: new operations run on it
 * - `refused`: it is no supergraph, or one that cannot be planned; what was served still is
 * - `unreadable`: it cannot be read, or is being written at the moment; the next look may tell
 */
export type Reloaded = 'unchanged' | 'served' | 'refused' | 'unreadable';

export interface SupergraphFileOptions {
  readonly path: string;
  /** Pause between looks, in milliseconds; 0: nobody looks by themselves. */
  readonly pollMs: number;
  readonly federation: Pick<Federation, 'build' | 'current' | 'serve'>;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'supergraph' | 'supergraphReloads'>;
}

/**
 * Follows a file with a composed supergraph, and has each new one served that parses, is valid, and can be planned. One
 * that does not is refused, once, and what was served stays.
 *
 * The file may be replaced or rewritten in place. What does not hold together at a look by itself is looked at again
 * before it is refused: somebody may be writing it.
 */
export class SupergraphFile {
  private readonly options: SupergraphFileOptions;
  /** What the file was when its content was last dealt with. */
  private seen = '';
  /** Hash of what was refused last. */
  private refused = '';
  /** Hash of what did not hold together at the last look by itself. */
  private doubtful = '';
  private missing = false;
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(options: SupergraphFileOptions) {
    this.options = options;
  }

  /** Begins to look, where that is wanted. */
  start(): void {
    if (this.options.pollMs > 0) this.schedule();
  }

  /** Looks now, whatever the file's time of change says. One look at a time. */
  reload(): Promise<Reloaded> {
    return this.inTurn(() => this.look(true));
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.working;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      void this.inTurn(() => this.look(false)).then(() => this.schedule());
    }, this.options.pollMs).unref();
  }

  private inTurn(look: () => Promise<Reloaded>): Promise<Reloaded> {
    const next = this.working.then(look);
    this.working = next.catch(() => undefined);
    return next;
  }

  private async look(asked: boolean): Promise<Reloaded> {
    const { path, federation, log } = this.options;
    let text: string;
    let mark: string;
    try {
      const { mtimeMs, size, ino } = await stat(path);
      mark = `${mtimeMs} ${size} ${ino}`;
      if (!asked && mark === this.seen) return 'unchanged';
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (asked || !this.missing)
        log.warn({ err: error, path }, 'the supergraph cannot be read; the old one is served');
      this.missing = true;
      return 'unreadable';
    }
    this.missing = false;
    const hash = hashOf(text);
    if (hash === federation.current().hash || (!asked && hash === this.refused)) {
      this.seen = mark;
      return 'unchanged';
    }
    return this.take(text, hash, mark, asked);
  }

  private async take(text: string, hash: string, mark: string, asked: boolean): Promise<Reloaded> {
    const { path, federation, log, metrics } = this.options;
    const before = federation.current().hash;
    try {
      const candidate = await checked(federation, text);
      if (this.stopped) return 'unchanged';
      federation.serve(candidate);
    } catch (error) {
      // Half a file does not hold together either; with the same content twice, nobody is writing it.
      if (!asked && this.doubtful !== hash) {
        this.doubtful = hash;
        return 'unreadable';
      }
      this.seen = mark;
      this.refused = hash;
      metrics.supergraphReloads.inc({ outcome: 'refused' });
      log.error({ path, refused: hash, served: before, reason: reasonOf(error) }, 'the supergraph is refused');
      return 'refused';
    }
    this.seen = mark;
    this.refused = '';
    metrics.supergraphReloads.inc({ outcome: 'served' });
    metrics.supergraph.reset();
    metrics.supergraph.set({ hash }, 1);
    log.info({ path, served: hash, before }, 'a new supergraph is served');
    return 'served';
  }
}

/**
 * A supergraph that could be served: it is valid, and an operation on each of its root fields can be planned.
 * @throws Error that says what is wrong with it
 */
export async function checked(federation: Pick<Federation, 'build'>, sdl: string): Promise<Candidate> {
  const candidate = federation.build(sdl);
  await probe(candidate);
  return candidate;
}

/** In one line. */
function reasonOf(error: unknown): string {
  const { message } = error instanceof Error ? error : { message: String(error) };
  return message.replace(/\s+/g, ' ').trim().slice(0, 1_000);
}

/** The supergraph that a gateway begins with, and the file that others come from. */
export interface SupergraphSource {
  readonly supergraphSdl: string;
  /** The file that holds it, and how often to look whether it changed, in milliseconds; absent: it never does. */
  readonly supergraphFile?: { readonly path: string; readonly pollMs: number };
}

export interface ServedSupergraph {
  readonly federation: Federation;
  /** @throws ConfigError when the supergraph of the file cannot be planned */
  start(): Promise<void>;
  /** Looks into the file now; without one nothing changes. */
  reload(): Promise<void>;
  /** Closes all connections to subgraphs. */
  stop(): Promise<void>;
}

/**
 * What a gateway serves. A file's supergraph is checked as every later one will be; the built-in one was, when it was
 * composed.
 * @throws ConfigError when it is none, or not valid
 */
export function serveSupergraph(
  { supergraphSdl, supergraphFile }: SupergraphSource,
  { log, metrics }: { readonly log: Logger; readonly metrics: Metrics },
  make: (sdl: string, validate: boolean) => Federation,
): ServedSupergraph {
  const refused = (error: unknown): Error => {
    if (supergraphFile === undefined && error instanceof Error) return error;
    const message = `SUPERGRAPH: ${supergraphFile?.path} cannot be served. ${reasonOf(error)}`;
    return new ConfigError(message, { cause: error });
  };
  let federation: Federation;
  try {
    federation = make(supergraphSdl, supergraphFile !== undefined);
  } catch (error) {
    throw refused(error);
  }
  const file = supergraphFile && new SupergraphFile({ ...supergraphFile, federation, log, metrics });
  return {
    federation,
    start: async () => {
      metrics.supergraph.set({ hash: federation.current().hash }, 1);
      if (file === undefined) return;
      const version = federation.current();
      await probe({ schema: version.schema, plan: (document) => version.plan(document, null) }).catch(
        (error: unknown) => {
          throw refused(error);
        },
      );
      file.start();
    },
    reload: async () => {
      if (file === undefined) log.warn('there is no SUPERGRAPH to read again: the built-in one is served');
      await file?.reload();
    },
    stop: async () => {
      await file?.stop();
      await federation.close();
    },
  };
}
