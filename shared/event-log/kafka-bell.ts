/** Lets loops sleep until something happens. A ring that nobody waits for is lost: look first, then wait. */
export class Bell {
  private readonly sleepers = new Set<() => void>();

  ring(): void {
    for (const wake of [...this.sleepers]) wake();
  }

  /** Resolves at the next ring, or after so many milliseconds. */
  wait(milliseconds?: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.sleepers.delete(wake);
        resolve();
      };
      const timer = milliseconds === undefined ? undefined : setTimeout(wake, milliseconds);
      this.sleepers.add(wake);
    });
  }
}
