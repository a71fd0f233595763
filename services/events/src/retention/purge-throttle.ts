// Throttles the deletion of expired rows: small batches with pauses that grow with the load of the database.
import type { Clock } from "@muster/core";

/** The pauses between batches. */
export interface PurgeThrottleTimings {
  /** The minimum pause between two batches, in milliseconds. */
  readonly pauseMs: number;
  /** The pause as a multiple of the batch duration, so that slower batches have longer pauses. */
  readonly pauseFactor: number;
}

const TIMINGS: PurgeThrottleTimings = { pauseMs: 20, pauseFactor: 4 };
/** Rows in one statement. Beyond a few hundred keys MySQL scans and locks the table instead. */
const BATCH_ROWS_MAX = 250;
const BATCH_ROWS_MIN = 20;
/**
 * The target duration of a batch in milliseconds. A batch holds a connection, and in SQLite the write lock.
 */
const BATCH_MS = 50;

/** Adapts the batch size to the duration of batches, within fixed limits. */
export class PurgeThrottle {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #timings: PurgeThrottleTimings;
  #rows = 200;

  constructor(clock: Clock, signal: AbortSignal, timings: PurgeThrottleTimings = TIMINGS) {
    this.#clock = clock;
    this.#signal = signal;
    this.#timings = timings;
  }

  get isOver(): boolean {
    return this.#signal.aborted;
  }

  /** The number of rows for the next batch. */
  get rows(): number {
    return this.#rows;
  }

  /** Runs a batch, then pauses. */
  async batch<T>(run: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.monotonicMs();
    const result = await run();
    const tookMs = this.#clock.monotonicMs() - startMs;
    const factor = tookMs < BATCH_MS / 2 ? 2 : tookMs > BATCH_MS * 2 ? 0.5 : 1;
    this.#rows = Math.max(BATCH_ROWS_MIN, Math.min(BATCH_ROWS_MAX, Math.floor(this.#rows * factor)));
    const { pauseMs, pauseFactor } = this.#timings;
    await this.#clock.sleep(Math.max(pauseMs, pauseFactor * tookMs), this.#signal);
    return result;
  }
}
