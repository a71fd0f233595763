// Implements a clock that a test moves.
import type { Clock } from "@muster/core";

interface Sleeper {
  readonly wakeMs: number;
  readonly order: number;
  readonly wake: () => void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  #sleeps = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Number of sleepers on this clock. */
  get sleeperCount(): number {
    return this.#sleepers.size;
  }

  /** Monotonic ms at which the next sleeper is due; infinite if nobody sleeps. */
  get nextWakeMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#sleepers].map(({ wakeMs }) => wakeMs));
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const sleeper: Sleeper = { wakeMs: this.#monotonicMs + ms, order: this.#sleeps, wake: finish };
      this.#sleeps += 1;
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", finish, { once: true });
    });
  }

  /**
   * Advances time and wakes sleepers in the order in which they are due. A sleeper's continuation runs before
   * the next sleeper wakes, and may sleep again within the same `ms`.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await flushTimers();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#moveTo(Math.max(this.#monotonicMs, next.wakeMs));
      next.wake();
      await flushTimers();
    }
    this.#moveTo(endMs);
  }

  /** Steps the wall clock alone, as an operator or NTP does. */
  setNowMs(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  #next(endMs: number): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.wakeMs > endMs) continue;
      if (
        next === undefined ||
        sleeper.wakeMs < next.wakeMs ||
        (sleeper.wakeMs === next.wakeMs && sleeper.order < next.order)
      ) {
        next = sleeper;
      }
    }
    return next;
  }

  #moveTo(monotonicMs: number): void {
    this.#nowMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

/** Runs everything that needs no I/O. */
function flushTimers(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
