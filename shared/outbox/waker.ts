/** Lets one loop sleep until it is woken. A wake that comes while the loop is busy is not lost. */
export class Waker {
  private woken = false;
  private rouse: (() => void) | null = null;

  wake(): void {
    this.woken = true;
    this.rouse?.();
  }

  /** To be called before looking for work: whatever was announced until now is about to be seen. */
  clear(): void {
    this.woken = false;
  }

  /** Resolves after `milliseconds`, or as soon as there was a wake since the last `clear`. */
  async sleep(milliseconds: number): Promise<void> {
    if (this.woken) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.rouse = null;
  }
}
