// Limits the concurrent scans over raw events in a process. Scans serve interactive users and must not slow
// down the projection or the events service.
import { AppError } from "@muster/errors";

const CONCURRENT_SCANS_MAX = 4;
const RETRY_AFTER_MS = 1000;

export class ConcurrencyLimit {
  #running = 0;

  /** Rejects with OVERLOADED when too many scans are running. Callers never queue. */
  async run<T>(read: () => Promise<T>): Promise<T> {
    if (this.#running >= CONCURRENT_SCANS_MAX)
      throw new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS });
    this.#running += 1;
    try {
      return await read();
    } finally {
      this.#running -= 1;
    }
  }
}
