// A level-triggered wake-up: a notify is never lost, however many come before somebody waits.
import type { Clock } from "./clock.ts";

/** A ready-made reason spares every wake a DOMException. */
const WOKEN = "woken";

export class Wakeup {
  #pending = false;
  #waiter: (() => void) | undefined;

  notify(): void {
    this.#pending = true;
    this.#waiter?.();
  }

  /** Resolves at the next notify (or at once if one is pending), after `maxMs`, or on abort. */
  async wait(clock: Clock, maxMs: number, signal?: AbortSignal): Promise<void> {
    if (!this.#pending && !signal?.aborted) {
      const cut = new AbortController();
      const onAbort = (): void => cut.abort(WOKEN);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiter = () => cut.abort(WOKEN);
      await clock.sleep(maxMs, cut.signal);
      this.#waiter = undefined;
      signal?.removeEventListener("abort", onAbort);
    }
    this.#pending = false;
  }
}
