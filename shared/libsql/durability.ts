import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

export interface DurabilityOptions {
  /**
   * Called once, when an fsync has failed. What was committed since the last one may or may not be there after a power
   * cut, so the process should end at once: the next start finds out what is there and goes on from it.
   */
  readonly onFailure?: ((error: Error) => void) | undefined;
  /** For tests: in place of fdatasync. */
  readonly sync?: (fd: number) => Promise<void>;
}

/**
 * Makes commits durable without stopping the process for it. A database opened by `openSqlite` writes a commit to its
 * write-ahead log and leaves the fsync to this class, which runs it on a thread, one at a time: all commits that come while
 * one runs share the next (group commit). Nobody may be told of a commit before `settled` has resolved.
 *
 * It is what `synchronous = FULL` does inside COMMIT, where it would block the event loop; checkpoints are synced by
 * SQLite itself on NORMAL too. A crash of the process alone loses nothing either way: the operating system has the write.
 */
export class Durability {
  private written = 0;
  private onDisk = 0;
  private fd: number | undefined;
  private running: Promise<void> | undefined;
  private failure: Error | undefined;

  private readonly sync: (fd: number) => Promise<void>;

  constructor(
    private readonly file: string,
    private readonly options: DurabilityOptions = {},
  ) {
    this.sync = options.sync ?? promisify(fdatasync);
  }

  /** Call it before BEGIN: after a failed fsync nothing more is to be written, for nobody could be told of it. */
  assertSound(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** Call it right after a COMMIT that changed something. */
  committed(): void {
    this.written += 1;
  }

  /** Whether every commit so far is on disk. */
  get isSettled(): boolean {
    return this.onDisk === this.written && this.failure === undefined;
  }

  /**
   * Resolves when every commit so far is on disk. Once an fsync has failed it rejects for ever: the kernel may have dropped
   * the pages, so no later success can be trusted (see "fsyncgate").
   */
  async settled(): Promise<void> {
    const mine = this.written;
    while (this.onDisk < mine) {
      if (this.failure !== undefined) throw this.failure;
      this.running ??= this.syncAll();
      await this.running;
    }
  }

  /** After the last `settled`, before the last connection closes. */
  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  private async syncAll(): Promise<void> {
    const upTo = this.written;
    try {
      await this.sync(this.descriptor());
      this.onDisk = upTo;
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
      this.options.onFailure?.(this.failure);
    } finally {
      this.running = undefined;
    }
    if (this.failure !== undefined) throw this.failure;
  }

  /** The log stays the same file as long as any connection is open. Its name must be on disk as well, once. */
  private descriptor(): number {
    if (this.fd === undefined) {
      this.fd = openSync(`${this.file}-wal`, 'r+');
      if (process.platform !== 'win32') {
        const folder = openSync(dirname(this.file), 'r');
        fsyncSync(folder);
        closeSync(folder);
      }
    }
    return this.fd;
  }
}
