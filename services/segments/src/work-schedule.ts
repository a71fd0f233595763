// Schedules when a worker checks for pending work: at once after a wake-up, otherwise at a chosen time.

/** Starts awake. Times are epoch milliseconds. */
export class WorkSchedule {
  #isAwake = true;
  #nextMs = 0;

  /** Takes effect even while a check is running that started earlier. */
  wake(): void {
    this.#isAwake = true;
  }

  /** When the next check is wanted; 0 means at once. */
  get nextMs(): number {
    return this.#isAwake ? 0 : this.#nextMs;
  }

  /** A check starts: later wake-ups request another one. */
  begin(): void {
    this.#isAwake = false;
    this.#nextMs = 0;
  }

  sleepUntil(ms: number): void {
    this.#nextMs = ms;
  }

  /** Sleeps until the next wake-up. */
  sleep(): void {
    this.#nextMs = Number.POSITIVE_INFINITY;
  }
}
