// Evaluates the alert rules of one person for the actions of a batch, in order of arrival, as if each action
// had come alone. The history stays unchanged: sums and newest actions continue in memory. Pure.
import { compareActionOrder, type HistoryAction } from "../alert-history/history-action.ts";
import { parseDecimal } from "../alert-rules/decimal.ts";
import type { EventRules, PreparedRule, Series } from "../alert-rules/rule-set.ts";
import type { Action } from "./action.ts";
import { NewestActions } from "./newest-actions.ts";
import { WindowSums } from "./window-sums.ts";

/** An event that at least one rule evaluates or counts. */
export interface Candidate {
  readonly action: Action;
  /** The rules and series whose amount the event has. */
  readonly eventRules: EventRules;
}

/** The stored alert history of a person, over all profiles. */
export interface HistoryReader {
  newestOf(series: Series): readonly HistoryAction[];
  sumsOf(series: Series): (fromMs: bigint, toMs: bigint) => bigint;
}

/** The state of an evaluation between two actions. */
export class PersonEvaluation {
  readonly #history: HistoryReader;
  readonly #candidates: readonly Candidate[];
  /** By series id. */
  readonly #newest = new Map<string, NewestActions>();
  readonly #sums = new Map<string, WindowSums>();
  readonly #limits = new Map<PreparedRule, bigint | undefined>();

  /** `candidates` are all actions to evaluate, in order of arrival. */
  constructor(history: HistoryReader, candidates: readonly Candidate[]) {
    this.#history = history;
    this.#candidates = candidates;
  }

  /** Returns the rules that the next candidate fires, by code. The candidate counts itself. */
  evaluate({ action, eventRules }: Candidate, arrival: number): PreparedRule[] {
    for (const series of eventRules.series) {
      const amount = action.amounts.get(series.property ?? "") ?? 0n;
      const { orderMs } = action;
      if (series.form === "newest") this.#newestOf(series).add({ orderMs, arrival, amount });
      else this.#sumsOf(series).add(orderMs, amount);
    }
    return eventRules.evaluated.filter((rule) => this.#matches(rule, action));
  }

  #matches(rule: PreparedRule, action: Action): boolean {
    const [ownSeries] = rule.neededSeries;
    if (rule.kind === "threshold") return this.#isOver(action.amounts.get(rule.property ?? ""), rule);
    if (ownSeries === undefined) return false;
    switch (rule.kind) {
      case "rising":
        return this.#newestOf(ownSeries).risingCount >= (rule.count ?? 0);
      case "consecutive":
        return this.#isRun(rule, this.#newestOf(ownSeries));
      case "window_sum":
        return this.#isOver(this.#sumsOf(ownSeries).sumOf(rule.windowSeconds ?? 0), rule);
    }
  }

  #isOver(amount: bigint | undefined, rule: PreparedRule): boolean {
    if (!this.#limits.has(rule)) this.#limits.set(rule, parseDecimal(rule.threshold ?? ""));
    const limit = this.#limits.get(rule);
    return amount !== undefined && limit !== undefined && amount > limit;
  }

  /**
   * Matches when the latest `count` actions have the first event name and no action of another name follows
   * the first of them.
   */
  #isRun({ neededSeries: [, ...others], count = 0 }: PreparedRule, own: NewestActions): boolean {
    const first = own.length < count ? undefined : own.fromEnd(count);
    if (first === undefined) return false;
    return others.every((series) => {
      const last = this.#newestOf(series).fromEnd(1);
      return last === undefined || compareActionOrder(last, first) < 0;
    });
  }

  #newestOf(series: Series): NewestActions {
    let newest = this.#newest.get(series.id);
    if (newest === undefined) {
      newest = new NewestActions(this.#history.newestOf(series));
      this.#newest.set(series.id, newest);
    }
    return newest;
  }

  #sumsOf(series: Series): WindowSums {
    let sums = this.#sums.get(series.id);
    if (sums === undefined) {
      const added = this.#candidates.filter(({ eventRules }) => eventRules.series.includes(series));
      const instants = added.map(({ action }) => action.orderMs);
      sums = new WindowSums(this.#history.sumsOf(series), instants);
      this.#sums.set(series.id, sums);
    }
    return sums;
  }
}
