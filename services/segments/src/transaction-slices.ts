// Lets the event loop turn during long work inside a transaction. Other writers of SQLite wait for the
// transaction, as they would without the turns; requests and reads continue.
import { type Clock, WorkBudget } from "@muster/core";

/** Time between two turns. Long, because the transaction stays open meanwhile. */
const SLICE_MS = 20;
/** Charged for each piece of work: above the cost of reading the clock, and below most pieces. */
const UNITS_PER_PIECE = 20;

export class TransactionSlices {
  readonly #budget: WorkBudget;

  constructor(clock: Clock, sliceMs = SLICE_MS) {
    const onSpent = () => new Error("work in a transaction is bounded by its slices alone");
    this.#budget = new WorkBudget({ clock, maxUnits: Number.POSITIVE_INFINITY, onSpent, sliceMs });
  }

  /** Counts one piece of work. If true, the caller awaits {@link turn}. */
  isOver(): boolean {
    this.#budget.spend(UNITS_PER_PIECE);
    return this.#budget.isSliceOver;
  }

  turn(): Promise<void> {
    return this.#budget.turn();
  }

  /** Runs work that yields after each piece. */
  async run<T>(steps: Generator<void, T>): Promise<T> {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      if (this.isOver()) await this.turn();
    }
  }
}
