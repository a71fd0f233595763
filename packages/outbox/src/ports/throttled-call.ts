// A throttled call runs a function at once and then at most once per interval; the last call is never lost.
import type { Clock } from "@muster/core";

export class ThrottledCall {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #body: () => void;
  readonly #canceled = new AbortController();
  #isIdle = true;
  #isCallPending = false;

  constructor(clock: Clock, intervalMs: number, body: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#body = body;
  }

  call(): void {
    if (this.#canceled.signal.aborted) return;
    if (this.#isIdle) void this.#run();
    else this.#isCallPending = true;
  }

  cancel(): void {
    this.#canceled.abort();
  }

  async #run(): Promise<void> {
    this.#isIdle = false;
    do {
      this.#isCallPending = false;
      this.#body();
      await this.#clock.sleep(this.#intervalMs, this.#canceled.signal);
    } while (this.#isCallPending && !this.#canceled.signal.aborted);
    this.#isIdle = true;
  }
}
