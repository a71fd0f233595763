// How fast old rows are removed: in batches that others do not feel, and fewer the busier the database is.
import type { Clock } from "@muster/core";

export interface PaceTimings {
  /** Between two batches, at least. */
  readonly pauseMs: number;
  /** And this many times what the batch took: one that others slow down is followed by a longer pause. */
  readonly pauseFactor: number;
}

const TIMINGS: PaceTimings = { pauseMs: 20, pauseFactor: 4 };
/** Rows of one statement: beyond a few hundred keys MySQL walks the table instead, and locks what it walks. */
const BATCH_ROWS_MAX = 250;
const BATCH_ROWS_MIN = 20;
/** A batch should take about this long, for it holds a connection, and in SQLite all writers. */
const BATCH_MS = 50;

export class Pace {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #timings: PaceTimings;
  #rows = 200;

  constructor(clock: Clock, signal: AbortSignal, timings: PaceTimings = TIMINGS) {
    this.#clock = clock;
    this.#signal = signal;
    this.#timings = timings;
  }

  get isOver(): boolean {
    return this.#signal.aborted;
  }

  /** Rows that the next batch may look at. */
  get rows(): number {
    return this.#rows;
  }

  /** Runs one batch, and rests after it. */
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
