// Rejects statements to which a server does not respond. One timer serves all statements of a database.
import type { Clock } from "@muster/core";
import { NoResponse } from "../port/database-errors.ts";

const CHECK_MS = 250;

interface Waiting {
  /** Checks since the statement was sent. */
  checks: number;
  readonly expire: () => void;
}

/**
 * Counts checks instead of reading the clock: while this process is blocked, no check runs, and a response that
 * arrived meanwhile is read before the next check.
 */
export class ResponseWatch {
  readonly #clock: Clock;
  readonly #checksMax: number;
  readonly #waiting = new Set<Waiting>();
  #isRunning = false;

  constructor(clock: Clock, responseMs: number) {
    this.#clock = clock;
    this.#checksMax = Math.ceil(responseMs / CHECK_MS);
  }

  /** Resolves or rejects as `running` does. When that takes too long, calls `close` and rejects with NoResponse. */
  within<Result>(running: Promise<Result>, close: () => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      const expire = (): void => {
        reject(new NoResponse());
        close();
      };
      const waiting: Waiting = { checks: 0, expire };
      this.#waiting.add(waiting);
      running.then(resolve, reject).finally(() => this.#waiting.delete(waiting));
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.size > 0) {
      await this.#clock.sleep(CHECK_MS);
      for (const waiting of [...this.#waiting]) {
        waiting.checks += 1;
        // The first check may follow the statement at once.
        if (waiting.checks <= this.#checksMax) continue;
        this.#waiting.delete(waiting);
        waiting.expire();
      }
    }
    this.#isRunning = false;
  }
}
