// Holds the newest actions of a series over all profiles of a person while a batch is evaluated. Pure.
import { compareActionOrder, type HistoryAction } from "../alert-history/history-action.ts";
import { COUNT_MAX } from "../alert-rules/alert-rule.ts";

/** The newest actions, as many as a rule can require, and how many of the latest rise. */
export class NewestActions {
  /** Oldest first. */
  readonly #actions: HistoryAction[];
  #risingCount = 0;

  constructor(actions: readonly HistoryAction[]) {
    this.#actions = actions.toSorted(compareActionOrder).slice(-COUNT_MAX);
    this.#countRise();
  }

  get length(): number {
    return this.#actions.length;
  }

  /** How many of the latest actions have a larger amount than the action before, the first of them included. */
  get risingCount(): number {
    return this.#risingCount;
  }

  /** Returns the action with this number of actions from it to the latest. */
  fromEnd(count: number): HistoryAction | undefined {
    return this.#actions.at(-count);
  }

  add(action: HistoryAction): void {
    const actions = this.#actions;
    let at = actions.length;
    for (let before = actions[at - 1]; before !== undefined && compareActionOrder(before, action) > 0; ) {
      at -= 1;
      before = actions[at - 1];
    }
    const isNewest = at === actions.length;
    actions.splice(at, 0, action);
    if (actions.length > COUNT_MAX) actions.shift();
    if (!isNewest) {
      this.#countRise();
      return;
    }
    const before = actions.at(-2);
    const rises = before !== undefined && action.amount > before.amount;
    this.#risingCount = rises ? Math.min(this.#risingCount + 1, actions.length) : 1;
  }

  #countRise(): void {
    const actions = this.#actions;
    let count = Math.min(1, actions.length);
    while (count < actions.length && rises(actions.at(-count - 1), actions.at(-count))) count += 1;
    this.#risingCount = count;
  }
}

function rises(before: HistoryAction | undefined, after: HistoryAction | undefined): boolean {
  return before !== undefined && after !== undefined && after.amount > before.amount;
}
