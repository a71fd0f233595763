// Limits the exports that run at once in a process, because each export holds a database snapshot.
import { AppError } from "@muster/errors";

const AT_ONCE_MAX = 4;
const RETRY_AFTER_MS = 1000;

export class ConcurrencyLimit {
  #running = 0;

  /** Throws OVERLOADED when too many exports run. */
  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE_MAX) throw new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS });
    this.#running += 1;
    try {
      return await run();
    } finally {
      this.#running -= 1;
    }
  }
}
