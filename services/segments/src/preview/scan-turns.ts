// How many readings that walk over raw events may run at once in a process: they are for people who look on, and
// must not keep folding and the events service from their work.
import { AppError } from "@muster/errors";

const AT_ONCE_MAX = 4;
const RETRY_AFTER_MS = 1000;

export class ScanTurns {
  #running = 0;

  /** OVERLOADED when too many run already: nobody waits in a line that might not move. */
  async take<T>(read: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE_MAX) throw new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS });
    this.#running += 1;
    try {
      return await read();
    } finally {
      this.#running -= 1;
    }
  }
}
