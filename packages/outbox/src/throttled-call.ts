// A throttled call runs a function at once and then at most once per interval; the last call is never lost.
import type { Clock } from "@muster/core";

export class ThrottledCall {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #body: () => void;
  readonly #cancelled = new AbortController();
  #quiet = true;
  #again = false;

  constructor(clock: Clock, intervalMs: number, body: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#body = body;
  }

  call(): void {
    if (this.#cancelled.signal.aborted) return;
    if (this.#quiet) void this.#run();
    else this.#again = true;
  }

  cancel(): void {
    this.#cancelled.abort();
  }

  async #run(): Promise<void> {
    this.#quiet = false;
    do {
      this.#again = false;
      this.#body();
      await this.#clock.sleep(this.#intervalMs, this.#cancelled.signal);
    } while (this.#again && !this.#cancelled.signal.aborted);
    this.#quiet = true;
  }
}
