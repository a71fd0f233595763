// Time as the rest of the code may see it. Only this file reads the machine's clock.

/** Wall time, a monotonic counter and waiting, so that tests can own all three. */
export interface Clock {
  /** Milliseconds since 1970 UTC. May step backwards. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never steps backwards. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; it never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Node fires a timer beyond 2^31 - 1 ms after 1 ms. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      let restMs = ms;
      const wait = (): NodeJS.Timeout => {
        if (restMs <= TIMER_MS_MAX) return setTimeout(done, restMs);
        restMs -= TIMER_MS_MAX;
        return setTimeout(() => {
          timer = wait();
        }, TIMER_MS_MAX);
      };
      let timer = wait();
      signal?.addEventListener("abort", done, { once: true });
    }),
};
