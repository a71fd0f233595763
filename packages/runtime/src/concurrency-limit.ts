// Limits how many expensive tasks of a kind run at once in a process. Callers beyond the limit are rejected.
import { AppError } from "@muster/errors";

export interface ConcurrencyLimitOptions {
  /** Most tasks at once. */
  readonly max: number;
  /** Retry time for rejected callers. */
  readonly retryAfterMs: number;
}

export class ConcurrencyLimit {
  readonly #options: ConcurrencyLimitOptions;
  #running = 0;

  constructor(options: ConcurrencyLimitOptions) {
    this.#options = options;
  }

  /** Tasks that run now. */
  get running(): number {
    return this.#running;
  }

  /** Runs a task. Rejects with OVERLOADED when too many are running; callers never queue. */
  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    const { max, retryAfterMs } = this.#options;
    if (this.#running >= max) throw new AppError("OVERLOADED", { retryAfterMs });
    this.#running += 1;
    try {
      return await task();
    } finally {
      this.#running -= 1;
    }
  }
}
