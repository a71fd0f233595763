// Bounds the work of one task: counts its units, yields to the event loop in slices, and stops when the task is
// canceled. Loops over data charge the budget, so that no task holds the process or runs without end.
import type { Clock } from "./clock.ts";

/** Longest time a task runs between two turns of the event loop, in milliseconds. */
const WORK_SLICE_MS = 4;

export interface WorkBudgetOptions {
  readonly clock: Clock;
  /** Most units of the task; a unit is about a microsecond of processor time. Infinity bounds by slices alone. */
  readonly maxUnits: number;
  /** Creates the error that ends the task when its units are spent. */
  readonly onSpent: () => Error;
  /** Ends the task with its reason. The signal of a call aborts at the deadline of the call as well. */
  readonly signal?: AbortSignal | undefined;
  /** Default 4. */
  readonly sliceMs?: number;
}

/**
 * Charged by the loops of one task. A synchronous loop calls `spend`; an asynchronous loop also awaits `turn`
 * whenever `isSliceOver`:
 *
 *     for (const row of rows) {
 *       budget.spend(1);
 *       if (budget.isSliceOver) await budget.turn();
 *       …
 *     }
 */
export class WorkBudget {
  readonly #options: WorkBudgetOptions;
  readonly #sliceMs: number;
  #sliceEndMs: number;
  #spentUnits = 0;
  /** The clock is read again once this many units are spent, because reading it costs about 50 ns. */
  #nextCheckUnits = 0;
  #isSliceOver = false;

  constructor(options: WorkBudgetOptions) {
    this.#options = options;
    this.#sliceMs = options.sliceMs ?? WORK_SLICE_MS;
    this.#sliceEndMs = options.clock.monotonicMs() + this.#sliceMs;
  }

  /** A budget without a limit: the task yields in slices and ends with the signal alone. */
  static inSlices(options: Pick<WorkBudgetOptions, "clock" | "signal" | "sliceMs">): WorkBudget {
    const onSpent = () => new Error("a budget without a limit was spent");
    return new WorkBudget({ ...options, maxUnits: Number.POSITIVE_INFINITY, onSpent });
  }

  /** Units charged so far. */
  get spentUnits(): number {
    return this.#spentUnits;
  }

  /** The task has run for a whole slice and must await {@link turn}. */
  get isSliceOver(): boolean {
    return this.#isSliceOver;
  }

  /** Charges units. Throws the error of `onSpent` when the task has used up its budget. */
  spend(units: number): void {
    this.#spentUnits += units;
    if (this.#spentUnits > this.#options.maxUnits) throw this.#options.onSpent();
    if (this.#spentUnits < this.#nextCheckUnits) return;
    this.#nextCheckUnits = this.#spentUnits + UNITS_PER_CLOCK_READ;
    this.#isSliceOver = this.#options.clock.monotonicMs() >= this.#sliceEndMs;
  }

  /** Lets the event loop turn once, and starts a slice. Rejects with the signal's reason after an abort. */
  async turn(): Promise<void> {
    this.throwIfAborted();
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.throwIfAborted();
    this.#isSliceOver = false;
    this.#sliceEndMs = this.#options.clock.monotonicMs() + this.#sliceMs;
  }

  throwIfAborted(): void {
    this.#options.signal?.throwIfAborted();
  }
}

const UNITS_PER_CLOCK_READ = 20;
