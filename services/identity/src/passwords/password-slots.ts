// Limits how many passwords are hashed at once in a process. Further callers wait for a short time.
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";

/** Longest wait for a slot: even under load, a response of 503 leaves the process within two seconds. */
export const SLOT_WAIT_MS_MAX = 1_000;
/** Callers that wait at once; a caller holds its password meanwhile. */
export const WAITING_MAX = 512;
const RETRY_AFTER_MS = 2_000;

interface Waiter {
  readonly start: () => void;
  readonly refuse: () => void;
}

export class PasswordSlots {
  readonly #clock: Clock;
  readonly #slots: number;
  readonly #waiters = new Set<Waiter>();
  #running = 0;

  constructor({ clock, slots }: { readonly clock: Clock; readonly slots: number }) {
    this.#clock = clock;
    this.#slots = Math.max(1, slots);
  }

  /** Runs the task in a slot, in the order of arrival. Rejects with UNAVAILABLE when none gets free in time. */
  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#running < this.#slots) this.#running += 1;
    else await this.#wait();
    try {
      return await task();
    } finally {
      this.#release();
    }
  }

  async #wait(): Promise<void> {
    if (this.#waiters.size >= WAITING_MAX) throw overloaded();
    const settled = new AbortController();
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { start: resolve, refuse: () => reject(overloaded()) };
      this.#waiters.add(waiter);
      void this.#clock.sleep(SLOT_WAIT_MS_MAX, settled.signal).then(() => {
        if (this.#waiters.delete(waiter)) waiter.refuse();
      });
    }).finally(() => settled.abort());
  }

  /** Passes the slot to the caller that waits longest. */
  #release(): void {
    const [next] = this.#waiters;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiters.delete(next);
    next.start();
  }
}

function overloaded(): AppError {
  const message = "Too many passwords are being checked; try again.";
  return new AppError("UNAVAILABLE", { message, retryAfterMs: RETRY_AFTER_MS });
}
