// Schedules when a worker checks for pending work: at once after a wake-up, otherwise at a chosen time.

/** Starts awake. Times are epoch milliseconds. */
export class Lookout {
  #isAsked = true;
  #nextMs = 0;

  /** Takes effect even while a check is running that started earlier. */
  ask(): void {
    this.#isAsked = true;
  }

  /** When the next check is wanted; 0 means at once. */
  get nextMs(): number {
    return this.#isAsked ? 0 : this.#nextMs;
  }

  /** A check starts: later wake-ups request another one. */
  begin(): void {
    this.#isAsked = false;
    this.#nextMs = 0;
  }

  restUntil(ms: number): void {
    this.#nextMs = ms;
  }

  /** Sleeps until the next wake-up. */
  rest(): void {
    this.#nextMs = Number.POSITIVE_INFINITY;
  }
}
