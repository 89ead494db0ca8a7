import type { DocumentStore } from '../../shared/document-store/port.js';
import { PROGRESS, progressOf, type ProgressDoc } from './views.js';

/** How long what has moved may wait for more that moves: one write for all of it. Nobody reads a document later for it. */
const STORE_AFTER_MS = 100;
/** While it keeps moving it is stored so often. */
const STORE_EVERY_MS = 500;

/**
 * How far a consumer has come. It is noted when the documents are stored, and stored itself soon after that, so it is
 * never ahead of them, and many calls share one write. Who commits offsets to the log awaits `flush` first: what the log
 * will not bring again is then stored, whatever crashes.
 */
export class Progress {
  /** Noted and not yet stored, by partition. */
  private readonly moved = new Map<string, ProgressDoc>();
  private timer: NodeJS.Timeout | null = null;
  /** When it was last stored, by the monotonic clock in milliseconds. */
  private stored = -Infinity;
  private writing: Promise<void> = Promise.resolve();

  constructor(private readonly documents: Pick<DocumentStore, 'putIfNewer'>) {}

  /** Everything before `next` is in the documents. */
  note(progress: ProgressDoc): void {
    const place = `${progress.topic} ${progress.partition}`;
    if ((this.moved.get(place)?.next ?? 0) >= progress.next) return;
    this.moved.set(place, progress);
    // What fails is stored with what comes next, or by whoever commits.
    this.timer ??= setTimeout(
      () => void this.flush().catch(() => undefined),
      Math.max(STORE_AFTER_MS, this.stored + STORE_EVERY_MS - performance.now()),
    );
  }

  /** Resolves when everything noted until now is stored; rejects as the store does, and keeps it. */
  flush(): Promise<void> {
    this.writing = this.writing.catch(() => undefined).then(() => this.write());
    return this.writing;
  }

  private async write(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const noted = [...this.moved];
    if (noted.length === 0) return;
    this.stored = performance.now();
    await this.documents.putIfNewer(
      PROGRESS,
      noted.map(([, progress]) => progressOf(progress)),
    );
    for (const [place, progress] of noted) if (this.moved.get(place) === progress) this.moved.delete(place);
  }
}
